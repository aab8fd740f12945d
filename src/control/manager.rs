//! What a service manager is told (`sd_notify(3)`), where there is one: `NOTIFY_SOCKET` names it.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::base::clock;

/// Every listener accepts, or a reload that was asked for by SIGHUP is done.
pub(super) fn ready() {
    tell("READY=1");
}

/// A reload that was asked for by SIGHUP begins. A service of `Type=notify-reload` waits for the
/// next [`ready`] and compares the time with that of its signal.
pub(super) fn reloading() {
    tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", clock::monotonic_micros()));
}

/// One line for `systemctl status`.
pub(super) fn status(text: &str) {
    tell(&format!("STATUS={}", text.lines().next().unwrap_or_default()));
}

/// Tells the service manager one state, such as `READY=1`.
pub(super) fn tell(state: &str) {
    if let Some(name) = std::env::var_os("NOTIFY_SOCKET")
        && let Err(error) = send(&name, state)
    {
        tracing::warn!(%error, state, "the service manager was not told");
    }
}

fn send(name: &OsStr, state: &str) -> std::io::Result<()> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
}
