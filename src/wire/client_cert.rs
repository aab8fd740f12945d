//! A client's certificate, as it is told of to a backend (RFC 9440) and asked for by rules.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use super::x509::CertificateFacts;
use super::x509_name;

/// The field that tells of it (RFC 9440 §2.2).
pub const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");

/// A part of a client's certificate that has a name in templates and keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CertificatePart {
    /// The subject (RFC 4514).
    Subject,
    /// The DNS names (SAN), with commas between them.
    San,
    /// The serial number, in hexadecimal digits.
    Serial,
    /// The hash of its bytes, in hexadecimal digits.
    Sha256,
}

impl CertificatePart {
    /// Each with its name.
    pub const NAMES: [(&str, CertificatePart); 4] = [
        ("subject", CertificatePart::Subject),
        ("san", CertificatePart::San),
        ("serial", CertificatePart::Serial),
        ("sha256", CertificatePart::Sha256),
    ];

    /// The part of this name.
    pub fn named(name: &str) -> Option<CertificatePart> {
        CertificatePart::NAMES.iter().find(|(known, _)| *known == name).map(|(_, part)| *part)
    }
}

impl fmt::Display for CertificatePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = CertificatePart::NAMES.iter().find(|(_, part)| part == self);
        f.write_str(named.map_or("", |(name, _)| name))
    }
}

/// A certificate that a client has proved to have the key of.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Its DNS names, lower case.
    pub names: Vec<Box<str>>,
    /// The hash of its bytes.
    pub sha256: [u8; 32],
    /// The value of `Client-Cert`.
    pub field: HeaderValue,
}

impl ClientCertificate {
    /// Reads one; `None` where it cannot be read.
    pub fn read(der: &CertificateDer<'_>) -> Option<ClientCertificate> {
        let certificate = EndEntityCert::try_from(der).ok()?;
        let names = certificate.valid_dns_names().map(|name| name.to_ascii_lowercase().into());
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest(&SHA256, der).as_ref());
        let field = HeaderValue::try_from(format!(":{}:", STANDARD.encode(der))).ok()?;
        Some(ClientCertificate { names: names.collect(), sha256, field })
    }

    /// What one of its parts says; nothing where it says nothing. Only who asks pays for it.
    pub fn part(&self, part: CertificatePart) -> String {
        let der = || {
            STANDARD.decode(self.field.as_bytes().trim_ascii().get(1..)?.strip_suffix(b":")?).ok()
        };
        match part {
            CertificatePart::San => self.names.join(","),
            CertificatePart::Sha256 => x509_name::hex(&self.sha256),
            CertificatePart::Subject => der()
                .and_then(|der| x509_name::text(CertificateFacts::read(&der)?.subject))
                .unwrap_or_default(),
            CertificatePart::Serial => der()
                .and_then(|der| Some(x509_name::hex(CertificateFacts::read(&der)?.serial)))
                .unwrap_or_default(),
        }
    }

    /// Whether one of its names is this, or below this where it begins with `*.`: by one label.
    pub fn is_named(&self, wanted: &str) -> bool {
        self.names.iter().any(|name| match wanted.strip_prefix("*.") {
            Some(parent) => name.split_once('.').is_some_and(|(_, rest)| rest == parent),
            None => **name == *wanted,
        })
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").field("names", &self.names).finish_non_exhaustive()
    }
}
