//! How worn a connection's keys are.
//!
//! A key of AES-GCM is good for 2^24 records; after them an attacker gains more than chance allows
//! (RFC 8446 §5.5). TLS 1.3 changes its keys by itself. TLS 1.2 cannot, and there rustls refuses to
//! write: its user has to end in order before that.

use rustls::SupportedCipherSuite;

/// The longest plaintext of a record (RFC 5246 §6.2.1).
const RECORD_PLAIN_BYTES_MAX: usize = 16 * 1024;

/// The share of a key's records that is kept for what is still said once the others are used up:
/// a long frame's rest, a Close, an alert.
const RESERVE: u64 = 16;

/// Counts the records that a connection has sealed.
#[derive(Debug, Default)]
pub(super) struct Wear {
    records: u32,
}

impl Wear {
    /// So many bytes were sealed at once.
    pub(super) fn on_sealed(&mut self, bytes: usize) {
        let records = u32::try_from(bytes.div_ceil(RECORD_PLAIN_BYTES_MAX)).unwrap_or(u32::MAX);
        self.records = self.records.saturating_add(records);
    }

    /// Whether the keys of this suite are nearly used up.
    pub(super) fn is_worn(&self, suite: Option<SupportedCipherSuite>) -> bool {
        match suite {
            Some(SupportedCipherSuite::Tls12(suite)) => {
                let most = suite.common.confidentiality_limit;
                u64::from(self.records) >= most - most / RESERVE
            }
            Some(SupportedCipherSuite::Tls13(_)) | None => false,
        }
    }
}
