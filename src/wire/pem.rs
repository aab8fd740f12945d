//! PEM files (RFC 7468) of certificates and keys: read, and found to fit each other.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::{Error as SectionError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore};

/// A certificate chain and its key.
#[derive(Debug)]
pub struct Pem {
    /// The chain, the leaf first, and the key that fits the leaf.
    pub key: CertifiedKey,
    /// The DNS names the leaf is valid for, lower case, wildcards as `*.example.com`. Addresses
    /// are left out: no client asks for one by SNI (RFC 6066 §3).
    pub names: Vec<Arc<str>>,
}

/// Which of the given texts an error is about; the caller knows the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The certificates.
    Certificates,
    /// The private key.
    Key,
}

/// What is wrong with a PEM file. The text begins with what the file does, without its name, which
/// the caller puts in front.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PemError {
    /// There is no `-----BEGIN …-----` in it.
    NotPem(Part),
    /// A block does not end, or is not base64.
    Broken(Part, String),
    /// Blocks, but no certificate among them.
    NoCertificate,
    /// A certificate that is not X.509 version 3, or is cut.
    BadCertificate(String),
    /// Blocks, but no private key among them.
    NoKey,
    /// The key is under a passphrase, and a server cannot ask for it.
    EncryptedKey,
    /// Not an RSA, ECDSA or Ed25519 key in PKCS#8, PKCS#1 or SEC1.
    UnsupportedKey,
    /// The key is not the one the leaf certificate was made for.
    Mismatch,
}

impl PemError {
    /// Which text is to blame; for a mismatch the key.
    pub const fn part(&self) -> Part {
        match self {
            PemError::NotPem(part) | PemError::Broken(part, _) => *part,
            PemError::NoCertificate | PemError::BadCertificate(_) => Part::Certificates,
            _ => Part::Key,
        }
    }
}

impl fmt::Display for PemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PemError::NotPem(_) => f.write_str("is not PEM: no line begins with `-----BEGIN`"),
            PemError::Broken(_, what) => write!(f, "is broken PEM: {what}"),
            PemError::NoCertificate => f.write_str("holds no certificate"),
            PemError::BadCertificate(what) => {
                write!(f, "holds a certificate that cannot be read: {what}")
            }
            PemError::NoKey => f.write_str("holds no private key"),
            PemError::EncryptedKey => f.write_str(
                "holds a key under a passphrase; take it off with `openssl pkey -in … -out …`",
            ),
            PemError::UnsupportedKey => {
                f.write_str("holds a key of another kind than RSA, ECDSA (P-256 to 521) or Ed25519")
            }
            PemError::Mismatch => f.write_str("holds a key that does not fit the certificate"),
        }
    }
}

impl std::error::Error for PemError {}

/// Reads a chain and its key. Both may stand in one file, given twice; other blocks are skipped.
///
/// # Errors
/// The first thing found wrong; see [`PemError`].
pub fn certified(chain_pem: &[u8], key_pem: &[u8]) -> Result<Pem, PemError> {
    let chain = certificates(chain_pem)?;
    let key = private_key(key_pem)?;
    let names = names(&chain[0])?;
    let key =
        CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => PemError::Mismatch,
            rustls::Error::InvalidCertificate(what) => PemError::BadCertificate(what.to_string()),
            _ => PemError::UnsupportedKey,
        })?;
    Ok(Pem { key, names })
}

/// What was probably confused where [`certified`] refused these texts.
pub fn confused(chain_pem: &[u8], key_pem: &[u8], error: &PemError) -> Option<String> {
    let holds_key = |pem| contains(pem, "PRIVATE KEY-----");
    match error {
        PemError::NoCertificate if holds_key(chain_pem) && certificates(key_pem).is_ok() => {
            Some("it holds a key, and the key's file a certificate: are they swapped?".to_owned())
        }
        PemError::NoCertificate if holds_key(chain_pem) => Some("it holds a key".to_owned()),
        PemError::NoKey if certificates(key_pem).is_ok() => {
            Some("it holds a certificate".to_owned())
        }
        PemError::Mismatch => {
            let chain = certificates(chain_pem).ok()?;
            let fits = |certificate: &CertificateDer<'static>| {
                let key = private_key(key_pem).ok();
                let provider = default_provider();
                let alone = vec![certificate.clone()];
                key.is_some_and(|key| CertifiedKey::from_der(alone, key, &provider).is_ok())
            };
            let at = chain.iter().position(fits)?;
            let number = at + 1;
            Some(format!("the key fits certificate {number} of the chain: put that one first"))
        }
        _ => None,
    }
}

/// Reads certificate authorities to trust: every certificate in the file, at least one.
///
/// # Errors
/// The first thing found wrong; see [`PemError`].
pub fn roots(pem: &[u8]) -> Result<RootCertStore, PemError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(pem)? {
        store.add(certificate).map_err(|error| PemError::BadCertificate(error.to_string()))?;
    }
    Ok(store)
}

/// Never empty.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    match found.map_err(|error| broken(Part::Certificates, &error))? {
        none if none.is_empty() && !is_pem(pem) => Err(PemError::NotPem(Part::Certificates)),
        none if none.is_empty() => Err(PemError::NoCertificate),
        found => Ok(found),
    }
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, PemError> {
    // PKCS#8's own block, and the header lines that older tools put into a block.
    if contains(pem, "-----BEGIN ENCRYPTED PRIVATE KEY") || contains(pem, "Proc-Type: 4,ENCRYPTED")
    {
        return Err(PemError::EncryptedKey);
    }
    match PrivateKeyDer::pem_slice_iter(pem).next() {
        Some(found) => found.map_err(|error| broken(Part::Key, &error)),
        None if is_pem(pem) => Err(PemError::NoKey),
        None => Err(PemError::NotPem(Part::Key)),
    }
}

fn names(leaf: &CertificateDer<'_>) -> Result<Vec<Arc<str>>, PemError> {
    let leaf = webpki::EndEntityCert::try_from(leaf)
        .map_err(|error| PemError::BadCertificate(error.to_string()))?;
    Ok(leaf.valid_dns_names().map(|name| Arc::from(name.to_ascii_lowercase())).collect())
}

fn broken(part: Part, error: &SectionError) -> PemError {
    let text = |line: &[u8]| String::from_utf8_lossy(line).into_owned();
    PemError::Broken(
        part,
        match error {
            SectionError::MissingSectionEnd { end_marker } => {
                format!("a block does not end: {}", text(end_marker))
            }
            SectionError::IllegalSectionStart { line } => {
                format!("a block begins with: {}", text(line))
            }
            SectionError::Base64Decode(_) => "a block is not base64".to_owned(),
            other => other.to_string(),
        },
    )
}

fn is_pem(bytes: &[u8]) -> bool {
    contains(bytes, "-----BEGIN ")
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[cfg(test)]
mod tests;
