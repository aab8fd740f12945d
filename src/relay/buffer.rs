//! The buffer a worker lends to whichever session is being polled.

use std::cell::Cell;

use super::core::UNDECIDED_BYTES_MAX;

/// Bytes read at once; what a side that stops reading makes us keep for it.
pub(super) const READ_BYTES: usize = 16 * 1024;

/// The same, by how hot a stream runs: each read that it fills, and of which the other side takes
/// all, makes it hotter. A side that then takes no more makes us keep one such read, once; so only
/// one that has just taken a quarter of it is trusted with it.
pub(super) const READ_BYTES_BY_HEAT: [usize; 3] = [READ_BYTES, 64 * 1024, 256 * 1024];

/// What was left undecided, and one read behind it.
const BUFFER_BYTES: usize = UNDECIDED_BYTES_MAX + READ_BYTES_BY_HEAT[2];

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
