//! Who wants to pass, and what is told of it to a server that is asked.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Response, Uri};

use crate::base::body::Body;
use crate::base::network::ClientNetwork;
use crate::pool::{Attempted, Attempts};
use crate::rewrite::Outbound;
use crate::wire::client_cert::ClientCertificate;
use crate::wire::forwarded::Hop;

/// Who wants to pass, as far as a rule asks.
#[derive(Clone, Copy, Debug)]
pub struct Applicant<'a> {
    /// The client's address, as the log has it; `None` is the peer of a unix socket.
    pub client: Option<IpAddr>,
    /// What the client's shares are counted by.
    pub network: ClientNetwork,
    /// The fields of the request.
    pub headers: &'a HeaderMap,
    /// Its target.
    pub uri: &'a Uri,
    /// The certificate that the client has shown.
    pub certificate: Option<&'a ClientCertificate>,
    /// What another server is told of it; `None` where none can be asked.
    pub asking: Option<&'a AuthRequest<'a>>,
}

/// An exchange with a backend, on its way.
pub type SubrequestFuture<'a> = Pin<Box<dyn Future<Output = Attempted<Response<Body>>> + 'a>>;

/// Sends requests to pools. How that is done is no part of this module.
pub trait Subrequest {
    /// Sends one without a body.
    fn send<'a>(&'a self, attempts: Attempts<'a>, outbound: &'a Outbound) -> SubrequestFuture<'a>;
}

/// Whose session is asked about, and who asks.
#[derive(Clone, Copy)]
pub struct Rechecked<'a> {
    /// The client's address, where it has one.
    pub client: Option<IpAddr>,
    /// What the client's shares are counted by.
    pub network: ClientNetwork,
    /// Who sends the question.
    pub subrequest: &'a dyn Subrequest,
}

/// What a server is told of a request, and who asks it.
#[derive(Clone, Copy)]
pub struct AuthRequest<'a> {
    /// The request's method.
    pub method: &'a Method,
    /// Its target, as backends see it.
    pub target: &'a PathAndQuery,
    /// Host and port, as the client wrote them.
    pub authority: Option<&'a HeaderValue>,
    /// `https`, where the client speaks TLS to us or to a trusted proxy; else `http`.
    pub scheme: &'static str,
    /// Whether it opens a WebSocket.
    pub is_handshake: bool,
    /// What this hop saw of it.
    pub hop: Hop<'a>,
    /// Whether what the client says of those before it is believed.
    pub is_trusted: bool,
    /// What this proxy adds to `Via`.
    pub via: &'a HeaderValue,
    /// The request's `X-Request-Id`.
    pub request_id: &'a HeaderValue,
    /// Who sends it.
    pub subrequest: &'a dyn Subrequest,
}

impl fmt::Debug for AuthRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRequest").field("target", &self.target).finish_non_exhaustive()
    }
}
