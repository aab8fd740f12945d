//! A GET that is sent to see what comes of it.

use ::http::header::CONNECTION;
use ::http::uri::PathAndQuery;
use ::http::{HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::probe_error::{PROBE_BYTES_MAX, ProbeError};
use crate::base::along::along;
use crate::config::plan::{ANSWER_HEAD_BYTES_MAX, ANSWER_HEADERS_MAX, TextMatch};
use crate::tls::Transport;

/// Sends it; its answer must have one of these statuses, and contain what it must. What is not
/// needed of the body is not read.
pub(super) async fn get(
    transport: Transport,
    target: &PathAndQuery,
    fields: &[(HeaderName, HeaderValue)],
    statuses: &[u16],
    wanted: Option<&TextMatch>,
) -> Result<(), ProbeError> {
    let handshake = http1::Builder::new()
        .max_headers(ANSWER_HEADERS_MAX)
        .max_buf_size(ANSWER_HEAD_BYTES_MAX)
        .handshake(TokioIo::new(transport));
    let (mut sender, connection) = handshake.await.map_err(ProbeError::Http)?;
    let answer = async move {
        let sent = sender.send_request(request(target, fields));
        let answer = sent.await.map_err(ProbeError::Http)?;
        let status = answer.status().as_u16();
        if !statuses.contains(&status) {
            return Err(ProbeError::Status(status));
        }
        match wanted {
            Some(wanted) => find(wanted, answer.into_body()).await,
            None => Ok(()),
        }
    };
    along(connection, answer).await
}

/// Looks for it in the body's beginning.
async fn find(wanted: &TextMatch, mut body: Incoming) -> Result<(), ProbeError> {
    let mut text = Vec::new();
    while text.len() < PROBE_BYTES_MAX
        && let Some(frame) = body.frame().await
    {
        let Ok(data) = frame.map_err(ProbeError::Http)?.into_data() else { break };
        let room = PROBE_BYTES_MAX - text.len();
        text.extend_from_slice(&data[..data.len().min(room)]);
    }
    if wanted.is_in(&text) { Ok(()) } else { Err(ProbeError::Body) }
}

fn request(target: &PathAndQuery, fields: &[(HeaderName, HeaderValue)]) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = target.clone().into();
    let headers = request.headers_mut();
    headers.extend(fields.iter().cloned());
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    request
}
