//! The `Date` of an answer (RFC 9110 §6.6.1), written once a second.

use std::cell::RefCell;
use std::time::UNIX_EPOCH;

use http::{HeaderMap, HeaderValue, header};
use httpdate::HttpDate;

use crate::base::clock;

thread_local! {
    /// The second of the last one, and what was written.
    static LAST: RefCell<Option<(u64, HeaderValue)>> = const { RefCell::new(None) };
}

/// Adds the date where the answer has none: a server with a clock sends one.
pub(super) fn add(headers: &mut HeaderMap) {
    if !headers.contains_key(header::DATE)
        && let Some(date) = now()
    {
        headers.insert(header::DATE, date);
    }
}

/// The present date.
fn now() -> Option<HeaderValue> {
    let now = clock::wall();
    let second = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
    LAST.with_borrow_mut(|last| match last {
        Some((of, date)) if *of == second => Some(date.clone()),
        _ => {
            let date = HeaderValue::try_from(HttpDate::from(now).to_string()).ok()?;
            *last = Some((second, date.clone()));
            Some(date)
        }
    })
}
