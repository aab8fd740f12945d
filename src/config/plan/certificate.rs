//! Certificates and their keys, as they were read.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::sign::CertifiedKey;

use crate::wire::pem::RevocationList;
use crate::wire::x509::Validity;

/// A certificate chain and its key, read from PEM files and found to fit each other. Compared by
/// the files' names and contents, so that a plan made after a renewal is not equal to the one
/// before.
#[derive(Clone)]
pub struct Certificate {
    /// Chain, the leaf first.
    pub chain: PathBuf,
    /// Private key.
    pub key: PathBuf,
    /// A hash of both files' bytes.
    pub stamp: u64,
    /// The names the leaf is valid for, lower case, wildcards as `*.example.com`.
    pub names: Vec<Arc<str>>,
    /// When the leaf is valid.
    pub validity: Validity,
    /// What was read.
    pub loaded: Arc<CertifiedKey>,
}

/// A certificate for development, which the process makes itself before it takes the plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DevelopmentCertificate {
    /// Where it is kept, if it can be.
    pub directory: PathBuf,
    /// What it is for: lower-case names, wildcards as `*.example.com`, and addresses.
    pub names: Vec<Arc<str>>,
}

/// The certificates that clients show. Compared by the files' names and contents.
#[derive(Clone, Debug)]
pub struct ClientCertificates {
    /// The authorities' file, and the lists', with hashes of their bytes.
    pub files: Vec<(PathBuf, u64)>,
    /// The authorities.
    pub roots: Arc<RootCertStore>,
    /// Lists of the revoked ones, and their files.
    pub crls: Vec<(PathBuf, RevocationList)>,
    /// Whether a handshake without one is refused.
    pub required: bool,
}

impl PartialEq for ClientCertificates {
    fn eq(&self, other: &ClientCertificates) -> bool {
        (&self.files, self.required) == (&other.files, other.required)
    }
}

impl Eq for ClientCertificates {}

impl Certificate {
    /// Whether it is valid for a lower-case name; a wildcard stands for one label (RFC 9525 §6.3).
    pub fn covers(&self, name: &str) -> bool {
        self.names.iter().any(|own| covers(own, name))
    }
}

/// Whether a certificate's name, which may be a wildcard, is that of a lower-case host.
pub fn covers(own: &str, name: &str) -> bool {
    match own.strip_prefix("*.") {
        Some(of) => name.split_once('.').is_some_and(|(_, parent)| parent == of),
        None => own == name,
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Certificate) -> bool {
        (&self.chain, &self.key, self.stamp) == (&other.chain, &other.key, other.stamp)
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    /// Names only: a key never reaches a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, {:?})", self.chain.display(), self.names)
    }
}
