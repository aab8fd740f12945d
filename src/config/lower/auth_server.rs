//! `forward` of an access rule: the server that says who may pass.

use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderName, StatusCode};

use crate::report::Diagnostic;
use crate::wire::fields::{Scope, scope};

use super::super::fault::Fault;
use super::super::hint::{did_you_mean, listed};
use super::super::plan::AuthServer;
use super::super::tables::{self, AuthFailure, Spanned};
use super::condition::{field_name, field_value};
use super::{Lower, entries, opt, time};

/// The least time between two questions about one session.
const RECHECK_MIN: Duration = Duration::from_secs(1);

/// The server of the rule of this name.
pub fn forward(
    cx: &mut Lower<'_>,
    file: &tables::FileTable,
    written: &Spanned<tables::ForwardTable>,
    name: &Arc<str>,
) -> Option<AuthServer> {
    let raw = written.get()?;
    let owner = format!("`forward` of access rule `{name}`");
    cx.need((&raw.pool, "pool"), &owner, written.span(), "\"auth\"");
    let pool = pool(cx, file, &raw.pool);
    let target = cx.take("path", &raw.path, |path| {
        let fault = || Fault::new(format!("must be a path, and begin with `/`: `{path}`"));
        match PathAndQuery::try_from(path.as_str()) {
            Ok(target) if path.starts_with('/') => Ok(target),
            _ => Err(fault()),
        }
    });
    let copy = cx.take_each("copy", &raw.copy, |name| copied(name));
    let host = opt(raw
        .upstream_host
        .is_written()
        .then(|| cx.take("upstream_host", &raw.upstream_host, |host| field_value(host))));
    let on_error = cx.take("on_error", &raw.on_error, |what| match what {
        AuthFailure::Pass => Ok(None),
        AuthFailure::Refuse(status) => match StatusCode::from_u16(*status) {
            Ok(status) => Ok(Some(status)),
            Err(_) => Err(Fault::new(format!("must be a status, not: {status}"))),
        },
    });
    let expires = opt(raw.expires.is_written().then(|| {
        cx.take("expires", &raw.expires, |text| match text.split_once(':') {
            Some(("header", name)) => field_name(name),
            _ => Err(Fault::new(format!("must be `header:NAME`, not: `{text}`"))),
        })
    }));
    let recheck = cx.take("recheck", &raw.recheck, |every| match every.on() {
        Some(every) if every.0 < RECHECK_MIN => {
            Err(Fault::new(format!("must be at least `1s`, or false, not: `{every}`")))
        }
        every => Ok(every.map(|every| every.0)),
    });
    Some(AuthServer {
        recheck: recheck?,
        recheck_stale_max: time(&raw.recheck_stale_max)?,
        pool: pool?,
        target: target?,
        copy: copy?,
        host: host?,
        timeout: time(&raw.timeout)?,
        on_error: on_error?,
        expires: expires?,
    })
}

fn pool(
    cx: &mut Lower<'_>,
    file: &tables::FileTable,
    written: &Spanned<String>,
) -> Option<Arc<str>> {
    let (name, span) = written.written()?;
    let known: Vec<&str> =
        entries(&file.pools).iter().filter_map(|(name, _)| Some(name.get()?.as_str())).collect();
    if known.contains(&name.as_str()) {
        return Some(name.as_str().into());
    }
    let all = || match known.is_empty() {
        true => format!("there is none: write `[pools.{name}]`"),
        false => format!("the pools are {}", listed(known.iter().copied(), "and")),
    };
    let hint = did_you_mean(name, known.iter().copied()).unwrap_or_else(all);
    let said = format!("no pool has this name: `{name}`");
    cx.report(Diagnostic::error("undefined", said).at(span).hint(hint));
    None
}

/// A field that the server may set: none that says how a message is carried, or who sends it.
fn copied(text: &str) -> Result<HeaderName, Fault> {
    let name = field_name(text)?;
    match scope(&name) {
        Scope::Unnamed if !name.as_str().starts_with("sec-websocket-") => Ok(name),
        _ => Err(Fault::new(format!("may not be a field that tidegate makes: `{text}`"))),
    }
}
