//! The head of an answer to an opening handshake, as far as it is a 101; what any other answer is,
//! a reader of all of HTTP finds out (RFC 9112 §4, §5; RFC 9110 §15.2).

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use httparse::{Header, ParserConfig, Response, Status};

/// Fields in one head at most.
pub const FIELDS_MAX: usize = 128;

/// A head's fields, in order.
pub type Fields = Vec<(HeaderName, HeaderValue)>;

/// What bytes from a backend begin with.
#[derive(Debug)]
pub enum Answer {
    /// A head that has not ended.
    Partial,
    /// An informational answer (1xx) that is no 101: another follows it.
    Informational {
        /// Its status, and its fields where they can be read.
        head: Option<(StatusCode, Fields)>,
        /// Bytes of its head.
        length: usize,
    },
    /// A 101.
    Switching {
        /// Its fields, in order.
        fields: Fields,
        /// Bytes of its head.
        length: usize,
    },
    /// Any other answer, or none.
    Other,
}

/// Reads what a backend's bytes begin with. A space before a field's colon is passed over, as a
/// proxy must (RFC 9112 §5.1); a folded line is no field.
pub fn read(bytes: &[u8]) -> Answer {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut head = Response::new(&mut []);
    let mut parser = ParserConfig::default();
    parser.allow_spaces_after_header_name_in_responses(true);
    let parsed = parser.parse_response_with_uninit_headers(&mut head, bytes, &mut fields);
    match (parsed, head.code) {
        (Ok(Status::Partial), _) => Answer::Partial,
        (Ok(Status::Complete(length)), Some(101)) => match list(&bytes[..length], head.headers) {
            Some(fields) => Answer::Switching { fields, length },
            None => Answer::Other,
        },
        (Ok(Status::Complete(length)), Some(code @ 100..=199)) => {
            let status = StatusCode::from_u16(code).ok();
            let head = status.zip(list(&bytes[..length], head.headers));
            Answer::Informational { head, length }
        }
        _ => Answer::Other,
    }
}

/// The fields as a list: the values are pieces of one copy of the head.
fn list(head: &[u8], fields: &[Header<'_>]) -> Option<Fields> {
    let copy = Bytes::copy_from_slice(head);
    let field = |field: &Header<'_>| {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        let start = field.value.as_ptr().addr() - head.as_ptr().addr();
        let value = copy.slice(start..start + field.value.len());
        Some((name, HeaderValue::from_maybe_shared(value).ok()?))
    };
    fields.iter().map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::LINK;
    use proptest::prelude::*;

    const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\n\
        Upgrade: websocket\r\nConnection : Upgrade\r\nX-Empty:\r\nX-Two: 1 \r\nx-two:\t2\r\n\r\n";

    #[test]
    fn a_101_is_read_with_its_fields_and_no_byte_behind_it() {
        let bytes = [SWITCHING.as_bytes(), b"\x81\x01x"].concat();
        let Answer::Switching { fields, length } = read(&bytes) else { panic!("no 101") };
        assert_eq!(length, SWITCHING.len());
        let text = |(name, value): (HeaderName, HeaderValue)| {
            format!("{name}:{}", value.to_str().unwrap())
        };
        let fields: Vec<_> = fields.into_iter().map(text).collect();
        let expected =
            ["upgrade:websocket", "connection:Upgrade", "x-empty:", "x-two:1", "x-two:2"];
        assert_eq!(fields, expected);
        for end in 0..length {
            assert!(matches!(read(&bytes[..end]), Answer::Partial), "{end}");
        }
    }

    #[test]
    fn what_is_no_101_is_told() {
        let informational = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
        let bytes = [informational, SWITCHING].concat();
        let Answer::Informational { head: Some((status, fields)), length } = read(bytes.as_bytes())
        else {
            panic!("not passed over")
        };
        assert_eq!((status, length), (StatusCode::EARLY_HINTS, informational.len()));
        assert_eq!(fields, [(LINK, HeaderValue::from_static("</x>"))]);
        let many = format!("HTTP/1.1 101 x\r\n{}\r\n", "a: b\r\n".repeat(FIELDS_MAX + 1));
        for other in [
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\nA: b\r\n\r\n",
            "HTTP/1.1 099 x\r\n\r\n",
            "HTTP/2 101 x\r\n\r\n",
            "HTTP/1.1 101 x\r\n folded: x\r\n\r\n",
            "HTTP/1.1 101 x\r\nA: b\r\n folded\r\n\r\n",
            "HTTP/1.1 101 x\r\nno colon\r\n\r\n",
            "HTTP/1.1 101 x\r\na b: c\r\n\r\n",
            "HTTP/1.1 101 x\r\na: b\0\r\n\r\n",
            "SSH-2.0-x\r\n",
            &many,
        ] {
            assert!(matches!(read(other.as_bytes()), Answer::Other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(
            bytes in prop::collection::vec(any::<u8>(), 0..200), fields in "[ -~\r\n]{0,80}",
        ) {
            read(&bytes);
            let text = format!("HTTP/1.1 101 x\r\n{fields}\r\n\r\n");
            if let Answer::Switching { length, .. } = read(text.as_bytes()) {
                prop_assert!(length <= text.len());
                prop_assert!(matches!(read(&text.as_bytes()[..length - 1]), Answer::Partial));
            }
        }
    }
}
