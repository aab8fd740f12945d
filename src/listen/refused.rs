//! Requests that are refused before there is one for the handler: each has one line in the log and
//! one count, by its reason.

use std::net::SocketAddr;

use http::StatusCode;

use super::client::HttpClient;
use crate::base::label::Label;
use crate::observe::log::ACCESS;
use crate::observe::metrics::HttpVersion;
use crate::session::{AnswerCut, AnswerFate, ShownAddr};

/// Why what a client sends as a request is refused by its HTTP driver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RequestRefusal {
    /// It does not follow HTTP's grammar (RFC 9112 §2.2, RFC 9113 §8.1.1).
    Malformed,
    /// HTTP/2's preface where it is not spoken (RFC 9113 §3.4).
    Http2Preface,
    /// The head is larger than `head_bytes_max`, or has more fields than `headers_max`.
    HeadTooLarge,
    /// The target is longer than any that is read.
    UriTooLong,
    /// The head was begun and not ended in time.
    HeadTimeout,
    /// More streams than `http2.streams_max`.
    StreamsMax,
    /// The client of a trusted proxy has as many requests as it may have connections.
    PerAddress,
}

impl RequestRefusal {
    /// Of what hyper refuses; it tells some of them apart by its words alone.
    pub(super) fn from_parse(error: &hyper::Error) -> RequestRefusal {
        if error.is_parse_version_h2() {
            RequestRefusal::Http2Preface
        } else if error.is_parse_too_large() && error.to_string().contains("URI") {
            RequestRefusal::UriTooLong
        } else if error.is_parse_too_large() {
            RequestRefusal::HeadTooLarge
        } else {
            RequestRefusal::Malformed
        }
    }

    /// What the client is answered; `None` where it gets no answer, or a reset of its stream.
    fn status(self, protocol: HttpVersion) -> Option<StatusCode> {
        match self {
            RequestRefusal::Malformed if protocol == HttpVersion::Http2 => None,
            RequestRefusal::Malformed => Some(StatusCode::BAD_REQUEST),
            RequestRefusal::Http2Preface | RequestRefusal::StreamsMax => None,
            RequestRefusal::HeadTooLarge => Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
            RequestRefusal::UriTooLong => Some(StatusCode::URI_TOO_LONG),
            RequestRefusal::HeadTimeout => Some(StatusCode::REQUEST_TIMEOUT),
            RequestRefusal::PerAddress => Some(StatusCode::TOO_MANY_REQUESTS),
        }
    }
}

impl Label for RequestRefusal {
    fn label(&self) -> &'static str {
        match self {
            RequestRefusal::Malformed => "malformed",
            RequestRefusal::Http2Preface => "http2_preface",
            RequestRefusal::HeadTooLarge => "request_head_too_large",
            RequestRefusal::UriTooLong => "uri_too_long",
            RequestRefusal::HeadTimeout => "head_timeout",
            RequestRefusal::StreamsMax => "streams_max",
            RequestRefusal::PerAddress => "connections_per_address_max",
        }
    }
}

/// Tells of a request that the driver refuses.
pub(super) fn request(client: &HttpClient, protocol: HttpVersion, refusal: RequestRefusal) {
    request_of(client.conn().peer_addr, client, protocol, refusal);
}

/// The same, where it is known who asked.
pub(super) fn request_of(
    asked: Option<SocketAddr>,
    client: &HttpClient,
    protocol: HttpVersion,
    refusal: RequestRefusal,
) {
    client.cells().requests_refused.count(refusal);
    let conn = client.conn();
    tracing::info!(
        target: ACCESS,
        event = "request_refused",
        listener = &*conn.listener.name,
        client = %ShownAddr(asked),
        protocol = protocol.label(),
        status = refusal.status(protocol).map(|status| status.as_u16()),
        why = refusal.label(),
    );
}

/// Cuts an answer: what its client leaves of it is not sent. Its request's line tells why; where
/// that is written, since the answer was in the driver's hands to its end, a line of its own does.
pub(super) fn cut(client: &HttpClient, protocol: HttpVersion, fate: &AnswerFate, cut: AnswerCut) {
    if fate.cut(cut) {
        return;
    }
    client.cells().answers_cut.count(cut);
    let conn = client.conn();
    tracing::info!(
        target: ACCESS,
        event = "answer_cut",
        listener = &*conn.listener.name,
        client = %ShownAddr(conn.peer_addr),
        protocol = protocol.label(),
        why = cut.label(),
    );
}

#[cfg(test)]
mod tests {
    use super::super::Rejection;
    use super::*;

    #[test]
    fn the_guide_has_every_word() {
        let guide = include_str!("../../config/guides/refusals.md");
        let requests = [
            RequestRefusal::Malformed,
            RequestRefusal::Http2Preface,
            RequestRefusal::HeadTooLarge,
            RequestRefusal::UriTooLong,
            RequestRefusal::HeadTimeout,
            RequestRefusal::StreamsMax,
            RequestRefusal::PerAddress,
        ];
        let connections = [
            Rejection::Connections,
            Rejection::PerAddress,
            Rejection::Handshakes,
            Rejection::ProxyUntrusted,
            Rejection::ProxyInvalid,
            Rejection::ProxyTimeout,
            Rejection::WorkerBusy,
        ];
        let words = requests.map(|one| one.label()).into_iter();
        let cuts = [AnswerCut::TooSlow, AnswerCut::Untaken, AnswerCut::Broken, AnswerCut::Stopped];
        let words = words.chain(cuts.map(|one| one.label()));
        for word in words.chain(connections.map(|one| one.label())) {
            assert!(guide.contains(&format!("`{word}`")), "{word}");
        }
    }
}
