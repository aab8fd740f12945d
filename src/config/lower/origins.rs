//! `allowed_origins`: which pages may open a WebSocket.

use std::sync::Arc;

use ipnet::IpNet;

use crate::report::Diagnostic;

use super::super::fault::Fault;
use super::super::hint::slip;
use super::super::plan::{HostPattern, Origins};
use super::super::tables::{self, TakesWebSockets};
use super::{Lower, action, condition};

/// One entry of the key.
enum OriginRule {
    /// `"any"`.
    Any,
    /// `"same"`.
    Same,
    /// An origin.
    Listed(Arc<str>),
}

/// The origins of a route; `None` inside where any may.
pub fn origins(cx: &mut Lower<'_>, raw: &tables::RouteTable) -> Option<Option<Origins>> {
    if raw.allowed_origins.is_absent() {
        unsaid(cx, raw);
        return Some(None);
    }
    let entries = cx.take_each("allowed_origins", &raw.allowed_origins, |text| entry(text))?;
    let span = raw.allowed_origins.span();
    if entries.is_empty() {
        let fault = Fault::new("is an empty list: no page could open a WebSocket");
        let hint = "write `\"same\"`, or `websocket = false` where none is taken".to_owned();
        cx.fault("allowed_origins", span, fault.hint(hint));
    }
    let mut origins = Origins::default();
    let number = entries.len();
    for entry in entries {
        match entry {
            OriginRule::Any if number == 1 => return Some(None),
            OriginRule::Any => {
                let fault = Fault::new("says `\"any\"`, and names others beside it");
                cx.fault("allowed_origins", span, fault);
                return None;
            }
            OriginRule::Same => origins.same = true,
            OriginRule::Listed(origin) => origins.listed.push(origin),
        }
    }
    Some(Some(origins))
}

/// Warns of a route that says nothing: a browser sends a visitor's cookies along with a WebSocket
/// that any site's page opens (RFC 6455 §10.2).
fn unsaid(cx: &mut Lower<'_>, raw: &tables::RouteTable) {
    let takes = !matches!(raw.websocket.get(), None | Some(TakesWebSockets::No));
    if let Some((_, span)) = action::pool_of(raw).filter(|_| takes) {
        let route = raw.name.get().or(raw.path.get()).map_or("/", String::as_str);
        let said = format!(
            "route `{route}` lets pages of any site open WebSockets, with the cookies of their \
             visitors"
        );
        let hint = "write `allowed_origins = \"same\"` for pages of the same host, a list of \
                    origins, or `\"any\"` where that is right";
        cx.report(Diagnostic::warning("origins", said).at(span).hint(hint.to_owned()));
    }
}

fn entry(text: &str) -> Result<OriginRule, Fault> {
    match text {
        "any" => Ok(OriginRule::Any),
        "same" => Ok(OriginRule::Same),
        origin => self::origin(origin).map(OriginRule::Listed),
    }
}

/// An origin as browsers send it (RFC 6454 §6.2): scheme, host, and a port that is not the
/// scheme's own.
fn origin(text: &str) -> Result<Arc<str>, Fault> {
    if text == "null" {
        return Ok(text.into());
    }
    let said = || {
        let known = "`\"same\"`, `\"any\"` or an origin, such as `https://example.com`";
        Fault::new(format!("must be {known}, not: `{text}`"))
    };
    if text.parse::<IpNet>().is_ok() {
        let hint = "an origin is a page's address; those of clients are for `[access.NAME]`";
        return Err(said().hint(hint.to_owned()));
    }
    let meant = match text {
        "*" | "all" => Some("any"),
        "self" | "'self'" | "same-origin" | "same_origin" => Some("same"),
        other => slip(other, ["same", "any"]),
    };
    if let Some(near) = meant {
        return Err(said().hint(format!("write `\"{near}\"`")));
    }
    let lower = text.to_ascii_lowercase();
    let Some((scheme, rest)) = lower.split_once("://") else {
        return Err(said().hint(format!("write `\"https://{lower}\"`")));
    };
    let (authority, path) = rest.split_once('/').map_or((rest, None), |(a, p)| (a, Some(p)));
    if path.is_some() {
        let hint = format!("an origin has no path: write `\"{scheme}://{authority}\"`");
        return Err(said().hint(hint));
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    // `parse` would take a sign, too.
    let digits = |port: &&str| port.chars().all(|c| c.is_ascii_digit());
    let port = match port.map(|port| Some(port).filter(digits).and_then(|port| port.parse().ok())) {
        Some(None) => return Err(said()),
        Some(Some(port)) => Some(port),
        None => None,
    };
    let host = match condition::host(host) {
        Ok(HostPattern::Any) | Err(_) => return Err(said()),
        Ok(host) => host,
    };
    let own = matches!((scheme, port), ("https" | "wss", Some(443)) | ("http" | "ws", Some(80)));
    Ok(match port.filter(|_| !own) {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    }
    .into())
}
