//! Cookies that bring a client back to its backend. Pure.
//!
//! A cookie's value is the backend's **tag**: HMAC-SHA-256 of its address (RFC 2104), cut to 128
//! bits (RFC 2104 §5), in base64url. So it tells nothing of the address, only who has a secret can
//! make one, every proxy with the same secret makes the same, and a restart changes none. The tags
//! of all backends are made when the pool is built; a request only compares.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::backend::Backend;
use crate::config::plan;

/// A backend's name in cookies.
pub(super) type Tag = [u8; 16];

/// Tells these HMACs from any other that may ever be made with the same secret.
const PURPOSE: &[u8] = b"tidegate sticky backend\0";

/// The tags of a pool's backends.
#[derive(Debug)]
pub(super) struct StickyCookies {
    /// For each secret, in order, the tag of each backend.
    tags: Box<[Box<[Tag]>]>,
}

impl StickyCookies {
    pub(super) fn new(plan: &plan::Sticky, backends: &[Arc<Backend>]) -> StickyCookies {
        let of_secret = |secret: &plan::Secret| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.bytes());
            backends.iter().map(|backend| tag(&key, backend.address())).collect()
        };
        StickyCookies { tags: plan.secrets.iter().map(of_secret).collect() }
    }

    /// The backend with this tag under any of the secrets. How long it takes tells nothing of how
    /// much of a tag was guessed.
    pub(super) fn find(&self, wanted: &Tag) -> Option<usize> {
        let mut found = None;
        for tags in &self.tags {
            for (index, tag) in tags.iter().enumerate() {
                if verify_slices_are_equal(tag, wanted).is_ok() {
                    found = Some(index);
                }
            }
        }
        found
    }

    /// A backend's tag under the first secret, which is the one that clients are given.
    pub(super) fn tag(&self, index: usize) -> Option<Tag> {
        self.tags.first()?.get(index).copied()
    }
}

fn tag(key: &hmac::Key, address: &str) -> Tag {
    let mut context = hmac::Context::with_key(key);
    context.update(PURPOSE);
    context.update(address.as_bytes());
    let mut tag = Tag::default();
    tag.copy_from_slice(&context.sign().as_ref()[..16]);
    tag
}

/// A tag as it is written in a cookie.
pub(super) fn written(tag: &Tag) -> String {
    URL_SAFE_NO_PAD.encode(tag)
}

/// The tag that a cookie's value is; `None` when it cannot be one.
pub(super) fn read(value: &[u8]) -> Option<Tag> {
    let mut tag = [0; 18];
    // One more than fits, or a longer value would be an error of another kind.
    let length = URL_SAFE_NO_PAD.decode_slice(value, &mut tag).ok()?;
    tag[..length].try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_the_same_in_every_version_and_is_read_as_it_is_written() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        let tag = tag(&key, "127.0.0.1:8080");
        assert_eq!(written(&tag), "iOSteggFuhH3XT-8I7d-FQ");
        assert_eq!(read(written(&tag).as_bytes()), Some(tag));
        for other in ["", "x", "AAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAA", "????"] {
            assert_eq!(read(other.as_bytes()), None, "{other}");
        }
        assert_eq!(read(&[b'A'; 4096]), None);
    }
}
