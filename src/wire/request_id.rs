//! `X-Request-Id`: the id by which a request is found in the logs of all that it went through.

use std::cell::RefCell;

use aws_lc_rs::rand;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The field.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Bytes of an id that is taken from another proxy, at most.
pub const BYTES_MAX: usize = 128;

/// What an id of ours is made of: 32 characters, of which none is taken for another when it is
/// copied, and none needs quotes.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Characters of an id of ours: 100 random bits, which no one guesses and no two requests share.
const LENGTH: usize = 20;

/// Ids whose random bytes are drawn at once: to begin a draw costs more than all the rest of an id.
const IDS_PER_DRAW: usize = 32;

/// Random bytes in store, of which each is used once.
struct RandomStore {
    bytes: [u8; IDS_PER_DRAW * LENGTH],
    used: usize,
}

thread_local! {
    static STORE: RefCell<RandomStore> =
        const { RefCell::new(RandomStore { bytes: [0; _], used: IDS_PER_DRAW * LENGTH }) };
}

/// Seeds the library's generator, which takes tens of milliseconds once in a process: before it
/// serves, so that the first request does not wait for it, nor all others of its worker.
pub fn seed() {
    new_id();
}

/// A new id.
pub fn new_id() -> HeaderValue {
    let mut id = STORE.with_borrow_mut(RandomStore::take);
    id.iter_mut().for_each(|byte| *byte = ALPHABET[usize::from(*byte) % ALPHABET.len()]);
    // cannot fail: letters and digits.
    HeaderValue::from_bytes(&id).expect("text")
}

impl RandomStore {
    fn take(&mut self) -> [u8; LENGTH] {
        if self.used == self.bytes.len() {
            // cannot fail: the library's generator has its seed by then (`seed`), as TLS needs it.
            rand::fill(&mut self.bytes).expect("a random generator that was seeded");
            self.used = 0;
        }
        let mut taken = [0; LENGTH];
        taken.copy_from_slice(&self.bytes[self.used..self.used + LENGTH]);
        self.used += LENGTH;
        taken
    }
}

/// The id that the sender of a request gave it: where there is just one, that a log line, a shell
/// and a URL can hold as it is.
pub fn told(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut lines = headers.get_all(&X_REQUEST_ID).iter();
    let only = lines.next().filter(|_| lines.next().is_none())?;
    let is_id = |id: &[u8]| (1..=BYTES_MAX).contains(&id.len()) && id.iter().all(is_of_an_id);
    is_id(only.as_bytes()).then(|| only.clone())
}

/// What UUIDs, hexadecimal numbers, base64 and the ids of well-known proxies are made of.
fn is_of_an_id(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.:/+=@~".contains(byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_short_and_differ() {
        let ids: HashSet<HeaderValue> = (0..1000).map(|_| new_id()).collect();
        assert_eq!(ids.len(), 1000);
        for id in &ids {
            assert_eq!(id.len(), LENGTH);
            let headers = HeaderMap::from_iter([(X_REQUEST_ID, id.clone())]);
            assert_eq!(told(&headers).as_ref(), Some(id), "the next tidegate takes it");
        }
    }

    #[test]
    fn an_id_is_taken_whole_or_not_at_all() {
        let told = |lines: &[&str]| {
            let line =
                |line: &&str| (X_REQUEST_ID, HeaderValue::from_bytes(line.as_bytes()).unwrap());
            told(&lines.iter().map(line).collect()).is_some()
        };
        let long = "a".repeat(BYTES_MAX);
        for good in ["7", "6f1d3a52-0d1f-4b86-9d2c-0c8f4f8f1a11", "7F000001:8296_4F7B", &long] {
            assert!(told(&[good]), "{good}");
        }
        let longer = "a".repeat(BYTES_MAX + 1);
        for bad in ["", "a b", "a,b", "a\"b", "a\\b", "a;b", "<a>", "\u{e9}", &longer] {
            assert!(!told(&[bad]), "{bad}");
        }
        assert!(!told(&["a", "b"]), "two lines");
    }
}
