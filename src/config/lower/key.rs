//! What requests are told apart by: one way of writing it, for `hash` and for limits.

use super::super::fault::Fault;
use super::super::hint::did_you_mean;
use super::super::plan::RequestKey;
use super::condition::field_name;
use super::sticky::cookie_name;
use crate::wire::client_cert::CertificatePart;
use crate::wire::label::is_label;
use crate::wire::template::{is_claim, is_parameter};

const ALONE: [(&str, RequestKey); 3] =
    [("client", RequestKey::Client), ("path", RequestKey::Path), ("host", RequestKey::Host)];

const NAMED: [&str; 5] = ["header", "cookie", "query", "claim", "label"];

/// Reads `client`, `path`, `host`, one of [`NAMED`] with a name behind `:`, or a part of the
/// client's certificate, `client_cert:sha256`.
pub fn request_key(text: &str) -> Result<RequestKey, Fault> {
    if let Some((_, key)) = ALONE.iter().find(|(word, _)| *word == text) {
        return Ok(key.clone());
    }
    if let Some(part) = text.strip_prefix("client_cert:").and_then(CertificatePart::named) {
        return Ok(RequestKey::ClientCert(part));
    }
    match text.split_once(':') {
        Some(("header", name)) => field_name(name).map(RequestKey::Header),
        Some(("cookie", name)) => cookie_name(name).map(RequestKey::Cookie),
        Some(("query", name)) if is_parameter(name) => Ok(RequestKey::Query(name.into())),
        Some(("claim", name)) if is_claim(name) => Ok(RequestKey::Claim(name.into())),
        Some(("label", name)) if is_label(name) => Ok(RequestKey::Label(name.into())),
        _ => {
            let known = "`client`, `header:NAME`, `cookie:NAME`, `query:NAME`, `claim:NAME`, \
                         `label:NAME`, `client_cert:PART`, `path` or `host`";
            Err(Fault::new(format!("must be {known}, not: `{text}`")).hint(probably(text)))
        }
    }
}

/// The key that was probably intended.
fn probably(text: &str) -> Option<String> {
    if ["ip", "address", "client_ip", "remote_addr", "$binary_remote_addr"].contains(&text) {
        return Some("write `\"client\"`".to_owned());
    }
    let (kind, name) = text.split_once([':', '.', '=', ' ']).unwrap_or((text, "NAME"));
    let name = if name.is_empty() { "NAME" } else { name };
    let alone = ALONE.iter().map(|(word, _)| (*word).to_owned());
    let named = NAMED.iter().map(|kind| format!("{kind}:{name}"));
    let parts = CertificatePart::NAMES.map(|(part, _)| format!("client_cert:{part}"));
    let known: Vec<String> = alone.chain(named).chain(parts).collect();
    let written = if NAMED.contains(&kind) { format!("{kind}:{name}") } else { text.to_owned() };
    did_you_mean(&written, known.iter().map(String::as_str))
}
