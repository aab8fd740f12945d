//! Header fields set and removed.

use http::{HeaderName, HeaderValue};

use super::super::fault::Fault;
use super::super::plan::{FieldChanges, PassingTrailers};
use super::super::tables::{self, OneOrMany, Spanned};
use super::condition::{field_name, field_value};
use super::{Lower, entries};
use crate::wire::fields::{Scope, is_same_spelt, scope};

/// Fields that say how the message itself is carried, or prove a WebSocket handshake: tidegate
/// makes them anew (RFC 9110 §7.6.1, RFC 6455 §11.3).
const CARRIAGE: [&str; 11] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "sec-websocket-accept",
    "sec-websocket-key",
    "sec-websocket-version",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Which message the changes are made to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Of {
    Request,
    Response,
}

/// What is set and what is removed; nothing when the table is absent.
pub fn changes(
    cx: &mut Lower<'_>,
    written: &Spanned<tables::FieldChangesTable>,
    of: Of,
) -> Option<FieldChanges> {
    let Some(raw) = written.get() else {
        return written.is_absent().then(FieldChanges::default);
    };
    let remove = cx.take_each("remove", &raw.remove, |name| may_change(name, of));
    let mut set = Vec::new();
    for (name, values) in entries(&raw.set) {
        let lines = set_one(cx, name, values, of);
        set.extend(lines.into_iter().flatten());
    }
    Some(FieldChanges { set, remove: remove? })
}

/// A trailer field that may pass (RFC 9110 §6.5.1).
pub fn trailer(text: &str) -> Result<HeaderName, Fault> {
    let name = field_name(text)?;
    let is_head_only = CARRIAGE.contains(&name.as_str()) || scope(&name) != Scope::Unnamed;
    if is_head_only || name.as_str().contains('_') {
        return Err(Fault::new(format!("may not be a field that only a head may say: `{text}`")));
    }
    Ok(name)
}

/// The trailers that pass each way: a route's changes hold for them as well.
pub fn passing(
    names: &[HeaderName],
    request: &FieldChanges,
    response: &FieldChanges,
) -> PassingTrailers {
    let passes = |changes: &FieldChanges| {
        let changed = |name: &HeaderName| {
            let set = changes.set.iter().map(|(name, _)| name);
            changes.remove.iter().chain(set).any(|changed| is_same_spelt(changed, name))
        };
        names.iter().filter(|name| !changed(name)).cloned().collect()
    };
    PassingTrailers { request: passes(request), response: passes(response) }
}

fn set_one(
    cx: &mut Lower<'_>,
    name: &Spanned<String>,
    values: &Spanned<OneOrMany<String>>,
    of: Of,
) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let field = cx.take("set", name, |name| may_change(name, of));
    let shown = name.get().map_or("", String::as_str);
    let values = cx.take_each(shown, values, |value| field_value(value));
    let field = field?;
    Some(values?.into_iter().map(|value| (field.clone(), value)).collect())
}

fn may_change(text: &str, of: Of) -> Result<HeaderName, Fault> {
    let name = field_name(text)?;
    if CARRIAGE.contains(&name.as_str()) {
        return Err(Fault::new(format!("may not change a field that tidegate makes: `{text}`")));
    }
    if of == Of::Request && name == http::header::HOST {
        let fault = Fault::new(format!("may not change this field: `{text}`"));
        return Err(fault.hint("`upstream_host` does".to_owned()));
    }
    Ok(name)
}
