//! `[acme]`, and the names of listeners that it is for.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Uri;

use crate::report::{Diagnostic, Span};
use crate::wire::host;

use super::super::fault::Fault;
use super::super::plan::{
    Acme, CaDirectory, DnsHook, ExternalAccount, HostPattern, Listener, Roots, Route, Secret,
};
use super::super::tables::{self, AcmeNames, Spanned};
use super::{Lower, NamedFiles, entries, opt, time, tls};

const LETSENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
const LETSENCRYPT_STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

/// Bytes of a name (RFC 1035 §2.3.4), without the last dot.
const NAME_BYTES_MAX: usize = 253;

/// `[acme]`, when it is there.
pub fn acme(cx: &mut Lower<'_>, file: &tables::FileTable) -> Option<Option<Acme>> {
    opt(file.acme.is_written().then(|| lower(cx, &file.acme)))
}

fn lower(cx: &mut Lower<'_>, written: &Spanned<tables::AcmeTable>) -> Option<Acme> {
    let raw = written.get()?;
    if cfg!(not(feature = "acme")) {
        let finding = Diagnostic::error("build", "this build of tidegate orders no certificates");
        let hint = "build it with the feature `acme`, which is on by default".to_owned();
        cx.report(finding.at(written.span()).hint(hint));
    }
    agreed(cx, raw, written.span());
    let email = opt(raw.email.is_written().then(|| cx.take("email", &raw.email, |m| mail(m))));
    let directory = cx.take("directory", &raw.directory, |text| directory(text));
    let eab = opt(raw.eab.is_written().then(|| external_account(cx, &raw.eab)));
    let roots = match raw.roots.is_absent() || cx.named_files == NamedFiles::Skip {
        true => Some(Roots::System),
        false => tls::roots_of(cx, "roots", &raw.roots),
    };
    let dns = opt(raw.dns.is_written().then(|| dns_hook(cx, &raw.dns)));
    Some(Acme {
        email: email?,
        state: cx.path(raw.state.get()?, raw.state.span()),
        directory: directory?,
        profile: raw.profile.get().map(|profile| profile.as_str().into()),
        eab: eab?,
        roots: roots?,
        dns: dns?,
    })
}

fn agreed(cx: &mut Lower<'_>, raw: &tables::AcmeTable, place: Option<Span>) {
    let hint = "`agree_to_terms = true` says so: the authority's directory names its terms";
    if raw.agree_to_terms.is_absent() {
        let said = "`acme` does not say that you agree to the authority's terms of service";
        cx.report(Diagnostic::error("missing", said).at(place).hint(hint.to_owned()));
    } else if raw.agree_to_terms.get() == Some(&false) {
        let fault = Fault::new("must be `true`: without it no authority gives a certificate");
        cx.fault("agree_to_terms", raw.agree_to_terms.span(), fault.hint(hint.to_owned()));
    }
}

fn mail(text: &str) -> Result<Arc<str>, Fault> {
    let is_word = |part: &str| {
        !part.is_empty() && part.chars().all(|c| !c.is_whitespace() && !c.is_control() && c != ',')
    };
    match text.strip_prefix("mailto:").unwrap_or(text).rsplit_once('@') {
        Some((name, at)) if is_word(name) && is_word(at) => Ok(format!("{name}@{at}").into()),
        _ => Err(Fault::new(format!("must be an address of e-mail, not: `{text}`"))),
    }
}

fn directory(text: &str) -> Result<CaDirectory, Fault> {
    match text {
        "letsencrypt" => {
            let staging = Some(LETSENCRYPT_STAGING.into());
            return Ok(CaDirectory { url: LETSENCRYPT.into(), staging });
        }
        "letsencrypt-staging" => {
            return Ok(CaDirectory { url: LETSENCRYPT_STAGING.into(), staging: None });
        }
        _ => {}
    }
    let no_url = || {
        let said = "must be `letsencrypt`, `letsencrypt-staging` or a URL of `https`, not";
        Fault::new(format!("{said}: `{text}`"))
    };
    let uri: Uri = text.parse().map_err(|_| no_url())?;
    let name = uri.host().ok_or_else(no_url)?.trim_matches(['[', ']']);
    let is_here = name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    match uri.scheme_str() {
        Some("https") => Ok(CaDirectory { url: text.into(), staging: None }),
        Some("http") if is_here => Ok(CaDirectory { url: text.into(), staging: None }),
        _ => Err(no_url()),
    }
}

fn external_account(
    cx: &mut Lower<'_>,
    written: &Spanned<tables::ExternalAccountTable>,
) -> Option<ExternalAccount> {
    let raw = written.get()?;
    cx.need((&raw.id, "id"), "`eab` of `acme`", written.span(), "\"kid-1\"");
    cx.need((&raw.key, "key"), "`eab` of `acme`", written.span(), "\"${EAB_KEY}\"");
    let key = cx.take("key", &raw.key, |text| {
        // What it is stays unsaid.
        let key = URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
        let key = key.map_err(|_| Fault::new("must be a key in base64url"))?;
        if key.is_empty() {
            return Err(Fault::new("must be a key in base64url, and is empty"));
        }
        Ok(Secret::new(&key))
    });
    Some(ExternalAccount { id: raw.id.get()?.as_str().into(), key: key? })
}

fn dns_hook(cx: &mut Lower<'_>, written: &Spanned<tables::DnsHookTable>) -> Option<DnsHook> {
    let raw = written.get()?;
    let as_in = "\"/usr/local/bin/dns-hook\"";
    cx.need((&raw.hook, "hook"), "`dns` of `acme`", written.span(), as_in);
    let command = cx.take_each("hook", &raw.hook, |word| Ok(word.as_str().into()))?;
    if raw.hook.is_written() && command.first().is_none_or(|program: &Arc<str>| program.is_empty())
    {
        cx.fault("hook", raw.hook.span(), Fault::new("must name a program"));
        return None;
    }
    Some(DnsHook {
        command,
        wait: raw.wait.get().map(|wait| wait.0)?,
        timeout: time(&raw.timeout)?,
    })
}

/// Gives each listener the names that certificates are ordered for.
pub fn names(
    cx: &mut Lower<'_>,
    file: &tables::FileTable,
    listeners: &mut [Arc<Listener>],
    routes: &[(Arc<Route>, Span)],
) {
    let has_dns = file.acme.get().is_some_and(|acme| acme.dns.is_written());
    let mut is_used = false;
    let written = entries(&file.listeners).iter();
    for (listener, (_, table)) in listeners.iter_mut().zip(written) {
        let tls = table.get().and_then(|table| table.tls.get());
        let Some(written) = tls.map(|tls| &tls.0.acme).filter(|acme| acme.is_written()) else {
            continue;
        };
        let Some(wanted) = written.get() else { continue };
        if matches!(wanted, AcmeNames::Off) {
            continue;
        }
        is_used = true;
        if !file.acme.is_written() {
            let said = format!("`acme` of listener `{}` needs the table `[acme]`", listener.name);
            let hint = "add `[acme]` with `email` and `agree_to_terms = true`".to_owned();
            cx.report(Diagnostic::error("missing", said).at(written.span()).hint(hint));
        }
        let hosts = || hosts_of(&listener.name, routes);
        let found = match wanted {
            AcmeNames::Off => continue,
            AcmeNames::OfRoutes => of_routes(cx, listener, written.span(), hosts()),
            AcmeNames::Listed(names) => listed(cx, names, written.span(), hosts(), has_dns),
        };
        if let Some(tls) = &mut Arc::make_mut(listener).tls {
            tls.acme = found;
        }
    }
    if file.acme.is_written() && !is_used {
        let said = "no listener takes certificates from `acme`";
        let hint = "write `tls.acme = true` in a listener".to_owned();
        let finding = Diagnostic::warning("unused", said).at(file.acme.span());
        cx.report(finding.hint(hint));
    }
}

/// The hosts of a listener's routes.
pub fn hosts_of<'a>(listener: &str, routes: &'a [(Arc<Route>, Span)]) -> Vec<&'a HostPattern> {
    let is_here = |route: &&Arc<Route>| {
        route.listeners.is_empty() || route.listeners.iter().any(|name| **name == *listener)
    };
    routes.iter().map(|(route, _)| route).filter(is_here).map(|route| &route.host).collect()
}

/// The names that routes have, but for those that a certificate is named for.
fn of_routes(
    cx: &mut Lower<'_>,
    listener: &Listener,
    place: Option<Span>,
    hosts: Vec<&HostPattern>,
) -> Vec<Arc<str>> {
    let names = hosts.into_iter().filter_map(|host| match host {
        HostPattern::Exact(name) if !is_address(name) => Some(name),
        _ => None,
    });
    let names: BTreeSet<_> = names.cloned().collect();
    if names.is_empty() {
        let said = format!("`acme` of listener `{}` has no name to order for", listener.name);
        let hint = "give its routes a `host`, or list names: `acme = [\"example.com\"]`".to_owned();
        cx.report(Diagnostic::error("value", said).at(place).hint(hint));
    }
    let named = listener.tls.iter().flat_map(|tls| &tls.certificates).collect::<Vec<_>>();
    let is_missing = |name: &Arc<str>| !named.iter().any(|one| one.covers(name));
    names.into_iter().filter(is_missing).collect()
}

fn listed(
    cx: &mut Lower<'_>,
    names: &[Spanned<String>],
    place: Option<Span>,
    hosts: Vec<&HostPattern>,
    has_dns: bool,
) -> Vec<Arc<str>> {
    if names.is_empty() {
        let fault = Fault::new("is an empty list");
        cx.fault("acme", place, fault.hint("`acme = true` takes the hosts of routes".to_owned()));
    }
    let mut found: Vec<Arc<str>> = Vec::with_capacity(names.len());
    for written in names {
        let span = written.span().or(place);
        let name = match written.get().map(|text| dns_name(text)) {
            Some(Ok(name)) => name,
            Some(Err(fault)) => {
                cx.report(fault.finding("value", "an entry of `acme`", span));
                continue;
            }
            None => continue,
        };
        if name.starts_with("*.") && !has_dns {
            let said = format!("`{name}` can be shown to be yours in DNS only");
            let hint = "write `dns.hook` in `[acme]`, or list single names".to_owned();
            cx.report(Diagnostic::error("value", said).at(span).hint(hint));
        }
        if !hosts.iter().any(|host| is_served(host, &name)) {
            let said = format!("no route of this listener has the host `{name}`");
            let hint = "a certificate is ordered for it all the same".to_owned();
            cx.report(Diagnostic::warning("unused", said).at(span).hint(hint));
        }
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// A name as orders have it: lower case, of labels, perhaps with a wildcard before them.
fn dns_name(text: &str) -> Result<Arc<str>, Fault> {
    if !text.is_ascii() {
        let fault = Fault::new(format!("must be ASCII, not: `{text}`"));
        let hint = "an international name is written as it is sent: `xn--…`".to_owned();
        return Err(fault.hint(hint));
    }
    let fault = |why: &str| Fault::new(format!("must be a name, not: `{text}`: {why}"));
    let parent = text.strip_prefix("*.");
    let host =
        host::canonical(parent.unwrap_or(text)).map_err(|error| fault(&error.to_string()))?;
    if host.port.is_some() {
        return Err(fault("a certificate has no port"));
    }
    if is_address(&host.name) {
        return Err(fault("it is an address"));
    }
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_');
    if !host.name.bytes().all(is_plain) {
        return Err(fault("a wildcard stands for the first label, as in `*.example.com`"));
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(fault("it is too long"));
    }
    Ok(match parent {
        Some(_) => format!("*.{}", host.name).into(),
        None => host.name.as_ref().into(),
    })
}

/// Whether a route with this host takes requests for the name, or some of a wildcard's.
fn is_served(host: &HostPattern, name: &str) -> bool {
    match (host, name.strip_prefix("*.")) {
        (HostPattern::Any, _) => true,
        (HostPattern::Exact(exact), None) => **exact == *name,
        (HostPattern::Exact(exact), Some(parent)) => {
            exact.split_once('.').is_some_and(|(_, of)| of == parent)
        }
        (HostPattern::Wildcard(of), None) => {
            name.strip_suffix(&**of).is_some_and(|label| label.ends_with('.'))
        }
        (HostPattern::Wildcard(of), Some(parent)) => **of == *parent,
    }
}

fn is_address(host: &str) -> bool {
    host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}
