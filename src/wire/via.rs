//! `Via` (RFC 9110 §7.6.3): the proxies that a message went through, and how a request is known
//! that comes round again.

use http::header::VIA;
use http::{HeaderMap, HeaderValue, Version};

use super::list::tokens;
use super::random;

/// What this proxy calls itself in `Via`: a pseudonym of its own, since several may stand in a row.
#[derive(Clone, Debug)]
pub struct Via {
    pseudonym: String,
    /// For a message that came over HTTP/1.0, HTTP/1.1 and HTTP/2.
    values: [HeaderValue; 3],
}

impl Via {
    /// A new one, which no other proxy has.
    pub fn new() -> Via {
        let [one, two, three, four] = random();
        let pseudonym = format!("tidegate-{one:02x}{two:02x}{three:02x}{four:02x}");
        let value = |version: &str| {
            // cannot fail: letters, digits, a dot, a blank and a hyphen.
            HeaderValue::try_from(format!("{version} {pseudonym}")).expect("visible letters")
        };
        Via { values: ["1.0", "1.1", "2"].map(value), pseudonym }
    }

    /// What is added to a message that came in this version.
    pub fn value(&self, version: Version) -> &HeaderValue {
        let [old, usual, second] = &self.values;
        match version {
            Version::HTTP_09 | Version::HTTP_10 => old,
            Version::HTTP_2 => second,
            _ => usual,
        }
    }

    /// Whether a request has been here before.
    pub fn is_loop(&self, headers: &HeaderMap) -> bool {
        let is_ours = |member: &str| member.split(' ').nth(1) == Some(&*self.pseudonym);
        headers.contains_key(VIA) && tokens(headers, VIA).any(is_ours)
    }
}

impl Default for Via {
    fn default() -> Via {
        Via::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_knows_itself_and_no_other() {
        let (one, other) = (Via::new(), Via::new());
        assert_ne!(one.value(Version::HTTP_11), other.value(Version::HTTP_11));
        let mut headers = HeaderMap::new();
        assert!(!one.is_loop(&headers));
        headers.append(VIA, HeaderValue::from_static("1.0 fred, 1.1 p.example.net (Apache/1.1)"));
        headers.append(VIA, other.value(Version::HTTP_2).clone());
        assert!(!one.is_loop(&headers));
        assert!(other.is_loop(&headers));
        let joined = format!("1.1 x, {} ,1.1 y", one.value(Version::HTTP_10).to_str().unwrap());
        headers.append(VIA, joined.parse().unwrap());
        assert!(one.is_loop(&headers));
    }

    #[test]
    fn the_version_is_that_of_the_message() {
        let via = Via::new();
        let begins = |version| via.value(version).to_str().unwrap().split(' ').next().unwrap();
        assert_eq!(begins(Version::HTTP_10), "1.0");
        assert_eq!(begins(Version::HTTP_11), "1.1");
        assert_eq!(begins(Version::HTTP_2), "2");
    }
}
