//! The thin binary: everything lives in the library but the choice of the allocator.

/// The allocator with the lowest memory slope per session; see the table in `src/README.md`.
#[cfg(all(feature = "jemalloc", target_os = "linux"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What jemalloc reads before `main` runs: pages that sessions left go back to the system within a
/// second, by a thread of the allocator's own, not on a worker's time.
///
/// Unprefixed, so that aws-lc's C code, which calls `malloc`, is on the same heap.
#[cfg(all(feature = "jemalloc", target_os = "linux"))]
// SAFETY: jemalloc declares a weak `const char *malloc_conf`; a reference to a static string that
// ends with NUL is represented so, and nothing writes it.
#[unsafe(export_name = "malloc_conf")]
pub static MALLOC_CONF: &[u8; 60] =
    b"background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0\0";

fn main() -> std::process::ExitCode {
    tidegate::cli::main()
}
