//! Values with holes, `"Bearer {cookie.token}"`: text, and names in braces that are filled in from
//! a request. `{{` is a brace.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use http::HeaderName;

use super::client_cert::CertificatePart;
use super::label::is_label;
use super::list::is_token;

/// Bytes of a template, and of a value that is made of one.
pub const BYTES_MAX: usize = 4096;

/// Text with holes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Template(Box<[TemplatePart]>);

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum TemplatePart {
    Text(Box<str>),
    Hole(Hole),
}

/// What is filled in.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Hole {
    /// The client's address, after a PROXY header and trusted proxies.
    ClientIp,
    /// Its port, where it is known.
    ClientPort,
    /// `http` or `https`, as the client speaks to us.
    Scheme,
    /// The canonical host, without a port.
    Host,
    /// The port asked for.
    Port,
    /// The method.
    Method,
    /// The path as it is sent on.
    Path,
    /// The query with its `?`; empty without one.
    Query,
    /// The value of a query's parameter, as it is written.
    QueryValue(Arc<str>),
    /// A header field's first line.
    Header(HeaderName),
    /// A cookie's value.
    Cookie(Arc<str>),
    /// The request's `X-Request-Id`.
    RequestId,
    /// The token by which a backend knows the session, `Tidegate-Session`; of a handshake whose
    /// route gives one.
    Session,
    /// What the client's token claims by this name.
    Claim(Arc<str>),
    /// The user whom an access rule knows.
    AccessUser,
    /// The value of the session's label of this name.
    Label(Arc<str>),
    /// The listener's name.
    Listener,
    /// The route's identity.
    Route,
    /// The pool's name.
    Pool,
    /// `TLSv1.2` or `TLSv1.3`; empty without TLS.
    TlsVersion,
    /// The name asked for in the TLS handshake.
    TlsSni,
    /// A part of the certificate that the client has shown.
    ClientCert(CertificatePart),
}

/// The names of holes that any request has something for; one that ends with a dot goes on with a
/// name of the writer's choice.
pub const REQUEST: [&str; 25] = [
    "client_ip",
    "client_port",
    "scheme",
    "host",
    "port",
    "method",
    "path",
    "query",
    "query.",
    "header.",
    "cookie.",
    "listener",
    "route",
    "pool",
    "tls.version",
    "tls.sni",
    "client_cert.subject",
    "client_cert.san",
    "client_cert.serial",
    "client_cert.sha256",
    "request_id",
    "session",
    "claim.",
    "access.user",
    LABEL,
];

const LABEL: &str = "label.";

/// The names of holes that a label may have: all but that of labels.
pub const LABEL_SOURCES: [&str; REQUEST.len() - 1] = {
    let mut names = [""; REQUEST.len() - 1];
    names.copy_from_slice(REQUEST.split_at(REQUEST.len() - 1).0);
    names
};

/// The names of holes that a redirect's target may have.
pub const REDIRECT: [&str; 4] = ["scheme", "host", "path", "query"];

/// What fills holes.
pub trait Fill {
    /// Writes what the hole stands for; nothing where there is nothing.
    fn fill(&self, hole: &Hole, out: &mut Vec<u8>);
}

/// Why a text is no template, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TemplateError {
    /// The bytes of the text that are wrong.
    pub at: Range<usize>,
    /// What is wrong with them.
    pub kind: TemplateErrorKind,
}

/// Why a text is no template.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TemplateErrorKind {
    /// A brace is not closed.
    Open,
    /// There is nothing to fill in for this name.
    Unknown,
    /// The name behind the dot cannot be one.
    Name,
    /// The text is longer than [`BYTES_MAX`].
    TooLong,
}

impl fmt::Display for TemplateErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TemplateErrorKind::Open => "has a brace that is not closed",
            TemplateErrorKind::Unknown => "has nothing to fill in for",
            TemplateErrorKind::Name => "names nothing that a request can have",
            TemplateErrorKind::TooLong => "is longer than 4 KiB",
        })
    }
}

impl Template {
    /// Reads a text whose holes have these names: [`REQUEST`], or some of them.
    ///
    /// # Errors
    /// The first thing that is wrong, and its place.
    pub fn parse(text: &str, names: &[&str]) -> Result<Template, TemplateError> {
        let error = |kind, at| Err(TemplateError { at, kind });
        if text.len() > BYTES_MAX {
            return error(TemplateErrorKind::TooLong, 0..text.len());
        }
        let (mut parts, mut plain) = (Vec::new(), String::new());
        let mut at = 0;
        while let Some(brace) = text[at..].find('{').map(|found| at + found) {
            plain.push_str(&text[at..brace]);
            if text[brace + 1..].starts_with('{') {
                plain.push('{');
                at = brace + 2;
                continue;
            }
            let Some(end) = text[brace..].find('}').map(|found| brace + found) else {
                return error(TemplateErrorKind::Open, brace..text.len());
            };
            match Hole::parse(&text[brace + 1..end], names) {
                Ok(hole) => {
                    if !plain.is_empty() {
                        parts.push(TemplatePart::Text(std::mem::take(&mut plain).into()));
                    }
                    parts.push(TemplatePart::Hole(hole));
                }
                Err(kind) => return error(kind, brace..end + 1),
            }
            at = end + 1;
        }
        plain.push_str(&text[at..]);
        if !plain.is_empty() {
            parts.push(TemplatePart::Text(plain.into()));
        }
        Ok(Template(parts.into()))
    }

    /// The text of a template without holes.
    pub fn fixed(&self) -> Option<&str> {
        match &*self.0 {
            [] => Some(""),
            [TemplatePart::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The texts between holes.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            TemplatePart::Text(text) => Some(&**text),
            TemplatePart::Hole(_) => None,
        })
    }

    /// Its holes.
    pub fn holes(&self) -> impl Iterator<Item = &Hole> {
        self.0.iter().filter_map(|part| match part {
            TemplatePart::Text(_) => None,
            TemplatePart::Hole(hole) => Some(hole),
        })
    }

    /// Whether it has this hole.
    pub fn has(&self, hole: &Hole) -> bool {
        self.holes().any(|one| one == hole)
    }

    /// What it says of a request.
    pub fn fill(&self, filler: &impl Fill) -> Vec<u8> {
        let mut filled = Vec::new();
        for part in &self.0 {
            match part {
                TemplatePart::Text(text) => filled.extend_from_slice(text.as_bytes()),
                TemplatePart::Hole(hole) => filler.fill(hole, &mut filled),
            }
        }
        filled
    }
}

/// As it is written.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            TemplatePart::Text(text) => f.write_str(&text.replace('{', "{{")),
            TemplatePart::Hole(hole) => write!(f, "{{{hole}}}"),
        })
    }
}

impl fmt::Display for Hole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Hole::ClientIp => "client_ip",
            Hole::ClientPort => "client_port",
            Hole::Scheme => "scheme",
            Hole::Host => "host",
            Hole::Port => "port",
            Hole::Method => "method",
            Hole::Path => "path",
            Hole::Query => "query",
            Hole::QueryValue(name) => return write!(f, "query.{name}"),
            Hole::Header(name) => return write!(f, "header.{name}"),
            Hole::Cookie(name) => return write!(f, "cookie.{name}"),
            Hole::RequestId => "request_id",
            Hole::Session => "session",
            Hole::Claim(name) => return write!(f, "claim.{name}"),
            Hole::AccessUser => "access.user",
            Hole::Label(name) => return write!(f, "label.{name}"),
            Hole::Listener => "listener",
            Hole::Route => "route",
            Hole::Pool => "pool",
            Hole::TlsVersion => "tls.version",
            Hole::TlsSni => "tls.sni",
            Hole::ClientCert(part) => return write!(f, "client_cert.{part}"),
        })
    }
}

impl Hole {
    fn parse(written: &str, names: &[&str]) -> Result<Hole, TemplateErrorKind> {
        let (kind, name) = match written.split_once('.') {
            Some((kind @ ("query" | "header" | "cookie" | "claim" | "label"), name)) => {
                (kind, Some(name))
            }
            _ => (written, None),
        };
        let is_known = match name {
            Some(_) => names.iter().any(|known| known.strip_suffix('.') == Some(kind)),
            None => names.contains(&kind),
        };
        if !is_known {
            return Err(TemplateErrorKind::Unknown);
        }
        Ok(match (kind, name) {
            ("client_ip", _) => Hole::ClientIp,
            ("client_port", _) => Hole::ClientPort,
            ("scheme", _) => Hole::Scheme,
            ("host", _) => Hole::Host,
            ("port", _) => Hole::Port,
            ("method", _) => Hole::Method,
            ("path", _) => Hole::Path,
            ("query", None) => Hole::Query,
            ("query", Some(name)) if is_parameter(name) => Hole::QueryValue(name.into()),
            ("header", Some(name)) => {
                Hole::Header(name.parse().map_err(|_| TemplateErrorKind::Name)?)
            }
            ("cookie", Some(name)) if is_token(name) => Hole::Cookie(name.into()),
            ("claim", Some(name)) if is_claim(name) => Hole::Claim(name.into()),
            ("label", Some(name)) if is_label(name) => Hole::Label(name.into()),
            ("query" | "cookie" | "claim" | "label", Some(_)) => {
                return Err(TemplateErrorKind::Name);
            }
            ("request_id", _) => Hole::RequestId,
            ("session", _) => Hole::Session,
            ("access.user", _) => Hole::AccessUser,
            ("listener", _) => Hole::Listener,
            ("route", _) => Hole::Route,
            ("pool", _) => Hole::Pool,
            ("tls.version", _) => Hole::TlsVersion,
            ("tls.sni", _) => Hole::TlsSni,
            (name, _) => {
                let part = name.strip_prefix("client_cert.").and_then(CertificatePart::named);
                Hole::ClientCert(part.ok_or(TemplateErrorKind::Unknown)?)
            }
        })
    }
}

/// Whether it can be the name of a claim.
pub fn is_claim(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(char::is_control)
}

/// Whether a parameter's name can be written in a query as it is.
pub fn is_parameter(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '&', '#', ' '])
}

/// The value of a query's first parameter of this name, as it is written.
pub fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    let mut pairs = query?.split('&');
    pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests;
