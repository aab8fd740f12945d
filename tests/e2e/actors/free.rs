//! Ports for processes that are started by their command line.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

/// A port of the loopback that nobody has at any address, and that the system gives to no
/// connection meanwhile: those are from 32,768 on (`ip_local_port_range`, ip(7)).
// Not every test crate starts processes.
#[allow(dead_code)]
pub fn free() -> SocketAddr {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    // Processes side by side begin in different places.
    let begin = std::process::id().wrapping_mul(7_919) as u16;
    loop {
        let port = 10_000 + begin.wrapping_add(TRIED.fetch_add(1, Relaxed)) % 20_000;
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return SocketAddr::from(([127, 0, 0, 1], port));
        }
    }
}
