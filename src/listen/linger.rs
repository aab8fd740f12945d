//! Last words to a client that is not served: written, then the transport closed in a way that
//! lets them be read.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::tls::Transport;

/// How long a client may take to read its last words.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// How much of what it still sends is read.
pub const LINGER_BYTES_MAX: usize = 64 * 1024;

/// Says `words` and closes. What the client still sends is read and thrown away for a while: a
/// close with unread bytes is a reset, and a reset takes back what was written (RFC 1122
/// §4.2.2.13, RFC 9112 §9.6).
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
