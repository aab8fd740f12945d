//! The admin listener: metrics and health. It changes nothing.

use std::future::ready;
use std::rc::Rc;

use http::{Request, Response, StatusCode};

use super::http::{Responder, line, method_not_allowed, reads, text_as};
use super::process::{Phase, Process};
use crate::base::body::Body;
use crate::observe::metrics::Exposition;

pub(super) fn answers(process: impl Process) -> Responder {
    Rc::new(move |request| Box::pin(ready(answer(&process, &request))))
}

pub(super) fn answer<B>(process: &impl Process, request: &Request<B>) -> Response<Body> {
    let path = request.uri().path();
    if !matches!(path, "/metrics" | "/healthz" | "/readyz") {
        return line(StatusCode::NOT_FOUND, "here are /metrics, /healthz and /readyz");
    }
    if !reads(request.method()) {
        return method_not_allowed("GET, HEAD");
    }
    match (path, process.phase()) {
        ("/metrics", _) => {
            text_as(StatusCode::OK, Exposition::OpenMetrics.content_type(), process.scrape())
        }
        // Alive is who can answer this at all.
        ("/healthz", _) => line(StatusCode::OK, "ok"),
        (_, Phase::Running) => line(StatusCode::OK, "ready"),
        (_, _) => line(StatusCode::SERVICE_UNAVAILABLE, "draining"),
    }
}
