//! What is replayed of a handshake: a copy that can be said again to another backend, which must
//! agree on the terms of the first.

use http::header::{HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_EXTENSIONS};

use super::hold::Holding;
use super::request::WsRequest;
use super::verify::Agreed;
use crate::base::clock::Moment;
use crate::rewrite::Outbound;
use crate::wire::accept_key::new_key;
use crate::wire::answer::Fields;
use crate::wire::extension::{self, Extension};
use crate::wire::resume::{RESUME, Token};

/// A handshake to be said again to another backend. A session keeps it for its life, so it is text
/// and little else.
pub struct Replay {
    token: Token,
    swallows: bool,
    confirms: bool,
    /// The head that went upstream, stored; behind an empty line the offer, a line for each field.
    head: Box<[u8]>,
    /// The fields in which the first backend said what it agreed on, a line each.
    agreed: Box<[u8]>,
}

impl Replay {
    /// Keeps what was asked, where its session can be held on the terms agreed on.
    pub fn keep(asked: &WsRequest, outbound: &Outbound, agreed: &Agreed) -> Option<Replay> {
        let holding = asked.holding.as_ref().filter(|_| agreed.can_be_held())?;
        let mut head = outbound.store();
        head.push(b'\n');
        lines(&asked.offer, &mut head);
        let mut chosen = HeaderMap::new();
        agreed.choices(&mut chosen);
        let mut choices = Vec::new();
        lines(&chosen, &mut choices);
        Some(Replay {
            token: holding.token,
            swallows: holding.swallows,
            confirms: holding.confirms,
            head: head.into(),
            agreed: choices.into(),
        })
    }

    /// Bytes it has beside its own size.
    pub fn bytes(&self) -> usize {
        self.head.len() + self.agreed.len()
    }

    /// The handshake, with a key of its own; `attempt` have been made since the upstream was
    /// `lost`.
    pub(super) fn again(&self, attempt: u32, lost: Moment) -> Option<(WsRequest, Outbound)> {
        let end = self.head.windows(2).position(|two| two == b"\n\n")?;
        let outbound = Outbound::restore(&self.head[..end])?;
        let offer = read(&self.head[end + 2..])?;
        let key = HeaderValue::try_from(new_key()).ok()?;
        let again = Some((attempt, lost));
        let Replay { token, swallows, confirms, .. } = *self;
        let holding = Holding { token, swallows, confirms, again };
        Some((WsRequest::again(key, offer, holding), outbound))
    }

    /// Whether a backend that has answered with these fields takes the session up.
    pub(super) fn is_confirmed_by(&self, fields: &Fields) -> bool {
        let mut said = fields.iter().filter(|(name, _)| *name == RESUME);
        !self.confirms || said.any(|(_, value)| self.token.is_named_by(value))
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
