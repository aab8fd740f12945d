//! Whether an answer is compressed for the client that asked.

use std::sync::Arc;

use http::{Method, Response, Version};

use super::admit::Routed;
use crate::base::body::Body;
use crate::base::network::ClientNetwork;
use crate::base::share::Shares;
use crate::config::plan::Compress;
use crate::rewrite;
use crate::wire::content_coding::{self, ContentCoding};

/// What of a request decides about its answer.
pub(super) struct Compression {
    plan: Arc<Compress>,
    /// What its client takes; `None` too where the answer has no body.
    coding: Option<ContentCoding>,
    client: ClientNetwork,
}

impl Compression {
    /// Of a plain request whose route compresses. A body of HTTP/1.0 would have to end with its
    /// connection.
    pub(super) fn of(routed: &Routed) -> Option<Compression> {
        let Routed { asked, route } = routed;
        let plan = route.plan.compress.as_ref()?;
        if asked.asks_websocket || asked.head.version == Version::HTTP_10 {
            return None;
        }
        let coding = content_coding::accepted(&asked.head.headers).next();
        Some(Compression {
            plan: Arc::clone(plan),
            coding: coding.filter(|_| asked.head.method != Method::HEAD),
            client: asked.conn.listener.client_network(asked.client_addr),
        })
    }

    /// The answer, compressed where it may be, its client takes it, and an encoder is free.
    pub(super) fn apply(
        &self,
        encoders: &Arc<Shares>,
        mut answer: Response<Body>,
    ) -> Response<Body> {
        if !rewrite::may_compress(&answer, &self.plan) {
            return answer;
        }
        rewrite::vary(answer.headers_mut());
        match self.coding.zip(encoders.try_take(self.client)) {
            Some((coding, permit)) => rewrite::compress(answer, coding, permit),
            None => answer,
        }
    }
}
