//! What requests are told apart by: one way of writing it, for `hash` and for limits.

use super::super::fault::Fault;
use super::super::hint::nearest;
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
    known(text).unwrap_or_else(|| {
        let keys = "`client`, `header:NAME`, `cookie:NAME`, `query:NAME`, `claim:NAME`, \
                    `label:NAME`, `client_cert:PART`, `path` or `host`";
        Err(Fault::new(format!("must be {keys}, not: `{text}`")).hint(probably(text)))
    })
}

/// What is written as a key, with a good name or not; `None` where it is written otherwise.
fn known(text: &str) -> Option<Result<RequestKey, Fault>> {
    if let Some((_, key)) = ALONE.iter().find(|(word, _)| *word == text) {
        return Some(Ok(key.clone()));
    }
    let (kind, name) = text.split_once(':')?;
    Some(match kind {
        "client_cert" => Ok(RequestKey::ClientCert(CertificatePart::named(name)?)),
        "header" => field_name(name).map(RequestKey::Header),
        "cookie" => cookie_name(name).map(RequestKey::Cookie),
        "query" if is_parameter(name) => Ok(RequestKey::Query(name.into())),
        "claim" if is_claim(name) => Ok(RequestKey::Claim(name.into())),
        "label" if is_label(name) => Ok(RequestKey::Label(name.into())),
        _ => return None,
    })
}

/// Words of other programs, and slips, for what stands before the name in a key.
const MEANT: [(&str, &str); 31] = [
    ("ip", "client"),
    ("address", "client"),
    ("addr", "client"),
    ("src", "client"),
    ("source", "client"),
    ("client_ip", "client"),
    ("client_address", "client"),
    ("remote_addr", "client"),
    ("remote_ip", "client"),
    ("binary_remote_addr", "client"),
    ("uri", "path"),
    ("url", "path"),
    ("request_uri", "path"),
    ("hostname", "host"),
    ("domain", "host"),
    ("authority", "host"),
    ("hdr", "header"),
    ("http", "header"),
    ("field", "header"),
    ("cook", "cookie"),
    ("arg", "query"),
    ("args", "query"),
    ("param", "query"),
    ("parameter", "query"),
    ("url_param", "query"),
    ("jwt", "claim"),
    ("token", "claim"),
    ("access", "claim"),
    ("cert", "client_cert"),
    ("certificate", "client_cert"),
    ("client_certificate", "client_cert"),
];

/// The key that was probably intended.
fn probably(text: &str) -> Option<String> {
    let apart = |c: char| c.is_whitespace() || ":.=(/@".contains(c);
    let written = text.trim_matches(|c: char| c.is_whitespace() || "${}()\"'".contains(c));
    let (kind, name) = written.split_once(apart).unwrap_or((written, ""));
    let (mut kind, mut name) = (kind.to_ascii_lowercase(), name.to_owned());
    // As nginx names one header, cookie or parameter.
    for prefix in ["http", "cookie", "arg"] {
        let rest = kind.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_'));
        if let Some(rest) = rest.filter(|_| name.is_empty()) {
            name = if prefix == "http" { rest.replace('_', "-") } else { rest.to_owned() };
            kind = prefix.to_owned();
            break;
        }
    }
    if let Some(part) = name.strip_prefix("cert").filter(|_| kind == "client") {
        (kind, name) = ("client_cert".to_owned(), part.to_owned());
    }
    let name = name.trim_matches(|c| apart(c) || c == ')');
    let kinds = || ALONE.iter().map(|(word, _)| *word).chain(NAMED).chain(["client_cert"]);
    let meant = MEANT.iter().find(|(word, _)| *word == kind).map(|(_, meant)| *meant);
    let kind = meant.or_else(|| nearest(&kind, kinds()))?;
    if ALONE.iter().any(|(word, _)| *word == kind) {
        let alone = if name.is_empty() { "" } else { ": it stands alone" };
        return Some(format!("write `\"{kind}\"`{alone}"));
    }
    let name = match kind {
        "client_cert" => {
            let parts = CertificatePart::NAMES.map(|(part, _)| part);
            nearest(name, parts).unwrap_or("sha256")
        }
        _ => name,
    };
    // Only what can be read is worth a proposal.
    let whole = format!("{kind}:{name}");
    match known(&whole) {
        Some(Ok(_)) => Some(format!("did you mean `{whole}`?")),
        _ => Some(format!("write a name behind it, as in `{kind}:NAME`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_not_quite_one_leads_to_the_one_that_was_meant() {
        let alone = |kind: &str| format!("write `\"{kind}\"`");
        let stands_alone = |kind: &str| format!("write `\"{kind}\"`: it stands alone");
        let meant = |key: &str| format!("did you mean `{key}`?");
        let named = |kind: &str| format!("write a name behind it, as in `{kind}:NAME`");
        let rows = [
            ("ip", alone("client")),
            ("clientt", alone("client")),
            ("CLIENT", alone("client")),
            ("$binary_remote_addr", alone("client")),
            ("{client_ip}", alone("client")),
            ("client:ip", stands_alone("client")),
            ("client.ip", stands_alone("client")),
            ("client:", alone("client")),
            ("path:/chat", stands_alone("path")),
            ("host:example.com", stands_alone("host")),
            ("$host", alone("host")),
            ("$request_uri", alone("path")),
            ("header", named("header")),
            ("header:", named("header")),
            ("headers:X-User", meant("header:X-User")),
            ("Header:X-User", meant("header:X-User")),
            ("header.X-User", meant("header:X-User")),
            ("header=x-user", meant("header:x-user")),
            ("header: x-user", meant("header:x-user")),
            ("hdr(x-user)", meant("header:x-user")),
            ("{header.x-user}", meant("header:x-user")),
            ("$http_x_user", meant("header:x-user")),
            ("$cookie_sid", meant("cookie:sid")),
            ("cookies:SID", meant("cookie:SID")),
            ("$arg_room", meant("query:room")),
            ("url_param(room)", meant("query:room")),
            ("query:", named("query")),
            ("claims:sub", meant("claim:sub")),
            ("jwt.sub", meant("claim:sub")),
            ("{claim.sub}", meant("claim:sub")),
            ("label", named("label")),
            ("lable:user", meant("label:user")),
            ("client_cert", meant("client_cert:sha256")),
            ("client_cert:sha-256", meant("client_cert:sha256")),
            ("client_cert.san", meant("client_cert:san")),
            ("client.cert.subject", meant("client_cert:subject")),
            ("cert:serial", meant("client_cert:serial")),
        ];
        for (written, hint) in rows {
            assert!(request_key(written).is_err(), "{written}");
            assert_eq!(probably(written).as_deref(), Some(&*hint), "{written}");
        }
        for other in ["", ":", "room", "{", "\u{e9}:x", "42"] {
            assert_eq!((probably(other), request_key(other).is_err()), (None, true), "{other}");
        }
    }
}
