//! PEM files (RFC 7468) of certificates and keys: read, and found to fit each other.

mod blocks;
mod chain;
mod pem_error;
mod public_key;
mod remark;
mod revocation;

use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{InconsistentKeys, RootCertStore};

use super::x509::Validity;
use blocks::{Block, blocks, labels};
use chain::{CertificateBlock, ordered};

pub use blocks::BrokenBlock;
pub use pem_error::{Part, PemError};
pub use public_key::public_keys;
pub use remark::Remark;
pub use revocation::{RevocationList, RevocationListError, revocation_lists};

/// A certificate chain and its key.
#[derive(Debug)]
pub struct Pem {
    /// The chain, the leaf first, and the key that fits the leaf.
    pub key: CertifiedKey,
    /// The DNS names the leaf is valid for, lower case, wildcards as `*.example.com`. Addresses
    /// are left out: no client asks for one by SNI (RFC 6066 §3).
    pub names: Vec<Arc<str>>,
    /// When the leaf is valid.
    pub validity: Validity,
    /// What is odd about the files, though they can be used.
    pub remarks: Vec<Remark>,
}

/// Certificates that somebody else is verified with.
#[derive(Debug)]
pub struct TrustedCertificates {
    /// Authorities, for certificates that they issued.
    pub roots: Arc<RootCertStore>,
    /// The same certificates, for who shows one of them itself.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// Reads a chain and its key. Both may stand in one file, given twice; other blocks are skipped.
/// The leaf is the certificate that the key fits, and the others are put behind it in order.
///
/// # Errors
/// The first thing found wrong; see [`PemError`].
pub fn certified(chain_pem: &[u8], key_pem: &[u8]) -> Result<Pem, PemError> {
    let broken = |part| move |what| PemError::Broken(part, what);
    let in_chain = blocks(chain_pem).map_err(broken(Part::Certificates))?;
    let certificates = certificates(chain_pem, &in_chain)?;
    let in_key = blocks(key_pem).map_err(broken(Part::Key))?;
    let key = private_key(key_pem, &in_key)?;
    let leaf = leaf(&certificates, &key)?;
    let mut remarks = Vec::new();
    if chain_pem != key_pem {
        let key = in_chain.iter().find(|block| block.is_key());
        remarks.extend(key.map(|key| Remark::KeyInChain { line: key.line }));
        let certificate = in_key.iter().find(|block| block.is_certificate());
        remarks.extend(certificate.map(|found| Remark::ChainInKey { line: found.line }));
    }
    let chain = ordered(certificates, leaf, &mut remarks);
    let names = names(&chain[0])?;
    let validity = chain[0].facts()?.validity;
    let chain = chain.into_iter().map(|found| found.der).collect();
    Ok(Pem { key: CertifiedKey::new(chain, key), names, validity, remarks })
}

/// Whether these texts were swapped, where [`certified`] refused them.
pub fn are_swapped(chain_pem: &[u8], key_pem: &[u8]) -> bool {
    let (Ok(in_chain), Ok(in_key)) = (blocks(chain_pem), blocks(key_pem)) else { return false };
    let keys_only = |blocks: &[Block<'_>]| {
        blocks.iter().any(Block::is_key) && !blocks.iter().any(Block::is_certificate)
    };
    let has_certificate = in_key.iter().any(Block::is_certificate);
    keys_only(&in_chain) && has_certificate && !in_key.iter().any(Block::is_key)
}

/// Reads certificates to trust: every one in the file, at least one.
///
/// # Errors
/// The first thing found wrong; see [`PemError`].
pub fn trusted(pem: &[u8]) -> Result<(TrustedCertificates, Vec<Remark>), PemError> {
    let blocks = blocks(pem).map_err(|what| PemError::Broken(Part::Certificates, what))?;
    let found = certificates(pem, &blocks)?;
    let key = blocks.iter().find(|block| block.is_key());
    let mut remarks: Vec<Remark> =
        key.into_iter().map(|key| Remark::KeyInChain { line: key.line }).collect();
    let mut roots = RootCertStore::empty();
    for one in &found {
        if !one.facts()?.is_authority {
            remarks.push(Remark::Pinned { line: one.line });
        }
        roots
            .add(one.der.clone())
            .map_err(|error| PemError::BadCertificate(one.line, error.to_string()))?;
    }
    let certificates = found.into_iter().map(|one| one.der).collect();
    Ok((TrustedCertificates { roots: Arc::new(roots), certificates }, remarks))
}

/// Never empty.
fn certificates(pem: &[u8], blocks: &[Block<'_>]) -> Result<Vec<CertificateBlock>, PemError> {
    let mut found = Vec::new();
    for block in blocks.iter().filter(|block| block.is_certificate()) {
        let der = block.decode("CERTIFICATE");
        let der = der.map_err(|what| PemError::Broken(Part::Certificates, what))?;
        let one = CertificateBlock { line: block.line, at: block.at, der };
        one.facts()?;
        found.push(one);
    }
    match (found.is_empty(), blocks.is_empty()) {
        (true, true) => Err(PemError::not_pem(Part::Certificates, pem)),
        (true, false) => Err(PemError::NoCertificate(labels(blocks))),
        (false, _) => Ok(found),
    }
}

/// The first private key.
fn private_key(pem: &[u8], blocks: &[Block<'_>]) -> Result<Arc<dyn SigningKey>, PemError> {
    let Some(block) = blocks.iter().find(|block| block.is_key()) else {
        return Err(match blocks.is_empty() {
            true => PemError::not_pem(Part::Key, pem),
            false => PemError::NoKey(labels(blocks)),
        });
    };
    if block.is_encrypted() {
        return Err(PemError::EncryptedKey(block.line));
    }
    let key = match &*block.label {
        "PRIVATE KEY" => block.decode("PRIVATE KEY").map(PrivateKeyDer::Pkcs8),
        "RSA PRIVATE KEY" => block.decode("RSA PRIVATE KEY").map(PrivateKeyDer::Pkcs1),
        "EC PRIVATE KEY" => block.decode("EC PRIVATE KEY").map(PrivateKeyDer::Sec1),
        _ => return Err(PemError::UnsupportedKey(block.line)),
    };
    let key = key.map_err(|what| PemError::Broken(Part::Key, what))?;
    let signing = default_provider().key_provider.load_private_key(key);
    signing.map_err(|_| PemError::UnsupportedKey(block.line))
}

/// Which certificate the key fits.
fn leaf(certificates: &[CertificateBlock], key: &Arc<dyn SigningKey>) -> Result<usize, PemError> {
    let mut refused = None;
    for (at, one) in certificates.iter().enumerate() {
        match CertifiedKey::new(vec![one.der.clone()], Arc::clone(key)).keys_match() {
            // Where a key does not tell its public half, the first certificate is the leaf.
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
                return Ok(at);
            }
            Err(rustls::Error::InvalidCertificate(what)) => {
                refused.get_or_insert((one.line, what.to_string()));
            }
            Err(_) => {}
        }
    }
    Err(refused.map_or(PemError::Mismatch, |(line, what)| PemError::BadCertificate(line, what)))
}

fn names(leaf: &CertificateBlock) -> Result<Vec<Arc<str>>, PemError> {
    let read = webpki::EndEntityCert::try_from(&leaf.der)
        .map_err(|error| PemError::BadCertificate(leaf.line, error.to_string()))?;
    Ok(read.valid_dns_names().map(|name| Arc::from(name.to_ascii_lowercase())).collect())
}

#[cfg(test)]
mod tests;
