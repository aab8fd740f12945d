//! The backend's side of the opening handshake: a 101 is believed when it is right in all
//! (RFC 6455 §4.1, the client's list; §11.3).

use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::request::WsRequest;
use crate::rewrite::HANDSHAKE;
use crate::wire::accept_key::accept_key;
use crate::wire::extension::{self, Extension};
use crate::wire::frame::Allowed;
use crate::wire::list::{have_token, tokens};
use crate::wire::upgrade::{self, BadAnswer};

/// What both sides have agreed on: the answer to the client can only be made from this.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Agreed {
    /// For a client that has sent a key.
    accept: Option<HeaderValue>,
    protocol: Option<HeaderValue>,
    /// As the backend wrote them; on a holding route, as the client is held to them.
    extensions: Vec<HeaderValue>,
    allowed: Allowed,
    can_be_held: bool,
}

impl Agreed {
    /// Verifies a backend's 101 against what was asked.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn verify(asked: &WsRequest, answer: &[Field]) -> Result<Agreed, BadAnswer> {
        if !only_of(answer, &UPGRADE).is_some_and(|to| is(to, "websocket")) {
            return Err(BadAnswer::Upgrade);
        }
        if !have_token(lines(answer, &CONNECTION), "upgrade") {
            return Err(BadAnswer::Connection);
        }
        let expected = accept_key(&asked.key);
        let accept = only_of(answer, &SEC_WEBSOCKET_ACCEPT);
        let accept = accept.filter(|accept| *accept == &*expected).ok_or(BadAnswer::Accept)?;
        let chosen = extension::parse_lines(lines(answer, &SEC_WEBSOCKET_EXTENSIONS));
        let mut chosen = chosen.map_err(|_| BadAnswer::Extension)?;
        let mut agreed = Agreed {
            accept: (!asked.is_on_stream).then(|| accept.clone()),
            protocol: protocol(asked, answer)?,
            allowed: allowed(asked, &chosen)?,
            extensions: lines(answer, &SEC_WEBSOCKET_EXTENSIONS).cloned().collect(),
            can_be_held: false,
        };
        if let Some(holding) = &asked.holding {
            agreed.can_be_held = holding.settle(&mut chosen);
            let text = |one: Extension| HeaderValue::try_from(one.to_string());
            let lines = chosen.into_iter().map(text).collect::<Result<_, _>>();
            agreed.extensions = lines.map_err(|_| BadAnswer::Extension)?;
        }
        Ok(agreed)
    }

    /// Whether a session on these terms can be held: never but on a holding route.
    pub fn can_be_held(&self) -> bool {
        self.can_be_held
    }

    /// What the extensions allow beyond RFC 6455 itself.
    pub fn allowed(&self) -> Allowed {
        self.allowed
    }

    /// Whether messages may be compressed, by permessage-deflate and nothing else (RFC 7692).
    pub fn is_deflate(&self) -> bool {
        self.allowed == Allowed::DEFLATE
    }

    /// The subprotocol, when one was chosen.
    pub fn protocol(&self) -> Option<&HeaderValue> {
        self.protocol.as_ref()
    }

    /// Makes the answer's own fields, whatever stood there before. On a stream there is nothing to
    /// upgrade, and no key was sent to be answered (RFC 8441 §5).
    pub fn write(&self, headers: &mut HeaderMap) {
        // Only a route's changes can have put one there.
        if headers.keys().any(|name| HANDSHAKE.contains(name)) {
            HANDSHAKE.iter().for_each(|name| drop(headers.remove(name)));
        }
        if let Some(accept) = &self.accept {
            upgrade::insert(headers);
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept.clone());
        }
        self.choices(headers);
    }

    /// Adds what was chosen of the offer.
    pub(super) fn choices(&self, headers: &mut HeaderMap) {
        if let Some(protocol) = &self.protocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol.clone());
        }
        for line in &self.extensions {
            headers.append(SEC_WEBSOCKET_EXTENSIONS, line.clone());
        }
    }
}

/// A subprotocol is one of those offered, compared by case, or none.
fn protocol(asked: &WsRequest, answer: &[Field]) -> Result<Option<HeaderValue>, BadAnswer> {
    if lines(answer, &SEC_WEBSOCKET_PROTOCOL).next().is_none() {
        return Ok(None);
    }
    let chosen = only_of(answer, &SEC_WEBSOCKET_PROTOCOL).ok_or(BadAnswer::Protocol)?;
    let mut offered = tokens(&asked.offer, SEC_WEBSOCKET_PROTOCOL);
    let fits = offered.any(|one| one.as_bytes() == chosen.as_bytes());
    fits.then(|| Some(chosen.clone())).ok_or(BadAnswer::Protocol)
}

/// What the extensions chosen allow. They are among those offered, by name: their parameters are
/// the two ends' business.
fn allowed(asked: &WsRequest, chosen: &[Extension]) -> Result<Allowed, BadAnswer> {
    if chosen.is_empty() {
        return Ok(Allowed::NOTHING);
    }
    let offered = extension::parse(&asked.offer).map_err(|_| BadAnswer::Extension)?;
    match extension::unoffered(chosen, &offered) {
        Some(_) => Err(BadAnswer::Extension),
        None => Ok(extension::allowed(chosen)),
    }
}

/// A field of the answer.
type Field = (HeaderName, HeaderValue);

/// The lines of a field. An answer has few: they are looked through faster than a map is made.
fn lines<'a>(
    answer: &'a [Field],
    name: &HeaderName,
) -> impl Iterator<Item = &'a HeaderValue> + use<'a> {
    let name = name.clone();
    answer.iter().filter(move |(one, _)| *one == name).map(|(_, value)| value)
}

/// The field's value when there is exactly one line of it.
fn only_of<'a>(answer: &'a [Field], name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = lines(answer, name);
    let first = lines.next()?;
    lines.next().is_none().then_some(first)
}

fn is(value: &HeaderValue, word: &str) -> bool {
    value.as_bytes().eq_ignore_ascii_case(word.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn asked(fields: &[(&str, &str)]) -> WsRequest {
        let mut request = Request::get("/")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-version", "13");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        WsRequest::check(&request.body(()).unwrap().into_parts().0).unwrap()
    }

    fn answer(fields: &[(&'static str, &str)]) -> Vec<Field> {
        let right = [("upgrade", "WebSocket"), ("connection", "keep-alive, Upgrade")];
        let all = right.iter().chain(&[("sec-websocket-accept", ACCEPT)]).chain(fields);
        let field = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        all.map(field).collect()
    }

    const PROTOCOL: &str = "sec-websocket-protocol";
    const EXTENSIONS: &str = "sec-websocket-extensions";

    #[test]
    fn a_right_answer_is_believed() {
        let agreed = Agreed::verify(&asked(&[]), &answer(&[])).unwrap();
        assert_eq!(agreed.allowed(), Allowed::NOTHING);
        assert_eq!(agreed.protocol(), None);
    }

    #[test]
    fn each_fault_of_an_answer_is_found() {
        let wrong = |name: &'static str, value: Option<&str>| {
            let mut fields = answer(&[]);
            fields.retain(|(one, _)| *one != name);
            if let Some(value) = value {
                fields.push((HeaderName::from_static(name), value.parse().unwrap()));
            }
            Agreed::verify(&asked(&[]), &fields).err()
        };
        assert_eq!(wrong("upgrade", None), Some(BadAnswer::Upgrade));
        assert_eq!(wrong("upgrade", Some("h2c")), Some(BadAnswer::Upgrade));
        assert_eq!(wrong("connection", Some("close")), Some(BadAnswer::Connection));
        assert_eq!(wrong("sec-websocket-accept", None), Some(BadAnswer::Accept));
        let lower = ACCEPT.to_lowercase();
        assert_eq!(wrong("sec-websocket-accept", Some(&lower)), Some(BadAnswer::Accept));
        let twice = answer(&[("sec-websocket-accept", ACCEPT)]);
        assert_eq!(Agreed::verify(&asked(&[]), &twice), Err(BadAnswer::Accept));
    }

    #[test]
    fn a_subprotocol_must_have_been_offered() {
        let offer = asked(&[(PROTOCOL, "chat, superchat"), (PROTOCOL, "v2")]);
        for fine in ["chat", "superchat", "v2"] {
            let agreed = Agreed::verify(&offer, &answer(&[(PROTOCOL, fine)])).unwrap();
            assert_eq!(agreed.protocol().unwrap(), fine);
        }
        for wrong in ["Chat", "chat, superchat", "other", ""] {
            let verified = Agreed::verify(&offer, &answer(&[(PROTOCOL, wrong)]));
            assert_eq!(verified, Err(BadAnswer::Protocol), "{wrong}");
        }
        let unasked = Agreed::verify(&asked(&[]), &answer(&[(PROTOCOL, "chat")]));
        assert_eq!(unasked, Err(BadAnswer::Protocol));
    }

    #[test]
    fn an_extension_must_have_been_offered() {
        let deflate = "permessage-deflate; server_no_context_takeover";
        let offer = asked(&[(EXTENSIONS, "permessage-deflate; client_max_window_bits, x-own")]);
        let agreed = Agreed::verify(&offer, &answer(&[(EXTENSIONS, deflate)])).unwrap();
        assert_eq!(agreed.allowed(), Allowed::DEFLATE);
        let agreed = Agreed::verify(&offer, &answer(&[(EXTENSIONS, "x-own")])).unwrap();
        assert_eq!(agreed.allowed(), Allowed::ANYTHING);
        let wrong = Agreed::verify(&offer, &answer(&[(EXTENSIONS, "x-webkit-deflate-frame")]));
        assert_eq!(wrong, Err(BadAnswer::Extension));
        let unasked = Agreed::verify(&asked(&[]), &answer(&[(EXTENSIONS, deflate)]));
        assert_eq!(unasked, Err(BadAnswer::Extension));
    }

    #[test]
    fn the_answer_to_the_client_is_made_anew() {
        let offer = asked(&[(PROTOCOL, "chat"), (EXTENSIONS, "permessage-deflate")]);
        let chosen = [(PROTOCOL, "chat"), (EXTENSIONS, "permessage-deflate")];
        let agreed = Agreed::verify(&offer, &answer(&chosen)).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("sec-websocket-accept", HeaderValue::from_static("planted"));
        agreed.write(&mut headers);
        assert_eq!(headers["sec-websocket-accept"], ACCEPT);
        assert_eq!(headers["upgrade"], "websocket");
        assert_eq!(headers[PROTOCOL], "chat");
        assert_eq!(headers[EXTENSIONS], "permessage-deflate");
    }
}
