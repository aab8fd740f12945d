//! What a holding route's handshake has beyond others: a token for the backend, terms of
//! compression that outlive a backend (RFC 7692 §7.1.1), and a copy that can be said again.

use http::header::SEC_WEBSOCKET_EXTENSIONS;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};

use super::request::WsRequest;
use super::verify::Agreed;
use crate::base::clock::{self, Moment};
use crate::wire::accept::new_key;
use crate::wire::extension::{self, Extension};
use crate::wire::resume::{RESUME, SESSION, Token};

/// A client's compressor cannot know that a backend is new, and so must not refer to what the one
/// before has read.
const CLIENT_RESETS: &str = "client_no_context_takeover";

/// Nor can its decompressor know what was swallowed.
const SERVER_RESETS: &str = "server_no_context_takeover";

/// What makes a handshake one that can be said again.
#[derive(Clone, Debug)]
pub(super) struct Holding {
    token: Token,
    /// Whether answers of a new upstream are swallowed.
    swallows: bool,
    /// Said again: how often, and since when the upstream is lost.
    again: Option<(u32, Moment)>,
}

impl WsRequest {
    /// Makes it a handshake whose session can be held. Only permessage-deflate is offered on: of
    /// another extension nobody knows what it keeps from message to message.
    pub fn hold(&mut self, swallows: bool) {
        let offers = extension::parse(&self.offer).unwrap_or_default();
        let offers = offers.into_iter().filter(Extension::is_deflate).map(|mut offer| {
            offer.add(CLIENT_RESETS);
            if swallows {
                offer.add(SERVER_RESETS);
            }
            offer
        });
        set_extensions(&mut self.offer, offers);
        self.holding = Some(Holding { token: Token::new(), swallows, again: None });
    }

    /// How often it was said again.
    pub(super) fn attempts(&self) -> u32 {
        let again = self.holding.as_ref().and_then(|holding| holding.again);
        again.map_or(0, |(attempts, _)| attempts)
    }
}

impl Holding {
    /// Says whose session it is, and counts.
    pub(super) fn introduce(&mut self, headers: &mut HeaderMap) {
        match &mut self.again {
            None => headers.insert(SESSION, self.token.session()),
            Some((attempt, lost)) => {
                *attempt = attempt.saturating_add(1);
                headers.insert(RESUME, self.token.resume(*attempt, clock::now().since(*lost)))
            }
        };
    }

    /// Makes a backend's extensions those the client is told of; whether a session on such terms
    /// can be held. A server may demand of a client what that did not offer (RFC 7692 §7.1.1.2),
    /// but a backend that keeps its own context cannot be made to forget it.
    pub(super) fn settle(&self, answers: &mut [Extension]) -> bool {
        answers.iter_mut().for_each(|answer| answer.add(CLIENT_RESETS));
        !self.swallows || answers.iter().all(|answer| answer.has(SERVER_RESETS))
    }
}

/// A handshake to be said again to another backend. A session keeps it for its life, so it is text
/// and little else.
pub struct Replay {
    token: Token,
    swallows: bool,
    /// The target and the fields, a line each, as they went upstream but for the handshake's own.
    head: Box<[u8]>,
    /// The fields in which the first backend said what it agreed on, a line each.
    agreed: Box<[u8]>,
}

impl Replay {
    /// Keeps what was asked, where its session can be held on the terms agreed on.
    pub fn keep(asked: &WsRequest, head: &Parts, agreed: &Agreed) -> Option<Replay> {
        let holding = asked.holding.as_ref().filter(|_| agreed.can_be_held())?;
        let mut text = head.uri.to_string().into_bytes();
        text.push(b'\n');
        lines(&asked.fields(head), &mut text);
        let mut chosen = HeaderMap::new();
        agreed.choices(&mut chosen);
        let mut choices = Vec::new();
        lines(&chosen, &mut choices);
        Some(Replay {
            token: holding.token,
            swallows: holding.swallows,
            head: text.into(),
            agreed: choices.into(),
        })
    }

    /// Bytes it has beside its own size.
    pub fn bytes(&self) -> usize {
        self.head.len() + self.agreed.len()
    }

    /// The handshake, with a key of its own; `attempt` have been made since the upstream was
    /// `lost`.
    pub(super) fn again(&self, attempt: u32, lost: Moment) -> Option<(WsRequest, Parts)> {
        let end = self.head.iter().position(|byte| *byte == b'\n')?;
        let (mut head, ()) = Request::new(()).into_parts();
        head.uri = Uri::try_from(&self.head[..end]).ok()?;
        head.headers = read(&self.head[end + 1..])?;
        let key = HeaderValue::try_from(new_key()).ok()?;
        let again = Some((attempt, lost));
        let holding = Holding { token: self.token, swallows: self.swallows, again };
        Some((WsRequest::again(key, &head.headers, holding), head))
    }

    /// Whether a new backend agreed on what the first one did.
    pub(super) fn agrees_with(&self, agreed: &Agreed) -> bool {
        let mut chosen = HeaderMap::new();
        agreed.choices(&mut chosen);
        let Some(mut before) = read(&self.agreed) else { return false };
        let (old, new) = (extension::parse(&before), extension::parse(&chosen));
        before.remove(SEC_WEBSOCKET_EXTENSIONS);
        chosen.remove(SEC_WEBSOCKET_EXTENSIONS);
        let (Ok(old), Ok(new)) = (old, new) else { return false };
        let same = |(old, new): (&Extension, &Extension)| old.agrees_with(new);
        before == chosen && old.len() == new.len() && old.iter().zip(&new).all(same)
    }
}

/// Puts these extensions in place of those that are there.
pub(super) fn set_extensions(headers: &mut HeaderMap, extensions: impl Iterator<Item = Extension>) {
    let texts: Vec<String> = extensions.map(|one| one.to_string()).collect();
    headers.remove(SEC_WEBSOCKET_EXTENSIONS);
    if let (false, Ok(value)) = (texts.is_empty(), HeaderValue::try_from(texts.join(", "))) {
        headers.insert(SEC_WEBSOCKET_EXTENSIONS, value);
    }
}

/// Writes fields down, a line each: no value has a line's end in it (RFC 9110 §5.5).
fn lines(headers: &HeaderMap, text: &mut Vec<u8>) {
    for (name, value) in headers {
        text.extend_from_slice(name.as_str().as_bytes());
        text.push(b':');
        text.extend_from_slice(value.as_bytes());
        text.push(b'\n');
    }
}

/// Reads what [`lines`] wrote.
fn read(text: &[u8]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        headers.append(name, HeaderValue::from_bytes(&line[colon + 1..]).ok()?);
    }
    Some(headers)
}

#[cfg(test)]
mod tests;
