//! The end of a connection whose client may still be sending: it must be able to read what it was
//! answered. A close with unread bytes is a reset, and a reset takes back what was written (RFC
//! 1122 §4.2.2.13, RFC 9112 §9.6).

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::tls::Transport;

/// How long a client may take to read its last words.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// How much of what it still sends is read.
pub const LINGER_BYTES_MAX: usize = 64 * 1024;

/// How long a client may be silent that still sends a body nobody reads.
pub const UNREAD_SILENCE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long it may go on sending it.
pub const UNREAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads and throws away what the client still sends of a body, until it stops. Our own side was
/// closed behind the answer.
pub(super) async fn swallow(mut transport: Transport) {
    let read_all = async {
        let mut scratch = vec![0; SWALLOW_BYTES];
        while let Ok(Ok(1..)) = timeout(UNREAD_SILENCE_TIMEOUT, transport.read(&mut scratch)).await
        {
        }
    };
    // One that goes on for longer has had its answer for all that time.
    let _ = timeout(UNREAD_TIMEOUT, read_all).await;
}

/// Bytes of a body thrown away by one read.
const SWALLOW_BYTES: usize = 16 * 1024;

/// Says `words` and closes. What the client still sends is read and thrown away for a while.
pub(super) async fn say(mut transport: Transport, words: &[u8]) {
    let talk = async {
        transport.write_all(words).await?;
        transport.shutdown().await?;
        let mut scratch = [0; 1024];
        let mut left = LINGER_BYTES_MAX;
        while left > 0 {
            match transport.read(&mut scratch).await? {
                0 => break,
                read => left = left.saturating_sub(read),
            }
        }
        std::io::Result::Ok(())
    };
    // A client that is gone or does not listen has had its chance.
    let _ = timeout(LINGER_TIMEOUT, talk).await;
}
