//! A handshake of our own, which no session comes of: to see whether a backend opens WebSockets.

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue};

use super::exchange::{self, ReadAnswer};
use super::request::WsRequest;
use super::verify::Agreed;
use crate::pool::UpstreamError;
use crate::tls::Transport;
use crate::wire::accept_key::new_key;

/// What a backend answered.
pub enum OpenedByProbe {
    /// A right 101, and this behind it.
    Opened(Vec<u8>),
    /// Something else, which begins so.
    Refused(Vec<u8>),
}

/// Opens a WebSocket over a connection to a backend; how long that may take is for the caller to
/// say. No subprotocol and no extension is offered.
///
/// # Errors
/// There is no answer, or a 101 that is not right in all.
pub async fn open_for_probe(
    transport: &mut Transport,
    target: &PathAndQuery,
    fields: &[(HeaderName, HeaderValue)],
) -> Result<OpenedByProbe, UpstreamError> {
    let key = HeaderValue::try_from(new_key());
    let key = key.expect("cannot fail: a key is base64");
    let (request, text) = WsRequest::of_nobody(key, target, fields);
    let ReadAnswer { switching, rest } = exchange::run(transport, &text, None).await?;
    let Some(fields) = switching else { return Ok(OpenedByProbe::Refused(rest)) };
    Agreed::verify(&request, &fields).map_err(UpstreamError::Handshake)?;
    Ok(OpenedByProbe::Opened(rest))
}
