//! The head of a request that asks for an upgrade, where all of it came at once (RFC 9112 §3, §5);
//! what any other request is, a reader of all of HTTP finds out.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Uri};
use httparse::{Header, Status};

use super::request_line;

/// Fields in one head at most.
pub const FIELDS_MAX: usize = 100;

/// Reads a GET of HTTP/1.1 that has `Upgrade`, no body, and no wish that its head be answered
/// before; and the bytes of its head. `None` where there is anything else, or more fields than
/// `fields_max`.
pub fn read(bytes: &Bytes, fields_max: usize) -> Option<(Request<()>, usize)> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let fields = &mut fields[..fields_max.min(FIELDS_MAX)];
    let mut head = httparse::Request::new(&mut []);
    let Ok(Status::Complete(length)) = head.parse_with_uninit_headers(bytes, fields) else {
        return None;
    };
    let (Some("GET"), Some(target), Some(1)) = (head.method, head.path, head.version) else {
        return None;
    };
    if !is_upgrade_alone(head.headers) || target.bytes().any(request_line::is_odd) {
        return None;
    }
    let mut request = Request::new(());
    *request.uri_mut() = Uri::from_maybe_shared(bytes.slice_ref(target.as_bytes())).ok()?;
    let headers = request.headers_mut();
    headers.reserve(head.headers.len());
    for field in head.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value)).ok()?;
        headers.append(name, value);
    }
    Some((request, length))
}

/// Whether there is `Upgrade`, and no field that tells of a body.
fn is_upgrade_alone(fields: &[Header<'_>]) -> bool {
    let is = |field: &Header<'_>, name: &str| field.name.eq_ignore_ascii_case(name);
    let tells_of_body = ["content-length", "transfer-encoding", "expect"];
    fields.iter().any(|field| is(field, "upgrade"))
        && !fields.iter().any(|field| tells_of_body.iter().any(|name| is(field, name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{HOST, UPGRADE};
    use proptest::prelude::*;

    const HEAD: &str = "GET /chat?a=b HTTP/1.1\r\nHost: a.example\r\nX-Own:  1 \r\nx-own: 2\r\n\
        Upgrade: websocket\r\n\r\n";

    fn reads(text: &str) -> Option<(Request<()>, usize)> {
        read(&Bytes::copy_from_slice(text.as_bytes()), FIELDS_MAX)
    }

    #[test]
    fn a_head_is_read_and_what_is_behind_it_is_left() {
        let (request, length) = reads(&format!("{HEAD}\x01\x02")).unwrap();
        assert_eq!((request.uri(), length), (&Uri::from_static("/chat?a=b"), HEAD.len()));
        assert_eq!(
            (&request.headers()[HOST], &request.headers()[UPGRADE]),
            (&HeaderValue::from_static("a.example"), &HeaderValue::from_static("websocket"))
        );
        let own: Vec<_> = request.headers().get_all("x-own").iter().collect();
        assert_eq!(own, ["1", "2"]);
    }

    #[test]
    fn what_is_no_such_head_is_anothers_to_read() {
        assert!(reads("").is_none());
        for end in 0..HEAD.len() {
            assert!(reads(&HEAD[..end]).is_none(), "{end}");
        }
        for (from, to) in [
            ("GET", "POST"),
            ("1.1", "1.0"),
            ("Upgrade", "X-Upgrade"),
            ("x-own", "Content-Length"),
            ("x-own", "transfer-Encoding"),
            ("x-own", "EXPECT"),
            ("x-own", "x own"),
            ("/chat?a=b", "/chat?\""),
            ("/chat?a=b", "/é"),
            ("/chat?a=b", "/chat?é"),
            ("a.example", "a\0"),
        ] {
            assert!(reads(&HEAD.replace(from, to)).is_none(), "{to}");
        }
        let bytes = Bytes::from_static(HEAD.as_bytes());
        assert!(read(&bytes, 4).is_some() && read(&bytes, 3).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&Bytes::from(bytes), FIELDS_MAX);
        }

        #[test]
        fn any_odd_byte_in_a_head_is_judged(at in 0..HEAD.len(), byte: u8) {
            let mut bytes = HEAD.as_bytes().to_vec();
            bytes[at] = byte;
            let _ = read(&Bytes::from(bytes), FIELDS_MAX);
        }
    }
}
