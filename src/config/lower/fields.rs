//! Header fields removed, set and added.

use http::HeaderName;

use super::super::fault::Fault;
use super::super::plan::{FieldTemplates, FieldValue, PassingTrailers, RouteChanges};
use super::super::tables::{self, Named, OneOrMany, Spanned};
use super::condition::{field_name, field_value};
use super::{Lower, entries, template};
use crate::wire::fields::{Scope, is_same_spelt, scope};
use crate::wire::request_id::X_REQUEST_ID;
use crate::wire::template::{REQUEST, Template};

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

/// What is removed, set and added; nothing when the table is absent.
pub fn changes(
    cx: &mut Lower<'_>,
    written: &Spanned<tables::FieldChangesTable>,
    of: Of,
) -> Option<RouteChanges> {
    let Some(raw) = written.get() else {
        return written.is_absent().then(RouteChanges::default);
    };
    let remove = cx.take_each("remove", &raw.remove, |name| may_change(name, of));
    let set = lines(cx, "set", &raw.set, of);
    let add = lines(cx, "add", &raw.add, of);
    Some(FieldTemplates { remove: remove?, set: set?, add: add? }.into())
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
    request: &RouteChanges,
    response: &RouteChanges,
) -> PassingTrailers {
    let passes = |changes: &RouteChanges| {
        names.iter().filter(|name| !changes.replaces(name)).cloned().collect()
    };
    PassingTrailers { request: passes(request), response: passes(response) }
}

/// The lines of `set` or `add`.
fn lines(
    cx: &mut Lower<'_>,
    key: &str,
    written: &Spanned<Named<OneOrMany<String>>>,
    of: Of,
) -> Option<Vec<(HeaderName, FieldValue)>> {
    let mut lines = Some(Vec::new());
    for (name, values) in entries(written) {
        let field = cx.take(key, name, |name| may_change(name, of));
        let shown = name.get().map_or("", String::as_str);
        let values = values_of(cx, shown, values);
        match (field, values, &mut lines) {
            (Some(field), Some(values), Some(lines)) => {
                lines.extend(values.into_iter().map(|value| (field.clone(), value)));
            }
            _ => lines = None,
        }
    }
    lines.filter(|_| !written.is_faulty())
}

fn values_of(
    cx: &mut Lower<'_>,
    name: &str,
    written: &Spanned<OneOrMany<String>>,
) -> Option<Vec<FieldValue>> {
    let OneOrMany(values) = written.get()?;
    let mut found = Vec::with_capacity(values.len());
    for value in values {
        match template::template(cx, value, &REQUEST).map(|made| made.and_then(field_value_of)) {
            Some(Ok(value)) => found.push(value),
            Some(Err(fault)) => {
                let subject = format!("an entry of `{name}`");
                cx.report(fault.finding("value", &subject, value.span()));
            }
            None => {}
        }
    }
    (found.len() == values.len()).then_some(found)
}

fn field_value_of(made: Template) -> Result<FieldValue, Fault> {
    if let Some(fixed) = made.fixed() {
        return field_value(fixed).map(FieldValue::Fixed);
    }
    made.texts().try_for_each(|text| field_value(text).map(drop))?;
    Ok(FieldValue::Template(made))
}

fn may_change(text: &str, of: Of) -> Result<HeaderName, Fault> {
    let name = field_name(text)?;
    // Those that tell a backend of a session; of a request's id a route may think otherwise.
    let is_reserved = scope(&name) == Scope::Reserved && !is_same_spelt(&name, &X_REQUEST_ID);
    if CARRIAGE.contains(&name.as_str()) || of == Of::Request && is_reserved {
        return Err(Fault::new(format!("may not change a field that tidegate makes: `{text}`")));
    }
    if of == Of::Request && name == http::header::HOST {
        let fault = Fault::new(format!("may not change this field: `{text}`"));
        return Err(fault.hint("`upstream_host` does".to_owned()));
    }
    Ok(name)
}
