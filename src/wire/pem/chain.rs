//! The order of a certificate chain: the leaf first, each other behind one that it issued.

use rustls::pki_types::CertificateDer;

use super::super::x509::CertificateFacts;
use super::pem_error::PemError;
use super::remark::Remark;

/// A certificate of a file.
pub(super) struct CertificateBlock {
    /// The line its block begins in.
    pub line: usize,
    /// The byte it begins at.
    pub at: usize,
    pub der: CertificateDer<'static>,
}

impl CertificateBlock {
    /// What it says of itself.
    pub(super) fn facts(&self) -> Result<CertificateFacts<'_>, PemError> {
        let bad = || PemError::BadCertificate(self.line, "it is not X.509".to_owned());
        CertificateFacts::read(&self.der).ok_or_else(bad)
    }
}

/// Puts certificates in the order that TLS sends them in (RFC 5246 §7.4.2, RFC 8446 §4.4.2), `leaf`
/// first. What issued none of the others stays at the end, as it was written.
pub(super) fn ordered(
    mut found: Vec<CertificateBlock>,
    leaf: usize,
    remarks: &mut Vec<Remark>,
) -> Vec<CertificateBlock> {
    let mut chain = vec![found.remove(leaf)];
    found.retain(|one| {
        let is_twice = one.der == chain[0].der;
        remarks.extend(is_twice.then_some(Remark::Twice { line: one.line }));
        !is_twice
    });
    while let Some(next) = found.iter().position(|one| issued_any(one, &chain)) {
        let next = found.remove(next);
        match chain.iter().any(|one| one.der == next.der) {
            true => remarks.push(Remark::Twice { line: next.line }),
            false => chain.push(next),
        }
    }
    if !chain.is_sorted_by_key(|one| one.at) {
        remarks.push(Remark::Reordered { lines: chain.iter().map(|one| one.line).collect() });
    }
    remarks.extend(found.iter().map(|one| Remark::Unrelated { line: one.line }));
    chain.extend(found);
    chain
}

/// Whether `one` has the name of an issuer in `chain`.
fn issued_any(one: &CertificateBlock, chain: &[CertificateBlock]) -> bool {
    let Ok(issuer) = one.facts() else { return false };
    let mut below = chain.iter().filter_map(|below| below.facts().ok());
    below.any(|below| below.issuer == issuer.subject)
}
