//! How hyper spells the names of fields towards peers of HTTP/1.1. Names count in any case (RFC
//! 9110 §5.1), but not every small peer knows: they are spelt as in their specifications.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::pin;
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Waker};

use bytes::Bytes;
use http::{Extensions, HeaderName, HeaderValue, Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use crate::wire::head::{self, SPECIAL_SPELLINGS, special_spelling};

/// Lines of one name whose spelling is known; those after them are spelt as plain words.
const LINES_MAX: usize = 8;

/// Those of an opening handshake's answer, of which there is one each.
static OF_HANDSHAKES: LazyLock<Extensions> =
    LazyLock::new(|| learn(1, SPECIAL_SPELLINGS.iter().filter(|name| is_of_handshake(name))));

static ALL: LazyLock<Extensions> = LazyLock::new(|| learn(LINES_MAX, SPECIAL_SPELLINGS.iter()));

/// Lets an answer's names be spelt right.
pub fn spell_answer<B>(answer: &mut Response<B>) {
    let mut spelt: Option<&'static Extensions> = None;
    for name in answer.headers().keys().filter_map(|name| special_spelling(name.as_str())) {
        match is_of_handshake(name) {
            true => spelt = spelt.or(Some(&OF_HANDSHAKES)),
            false => spelt = Some(&ALL),
        }
    }
    if let Some(spelt) = spelt {
        answer.extensions_mut().extend(spelt.clone());
    }
}

/// Lets a request's names be spelt right.
pub fn spell_request<B>(request: &mut Request<B>) {
    if request.headers().keys().any(|name| special_spelling(name.as_str()).is_some()) {
        request.extensions_mut().extend(ALL.clone());
    }
}

fn is_of_handshake(name: &str) -> bool {
    name.starts_with("Sec-WebSocket-")
}

/// hyper takes the spelling of names from a map that it makes of a head it reads, and that nothing
/// else can make: so a head of these names is read by it once.
fn learn<'a>(lines: usize, names: impl Iterator<Item = &'a &'static str>) -> Extensions {
    let mut text = b"GET / HTTP/1.1\r\n".to_vec();
    for name in names {
        // cannot fail: the names are constants, and tokens.
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a token");
        for _ in 0..lines {
            head::write_field(&name, &HeaderValue::from_static("x"), &mut text);
        }
    }
    head::end(&mut text);
    let learnt = Arc::new(Mutex::new(Extensions::new()));
    let service = service_fn(|request: Request<Incoming>| {
        if let Ok(mut learnt) = learnt.lock() {
            *learnt = request.into_parts().0.extensions;
        }
        ready(Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())))
    });
    let io = TokioIo::new(tokio::io::join(&*text, tokio::io::sink()));
    let mut http = Builder::new();
    http.preserve_header_case(true).max_headers(lines * SPECIAL_SPELLINGS.len());
    // All of it is there: one poll reads it.
    let _ = pin!(http.serve_connection(io, service)).poll(&mut Context::from_waker(Waker::noop()));
    let learnt = learnt.lock().map(|learnt| learnt.clone());
    learnt.unwrap_or_default()
}
