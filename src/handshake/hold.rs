//! What is agreed on about holding: a token for the backend, and terms of compression that outlive
//! a backend (RFC 7692 §7.1.1).

use http::header::SEC_WEBSOCKET_EXTENSIONS;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::base::clock::{self, Moment};
use crate::config::plan::Resumption;
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
    pub(super) token: Token,
    /// Whether answers of a new upstream are swallowed.
    pub(super) swallows: bool,
    /// Whether a new upstream must confirm that it takes the session up.
    pub(super) confirms: bool,
    /// Said again: how often, and since when the upstream is lost.
    pub(super) again: Option<(u32, Moment)>,
}

impl Holding {
    /// Makes an offer one for a session, called by this token, that can be held. Only
    /// permessage-deflate is offered on: of another extension nobody knows what it keeps from
    /// message to message.
    pub(super) fn offer(
        offer: &mut HeaderMap,
        token: Token,
        swallows: bool,
        resume: Resumption,
    ) -> Holding {
        let offers = extension::parse(offer).unwrap_or_default();
        let offers = offers.into_iter().filter(Extension::is_deflate).map(|mut offer| {
            offer.add(CLIENT_RESETS);
            if swallows {
                offer.add(SERVER_RESETS);
            }
            offer
        });
        set_extensions(offer, offers);
        Holding { token, swallows, confirms: resume == Resumption::Confirmed, again: None }
    }

    /// Counts an attempt; gives the field that tells the backend whose session it is.
    pub(super) fn introduce(&mut self) -> (HeaderName, HeaderValue) {
        match &mut self.again {
            None => (SESSION, self.token.session()),
            Some((attempt, lost)) => {
                *attempt = attempt.saturating_add(1);
                (RESUME, self.token.resume(*attempt, clock::now().since(*lost)))
            }
        }
    }

    /// Makes a backend's extensions those the client is told of; whether a session on such terms
    /// can be held. A server may demand of a client what that did not offer (RFC 7692 §7.1.1.2),
    /// but a backend that keeps its own context cannot be made to forget it.
    pub(super) fn settle(&self, answers: &mut [Extension]) -> bool {
        answers.iter_mut().for_each(|answer| answer.add(CLIENT_RESETS));
        !self.swallows || answers.iter().all(|answer| answer.has(SERVER_RESETS))
    }
}

/// Puts these extensions in place of those that are there.
fn set_extensions(headers: &mut HeaderMap, extensions: impl Iterator<Item = Extension>) {
    let texts: Vec<String> = extensions.map(|one| one.to_string()).collect();
    headers.remove(SEC_WEBSOCKET_EXTENSIONS);
    if let (false, Ok(value)) = (texts.is_empty(), HeaderValue::try_from(texts.join(", "))) {
        headers.insert(SEC_WEBSOCKET_EXTENSIONS, value);
    }
}

#[cfg(test)]
mod tests;
