//! Answers compressed on their way to a client that takes them so.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use brotli::CompressorWriter;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, HeaderName, SET_COOKIE, VARY,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;

use crate::base::body::{Body, BoxError};
use crate::base::share::SharePermit;
use crate::config::plan::Compress;
use crate::wire::content_coding::ContentCoding;
use crate::wire::list::has_token;

/// Memory of the encoder that takes most: brotli's has 1.9 MiB, gzip's 0.4 (measured).
pub const ENCODER_BYTES_MAX: u64 = 2 << 20;

/// Bytes that are compressed before others of the worker have their turn: some 0.3 ms.
const TURN_BYTES: usize = 16 * 1024;

/// How hard gzip tries, of 9: beyond it a text is hardly smaller for twice the work.
const GZIP_LEVEL: u32 = 4;

/// How hard brotli tries, of 11, and the logarithm of how far it looks back: what an encoder of
/// [`ENCODER_BYTES_MAX`] has room for.
const BROTLI_QUALITY: u32 = 4;
const BROTLI_WINDOW: u32 = 16;

/// Bytes that brotli hands out at once.
const BROTLI_BUFFER_BYTES: usize = 4096;

/// What is said of the bytes that were sent, and not of what they mean.
const OF_BYTES: [HeaderName; 6] = [
    ACCEPT_RANGES,
    CONTENT_LENGTH,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("repr-digest"),
];

/// Whether an answer is of a kind that the route compresses, for whoever takes it so: a whole body
/// of text that is not small, is as it is, may be changed, and has no secret with it that could be
/// guessed by its length (Gluck, Harris, Prado: BREACH, 2013).
pub fn may_compress(answer: &Response<Body>, plan: &Compress) -> bool {
    let (status, headers) = (answer.status(), answer.headers());
    let has_whole_body = !status.is_informational()
        && !matches!(
            status,
            StatusCode::NO_CONTENT
                | StatusCode::RESET_CONTENT
                | StatusCode::PARTIAL_CONTENT
                | StatusCode::NOT_MODIFIED
        );
    let has_one_of = |names: &[HeaderName]| names.iter().any(|name| headers.contains_key(name));
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let length = length.or(answer.body().size_hint().exact());
    has_whole_body
        && !has_one_of(&[CONTENT_ENCODING, CONTENT_RANGE, SET_COOKIE])
        && !has_token(headers, CACHE_CONTROL, "no-transform")
        && length.is_none_or(|length| length >= plan.bytes_min)
        && is_of_type(headers, plan)
}

/// What the body is, by its type; what flows event by event is never one of them.
fn is_of_type(headers: &HeaderMap, plan: &Compress) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) else {
        return false;
    };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_stream = kind == "text/event-stream" || kind.starts_with("application/grpc");
    let is = |pattern: &str| match pattern.strip_suffix('*') {
        Some(prefix) => kind.starts_with(prefix),
        None => kind == pattern,
    };
    !is_stream && plan.types.iter().any(|pattern| is(pattern))
}

/// Says that another client would have had another answer; to be said to all of them.
pub fn vary(headers: &mut HeaderMap) {
    if !has_token(headers, VARY, "accept-encoding") && !has_token(headers, VARY, "*") {
        headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

/// Compresses an answer that [`may_compress`]. The encoder's memory is the permit's.
pub fn compress(
    mut answer: Response<Body>,
    coding: ContentCoding,
    permit: SharePermit,
) -> Response<Body> {
    let headers = answer.headers_mut();
    for name in &OF_BYTES {
        headers.remove(name);
    }
    headers.insert(CONTENT_ENCODING, coding.value());
    // The same in meaning, no more in its bytes (RFC 9110 §8.8.1).
    if let Some(tag) = headers.get(ETAG).filter(|tag| tag.as_bytes().starts_with(b"\""))
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
    {
        headers.insert(ETAG, weak);
    }
    let encoder = Encoder::new(coding);
    answer.map(|body| {
        let state = EncoderState::Open(encoder, permit);
        CompressedBody { body, rest: Bytes::new(), is_dirty: false, state }.boxed_unsync()
    })
}

/// A body that is compressed as it comes. What has come is never kept back: when the body has
/// nothing more at the moment, all of it goes out.
struct CompressedBody {
    body: Body,
    /// What has come and was not compressed yet.
    rest: Bytes,
    /// Whether the encoder has something that has not gone out.
    is_dirty: bool,
    state: EncoderState,
}

enum EncoderState {
    Open(Encoder, SharePermit),
    /// All has gone out but these trailers.
    Trailers(Frame<Bytes>),
    Done,
}

enum Encoder {
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Gzip(Box<GzEncoder<Vec<u8>>>),
}

impl Encoder {
    fn new(coding: ContentCoding) -> Encoder {
        let out = Vec::new();
        match coding {
            ContentCoding::Brotli => {
                let (quality, window) = (BROTLI_QUALITY, BROTLI_WINDOW);
                let writer = CompressorWriter::new(out, BROTLI_BUFFER_BYTES, quality, window);
                Encoder::Brotli(Box::new(writer))
            }
            ContentCoding::Gzip => {
                Encoder::Gzip(Box::new(GzEncoder::new(out, Compression::new(GZIP_LEVEL))))
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Encoder::Brotli(writer) => writer.write_all(bytes),
            Encoder::Gzip(writer) => writer.write_all(bytes),
        }
    }

    /// Brings out all that was written, so that it can be read.
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Encoder::Brotli(writer) => writer.flush(),
            Encoder::Gzip(writer) => writer.flush(),
        }
    }

    /// What has come out.
    fn take(&mut self) -> Bytes {
        let out = match self {
            Encoder::Brotli(writer) => writer.get_mut(),
            Encoder::Gzip(writer) => writer.get_mut(),
        };
        std::mem::take(out).into()
    }

    fn finish(self) -> io::Result<Bytes> {
        match self {
            Encoder::Brotli(writer) => Ok(writer.into_inner().into()),
            Encoder::Gzip(writer) => writer.finish().map(Bytes::from),
        }
    }
}

impl CompressedBody {
    /// Compresses a turn's worth of what has come; what comes out of it.
    fn compress(&mut self) -> io::Result<Bytes> {
        let EncoderState::Open(encoder, _) = &mut self.state else { return Ok(Bytes::new()) };
        let turn = self.rest.split_to(self.rest.len().min(TURN_BYTES));
        encoder.write(&turn)?;
        self.is_dirty = true;
        Ok(encoder.take())
    }

    /// Brings out what the encoder keeps.
    fn flush(&mut self) -> io::Result<Bytes> {
        let EncoderState::Open(encoder, _) = &mut self.state else { return Ok(Bytes::new()) };
        encoder.flush()?;
        self.is_dirty = false;
        Ok(encoder.take())
    }

    /// The last bytes; then the trailers, where there are some.
    fn finish(&mut self, trailers: Option<Frame<Bytes>>) -> io::Result<Bytes> {
        let next = trailers.map_or(EncoderState::Done, EncoderState::Trailers);
        match std::mem::replace(&mut self.state, next) {
            EncoderState::Open(encoder, _) => encoder.finish(),
            _ => Ok(Bytes::new()),
        }
    }
}

type Next = Poll<Option<Result<Frame<Bytes>, BoxError>>>;

impl http_body::Body for CompressedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Next {
        let this = self.get_mut();
        match std::mem::replace(&mut this.state, EncoderState::Done) {
            EncoderState::Open(encoder, permit) => this.state = EncoderState::Open(encoder, permit),
            EncoderState::Trailers(trailers) => return Poll::Ready(Some(Ok(trailers))),
            EncoderState::Done => return Poll::Ready(None),
        }
        let out =
            |out: io::Result<Bytes>| Poll::Ready(Some(out.map(Frame::data).map_err(Into::into)));
        loop {
            if !this.rest.is_empty() {
                match this.compress() {
                    Ok(bytes) if bytes.is_empty() && !this.rest.is_empty() => {
                        // Others of the worker first.
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    Ok(bytes) if bytes.is_empty() => {}
                    bytes => return out(bytes),
                }
            }
            let frame = match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Pending if this.is_dirty => return out(this.flush()),
                polled => ready!(polled),
            };
            match frame {
                None => return out(this.finish(None)),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) if frame.is_trailers() => return out(this.finish(Some(frame))),
                Some(Ok(frame)) => this.rest = frame.into_data().unwrap_or_default(),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, EncoderState::Done)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    use crate::base::body;
    use crate::base::network::ClientNetwork;
    use crate::base::share::Shares;

    fn permit() -> SharePermit {
        Shares::new(10).try_take(ClientNetwork::Unshared).unwrap()
    }

    fn plain(coding: ContentCoding, bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        let read = match coding {
            ContentCoding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain),
            ContentCoding::Brotli => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut plain),
        };
        read.unwrap();
        plain
    }

    fn compress_all() -> Compress {
        Compress { types: vec!["text/*".into(), "application/json".into()], bytes_min: 10 }
    }

    fn answer(status: u16, fields: &[(&str, &str)]) -> Response<Body> {
        let mut answer = Response::builder().status(status);
        for (name, value) in fields {
            answer = answer.header(*name, *value);
        }
        answer.body(body::full(vec![b'a'; 100])).unwrap()
    }

    #[test]
    fn what_is_not_text_that_is_whole_and_may_change_stays() {
        let may = |status, fields: &[(&str, &str)]| {
            may_compress(&answer(status, fields), &compress_all())
        };
        let html = ("Content-Type", "Text/HTML; charset=utf-8");
        assert!(may(200, &[html]) && may(404, &[html]));
        assert!(may(200, &[("Content-Type", "application/json")]));
        for status in [101, 204, 205, 206, 304] {
            assert!(!may(status, &[html]), "{status}");
        }
        for field in [
            ("Content-Encoding", "gzip"),
            ("Set-Cookie", "a=b"),
            ("Cache-Control", "public, no-transform"),
            ("Content-Range", "bytes 0-1/2"),
            ("Content-Length", "9"),
        ] {
            assert!(!may(200, &[html, field]), "{field:?}");
        }
        for kind in
            ["text/event-stream", "application/grpc+proto", "image/png", "application/jsonx"]
        {
            assert!(!may(200, &[("Content-Type", kind)]), "{kind}");
        }
        assert!(!may(200, &[]));
    }

    #[tokio::test]
    async fn what_is_compressed_reads_as_it_was_and_its_tag_is_weak() {
        for coding in ContentCoding::ALL {
            let text = "the same again and again, ".repeat(20_000);
            let fields =
                [("ETag", "\"x\""), ("Content-Length", "520000"), ("Accept-Ranges", "bytes")];
            let whole = answer(200, &fields).map(|_| body::full(text.clone()));
            let (head, body) = compress(whole, coding, permit()).into_parts();
            assert_eq!(head.headers[ETAG], "W/\"x\"");
            assert_eq!(head.headers[CONTENT_ENCODING], coding.name());
            assert_eq!(
                (head.headers.get(CONTENT_LENGTH), head.headers.get(ACCEPT_RANGES)),
                (None, None)
            );
            let bytes = body.collect().await.unwrap().to_bytes();
            assert!(bytes.len() < text.len() / 50, "{}", bytes.len());
            assert!(plain(coding, &bytes) == text.as_bytes());
        }
    }
}
