//! The client's side of the opening handshake (RFC 6455 §4.2.1; RFC 8441 §5 on HTTP/2).

use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

use h2::ext::Protocol;

use super::hold::Holding;
use super::refusal::HandshakeRefusal;
use super::times::{HandshakePart, HandshakeTimes};
use crate::config::plan::Resumption;
use crate::rewrite::{Informational, Outbound};
use crate::wire::accept_key::{is_key, new_key};
use crate::wire::head;
use crate::wire::list::has_token;
use crate::wire::resume::{SESSION, Token};
use crate::wire::upgrade;

/// Makes an extended CONNECT the GET it is over HTTP/1.1, with the fields of an upgrade, as routes
/// know it (RFC 8441 §5). The key is ours: a client on a stream has none.
///
/// # Errors
/// [`HandshakeRefusal::Protocol`] when it is not for a WebSocket.
pub fn unify(head: &mut Parts) -> Result<(), HandshakeRefusal> {
    let Some(protocol) = head.extensions.get::<Protocol>() else { return Ok(()) };
    if !protocol.as_str().eq_ignore_ascii_case("websocket") {
        return Err(HandshakeRefusal::Protocol);
    }
    head.method = Method::GET;
    upgrade::insert(&mut head.headers);
    // cannot fail: base64.
    let key = HeaderValue::try_from(new_key()).expect("a key is text");
    head.headers.insert(SEC_WEBSOCKET_KEY, key);
    Ok(())
}

/// Whether a WebSocket is asked for on a stream of HTTP/2. Its answer opens one by any 2xx status
/// (RFC 9110 §9.3.6), so that no other answer may have such a status.
pub fn is_on_stream(head: &Parts) -> bool {
    head.extensions.get::<Protocol>().is_some()
}

/// Whether a request asks for a WebSocket, on a stream or by an upgrade: `Upgrade` lists
/// `websocket` and `Connection` lists `upgrade`. An HTTP/1.0 request cannot (RFC 9110 §7.8), and
/// any other upgrade is not heard.
pub fn is_asked(head: &Parts) -> bool {
    is_on_stream(head) || asks_upgrade(head)
}

fn asks_upgrade(head: &Parts) -> bool {
    head.version == Version::HTTP_11
        && has_token(&head.headers, UPGRADE, "websocket")
        && has_token(&head.headers, CONNECTION, "upgrade")
}

/// A client's handshake that is right in form: what it offers, as it wrote it.
#[derive(Clone, Debug)]
pub struct WsRequest {
    /// The client's own key goes upstream, so that the backend's accept is good for both; a client
    /// on a stream has none, and gets one of ours.
    pub(super) key: HeaderValue,
    /// Whether the key is ours.
    pub(super) is_on_stream: bool,
    /// The lines of subprotocols and extensions.
    pub(super) offer: HeaderMap,
    /// On a holding route.
    pub(super) holding: Option<Holding>,
    /// What its session is called, where it cannot be held.
    token: Option<Token>,
    /// Where informational answers go.
    pub(super) informational: Option<Informational>,
    /// How long it takes, where that is asked for.
    times: Option<Box<HandshakeTimes>>,
}

impl WsRequest {
    /// Checks a request that [`is_asked`] has found to ask for a WebSocket.
    ///
    /// # Errors
    /// The first rule of RFC 6455 §4.2.1 that it breaks.
    pub fn check(head: &Parts) -> Result<WsRequest, HandshakeRefusal> {
        let headers = &head.headers;
        if head.method != Method::GET {
            return Err(HandshakeRefusal::Method);
        }
        let is_on_stream = is_on_stream(head);
        // A length of 0 on a stream would forbid all that follows (RFC 9113 §8.1.1).
        let has_length = is_on_stream && headers.contains_key(CONTENT_LENGTH);
        if has_length || has_body(headers) {
            return Err(HandshakeRefusal::Body);
        }
        if only(headers, &SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            return Err(HandshakeRefusal::Version);
        }
        let key = only(headers, &SEC_WEBSOCKET_KEY).filter(|key| is_key(key)).cloned();
        let key = key.ok_or(HandshakeRefusal::Key)?;
        Ok(WsRequest {
            key,
            is_on_stream,
            offer: offer(headers),
            holding: None,
            token: None,
            informational: None,
            times: None,
        })
    }

    /// Makes it a handshake whose session, called by this token, can be held; only compression is
    /// offered on.
    pub fn hold(&mut self, token: Token, swallows: bool, resume: Resumption) {
        self.holding = Some(Holding::offer(&mut self.offer, token, swallows, resume));
    }

    /// Tells the backend what the session is called, which cannot be held.
    pub fn name(&mut self, token: Token) {
        self.token = Some(token);
    }

    /// Has the time taken that its parts take.
    pub fn time(&mut self) {
        self.times = Some(Box::default());
    }

    /// How long its parts took, where that was asked for.
    pub fn times(&mut self) -> Option<Box<HandshakeTimes>> {
        self.times.take()
    }

    /// Another backend is asked.
    pub(super) fn begin(&mut self) {
        self.times.iter_mut().for_each(|times| times.begin());
    }

    /// A part of the attempt is done.
    pub(super) fn done(&mut self, part: HandshakePart) {
        self.times.iter_mut().for_each(|times| times.done(part));
    }

    /// How often it was said again.
    pub(super) fn attempts(&self) -> u32 {
        let again = self.holding.as_ref().and_then(|holding| holding.again);
        again.map_or(0, |(attempts, _)| attempts)
    }

    /// Lets informational answers go this way.
    pub fn inform(&mut self, informational: Informational) {
        self.informational = Some(informational);
    }

    /// A handshake said again, which no client waits for: the answer to its `key` is for us.
    pub(super) fn again(key: HeaderValue, offer: HeaderMap, holding: Holding) -> WsRequest {
        let (holding, token, informational, times) = (Some(holding), None, None, None);
        WsRequest { key, is_on_stream: true, offer, holding, token, informational, times }
    }

    /// The text that goes upstream: the head, and the handshake's own fields made anew.
    pub(super) fn write(&mut self, outbound: &Outbound) -> Vec<u8> {
        let mut text = Vec::with_capacity(TEXT_BYTES);
        head::write_request_line(outbound.method(), outbound.target(), &mut text);
        for (name, value) in outbound.fields() {
            head::write_field(name, value, &mut text);
        }
        self.write_own(&mut text);
        if let Some(holding) = &mut self.holding {
            let (name, value) = holding.introduce();
            head::write_field(&name, &value, &mut text);
        } else if let Some(token) = &self.token {
            head::write_field(&SESSION, &token.session(), &mut text);
        }
        head::end(&mut text);
        text
    }

    /// Writes the handshake's own fields.
    fn write_own(&self, text: &mut Vec<u8>) {
        for part in [BEFORE_KEY, self.key.as_bytes(), BEHIND_KEY] {
            text.extend_from_slice(part);
        }
        for (name, value) in &self.offer {
            head::write_field(name, value, text);
        }
    }

    /// A handshake of nobody's, and its whole text: for this target, with these fields.
    pub(super) fn of_nobody(
        key: HeaderValue,
        target: &PathAndQuery,
        fields: &[(HeaderName, HeaderValue)],
    ) -> (WsRequest, Vec<u8>) {
        let (offer, holding, token, informational, times) = Default::default();
        let request =
            WsRequest { key, is_on_stream: true, offer, holding, token, informational, times };
        let mut text = Vec::with_capacity(TEXT_BYTES);
        head::write_request_line(&Method::GET, target, &mut text);
        for (name, value) in fields {
            head::write_field(name, value, &mut text);
        }
        request.write_own(&mut text);
        head::end(&mut text);
        (request, text)
    }
}

/// What every handshake says the same, before its key and behind it.
const BEFORE_KEY: &[u8] = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ";
const BEHIND_KEY: &[u8] = b"\r\nSec-WebSocket-Version: 13\r\n";

/// Bytes of a usual head: a browser's with a cookie has about as many.
const TEXT_BYTES: usize = 1024;

fn offer(headers: &HeaderMap) -> HeaderMap {
    let mut offer = HeaderMap::new();
    for name in [SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_EXTENSIONS] {
        for line in headers.get_all(&name) {
            offer.append(&name, line.clone());
        }
    }
    offer
}

/// The field's value when there is exactly one line of it.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next()?;
    lines.next().is_none().then_some(first)
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING)
        || headers.get_all(CONTENT_LENGTH).iter().any(|length| length != "0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rewrite::tests::outbound;
    use http::Request;

    const KEY: (&str, &str) = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    const VERSION: (&str, &str) = ("Sec-WebSocket-Version", "13");

    fn head(method: &str, fields: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri("/chat");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_websocket_is_asked_for_in_lists_of_any_case_and_several_lines() {
        let asked = |fields: &[(&str, &str)]| is_asked(&head("GET", fields));
        assert!(asked(&[("Upgrade", "websocket"), ("Connection", "Upgrade")]));
        assert!(asked(&[("Upgrade", "h2c, WebSocket"), ("Connection", "keep-alive, UPGRADE")]));
        assert!(asked(&[
            ("Connection", "keep-alive"),
            ("Connection", "upgrade"),
            ("Upgrade", "h2c"),
            ("Upgrade", "websocket"),
        ]));
        assert!(!asked(&[("Upgrade", "websocket")]));
        assert!(!asked(&[("Upgrade", "websocket"), ("Connection", "close")]));
        assert!(!asked(&[("Upgrade", "h2c"), ("Connection", "Upgrade")]));
        assert!(!asked(&[("Upgrade", "notwebsocket"), ("Connection", "Upgrade")]));
    }

    #[test]
    fn an_upgrade_over_http_1_0_is_not_heard() {
        let mut old = head("GET", &[("Upgrade", "websocket"), ("Connection", "Upgrade")]);
        old.version = Version::HTTP_10;
        assert!(!is_asked(&old));
    }

    #[test]
    fn each_rule_of_the_handshake_has_its_refusal() {
        let check = |method, fields: &[_]| WsRequest::check(&head(method, fields)).err();
        assert_eq!(check("GET", &[KEY, VERSION]), None);
        assert_eq!(check("GET", &[KEY, VERSION, ("Content-Length", "0")]), None);
        assert_eq!(check("POST", &[KEY, VERSION]), Some(HandshakeRefusal::Method));
        assert_eq!(
            check("GET", &[KEY, VERSION, ("Content-Length", "5")]),
            Some(HandshakeRefusal::Body)
        );
        let chunked = ("Transfer-Encoding", "chunked");
        assert_eq!(check("GET", &[KEY, VERSION, chunked]), Some(HandshakeRefusal::Body));
        assert_eq!(check("GET", &[KEY]), Some(HandshakeRefusal::Version));
        assert_eq!(check("GET", &[KEY, VERSION, VERSION]), Some(HandshakeRefusal::Version));
        let old = ("Sec-WebSocket-Version", "8");
        assert_eq!(check("GET", &[KEY, old]), Some(HandshakeRefusal::Version));
        assert_eq!(check("GET", &[VERSION]), Some(HandshakeRefusal::Key));
        assert_eq!(check("GET", &[KEY, KEY, VERSION]), Some(HandshakeRefusal::Key));
        let short = ("Sec-WebSocket-Key", "c2hvcnQ=");
        assert_eq!(check("GET", &[short, VERSION]), Some(HandshakeRefusal::Key));
    }

    #[test]
    fn the_offer_goes_upstream_as_it_was_written() {
        let fields = [
            KEY,
            VERSION,
            ("Sec-WebSocket-Protocol", "chat, superchat"),
            ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
            ("Sec-WebSocket-Accept", "planted"),
        ];
        let head = head("GET", &fields);
        let mut asked = WsRequest::check(&head).unwrap();
        let text = String::from_utf8(asked.write(&outbound(head))).unwrap();
        let lines = [
            "GET /chat HTTP/1.1",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: chat, superchat",
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
            "\r\n",
        ];
        assert_eq!(text, lines.join("\r\n"));
    }
}
