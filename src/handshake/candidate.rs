//! One backend, step by step from a lease to its answer; each step consumes the one before.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Context;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::failure::Failure;
use super::request::WsRequest;
use super::verify::Agreed;
use crate::base::body::{Accompanied, Body, Companion};
use crate::base::clock;
use crate::config::plan::{ANSWER_HEAD_BYTES_MAX, ANSWER_HEADERS_MAX};
use crate::pool::{Ask, Backend, HandshakePermit, Key, Kind, Lease, NoBackend, Pool};
use crate::tls::Transport;
use crate::wire::framing::settle_answer;

/// A request as it goes to a backend.
pub(super) type Ahead = Request<Empty<Bytes>>;

/// A backend that was picked.
pub(super) struct Candidate<'a> {
    pool: &'a Arc<Pool>,
    lease: Lease,
}

/// A backend that will hear us: one of its `handshakes_in_flight_max` is ours.
struct Permitted<'a> {
    pool: &'a Arc<Pool>,
    lease: Lease,
    permit: HandshakePermit,
}

/// A backend that was reached.
struct Reached<'a> {
    pool: &'a Arc<Pool>,
    lease: Lease,
    permit: HandshakePermit,
    transport: Transport,
}

/// A backend that has answered.
pub(super) struct Heard {
    lease: Lease,
    answer: Response<Incoming>,
    driver: Driver,
}

/// The verified upstream of a session to come.
pub struct Upstream {
    /// The connection, free of HTTP.
    pub transport: Transport,
    /// What came in one breath with the answer's head; not lost.
    pub early: Bytes,
    /// The backend's fields, as they came.
    pub headers: HeaderMap,
    /// What was agreed on; the client's 101 is made from it.
    pub agreed: Agreed,
    /// The backend's place in our count of its sessions.
    pub lease: Lease,
}

impl<'a> Candidate<'a> {
    /// Picks a backend that was not tried.
    pub(super) fn pick(
        pool: &'a Arc<Pool>,
        tried: &[Arc<str>],
        key: Option<Key>,
    ) -> Result<Candidate<'a>, Failure> {
        match pool.lease(&Ask { now: clock::now(), kind: Kind::Session, tried, key }) {
            Ok(lease) => Ok(Candidate { pool, lease }),
            Err(NoBackend { is_full: true, retry_after }) => Err(Failure::Full { retry_after }),
            Err(NoBackend { retry_after, .. }) => Err(Failure::NoBackend { retry_after }),
        }
    }

    /// The backend a place was taken at before.
    pub(super) fn at(pool: &'a Arc<Pool>, lease: Lease) -> Candidate<'a> {
        Candidate { pool, lease }
    }

    /// Who it is.
    pub(super) fn backend(&self) -> &Arc<Backend> {
        self.lease.backend()
    }

    /// Waits for a permit, dials, sends the head and waits for the answer's.
    pub(super) async fn hear(self, head: Ahead) -> Result<Heard, Failure> {
        self.permitted().await?.reached().await?.heard(head).await
    }

    async fn permitted(self) -> Result<Permitted<'a>, Failure> {
        let Candidate { pool, lease } = self;
        let permit = lease.backend().handshake_permit().await.map_err(Failure::Busy)?;
        Ok(Permitted { pool, lease, permit })
    }
}

impl<'a> Permitted<'a> {
    async fn reached(self) -> Result<Reached<'a>, Failure> {
        let Permitted { pool, lease, permit } = self;
        let transport = pool.dial(lease.backend()).await.map_err(Failure::Dial)?;
        Ok(Reached { pool, lease, permit, transport })
    }
}

impl Reached<'_> {
    async fn heard(self, head: Ahead) -> Result<Heard, Failure> {
        let io = TokioIo::new(self.transport);
        let mut http = http1::Builder::new();
        // A proxy removes spaces before a colon (RFC 9112 §5.1).
        http.allow_spaces_after_header_name_in_responses(true);
        http.max_headers(ANSWER_HEADERS_MAX).max_buf_size(ANSWER_HEAD_BYTES_MAX);
        let (mut sender, connection) = http.handshake(io).await.map_err(why)?;
        let mut driver = Driver(Some(Box::pin(async move {
            // How it ends is told by the answer, or by the upgrade.
            let _ = connection.with_upgrades().await;
        })));
        let limit = self.pool.plan().handshake_timeout;
        let answer = timeout(limit, driver.along(sender.send_request(head))).await;
        let answer = answer.map_err(|_| Failure::Silent)?.map_err(why)?;
        drop(self.permit);
        Ok(Heard { lease: self.lease, answer, driver })
    }
}

impl Heard {
    /// The answer's status.
    pub(super) fn status(&self) -> StatusCode {
        self.answer.status()
    }

    /// Verifies a 101 and takes the connection out of HTTP.
    pub(super) async fn verified(mut self, asked: &WsRequest) -> Result<Upstream, Failure> {
        let agreed = Agreed::verify(asked, self.answer.headers()).map_err(Failure::Wrong)?;
        let upgraded = hyper::upgrade::on(&mut self.answer);
        let upgraded = self.driver.along(upgraded).await.map_err(why)?;
        // cannot fail: what `Reached::heard` put in is what comes out.
        let parts = upgraded.downcast::<TokioIo<Transport>>().expect("the transport put in");
        Ok(Upstream {
            transport: parts.io.into_inner(),
            early: parts.read_buf,
            headers: self.answer.into_parts().0.headers,
            agreed,
            lease: self.lease,
        })
    }

    /// The answer as the HTTP answer it is. Its connection ends with its body.
    ///
    /// # Errors
    /// [`Failure::Framing`].
    pub(super) fn passed_on(self) -> Result<Response<Body>, Failure> {
        let Heard { lease, mut answer, driver } = self;
        settle_answer(answer.headers_mut()).map_err(Failure::Framing)?;
        // The version is each hop's own (RFC 9110 §6.2).
        *answer.version_mut() = Version::HTTP_11;
        let driven = Driven { driver, _lease: lease };
        Ok(answer.map(|body| Accompanied::new(body, driven).boxed_unsync()))
    }
}

fn why(error: hyper::Error) -> Failure {
    if error.is_parse() { Failure::Garbled(error) } else { Failure::Vanished(error) }
}

/// What moves a connection's bytes; `None` when it has ended.
struct Driver(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Driver {
    /// Moves bytes once.
    fn poll(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.0
            && connection.as_mut().poll(cx).is_ready()
        {
            self.0 = None;
        }
    }

    /// Moves bytes for as long as `future` takes.
    async fn along<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            self.poll(cx);
            future.as_mut().poll(cx)
        })
        .await
    }
}

/// What moves the connection of an answer whose body is read: no task, and nothing left when the
/// body is dropped.
struct Driven {
    driver: Driver,
    _lease: Lease,
}

impl Companion for Driven {
    fn asked(&mut self, cx: &mut Context<'_>) {
        self.driver.poll(cx);
    }
}
