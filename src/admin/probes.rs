//! The admin listener: metrics and health, and the page where it has one.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::header::{CACHE_CONTROL, VARY};
use http::{HeaderValue, Request, Response, StatusCode};

use super::exposition;
use super::guard::{self, Denied};
use super::http::{KeptShare, Responder, line, method_not_allowed, reads, text_as};
use super::page::AdminPage;
use super::process::{Phase, Process};
use crate::base::body::Body;
use crate::base::label::Label;
use crate::base::network::ClientNetwork;
use crate::base::share::Shares;
use crate::config::plan::Admin;
use crate::observe::log::ACCESS;

/// Pages of metrics on their way at once, so that probes always find a place: it is less than the
/// connections. One client has half of them when it is alone.
pub const SCRAPES_MAX: usize = 16;

pub(super) fn answers<P: Process>(process: P, admin: Admin) -> Responder {
    let page = admin.page.then(|| Rc::new(AdminPage::new(process.clone(), admin.clone())));
    let probes = Rc::new(Probes::new(process, admin));
    Rc::new(move |peer, request| {
        let (probes, page) = (Rc::clone(&probes), page.clone());
        Box::pin(async move {
            let Some(page) = page.filter(|_| AdminPage::<P>::has(request.uri().path())) else {
                return probes.answer(peer.address, &request);
            };
            let judged = guard::judge(&probes.admin, peer.address, &request);
            let answered = match judged {
                Ok(()) => page.answer(peer, request).await,
                Err(denied) => Err(denied),
            };
            answered.unwrap_or_else(|denied| probes.refuse(peer.address, denied))
        })
    })
}

/// What answers the admin listener's requests.
pub(super) struct Probes<P> {
    process: P,
    admin: Admin,
    scrapes: Arc<Shares>,
}

impl<P: Process> Probes<P> {
    pub(super) fn new(process: P, admin: Admin) -> Probes<P> {
        Probes { process, admin, scrapes: Shares::new(SCRAPES_MAX) }
    }

    pub(super) fn answer<B>(
        &self,
        peer: Option<SocketAddr>,
        request: &Request<B>,
    ) -> Response<Body> {
        if let Err(denied) = guard::judge(&self.admin, peer, request) {
            return self.refuse(peer, denied);
        }
        let path = request.uri().path();
        if !matches!(path, "/metrics" | "/healthz" | "/readyz") {
            let page = if self.admin.page { "the page at /, " } else { "" };
            let text = format!("here are {page}/metrics, /healthz and /readyz");
            return line(StatusCode::NOT_FOUND, &text);
        }
        if !reads(request.method()) {
            return method_not_allowed("GET, HEAD");
        }
        match (path, self.process.phase()) {
            ("/metrics", _) => self.metrics(peer, request),
            // Alive is who can answer this at all.
            ("/healthz", _) => line(StatusCode::OK, "ok"),
            (_, Phase::Running) => line(StatusCode::OK, "ready"),
            (_, _) => line(StatusCode::SERVICE_UNAVAILABLE, "draining"),
        }
    }

    /// Counts and logs a request that is refused, and answers it.
    fn refuse(&self, peer: Option<SocketAddr>, why: Denied) -> Response<Body> {
        self.process.admin_refused(why);
        tracing::info!(
            target: ACCESS,
            event = "admin_refused",
            client = peer.map(tracing::field::display),
            why = why.label(),
        );
        why.answer()
    }

    fn metrics<B>(&self, peer: Option<SocketAddr>, request: &Request<B>) -> Response<Body> {
        let client = peer.map_or(ClientNetwork::Unshared, |peer| peer.ip().into());
        let Some(share) = self.scrapes.try_take(client) else {
            return self.refuse(peer, Denied::Scrapes);
        };
        let format = exposition::asked(request.headers());
        let page = self.process.scrape(format);
        let mut answer = text_as(StatusCode::OK, format.content_type(), page);
        answer.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer.extensions_mut().insert(KeptShare(Arc::new(share)));
        answer
    }
}
