//! A backend for a handshake: one after another while nothing was promised to the client.

use http::StatusCode;

use super::attempt::{self, Answered};
use super::request::WsRequest;
use crate::pool::{Attempt, Attempted, Attempts, Evidence, Repeat, UpstreamError};
use crate::rewrite::Outbound;

/// What came of a handshake, and which backend was asked last.
pub type Connected = Attempted<Answered>;

/// Connects a handshake.
///
/// A backend that cannot be reached, closes before it answers, or answers 502, 503 or 504 is passed
/// over for another, within the pool's retry budget: the client has been promised nothing. The last
/// such answer is what the client gets.
pub async fn connect(
    attempts: Attempts<'_>,
    request: &mut WsRequest,
    outbound: &Outbound,
) -> Connected {
    let (pool, client) = (attempts.pool(), attempts.sharer());
    let attempt = async |lease| {
        let outcome = attempt::run(pool, lease, client, request, outbound).await;
        Attempt { evidence: evidence(&outcome), repeat: repeat(&outcome), outcome }
    };
    attempts.run(attempt).await
}

fn evidence(outcome: &Result<Answered, UpstreamError>) -> Evidence {
    match outcome {
        Ok(Answered::Http(answer)) if is_gateway_error(answer.status()) => Evidence::Suspect,
        Ok(_) => Evidence::Healthy,
        Err(error) => error.evidence(),
    }
}

fn repeat(outcome: &Result<Answered, UpstreamError>) -> Repeat {
    let may = match outcome {
        Ok(Answered::Upstream(_)) => false,
        Ok(Answered::Http(answer)) => is_gateway_error(answer.status()),
        Err(error) => error.is_retryable(),
    };
    if may { Repeat::Elsewhere } else { Repeat::Never }
}

/// 502, 503, 504: it, or what stands behind it, is not there.
fn is_gateway_error(status: StatusCode) -> bool {
    matches!(status.as_u16(), 502..=504)
}
