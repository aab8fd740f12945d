//! The buffer a worker lends to whichever session is being polled.

use std::cell::Cell;

use super::core::UNDECIDED_BYTES_MAX;

/// Bytes read at once; what a side that stops reading makes us keep for it.
pub(super) const READ_BYTES: usize = 16 * 1024;

/// Bytes read at once while a stream runs hot: it fills each read, and the other side takes all.
/// A side that then takes no more makes us keep so much of it, once.
pub(super) const HOT_READ_BYTES: usize = 256 * 1024;

/// What was left undecided, and one read behind it.
const BUFFER_BYTES: usize = UNDECIDED_BYTES_MAX + HOT_READ_BYTES;

/// A read buffer.
pub(super) type Buffer = Box<[u8; BUFFER_BYTES]>;

thread_local! {
    static SPARE: Cell<Option<Buffer>> = const { Cell::new(None) };
}

/// Lends the worker's buffer; it is given back when `run` returns.
pub(super) fn lend<T>(run: impl FnOnce(&mut [u8]) -> T) -> T {
    // Made at the first loan, or when a session polls another inside its own poll.
    let mut buffer = SPARE.take().unwrap_or_else(|| Box::new([0; BUFFER_BYTES]));
    let result = run(&mut buffer[..]);
    SPARE.set(Some(buffer));
    result
}
