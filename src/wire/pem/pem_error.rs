//! Why a PEM file cannot be used.

use std::fmt;

use super::blocks::BrokenBlock;

/// Which of the given texts an error is about; the caller knows the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The certificates.
    Certificates,
    /// The private key.
    Key,
}

/// What a file is that has no `-----BEGIN …-----` in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotPem {
    /// Nothing at all.
    Empty,
    /// Text in UTF-16, as some editors and shells write it.
    Utf16,
    /// A certificate in DER.
    CertificateDer,
    /// A private key in DER.
    KeyDer,
    /// PKCS#12, a container under a passphrase.
    Pkcs12,
    /// Something else.
    Other,
}

impl NotPem {
    fn of(bytes: &[u8]) -> NotPem {
        // DER: a sequence with a length in two bytes, and what it begins with.
        let inside = bytes.strip_prefix(&[0x30, 0x82]).and_then(|bytes| bytes.get(2..));
        match (bytes, inside) {
            ([], _) => NotPem::Empty,
            ([0xff, 0xfe, ..] | [0xfe, 0xff, ..], _) => NotPem::Utf16,
            (_, Some([0x30, ..])) => NotPem::CertificateDer,
            (_, Some([0x02, 0x01, 0x03, ..])) => NotPem::Pkcs12,
            (_, Some([0x02, 0x01, ..])) => NotPem::KeyDer,
            _ => NotPem::Other,
        }
    }
}

/// What is wrong with a PEM file. The text begins with what the file does, without its name, which
/// the caller puts in front; lines count from 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PemError {
    /// There is no `-----BEGIN …-----` in it.
    NotPem(Part, NotPem),
    /// A block that does not end, or is not base64.
    Broken(Part, BrokenBlock),
    /// Blocks, but no certificate among them; what they say they are.
    NoCertificate(Vec<String>),
    /// In this line, a certificate that is not X.509 version 3, or is cut.
    BadCertificate(usize, String),
    /// Blocks, but no private key among them; what they say they are.
    NoKey(Vec<String>),
    /// The key in this line is under a passphrase, and a server cannot ask for it.
    EncryptedKey(usize),
    /// The key in this line is not RSA, ECDSA or Ed25519 in PKCS#8, PKCS#1 or SEC1.
    UnsupportedKey(usize),
    /// The key is none that a certificate was made for.
    Mismatch,
}

impl PemError {
    /// What to say of a file without a block.
    pub(super) fn not_pem(part: Part, bytes: &[u8]) -> PemError {
        PemError::NotPem(part, NotPem::of(bytes))
    }

    /// Which text is to blame; for a mismatch the key.
    pub const fn part(&self) -> Part {
        match self {
            PemError::NotPem(part, _) | PemError::Broken(part, _) => *part,
            PemError::NoCertificate(_) | PemError::BadCertificate(..) => Part::Certificates,
            _ => Part::Key,
        }
    }

    /// What can be done about it.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            PemError::NotPem(_, what) => match what {
                NotPem::Utf16 => Some("save it as UTF-8"),
                NotPem::CertificateDer => {
                    Some("`openssl x509 -inform der -in … -out …` makes PEM of it")
                }
                NotPem::KeyDer => Some("`openssl pkey -inform der -in … -out …` makes PEM of it"),
                NotPem::Pkcs12 => Some("`openssl pkcs12 -nodes -in … -out …` makes PEM of it"),
                NotPem::Empty | NotPem::Other => None,
            },
            PemError::EncryptedKey(_) => {
                Some("take the passphrase off with `openssl pkey -in … -out …`")
            }
            PemError::Mismatch => {
                Some("the key and the certificate come from one request; look for its other half")
            }
            _ => None,
        }
    }
}

impl fmt::Display for PemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PemError::NotPem(_, what) => match what {
                NotPem::Empty => f.write_str("is empty"),
                NotPem::Utf16 => f.write_str("is text in UTF-16"),
                NotPem::CertificateDer => f.write_str("is a certificate in DER, not in PEM"),
                NotPem::KeyDer => f.write_str("is a private key in DER, not in PEM"),
                NotPem::Pkcs12 => f.write_str("is PKCS#12, not PEM"),
                NotPem::Other => f.write_str("is not PEM: it has no `-----BEGIN …-----`"),
            },
            PemError::Broken(_, what) => write!(f, "is broken PEM: {what}"),
            PemError::NoCertificate(found) => {
                write!(f, "holds no certificate, only `{}`", found.join("`, `"))
            }
            PemError::BadCertificate(line, what) => {
                write!(f, "holds a certificate that cannot be used (line {line}): {what}")
            }
            PemError::NoKey(found) => {
                write!(f, "holds no private key, only `{}`", found.join("`, `"))
            }
            PemError::EncryptedKey(line) => {
                write!(f, "holds a key under a passphrase (line {line})")
            }
            PemError::UnsupportedKey(line) => write!(
                f,
                "holds a key of another kind than RSA, ECDSA (P-256 to 521) or Ed25519 \
                 (line {line})"
            ),
            PemError::Mismatch => f.write_str("holds a key that does not fit the certificate"),
        }
    }
}

impl std::error::Error for PemError {}
