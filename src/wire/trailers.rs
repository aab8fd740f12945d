//! Which fields of a trailer section pass (RFC 9110 §6.5).

use http::header::{HeaderMap, HeaderName, HeaderValue, TRAILER};
use http_body::Frame;

use super::fields::remove_where;
use super::list::tokens;

/// Removes from a body's frame, where that is its trailers, all but fields of these names, spelt
/// exactly so. Who merges trailers into the head (§6.5.1) would otherwise take them for what nobody
/// has looked at.
pub fn tidy<D>(frame: &mut Frame<D>, names: &[HeaderName]) {
    if let Some(trailers) = frame.trailers_mut() {
        remove_where(trailers, |name| !names.iter().any(|one| one.as_str() == name));
    }
}

/// What `Trailer` still announces (§6.6.2) where only these names pass; `None` when that is
/// nothing.
pub fn announced(headers: &HeaderMap, names: &[HeaderName]) -> Option<HeaderValue> {
    if names.is_empty() {
        return None;
    }
    let passes = |token: &&str| names.iter().any(|name| token.eq_ignore_ascii_case(name.as_str()));
    let left: Vec<&str> = tokens(headers, TRAILER).filter(passes).collect();
    HeaderValue::try_from(left.join(", ")).ok().filter(|left| !left.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn names(names: &[&str]) -> Vec<HeaderName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn what_is_named_passes_and_nothing_else() {
        let sent = ["connection", "host", "x-forwarded-for", "x-mine", "x_sum", "x-sum"];
        let value = |name: HeaderName| (name, HeaderValue::from_static("1"));
        let trailers: HeaderMap = names(&sent).into_iter().map(value).collect();
        let passed = |passing: &[&str]| {
            let mut frame = Frame::<Bytes>::trailers(trailers.clone());
            tidy(&mut frame, &names(passing));
            let left = frame.into_trailers().unwrap();
            left.keys().map(HeaderName::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(passed(&["x-sum"]), "x-sum");
        assert_eq!(passed(&[]), "");
        let mut frame = Frame::data(Bytes::from_static(b"x"));
        tidy(&mut frame, &[]);
        assert_eq!(frame.into_data().unwrap(), "x");
    }

    #[test]
    fn what_passes_is_still_announced() {
        let line = |text| (TRAILER, HeaderValue::from_static(text));
        let headers: HeaderMap = [line("X-Sum, Host"), line("x-mine")].into_iter().collect();
        let left = |passing: &[&str]| announced(&headers, &names(passing));
        assert_eq!(left(&["x-sum", "x-mine"]).unwrap(), "X-Sum, x-mine");
        assert_eq!(left(&["x-other"]), None);
        assert_eq!(left(&[]), None);
    }
}
