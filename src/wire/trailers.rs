//! What a trailer section may not say (RFC 9110 §6.5.1).

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, HOST};
use http_body::Frame;

use super::fields::{remove_hop_by_hop, remove_reserved};
use super::forwarded::remove_hops;

/// Removes from a body's frame, where that is its trailers, what only a head may say: what is for
/// one hop, where a message goes and how long it is, whom it comes from, and what is in tidegate's
/// own name. Who merges trailers into the head would believe it.
pub fn tidy<D>(frame: &mut Frame<D>) {
    if let Some(trailers) = frame.trailers_mut() {
        remove(trailers);
    }
}

fn remove(trailers: &mut HeaderMap) {
    remove_hop_by_hop(trailers);
    remove_reserved(trailers);
    remove_hops(trailers);
    trailers.remove(HOST);
    trailers.remove(CONTENT_LENGTH);
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn what_only_a_head_may_say_goes_and_the_rest_stays() {
        let names = [
            "connection",
            "content-length",
            "forwarded",
            "host",
            "tidegate_resume",
            "tidegate-session",
            "transfer-encoding",
            "x-forwarded-for",
            "x_forwarded_proto",
            "x-mine",
            "x-real-ip",
            "x-sum",
        ];
        let value = |name| if name == "connection" { "x-mine" } else { "1" };
        let trailers: HeaderMap = names
            .map(|name| (name.parse().unwrap(), value(name).parse().unwrap()))
            .into_iter()
            .collect();
        let mut frame = Frame::<Bytes>::trailers(trailers);
        tidy(&mut frame);
        let tidied = frame.into_trailers().unwrap();
        assert_eq!(tidied.keys().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["x-sum"]);
        let mut frame = Frame::data(Bytes::from_static(b"x"));
        tidy(&mut frame);
        assert_eq!(frame.into_data().unwrap(), "x");
    }
}
