//! What can be taken, and is hardly what its author wants; and what only this machine can tell.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Access, access};

use super::date;
use crate::config::plan::{Address, HostPattern, Listener, covers};
use crate::config::{ListenedOn, Loaded};
use crate::report::{Diagnostic, Report};
use crate::router::{CaseCounts, Router, taken_on_every_listener};
use crate::wire::x509::Validity;

/// A certificate is told of when less than this is left of its life, and less than a quarter.
const EXPIRY_NOTICE: Duration = Duration::from_secs(21 * 24 * 60 * 60);

/// Bytes of a unix socket's path at most: its address has 108, with a zero at the end (unix(7)).
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Warns of every route that no request can reach.
pub(super) fn add_unreachable(router: &Router, loaded: &Loaded, findings: &mut Report) {
    let span = |route: usize| loaded.route_spans.get(route).copied();
    let mut told = HashSet::new();
    for found in router.unreachable() {
        let name = &loaded.plan.routes[found.route].identity;
        let message = format!("this route can never be taken: {name}");
        let mut warning = Diagnostic::warning("unreachable", message)
            .at(span(found.route))
            .label(found.why.to_string());
        if let Some(by) = found.by {
            warning = warning.also(span(by), "this one is taken instead");
        }
        findings.push(warning);
        told.insert(found.route);
    }
    let listeners = &loaded.plan.listeners;
    let names: Vec<Arc<str>> =
        listeners.iter().map(|listener| Arc::clone(&listener.name)).collect();
    for (route, by) in taken_on_every_listener(&loaded.plan.routes, &names) {
        if !told.contains(&route) {
            let name = &loaded.plan.routes[route].identity;
            let message = format!("this route can never be taken: {name}");
            let warning = Diagnostic::warning("unreachable", message).at(span(route));
            let warning = warning.label("on each listener another route takes all its requests");
            findings.push(warning.also(span(by), "this is the first of them"));
        }
    }
}

/// Warns of every denial that another case of letters gets round.
pub(super) fn add_case(router: &Router, loaded: &Loaded, findings: &mut Report) {
    let span = |route: usize| loaded.route_spans.get(route).copied();
    for found in CaseCounts::of(router) {
        let path = found.path;
        let message =
            format!("case counts where this route denies, and it does not take: `{path}`");
        let hint = "write `ignore_case = true`, or `~*` before a regex".to_owned();
        let warning = Diagnostic::warning("case", message).at(span(found.route)).hint(hint);
        findings.push(warning.also(span(found.by), "this one takes it"));
    }
}

/// Warns of certificates and lists of revoked ones that have expired or soon will, or are not valid
/// yet; `now` is in seconds since the Unix epoch.
pub(super) fn add_expiries(loaded: &Loaded, now: i64, findings: &mut Report) {
    let mut told: HashSet<&Path> = HashSet::new();
    let mut tell = |(what, hint): (&str, &str), path, validity| {
        let Some(said) = expiry(validity, now) else { return };
        if told.insert(path) {
            let message = format!("the {what} in `{}` {said}", path.display());
            let mut spans = loaded.certificate_spans.iter();
            let span = spans.find(|(file, _)| file == path).map(|(_, span)| *span);
            findings.push(Diagnostic::warning("expiry", message).at(span).hint(hint.to_owned()));
        }
    };
    for tls in loaded.plan.listeners.iter().filter_map(|one| one.tls.as_ref()) {
        let shown = ("certificate", "clients refuse a certificate out of its time");
        for certificate in &tls.certificates {
            tell(shown, &certificate.chain, certificate.validity);
        }
        let list = ("list of revoked certificates", "by an expired one no client is let in");
        for (path, crl) in tls.clients.iter().flat_map(|clients| &clients.crls) {
            tell(list, path, crl.validity);
        }
    }
}

/// What is to be said of a certificate's time.
fn expiry(validity: Validity, now: i64) -> Option<String> {
    let Validity { not_before, not_after } = validity;
    let days = |seconds: i64| match seconds / (24 * 60 * 60) {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    };
    if now > not_after {
        let ago = days(now - not_after);
        return Some(format!("expired {ago} ago, at {}", date(not_after)));
    }
    if now < not_before {
        return Some(format!("is not valid before {}", date(not_before)));
    }
    let notice = i64::try_from(EXPIRY_NOTICE.as_secs()).unwrap_or(i64::MAX);
    let is_soon = not_after - now < notice.min((not_after - not_before) / 4);
    is_soon.then(|| format!("expires in {}, at {}", days(not_after - now), date(not_after)))
}

/// Warns of a route's host that no certificate of a listener with TLS is for.
pub(super) fn add_uncovered(loaded: &Loaded, findings: &mut Report) {
    for (index, route) in loaded.plan.routes.iter().enumerate() {
        let (shown, host) = match &route.host {
            HostPattern::Exact(host) => (host.to_string(), &**host),
            // A wildcard's certificate stands for one label; deeper names are not asked for here.
            HostPattern::Wildcard(parent) => (format!("*.{parent}"), &**parent),
            HostPattern::Any => continue,
        };
        // An address is not asked for by SNI.
        if host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok() {
            continue;
        }
        let takes = |listener: &&Arc<Listener>| {
            route.listeners.is_empty() || route.listeners.contains(&listener.name)
        };
        let covers = |name: &Arc<str>| match &route.host {
            HostPattern::Wildcard(_) => **name == *shown,
            _ => covers(name, host),
        };
        let mut speaking = loaded.plan.listeners.iter().filter(takes);
        let uncovered = speaking.find(|listener| {
            let tls = listener.tls.as_ref();
            tls.is_some_and(|tls| !tls.names().any(covers))
        });
        if let Some(listener) = uncovered {
            let listener = &listener.name;
            let message = format!(
                "no certificate of listener `{listener}` is for this route's host: `{shown}`"
            );
            let hint = "clients refuse what they are shown in its place".to_owned();
            let span = loaded.route_spans.get(index).copied();
            findings.push(Diagnostic::warning("certificate", message).at(span).hint(hint));
        }
    }
}

/// Reports every unix socket that cannot be made on this machine.
pub(super) fn add_sockets(loaded: &Loaded, findings: &mut Report) {
    for one in &loaded.listened_on {
        let Address::Unix(path) = &one.address else { continue };
        findings.findings.extend(socket_fault(one, path));
    }
}

fn socket_fault(one: &ListenedOn, path: &Path) -> Option<Diagnostic> {
    let said = |said: &str, path: &Path| {
        format!("the socket of {} cannot be made: {said}: `{}`", one.what, path.display())
    };
    let fault =
        |text: &str, path: &Path| Diagnostic::error("socket", said(text, path)).at(one.span);
    if path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        let text = format!("its path has more than {SOCKET_PATH_BYTES_MAX} bytes");
        return Some(fault(&text, path));
    }
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => return Some(fault("a file that is no socket is there", path)),
        Err(_) => {}
    }
    let mut directory = directory_of(path);
    // One that is made needs its own directory only.
    while one.makes_directory && !directory.exists() && directory != directory_of(directory) {
        directory = directory_of(directory);
    }
    match fs::metadata(directory) {
        Ok(found) if !found.is_dir() => Some(fault("this is no directory", directory)),
        Ok(_) => access(directory, Access::WRITE_OK | Access::EXEC_OK).is_err().then(|| {
            // The service may run as somebody else.
            let text = said("this user may not write to the directory", directory);
            Diagnostic::warning("socket", text).at(one.span)
        }),
        Err(_) => {
            let hint =
                "make the directory first; for a service, `RuntimeDirectory=` does".to_owned();
            Some(fault("there is no such directory", directory).hint(hint))
        }
    }
}

/// The directory that a path leads into; a relative one begins in the working directory, and the
/// root is in itself.
fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 60 * 60;

    #[test]
    fn certificates_are_told_of_when_they_expire_in_relation_to_their_life() {
        let said = |life: i64, left: i64| {
            let not_after = 1_800_000_000;
            let validity = Validity { not_before: not_after - life * DAY, not_after };
            expiry(validity, not_after - left * DAY)
        };
        assert_eq!(said(365, 22), None);
        assert!(said(365, 20).unwrap().starts_with("expires in 20 days, at Fri, 15 Jan 2027"));
        assert_eq!(said(6, 3), None);
        assert!(said(6, 1).unwrap().starts_with("expires in 1 day"));
        assert!(said(90, -2).unwrap().starts_with("expired 2 days ago"));
        assert!(said(90, 91).unwrap().starts_with("is not valid before"));
    }
}
