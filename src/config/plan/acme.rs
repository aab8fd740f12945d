//! Certificates that tidegate orders itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::upstream::{Roots, Secret};

/// Who is asked for certificates, and how it is shown that names are ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acme {
    /// The account's contact.
    pub email: Option<Arc<str>>,
    /// The directory of account, certificates, challenges and locks.
    pub state: PathBuf,
    /// The authority's directory.
    pub directory: CaDirectory,
    /// The kind of certificates asked for.
    pub profile: Option<Arc<str>>,
    /// The account with the authority that ours is tied to.
    pub eab: Option<ExternalAccount>,
    /// What the authority's own certificate is verified with.
    pub roots: Roots,
    /// How records are set in DNS, where that is how it is shown.
    pub dns: Option<DnsHook>,
}

/// An authority's directory (RFC 8555 §7.1.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CaDirectory {
    /// Its URL.
    pub url: Arc<str>,
    /// The URL of one that takes the same orders for certificates that nobody trusts, and counts
    /// them apart: where an order that fails again is tried.
    pub staging: Option<Arc<str>>,
}

/// An account with the authority (RFC 8555 §7.3.4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExternalAccount {
    /// The key's name.
    pub id: Arc<str>,
    /// The key.
    pub key: Secret,
}

/// A program that sets records in DNS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DnsHook {
    /// The program and its first arguments; at least the program.
    pub command: Vec<Arc<str>>,
    /// From its end until the authority is asked to look.
    pub wait: Duration,
    /// For one call.
    pub timeout: Duration,
}
