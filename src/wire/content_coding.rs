//! How a body may be compressed on its way to a client (RFC 9110 §8.4.1, §12.5.3).

use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, HeaderValue};

use super::list::{OWS, tokens};

/// A content coding.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ContentCoding {
    /// `br` (RFC 7932).
    Brotli,
    /// `gzip` (RFC 1952).
    Gzip,
}

impl ContentCoding {
    /// All of them, the one that makes less of a text first.
    pub const ALL: [ContentCoding; 2] = [ContentCoding::Brotli, ContentCoding::Gzip];

    /// Its name in fields.
    pub fn name(self) -> &'static str {
        match self {
            ContentCoding::Brotli => "br",
            ContentCoding::Gzip => "gzip",
        }
    }

    /// Its name as a field's value.
    pub fn value(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }

    /// What is put behind the name of a file that is compressed so.
    pub fn ending(self) -> &'static str {
        match self {
            ContentCoding::Brotli => "br",
            ContentCoding::Gzip => "gz",
        }
    }
}

/// The codings that a client takes at least as gladly as a body that is as it is, the one that it
/// likes best first. Without `Accept-Encoding` there is none.
pub fn accepted(headers: &HeaderMap) -> impl Iterator<Item = ContentCoding> + use<> {
    let weight = |name: &str| {
        let mut weights = tokens(headers, ACCEPT_ENCODING).filter_map(weighed);
        weights.find(|(coding, _)| coding.eq_ignore_ascii_case(name)).map(|(_, weight)| weight)
    };
    let others = weight("*").unwrap_or(0);
    let plain = weight("identity").unwrap_or(0);
    let mut found: Vec<(u16, ContentCoding)> = ContentCoding::ALL
        .into_iter()
        .map(|coding| (weight(coding.name()).unwrap_or(others), coding))
        .filter(|(weight, _)| *weight > 0 && *weight >= plain)
        .collect();
    found.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    found.into_iter().map(|(_, coding)| coding)
}

/// A name and its weight in thousandths; `None` where it cannot be read.
fn weighed(element: &str) -> Option<(&str, u16)> {
    let Some((name, parameter)) = element.split_once(';') else { return Some((element, 1000)) };
    let (key, value) = parameter.trim_matches(OWS).split_once('=')?;
    let value = value.trim_matches(OWS);
    let digits = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !key.trim_matches(OWS).eq_ignore_ascii_case("q") || value.len() > 5 || !digits {
        return None;
    }
    let weight: f32 = value.parse().ok()?;
    let thousandths = (0.0..=1.0).contains(&weight).then(|| (weight * 1000.0).round())?;
    // Between 0 and 1000.
    Some((name.trim_matches(OWS), thousandths as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_takes_what_it_names_in_the_order_of_its_weights() {
        let names = |lines: &[&'static str]| -> String {
            let line = |line: &&'static str| (ACCEPT_ENCODING, HeaderValue::from_static(line));
            let headers: HeaderMap = lines.iter().map(line).collect();
            accepted(&headers).map(ContentCoding::ending).collect::<Vec<_>>().join(" ")
        };
        for (lines, expected) in [
            (&["gzip, deflate, br, zstd"][..], "br gz"),
            (&["gzip", "BR"], "br gz"),
            (&["gzip;q=1.0, br;q=0.5"], "gz br"),
            (&["gzip ; q=0.8, br; Q=0"], "gz"),
            (&["*"], "br gz"),
            (&["*;q=0.1, br;q=0"], "gz"),
            (&["identity, gzip;q=0.5"], ""),
            (&["identity;q=0.5, gzip;q=0.5"], "gz"),
            (&["x-gzip, gzip;q=2, br;q=0.0000, gzip;level=1"], ""),
            (&[""], ""),
            (&[], ""),
        ] {
            assert_eq!(names(lines), expected, "{lines:?}");
        }
    }
}
