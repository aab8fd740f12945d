//! Backends that are found: by which name, and how.

use std::net::SocketAddr;

use crate::report::Span;

use super::super::fault::Fault;
use super::super::plan::{Discovery, MemberGroup, MemberSource, UpstreamTls};
use super::super::tables::{self, DiscoveryParts, Number, Spanned, if_any};
use super::Lower;

/// Bytes of a name in DNS (RFC 1035 §2.3.4).
const NAME_BYTES_MAX: usize = 253;

/// The source that an `address` names, where it names one.
pub fn source(text: &str) -> Option<Result<MemberSource, Fault>> {
    if let Some(rest) = text.strip_prefix("dns:") {
        return Some(built(in_dns(rest)));
    }
    if let Some(rest) = text.strip_prefix("srv:") {
        return Some(built(name(rest).map(|name| MemberSource::Srv { name: name.into() })));
    }
    let path = text.strip_prefix("file:")?;
    Some(match path {
        "" => Err(Fault::new("has no path after `file:`")),
        path => Ok(MemberSource::File(path.into())),
    })
}

fn built(source: Result<MemberSource, Fault>) -> Result<MemberSource, Fault> {
    match cfg!(feature = "dns") {
        true => source,
        false => {
            let fault = Fault::new("asks name servers, and this build of tidegate does not");
            let hint = "build it with the feature `dns`, which is on by default".to_owned();
            Err(fault.hint(hint))
        }
    }
}

fn in_dns(text: &str) -> Result<MemberSource, Fault> {
    let wrong = || {
        let fault = Fault::new(format!("must be a name and a port behind `dns:`, not: `{text}`"));
        fault.hint("as in `\"dns:chat.internal:3000\"`".to_owned())
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
    Ok(MemberSource::Dns { name: name(host)?.into(), port })
}

fn name(text: &str) -> Result<String, Fault> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_address = text.parse::<std::net::IpAddr>().is_ok();
    let has_labels = text
        .strip_suffix('.')
        .unwrap_or(text)
        .split('.')
        .all(|label| (1..=63).contains(&label.len()));
    let is_name = text.len() <= NAME_BYTES_MAX && text.chars().all(fits) && has_labels;
    match is_name && !is_address {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(Fault::new(format!("must have a name in DNS, not: `{text}`"))),
    }
}

/// The members that an entry of `backends` has found.
pub fn group(
    cx: &mut Lower<'_>,
    raw: &tables::BackendTable,
    source: MemberSource,
    sessions_max: &Spanned<Number<1>>,
) -> Option<MemberGroup> {
    let source = match source {
        MemberSource::File(path) => MemberSource::File(cx.path(path, raw.address.span())),
        other => other,
    };
    Some(MemberGroup {
        source,
        weight: raw.weight.get()?.0,
        backup: *raw.backup.get()?,
        sessions_max: if_any(raw.sessions_max.or(sessions_max))?,
    })
}

/// The `discovery` of a pool with these sources.
pub fn discovery(
    cx: &mut Lower<'_>,
    written: &Spanned<tables::DiscoveryTable>,
    groups: &[MemberGroup],
) -> Option<Discovery> {
    let Some(raw) = written.get() else {
        return written.is_absent().then(Discovery::default);
    };
    if groups.is_empty() {
        let fault = Fault::new("is for backends that are found");
        let hint = "`backends` names none by `dns:`, `srv:` or `file:`".to_owned();
        cx.fault("discovery", written.span(), fault.hint(hint));
    }
    let resolvers = cx.take_each("resolver", &raw.resolver, |text| name_server(text));
    let discovery = raw.lower(cx.report, DiscoveryParts { resolvers })?;
    if discovery.refresh_max < discovery.refresh_min {
        let span = raw.refresh_max.span().or(raw.refresh_min.span());
        cx.fault("refresh_max", span, Fault::new("must be at least `refresh_min`"));
    }
    Some(discovery)
}

/// A name server's address.
fn name_server(text: &str) -> Result<SocketAddr, Fault> {
    text.parse().map_err(|_| {
        let fault = Fault::new(format!("must be an IP address and a port, not: `{text}`"));
        fault.hint("as in `\"10.0.0.2:53\"`".to_owned())
    })
}

/// A certificate is verified against a name, and what name servers give are addresses.
pub fn needs_server_name(
    cx: &mut Lower<'_>,
    tls: Option<&UpstreamTls>,
    groups: &[MemberGroup],
    at: Option<Span>,
) {
    let is_file = |group: &MemberGroup| matches!(group.source, MemberSource::File(_));
    if tls.is_some_and(|tls| tls.server_name.is_none()) && !groups.iter().all(is_file) {
        let said = "needs a `server_name`: what `dns:` and `srv:` find are addresses";
        let hint = "write `server_name = \"chat.internal\"`, the name that their certificates have";
        cx.fault("tls", at, Fault::new(said).hint(hint.to_owned()));
    }
}
