//! Certificates that come and are renewed while listeners are at work, and the one that is shown
//! until the first has come.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;

use crate::config::plan::Certificate;

use super::error::TlsError;

type IssuedByName = HashMap<Arc<str>, Certificate>;

/// The certificates that were ordered and have come, by the name that each was ordered for. A
/// handshake looks at those of its moment, so that a renewal builds no acceptor.
#[derive(Debug, Default)]
pub struct IssuedCertificates(ArcSwap<IssuedByName>);

impl IssuedCertificates {
    /// The certificate ordered for this name.
    pub fn get(&self, name: &str) -> Option<Certificate> {
        self.0.load_full().get(name).cloned()
    }

    /// What is shown for this name.
    pub(super) fn key(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.0.load_full().get(name).map(|found| Arc::clone(&found.loaded))
    }

    /// Shows this one from the next handshake on.
    pub fn set(&self, name: &Arc<str>, certificate: Certificate) {
        self.change(|all| drop(all.insert(Arc::clone(name), certificate.clone())));
    }

    /// Forgets those of names that are not ordered for any more.
    pub fn retain(&self, is_wanted: impl Fn(&str) -> bool) {
        if self.0.load_full().keys().any(|name| !is_wanted(name)) {
            self.change(|all| all.retain(|name, _| is_wanted(name)));
        }
    }

    fn change(&self, change: impl Fn(&mut IssuedByName)) {
        self.0.rcu(|all| {
            let mut next = IssuedByName::clone(all);
            change(&mut next);
            next
        });
    }
}

/// A certificate that nobody trusts, for names whose own has not come yet.
pub(super) fn stand_in(names: &[Arc<str>]) -> Result<Arc<CertifiedKey>, TlsError> {
    self_signed(names.iter().map(ToString::to_string).collect(), Vec::new())
}

/// Bytes of a SHA-256.
const DIGEST_BYTES: usize = 32;

/// The certificate by which an authority is answered that asks whether `name` is ours: `digest` is
/// the key authorization's SHA-256 (RFC 8737 §3), as another instance may have written it down, or
/// a part of it.
pub(super) fn answering(name: &str, digest: &[u8]) -> Result<Arc<CertifiedKey>, TlsError> {
    if digest.len() != DIGEST_BYTES {
        let has = digest.len();
        let said = format!("the answer for `{name}` has {has} bytes, and must have {DIGEST_BYTES}");
        return Err(TlsError::NotMade(said));
    }
    let extension = CustomExtension::new_acme_identifier(digest);
    self_signed(vec![name.to_owned()], vec![extension])
}

fn self_signed(
    names: Vec<String>,
    extensions: Vec<CustomExtension>,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let made = || {
        let mut params = CertificateParams::new(names)?;
        params.custom_extensions = extensions;
        params.distinguished_name.push(DnType::CommonName, "tidegate stand-in certificate");
        let key = KeyPair::generate()?;
        Ok((params.self_signed(&key)?, key))
    };
    let (certificate, key) =
        made().map_err(|error: rcgen::Error| TlsError::NotMade(error.to_string()))?;
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let key = super::provider().key_provider.load_private_key(key)?;
    Ok(Arc::new(CertifiedKey::new(vec![certificate.into()], key)))
}
