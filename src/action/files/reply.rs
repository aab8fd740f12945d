//! The answer for a file: all of it, a part, several parts, or that the client has it.

use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName,
    LAST_MODIFIED,
};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::BodyExt;

use super::content::{Content, Piece};
use super::open::RegularFile;
use crate::base::body::{self, Body};
use crate::wire::conditional::{Precondition, Validators};
use crate::wire::media_type::media_type;
use crate::wire::range::{self, Wanted};

/// Answers GET or HEAD with a file of this name.
pub(super) fn answer(
    head: &Parts,
    opened: RegularFile,
    name: &str,
    now: SystemTime,
) -> Response<Body> {
    let length = opened.metadata.len();
    let validators = validators(&opened);
    let mut answer = Response::new(body::empty());
    set(&mut answer, ETAG, &validators.etag);
    if let Some(modified) = validators.modified {
        set(&mut answer, LAST_MODIFIED, &httpdate::fmt_http_date(modified));
    }
    match validators.judge(&head.headers) {
        Precondition::Proceed => {}
        Precondition::NotModified => return with_status(answer, StatusCode::NOT_MODIFIED),
        Precondition::Failed => return with_status(answer, StatusCode::PRECONDITION_FAILED),
    }
    set(&mut answer, ACCEPT_RANGES, "bytes");
    let kind = media_type(name);
    // Ranges are defined for GET alone (RFC 9110 §14.2).
    let hears_range = head.method == Method::GET && validators.allows_range(&head.headers, now);
    let wanted = match hears_range {
        true => range::wanted(&head.headers, length),
        false => Wanted::Whole,
    };
    let pieces = match wanted {
        Wanted::Whole => {
            set(&mut answer, CONTENT_TYPE, &kind);
            vec![Piece::File(0..length)]
        }
        Wanted::Unsatisfiable => {
            set(&mut answer, CONTENT_RANGE, &format!("bytes */{length}"));
            return with_status(answer, StatusCode::RANGE_NOT_SATISFIABLE);
        }
        Wanted::Parts(parts) => {
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
            match &parts[..] {
                [part] => {
                    set(&mut answer, CONTENT_TYPE, &kind);
                    set(&mut answer, CONTENT_RANGE, &content_range(part, length));
                    vec![Piece::File(part.clone())]
                }
                parts => multipart(&mut answer, parts, &kind, length),
            }
        }
    };
    if let Some(coding) = opened.coding {
        set(&mut answer, CONTENT_ENCODING, coding.name());
    }
    let content = Content::new(opened.file, pieces);
    set(&mut answer, CONTENT_LENGTH, &content.length().to_string());
    if head.method == Method::GET {
        *answer.body_mut() = content.boxed_unsync();
    }
    answer
}

/// Several parts, each with a head of its own (RFC 9110 §14.6).
fn multipart(
    answer: &mut Response<Body>,
    parts: &[Range<u64>],
    kind: &str,
    length: u64,
) -> Vec<Piece> {
    // So long that no file has it by chance.
    let boundary = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    set(answer, CONTENT_TYPE, &format!("multipart/byteranges; boundary={boundary}"));
    let mut pieces = Vec::with_capacity(parts.len() * 2 + 1);
    for (number, part) in parts.iter().enumerate() {
        let before = if number == 0 { "" } else { "\r\n" };
        let range = content_range(part, length);
        let head = format!(
            "{before}--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: {range}\r\n\r\n"
        );
        pieces.push(Piece::Text(head.into()));
        pieces.push(Piece::File(part.clone()));
    }
    pieces.push(Piece::Text(format!("\r\n--{boundary}--\r\n").into()));
    pieces
}

fn content_range(part: &Range<u64>, length: u64) -> String {
    format!("bytes {}-{}/{length}", part.start, part.end - 1)
}

/// By time and length: a file that is written anew has another tag, but within one tick of the
/// system's clock.
fn validators(opened: &RegularFile) -> Validators {
    let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).ok();
    let age = opened.metadata.modified().ok().and_then(since);
    let (age_nanos, length) = (age.unwrap_or_default().as_nanos(), opened.metadata.len());
    // Each representation has a tag of its own (RFC 9110 §8.8.3).
    let etag = match opened.coding {
        Some(coding) => format!("\"{age_nanos:x}-{length:x}-{}\"", coding.name()),
        None => format!("\"{age_nanos:x}-{length:x}\""),
    };
    let modified = age.map(|age| UNIX_EPOCH + Duration::from_secs(age.as_secs()));
    Validators { etag, modified }
}

fn with_status(mut answer: Response<Body>, status: StatusCode) -> Response<Body> {
    *answer.status_mut() = status;
    answer
}

fn set(answer: &mut Response<Body>, name: HeaderName, value: &str) {
    // cannot fail: words of ours, digits, dates and media types.
    let value = HeaderValue::from_str(value).expect("a field's value");
    answer.headers_mut().insert(name, value);
}
