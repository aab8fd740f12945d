//! Values with holes, `"Bearer {cookie.token}"`: text, and names in braces that are filled in from
//! a request. `{{` is a brace.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use http::HeaderName;

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
}

/// The names of holes that any request has something for; one that ends with a dot goes on with a
/// name of the writer's choice.
pub const REQUEST: [&str; 16] = [
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
];

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

    /// Whether it has this hole.
    pub fn has(&self, hole: &Hole) -> bool {
        self.0.iter().any(|part| matches!(part, TemplatePart::Hole(one) if one == hole))
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
            Hole::Listener => "listener",
            Hole::Route => "route",
            Hole::Pool => "pool",
            Hole::TlsVersion => "tls.version",
            Hole::TlsSni => "tls.sni",
        })
    }
}

impl Hole {
    fn parse(written: &str, names: &[&str]) -> Result<Hole, TemplateErrorKind> {
        let (kind, name) = match written.split_once('.') {
            Some((kind @ ("query" | "header" | "cookie"), name)) => (kind, Some(name)),
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
            ("query" | "cookie", Some(_)) => return Err(TemplateErrorKind::Name),
            ("listener", _) => Hole::Listener,
            ("route", _) => Hole::Route,
            ("pool", _) => Hole::Pool,
            ("tls.version", _) => Hole::TlsVersion,
            ("tls.sni", _) => Hole::TlsSni,
            _ => return Err(TemplateErrorKind::Unknown),
        })
    }
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
mod tests {
    use super::*;

    /// Fills in a letter for each hole, and a name where it has one.
    struct Letters;

    impl Fill for Letters {
        fn fill(&self, hole: &Hole, out: &mut Vec<u8>) {
            match hole {
                Hole::Host => out.push(b'h'),
                Hole::Header(name) => out.extend_from_slice(name.as_str().as_bytes()),
                _ => {}
            }
        }
    }

    fn filled(text: &str) -> String {
        let template = Template::parse(text, &REQUEST).unwrap();
        String::from_utf8(template.fill(&Letters)).unwrap()
    }

    #[test]
    fn names_in_braces_are_filled_in_and_two_braces_are_one() {
        assert_eq!(filled("a{host}b{header.X-User}{query.q}c"), "ahbx-userc");
        assert_eq!(filled("{{\"group\":\"{host}\"}"), "{\"group\":\"h\"}");
        assert_eq!(filled("{{{host}}"), "{h}");
        assert_eq!(filled("}"), "}");
        assert_eq!(filled(""), "");
    }

    #[test]
    fn a_template_without_holes_is_its_text() {
        let fixed = |text: &str| Template::parse(text, &REQUEST).unwrap().fixed().map(String::from);
        assert_eq!(fixed("a"), Some("a".to_owned()));
        assert_eq!(fixed("{{a}"), Some("{a}".to_owned()));
        assert_eq!(fixed("{host}"), None);
        assert_eq!(fixed(""), Some(String::new()));
    }

    #[test]
    fn every_name_is_read_and_what_is_wrong_has_its_place() {
        for name in REQUEST {
            let name = if name.ends_with('.') { format!("{name}n") } else { name.to_owned() };
            let text = format!("{{{{{{{name}}}");
            let template = Template::parse(&text, &REQUEST).unwrap();
            assert_eq!(template.to_string(), text, "it is shown as it is written");
        }
        use TemplateErrorKind::{Name, Open, TooLong, Unknown};
        for (text, kind, at) in [
            ("a{hots}", Unknown, 1..7),
            ("a{{{}", Unknown, 3..5),
            ("{tls.name}", Unknown, 0..10),
            ("{host.x}", Unknown, 0..8),
            ("{header}", Unknown, 0..8),
            ("é{header.}", Name, 2..11),
            ("{header.a b}", Name, 0..12),
            ("{cookie.a;b}", Name, 0..12),
            ("{query.a=b}", Name, 0..11),
            ("{host", Open, 0..5),
            ("{host}{", Open, 6..7),
            (&"x".repeat(4097), TooLong, 0..4097),
        ] {
            assert_eq!(Template::parse(text, &REQUEST), Err(TemplateError { at, kind }), "{text}");
        }
        assert!(Template::parse("{host}{query}", &REDIRECT).is_ok());
        for text in ["{query.a}", "{method}"] {
            assert_eq!(Template::parse(text, &REDIRECT).unwrap_err().kind, Unknown, "{text}");
        }
    }

    #[test]
    fn a_parameter_is_found_by_its_whole_name() {
        let found = |query| parameter(Some(query), "room");
        assert_eq!(found("a=1&room=b%20c&room=2"), Some("b%20c"));
        assert_eq!(found("xroom=1&rooms=2&room"), None);
        assert_eq!(found("room="), Some(""));
        assert_eq!(parameter(None, "room"), None);
    }
}
