//! A buffer that a worker lends to whoever reads at this moment, so that who waits keeps none.

use std::cell::Cell;

/// Bytes of the buffer.
pub const SCRATCH_BYTES: usize = 16 * 1024;

thread_local! {
    static SPARE: Cell<Option<Box<[u8; SCRATCH_BYTES]>>> = const { Cell::new(None) };
}

/// Lends the worker's buffer; it is given back when `run` returns.
pub fn lend<T>(run: impl FnOnce(&mut [u8]) -> T) -> T {
    // Made at the first loan, or when who has it lends it once more.
    let mut buffer = SPARE.take().unwrap_or_else(|| Box::new([0; SCRATCH_BYTES]));
    let result = run(&mut buffer[..]);
    SPARE.set(Some(buffer));
    result
}
