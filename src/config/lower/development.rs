//! `tls = "dev"`: what development certificates are for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::report::{Diagnostic, Span};

use super::super::fault::Fault;
use super::super::plan::{Address, DevelopmentCertificate, HostPattern, Listener, Route};
use super::super::tables::{self, OrString};
use super::{Lower, acme, entries};

/// What every one is for.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Names of a certificate: it is sent in each full handshake.
const NAMES_MAX: usize = 200;

/// Gives each listener that wants one its certificate's names: of those that are kept in one
/// directory together, which have one certificate.
pub fn names(
    cx: &mut Lower<'_>,
    file: &tables::FileTable,
    listeners: &mut [Arc<Listener>],
    routes: &[(Arc<Route>, Span)],
) {
    let mut wanted: Vec<(usize, PathBuf, Option<Span>)> = Vec::new();
    for (at, (_, table)) in entries(&file.listeners).iter().enumerate() {
        let tls = table.get().and_then(|table| table.tls.get());
        let Some(OrString(tls)) = tls else { continue };
        if tls.issuer.is_absent() && tls.directory.is_written() {
            let said = "`directory` is for a certificate that tidegate makes itself";
            let finding = Diagnostic::warning("unused", said).at(tls.directory.span());
            cx.report(finding.hint("write `issuer = \"dev\"` beside it".to_owned()));
        }
        if tls.issuer.get().is_none() {
            continue;
        }
        let Some(directory) = tls.directory.get() else { continue };
        wanted.push((at, directory_of(cx, directory, tls), tls.issuer.span()));
    }
    let mut names: BTreeMap<&Path, BTreeSet<Arc<str>>> = BTreeMap::new();
    for (at, directory, place) in &wanted {
        let Some(listener) = listeners.get(*at) else { continue };
        warn_of_others(cx, listener, *place);
        names.entry(directory).or_default().extend(names_of(listener, routes));
    }
    for (at, directory, place) in &wanted {
        let names = &names[&**directory];
        if names.len() > NAMES_MAX {
            let said = format!("a certificate for development is for {NAMES_MAX} names at most");
            let fault = Fault::new(format!("{said}, and this one for {}", names.len()));
            let hint = "give listeners a `tls.directory` each, or take a host with a wildcard";
            cx.fault("issuer", *place, fault.hint(hint.to_owned()));
            continue;
        }
        let (directory, names) = (directory.clone(), names.iter().cloned().collect());
        let tls = listeners.get_mut(*at).and_then(|listener| Arc::make_mut(listener).tls.as_mut());
        if let Some(tls) = tls {
            tls.development = Some(DevelopmentCertificate { directory, names });
        }
    }
}

/// Beside the file that asks for it.
fn directory_of(cx: &Lower<'_>, directory: &str, tls: &tables::ServerTlsTable) -> PathBuf {
    cx.path(directory, tls.directory.span().or(tls.issuer.span()))
}

fn names_of(listener: &Listener, routes: &[(Arc<Route>, Span)]) -> Vec<Arc<str>> {
    let mut names: Vec<Arc<str>> = LOCAL_NAMES.map(Arc::from).into();
    if let Address::Inet(address) = &listener.address
        && !address.ip().is_unspecified()
    {
        names.push(address.ip().to_string().into());
    }
    names.extend(acme::hosts_of(&listener.name, routes).into_iter().filter_map(
        |host| match host {
            HostPattern::Exact(name) => Some(name.trim_matches(['[', ']']).into()),
            HostPattern::Wildcard(parent) => Some(format!("*.{parent}").into()),
            HostPattern::Any => None,
        },
    ));
    names
}

/// Warns of a listener that other machines reach: they have no reason to trust what it shows.
fn warn_of_others(cx: &mut Lower<'_>, listener: &Listener, place: Option<Span>) {
    if let Address::Inet(address) = &listener.address
        && !address.ip().is_loopback()
    {
        let said = format!(
            "listener `{}` is reached from other machines, and its certificate is for development",
            listener.name
        );
        let hint = "`tls.acme = true` orders one that all clients trust".to_owned();
        cx.report(Diagnostic::warning("certificate", said).at(place).hint(hint));
    }
}
