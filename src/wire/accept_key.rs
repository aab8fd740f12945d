//! `Sec-WebSocket-Key` and `Sec-WebSocket-Accept` (RFC 6455 §4.2.2).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::random;

/// What §1.3 joins to a key, so that no server answers it by accident.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Bytes of a key before base64.
const KEY_BYTES: usize = 16;

/// Letters of a key in base64, of six bits each, before its padding (RFC 4648 §4).
const KEY_LETTERS: usize = (KEY_BYTES * 8).div_ceil(6);

/// The answer to a key (§4.2.2, item 5.4).
pub fn accept_key(key: impl AsRef<[u8]>) -> String {
    // In one call: a context that takes it in pieces costs a third more.
    let joined = [key.as_ref(), GUID].concat();
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &joined))
}

/// Whether a value is the base64 of exactly 16 bytes (§4.2.1, item 5): 22 letters and the padding.
/// The last letter's unused bits are of no consequence, and not every client clears them.
pub fn is_key(value: impl AsRef<[u8]>) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let letters = value.as_ref().strip_suffix(b"==");
    letters.is_some_and(|letters| letters.len() == KEY_LETTERS && letters.iter().all(is_letter))
}

/// A key of our own, 16 random bytes (§4.1, item 7).
pub fn new_key() -> String {
    STANDARD.encode(random::<KEY_BYTES>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_is_answered_as_the_rfc_does() {
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_key_is_sixteen_bytes_in_base64() {
        assert!(is_key("dGhlIHNhbXBsZSBub25jZQ=="));
        assert!(is_key("dGhlIHNhbXBsZSBub25jZR=="), "unused bits may be set");
        let wrong = [
            "",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ= =",
            " dGhlIHNhbXBsZSBub25jZQ==",
            "dGhlIHNhbXBsZSBub25j",
            "dGhlIHNhbXBsZSBub25jZXg=",
            "dGhlIHNhbXBsZSBub25jZXh4",
            "dGhlIHNhbXBsZSBub25j_-==",
            "dGhlIHNhbXBsZSBub25jZQ==dGhlIHNhbXBsZSBub25jZQ==",
        ];
        for key in wrong {
            assert!(!is_key(key), "{key}");
        }
    }

    #[test]
    fn our_keys_are_keys_and_differ() {
        let (one, other) = (new_key(), new_key());
        assert!(is_key(&one) && is_key(&other));
        assert_ne!(one, other);
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            is_key(&bytes);
            prop_assert_eq!(is_key(STANDARD.encode(&bytes)), bytes.len() == KEY_BYTES);
        }

        #[test]
        fn tungstenite_answers_the_same(key in "[A-Za-z0-9+/]{22}==") {
            let theirs = tungstenite::handshake::derive_accept_key(key.as_bytes());
            prop_assert_eq!(accept_key(key), theirs);
        }
    }
}
