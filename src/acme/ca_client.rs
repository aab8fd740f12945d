//! How an authority is asked: our own HTTP and TLS below `instant_acme`.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, DATE, HOST, RETRY_AFTER, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

use crate::base::along::along;
use crate::base::clock;
use crate::config::plan::{
    ANSWER_HEAD_BYTES_MAX, ANSWER_HEADERS_MAX, BackendAddress, Roots, UpstreamTls,
};
use crate::pool::{DialError, Dialler};
use crate::tls::TlsError;

/// Bytes of an answer's body at most.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// For a whole exchange, the connection included.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Asks an authority. Clones share what its answers have told.
#[derive(Clone)]
pub(super) struct CaClient {
    secure: Arc<Dialler>,
    plain: Arc<Dialler>,
    told: Arc<Mutex<Told>>,
}

/// What the authority's answers tell beside what they are for.
#[derive(Clone, Copy, Default)]
struct Told {
    /// By how many seconds our clock is ahead of the authority's.
    ahead: Option<i64>,
    /// How long it wants to be left alone, of the last answer.
    retry_after: Option<Duration>,
}

/// Why there is no answer.
#[derive(Debug)]
enum ExchangeError {
    Url(String),
    Dial(DialError),
    Http(hyper::Error),
    Timeout,
    TooLarge,
    Body(Box<dyn std::error::Error + Send + Sync>),
    Status(StatusCode),
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExchangeError::Url(url) => write!(f, "it gave a URL that is none: `{url}`"),
            ExchangeError::Dial(error) => write!(f, "no connection: {error}"),
            ExchangeError::Http(error) => write!(f, "no answer: {error}"),
            ExchangeError::Timeout => write!(f, "no whole answer within {EXCHANGE_TIMEOUT:?}"),
            ExchangeError::TooLarge => {
                write!(f, "the answer has more than {} KiB", ANSWER_BYTES_MAX >> 10)
            }
            ExchangeError::Body(error) => write!(f, "the answer broke off: {error}"),
            ExchangeError::Status(status) => {
                write!(f, "the answer's status is {}, and it is none of ACME", status.as_u16())
            }
        }
    }
}

impl std::error::Error for ExchangeError {}

impl CaClient {
    /// A client that trusts these.
    ///
    /// # Errors
    /// No TLS can be made from them.
    pub(super) fn build(roots: &Roots) -> Result<CaClient, TlsError> {
        let tls = UpstreamTls { server_name: None, roots: roots.clone() };
        Ok(CaClient {
            secure: Arc::new(Dialler::of_no_pool(CONNECT_TIMEOUT, Some(&tls))?),
            plain: Arc::new(Dialler::of_no_pool(CONNECT_TIMEOUT, None)?),
            told: Arc::default(),
        })
    }

    /// By how many seconds our clock is ahead of the authority's.
    pub(super) fn ahead(&self) -> i64 {
        self.told().ahead.unwrap_or(0)
    }

    /// How long the authority has asked, with its last answer, to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.told().retry_after
    }

    fn told(&self) -> Told {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, headers: &HeaderMap) {
        let now = clock::wall();
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let date = |text: &str| httpdate::parse_http_date(text.trim()).ok();
        let ahead = text(DATE).and_then(date).map(|theirs| seconds(now) - seconds(theirs));
        let retry_after = text(RETRY_AFTER).and_then(|text| match text.trim().parse() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => date(text)?.duration_since(now).ok(),
        });
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        *told = Told { ahead: ahead.or(told.ahead), retry_after };
    }

    async fn exchange(self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
        let due = clock::now().after(EXCHANGE_TIMEOUT);
        let answered = clock::by(due, self.ask(request)).await;
        let answered = answered.unwrap_or(Err(ExchangeError::Timeout));
        let (parts, body) = answered.map_err(|error| Error::Other(Box::new(error)))?;
        self.tell(&parts.headers);
        let is_json = |value: &HeaderValue| {
            value.to_str().is_ok_and(|kind| kind.to_ascii_lowercase().contains("json"))
        };
        let is_acme = parts.headers.get(CONTENT_TYPE).is_some_and(is_json);
        if (parts.status.is_client_error() || parts.status.is_server_error()) && !is_acme {
            return Err(Error::Other(Box::new(ExchangeError::Status(parts.status))));
        }
        Ok(BytesResponse { parts, body: Box::new(body) })
    }

    async fn ask(
        &self,
        mut request: Request<BodyWrapper<Bytes>>,
    ) -> Result<(http::response::Parts, Bytes), ExchangeError> {
        let (dialler, address) = self.place(request.uri())?;
        prepare(&mut request)?;
        let transport = dialler.dial(&address, None).await.map_err(ExchangeError::Dial)?;
        let handshake = http1::Builder::new()
            .max_headers(ANSWER_HEADERS_MAX)
            .max_buf_size(ANSWER_HEAD_BYTES_MAX)
            .handshake(TokioIo::new(transport));
        let (mut sender, connection) = handshake.await.map_err(ExchangeError::Http)?;
        let answer = async move {
            let answer = sender.send_request(request).await.map_err(ExchangeError::Http)?;
            let (parts, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| match error.is::<LengthLimitError>() {
                true => ExchangeError::TooLarge,
                false => ExchangeError::Body(error),
            })?;
            Ok((parts, body.to_bytes()))
        };
        along(connection, answer).await
    }

    fn place(&self, uri: &Uri) -> Result<(&Dialler, BackendAddress), ExchangeError> {
        let no_url = || ExchangeError::Url(uri.to_string());
        let host = uri.host().ok_or_else(no_url)?.trim_matches(['[', ']']);
        let is_here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        let (dialler, port) = match uri.scheme_str() {
            Some("https") => (&self.secure, 443),
            // Where nobody listens on the way.
            Some("http") if is_here => (&self.plain, 80),
            _ => return Err(no_url()),
        };
        let port = uri.port_u16().unwrap_or(port);
        Ok((&**dialler, BackendAddress::Inet { host: host.into(), port }))
    }
}

/// The request as it is sent: by path, with the fields that are ours.
fn prepare(request: &mut Request<BodyWrapper<Bytes>>) -> Result<(), ExchangeError> {
    let no_url = || ExchangeError::Url(request.uri().to_string());
    let authority = request.uri().authority().ok_or_else(no_url)?;
    let host = HeaderValue::try_from(authority.as_str()).map_err(|_| no_url())?;
    let path = request.uri().path_and_query().cloned();
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = path.into();
    let agent = concat!("tidegate/", env!("CARGO_PKG_VERSION"));
    let headers = request.headers_mut();
    headers.insert(HOST, host);
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(())
}

fn seconds(at: SystemTime) -> i64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

impl HttpClient for CaClient {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        Box::pin(self.clone().exchange(request))
    }
}
