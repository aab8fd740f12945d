//! Lists of revoked certificates in PEM (CRL, RFC 5280 §5).

use std::fmt;

use rustls::pki_types::CertificateRevocationListDer;
use webpki::{BorrowedCertRevocationList, CertRevocationList};

use super::blocks::{Block, BrokenBlock, blocks, labels};
use crate::wire::x509::{RevocationListFacts, Validity};

/// What such a block says it is.
const LABEL: &str = "X509 CRL";

/// How a list begins in DER: with a sequence.
const DER_SEQUENCE: u8 = 0x30;

/// A list that can be used.
#[derive(Clone, Debug)]
pub struct RevocationList {
    /// The line it begins in, from 1.
    pub line: usize,
    /// The list.
    pub der: CertificateRevocationListDer<'static>,
    /// The name of the authority whose list it is, in DER without its head.
    pub issuer: Box<[u8]>,
    /// From when until when it counts: `thisUpdate` and `nextUpdate`.
    pub validity: Validity,
    /// The extension that says which of the authority's certificates it is for; without one it is
    /// for all of them (`issuingDistributionPoint`, RFC 5280 §5.2.5).
    scope: Option<Box<[u8]>>,
}

impl RevocationList {
    /// Whether one of two lists would not be looked at: for each certificate only the first counts
    /// that is for it.
    pub fn hides(&self, other: &RevocationList) -> bool {
        let is_for_all = self.scope.is_none() || other.scope.is_none();
        self.issuer == other.issuer && (is_for_all || self.scope == other.scope)
    }
}

/// Why a file of lists cannot be used; the text begins with what the file does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RevocationListError {
    /// Nothing is in it.
    Empty,
    /// A list, or something like it, in DER.
    Der,
    /// A block that does not end, or is not base64.
    Broken(BrokenBlock),
    /// No list; what its blocks say they are.
    NoList(Vec<String>),
    /// In this line, a list that is of no use; why.
    Unusable(usize, String),
}

impl RevocationListError {
    /// What can be done about it.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            RevocationListError::Der => {
                Some("`openssl crl -inform der -in … -out …` makes PEM of it")
            }
            _ => None,
        }
    }
}

impl fmt::Display for RevocationListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RevocationListError::Empty => f.write_str("is empty"),
            RevocationListError::Der => f.write_str("is in DER, not in PEM"),
            RevocationListError::Broken(what) => write!(f, "is broken PEM: {what}"),
            RevocationListError::NoList(found) if found.is_empty() => {
                write!(f, "is not PEM: it has no `-----BEGIN {LABEL}-----`")
            }
            RevocationListError::NoList(found) => {
                let found = found.join("`, `");
                write!(f, "holds no list of revoked certificates, only `{found}`")
            }
            RevocationListError::Unusable(line, what) => {
                write!(f, "holds a list of revoked certificates that {what} (line {line})")
            }
        }
    }
}

/// Reads lists of revoked certificates, at least one.
///
/// # Errors
/// What is wrong with the file.
pub fn revocation_lists(pem: &[u8]) -> Result<Vec<RevocationList>, RevocationListError> {
    let found = blocks(pem).map_err(RevocationListError::Broken)?;
    let is_list = |block: &&Block<'_>| block.label == LABEL;
    let lists: Vec<RevocationList> =
        found.iter().filter(is_list).map(list).collect::<Result<_, _>>()?;
    match (lists.is_empty(), pem) {
        (false, _) => Ok(lists),
        (true, []) => Err(RevocationListError::Empty),
        (true, [DER_SEQUENCE, ..]) => Err(RevocationListError::Der),
        (true, _) => Err(RevocationListError::NoList(labels(&found))),
    }
}

fn list(block: &Block<'_>) -> Result<RevocationList, RevocationListError> {
    let unusable = |what: String| RevocationListError::Unusable(block.line, what);
    let der: CertificateRevocationListDer<'static> =
        block.decode(LABEL).map_err(RevocationListError::Broken)?;
    let facts = RevocationListFacts::read(&der).ok_or_else(|| {
        unusable("cannot be read, or does not say when there will be another".to_owned())
    })?;
    let (issuer, validity) = (facts.issuer.into(), facts.validity);
    let unusable_as = |error: webpki::Error| unusable(why(&error));
    let parsed = BorrowedCertRevocationList::from_der(&der).map_err(unusable_as)?;
    // Each entry is read: one that cannot be would show when the list is taken into use.
    (&parsed).into_iter().try_for_each(|entry| entry.map(drop)).map_err(unusable_as)?;
    let scope = CertRevocationList::from(parsed).issuing_distribution_point().map(Box::from);
    Ok(RevocationList { line: block.line, issuer, validity, scope, der })
}

/// Why a list is of no use, as the end of a sentence.
fn why(error: &webpki::Error) -> String {
    match error {
        webpki::Error::UnsupportedDeltaCrl => "has changes only (a delta CRL): name the whole one",
        webpki::Error::UnsupportedIndirectCrl => "is for other authorities, too (an indirect CRL)",
        webpki::Error::UnsupportedCrlVersion => "is not of version 2",
        webpki::Error::UnsupportedCriticalExtension => {
            "has a critical extension that is not known here"
        }
        webpki::Error::UnsupportedRevocationReason => "has a reason that is not known here",
        error => return format!("cannot be read: {error}"),
    }
    .to_owned()
}
