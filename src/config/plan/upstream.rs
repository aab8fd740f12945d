//! What pools say of their backends: cookies that lead to them, and TLS towards them.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::tables::words::SameSite;
use crate::wire::pem::TrustedCertificates;

/// Fields in a backend's answer, a handshake's or another.
pub const ANSWER_HEADERS_MAX: usize = 128;

/// Bytes of the head of a backend's answer; also what is read ahead of it, or of its body's reader.
pub const ANSWER_HEAD_BYTES_MAX: usize = 64 * 1024;

/// A cookie that brings a client back to its backend.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sticky {
    /// The cookie's name.
    pub cookie: Arc<str>,
    /// Whether it is sent with requests from other sites.
    pub same_site: SameSite,
    /// At least one: the first signs, all verify.
    pub secrets: Vec<Secret>,
}

/// Bytes that are not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// Fewest bytes of a secret: as many as the hash has (RFC 2104 §3).
    pub const BYTES_MIN: usize = 32;

    /// A secret of these bytes.
    pub fn new(bytes: &[u8]) -> Secret {
        Secret(bytes.into())
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What a backend's certificate is verified with.
#[derive(Clone, Debug)]
pub enum Roots {
    /// The system's authorities.
    System,
    /// The certificates in this PEM file: authorities, or backends' own.
    File {
        /// The PEM file.
        path: PathBuf,
        /// A hash of its bytes.
        stamp: u64,
        /// What was read.
        loaded: Arc<TrustedCertificates>,
    },
}

impl PartialEq for Roots {
    fn eq(&self, other: &Roots) -> bool {
        match (self, other) {
            (Roots::System, Roots::System) => true,
            (
                Roots::File { path, stamp, .. },
                Roots::File { path: other_path, stamp: other_stamp, .. },
            ) => (path, stamp) == (other_path, other_stamp),
            _ => false,
        }
    }
}

impl Eq for Roots {}

/// TLS towards backends; always verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpstreamTls {
    /// The name asked for by SNI and verified; the backend's host when `None`.
    pub server_name: Option<Arc<str>>,
    /// Whom to trust.
    pub roots: Roots,
}
