//! How an authority is asked: our own HTTP and TLS below `instant_acme`.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_TYPE, DATE, HOST, RETRY_AFTER as RETRY_AFTER_FIELD, USER_AGENT,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
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
    /// By how many seconds our clock is ahead of the authority's, as its last answer with a date
    /// tells.
    ahead: Arc<AtomicI64>,
}

/// One that asks to be left alone for longer is asked again after this time.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(7 * 86_400);

/// When an authority is asked for its window again that does not say when (RFC 9773 §4.3.3).
const WINDOW_AGAIN: Duration = Duration::from_secs(6 * 60 * 60);

tokio::task_local! {
    /// How long the authority wants to be left alone, as the last answer to this work says.
    static RETRY_AFTER: Cell<Option<Duration>>;
}

/// Does some work with an authority; how it ended, and how long the authority wants to be left
/// alone after it.
pub(super) async fn with_retry_after<T>(work: impl Future<Output = T>) -> (T, Option<Duration>) {
    let work = async { (work.await, retry_after()) };
    RETRY_AFTER.scope(Cell::new(None), work).await
}

/// How long the authority wants to be left alone, as the last answer to this work says.
pub(super) fn retry_after() -> Option<Duration> {
    RETRY_AFTER.try_with(Cell::get).ok().flatten()
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum ExchangeError {
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
            ahead: Arc::default(),
        })
    }

    /// By how many seconds our clock is ahead of the authority's.
    pub(super) fn ahead(&self) -> i64 {
        self.ahead.load(Relaxed)
    }

    /// Takes what an answer tells beside what it is for, and leaves of it what others can read.
    fn take_fields(&self, method: &Method, status: StatusCode, headers: &mut HeaderMap) {
        let now = clock::wall();
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let date = |text: &str| httpdate::parse_http_date(text.trim()).ok();
        if let Some(theirs) = text(DATE).and_then(date) {
            self.ahead.store(seconds(now) - seconds(theirs), Relaxed);
        }
        let asked = text(RETRY_AFTER_FIELD).and_then(|text| match text.trim().parse() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => date(text)?.duration_since(now).ok(),
        });
        let asked = asked.map(|asked| asked.min(RETRY_AFTER_MAX));
        // Work that nobody waits for with.
        let _ = RETRY_AFTER.try_with(|retry_after| retry_after.set(asked));
        // The crate below adds any number to the time, and takes no window without one.
        let is_window = *method == Method::GET && status.is_success();
        match asked.or(is_window.then_some(WINDOW_AGAIN)) {
            Some(asked) => drop(headers.insert(RETRY_AFTER_FIELD, asked.as_secs().into())),
            None => drop(headers.remove(RETRY_AFTER_FIELD)),
        }
    }

    async fn exchange(self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
        let (due, method) = (clock::now().after(EXCHANGE_TIMEOUT), request.method().clone());
        let answered = clock::by(due, self.ask(request)).await;
        let answered = answered.unwrap_or(Err(ExchangeError::Timeout));
        let (mut parts, body) = answered.map_err(|error| Error::Other(Box::new(error)))?;
        self.take_fields(&method, parts.status, &mut parts.headers);
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
