//! What a certificate (RFC 5280 §4.1) says of itself that rustls does not tell: who issued it, from
//! when until when it is valid, and whether it may issue others; when a list of revoked ones is
//! valid; and the parts of a public key.
//! Nothing is verified here.

/// Tags of DER (X.690 §8.1.2) as they stand in a certificate.
const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// `[0]` of a `TBSCertificate`: its version.
const VERSION: u8 = 0xa0;
/// `[3]` of a `TBSCertificate`: its extensions.
const EXTENSIONS: u8 = 0xa3;

/// The extension `basicConstraints`, 2.5.29.19 (RFC 5280 §4.2.1.9).
const BASIC_CONSTRAINTS: [u8; 3] = [0x55, 0x1d, 0x13];

/// The extension `authorityKeyIdentifier`, 2.5.29.35 (RFC 5280 §4.2.1.1), and its key's tag.
const AUTHORITY_KEY_IDENTIFIER: [u8; 3] = [0x55, 0x1d, 0x23];
const KEY_IDENTIFIER: u8 = 0x80;

/// What a certificate says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateFacts<'a> {
    /// Its number, of its issuer's choice.
    pub serial: &'a [u8],
    /// The issuer's name in DER, without its head.
    pub issuer: &'a [u8],
    /// The subject's name in DER, without its head.
    pub subject: &'a [u8],
    /// The first and the last second it is valid, since the Unix epoch.
    pub validity: Validity,
    /// Whether it may issue others: `basicConstraints` says so, or it is of a version before that.
    pub is_authority: bool,
}

/// When a certificate, or a list of revoked ones, is valid, in seconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    /// The first second.
    pub not_before: i64,
    /// The last second.
    pub not_after: i64,
}

impl<'a> CertificateFacts<'a> {
    /// Reads a certificate's DER; `None` when it is not one.
    pub fn read(der: &'a [u8]) -> Option<CertificateFacts<'a>> {
        let mut whole = Der(der);
        let mut tbs = Der(Der(whole.take(SEQUENCE)?).take(SEQUENCE)?);
        if !whole.0.is_empty() {
            return None;
        }
        let is_first_version = tbs.take(VERSION).is_none();
        let serial = tbs.take(INTEGER)?;
        tbs.take(SEQUENCE)?;
        let issuer = tbs.take(SEQUENCE)?;
        let mut times = Der(tbs.take(SEQUENCE)?);
        let validity = Validity { not_before: times.time()?, not_after: times.time()? };
        let subject = tbs.take(SEQUENCE)?;
        let is_authority = is_first_version || may_issue(tbs).unwrap_or(false);
        Some(CertificateFacts { serial, issuer, subject, validity, is_authority })
    }
}

/// What a list of revoked certificates (RFC 5280 §5.1) says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RevocationListFacts<'a> {
    /// The issuer's name in DER, without its head.
    pub issuer: &'a [u8],
    /// `thisUpdate` and `nextUpdate`.
    pub validity: Validity,
}

impl<'a> RevocationListFacts<'a> {
    /// Reads a list's DER; `None` when it is not one, or does not say when there will be another.
    pub fn read(der: &'a [u8]) -> Option<RevocationListFacts<'a>> {
        let mut tbs = Der(Der(Der(der).take(SEQUENCE)?).take(SEQUENCE)?);
        let _ = tbs.take(INTEGER);
        tbs.take(SEQUENCE)?;
        let issuer = tbs.take(SEQUENCE)?;
        let validity = Validity { not_before: tbs.time()?, not_after: tbs.time()? };
        Some(RevocationListFacts { issuer, validity })
    }
}

/// What tells a certificate from all others of its authority.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CertificateSerial<'a> {
    /// How the authority calls its key (RFC 5280 §4.2.1.1).
    pub authority_key: &'a [u8],
    /// The serial number, as DER writes it, without its head.
    pub serial: &'a [u8],
}

impl<'a> CertificateSerial<'a> {
    /// Reads a certificate's DER; `None` when it is not one, or does not name its authority's key.
    pub fn read(der: &'a [u8]) -> Option<CertificateSerial<'a>> {
        let mut tbs = Der(Der(Der(der).take(SEQUENCE)?).take(SEQUENCE)?);
        let _ = tbs.take(VERSION);
        let serial = tbs.take(INTEGER)?;
        let value = extension(tbs, &AUTHORITY_KEY_IDENTIFIER)?;
        let authority_key = Der(Der(value).take(SEQUENCE)?).take(KEY_IDENTIFIER)?;
        Some(CertificateSerial { authority_key, serial })
    }
}

/// Object identifiers of public keys: `rsaEncryption` (RFC 8017 §A.1), `id-ecPublicKey` (RFC 5480
/// §2.1.1) with its two curves, and `id-Ed25519` (RFC 8410 §3).
const RSA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: [u8; 5] = [0x2b, 0x81, 0x04, 0x00, 0x22];
const ED25519: [u8; 3] = [0x2b, 0x65, 0x70];

/// What a public key is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PublicKeyKind {
    /// RSA.
    Rsa,
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// Ed25519.
    Ed25519,
}

/// A `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7) in its parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SubjectPublicKey<'a> {
    /// Its kind.
    pub kind: PublicKeyKind,
    /// The key, as its kind writes it.
    pub key: &'a [u8],
}

impl<'a> SubjectPublicKey<'a> {
    /// Reads one; `None` when it is none, or of another kind.
    pub fn read(der: &'a [u8]) -> Option<SubjectPublicKey<'a>> {
        let mut parts = Der(Der(der).take(SEQUENCE)?);
        let mut algorithm = Der(parts.take(SEQUENCE)?);
        let id = algorithm.take(OBJECT_IDENTIFIER)?;
        let kind = if id == RSA {
            PublicKeyKind::Rsa
        } else if id == ED25519 {
            PublicKeyKind::Ed25519
        } else if id == EC {
            match algorithm.take(OBJECT_IDENTIFIER)? {
                curve if curve == P256 => PublicKeyKind::P256,
                curve if curve == P384 => PublicKeyKind::P384,
                _ => return None,
            }
        } else {
            return None;
        };
        // The first byte counts the bits that are missing in the last.
        let key = parts.take(BIT_STRING)?.strip_prefix(&[0])?;
        Some(SubjectPublicKey { kind, key })
    }
}

/// Modulus and exponent of a key of RSA (RFC 8017 §A.1.1), as DER writes numbers.
pub fn rsa_public_key(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = Der(Der(der).take(SEQUENCE)?);
    Some((parts.take(INTEGER)?, parts.take(INTEGER)?))
}

/// Looks for `basicConstraints` in what follows the subject.
fn may_issue(tbs: Der<'_>) -> Option<bool> {
    let constraints = Der(extension(tbs, &BASIC_CONSTRAINTS)?).take(SEQUENCE)?;
    Some(Der(constraints).take(BOOLEAN).is_some_and(|value| value != [0]))
}

/// The value of the extension with this identifier, in what is left of a `TBSCertificate`.
fn extension<'a>(mut tbs: Der<'a>, wanted: &[u8]) -> Option<&'a [u8]> {
    let extensions = loop {
        match tbs.next()? {
            (EXTENSIONS, extensions) => break extensions,
            _ => continue,
        }
    };
    let mut list = Der(Der(extensions).take(SEQUENCE)?);
    while let Some(extension) = list.take(SEQUENCE) {
        let mut extension = Der(extension);
        let (_, id) = extension.next()?;
        if id == wanted {
            // Whether it is critical does not matter here.
            let _ = extension.take(BOOLEAN);
            return extension.take(OCTET_STRING);
        }
    }
    None
}

/// Elements of DER one after another.
#[derive(Clone, Copy)]
pub(super) struct Der<'a>(pub(super) &'a [u8]);

impl<'a> Der<'a> {
    /// The next element's tag and content.
    pub(super) fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let length = match first {
            short @ 0..=0x7f => usize::from(short),
            // A file of 4 GiB is not read.
            long @ 0x81..=0x84 => {
                let (bytes, behind) = rest.split_at_checked(usize::from(long & 0x7f))?;
                rest = behind;
                bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
            }
            _ => return None,
        };
        let (content, behind) = rest.split_at_checked(length)?;
        self.0 = behind;
        Some((tag, content))
    }

    /// The next element's content, if it has this tag; otherwise nothing is consumed.
    pub(super) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let (found, content) = ahead.next()?;
        (found == tag).then(|| *self = ahead)?;
        Some(content)
    }

    /// A time (RFC 5280 §4.1.2.5): UTC, to the second.
    fn time(&mut self) -> Option<i64> {
        let (tag, text) = self.next()?;
        let text = str::from_utf8(text).ok()?.strip_suffix('Z')?;
        let (year, rest) = match tag {
            UTC_TIME => {
                let (year, rest) = text.split_at_checked(2)?;
                let year = decimal(year)?;
                (if year < 50 { 2000 + year } else { 1900 + year }, rest)
            }
            GENERALIZED_TIME => {
                let (year, rest) = text.split_at_checked(4)?;
                (decimal(year)?, rest)
            }
            _ => return None,
        };
        if rest.len() != 10 {
            return None;
        }
        let part = |at: usize| decimal(rest.get(at..at + 2)?);
        let (month, day) = (part(0)?, part(2)?);
        let (hour, minute, second) = (part(4)?, part(6)?, part(8)?);
        Some(((days(year, month, day)? * 24 + hour) * 60 + minute) * 60 + second)
    }
}

fn decimal(digits: &str) -> Option<i64> {
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Days since 1970-01-01 in the Gregorian calendar. Years begin with March, so that a leap day is
/// the last of its year.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month < 3 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leap_days = year / 4 - year / 100 + year / 400;
    // From the first of March of the year 0.
    const EPOCH: i64 = 719_468;
    Some(year * 365 + leap_days + day_of_year - EPOCH)
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};

    use super::*;

    fn made(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::new(["a.example".to_owned()]).unwrap();
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_tells_its_times_its_names_and_whether_it_issues() {
        let plain = made(|params| {
            params.not_before = date_time_ymd(1999, 12, 31);
            params.not_after = date_time_ymd(2052, 2, 29);
        });
        let facts = CertificateFacts::read(&plain).unwrap();
        assert_eq!(facts.validity.not_before, 946_598_400);
        assert_eq!(facts.validity.not_after, 2_592_777_600);
        assert!(!facts.is_authority);
        let webpki_says = rustls::pki_types::CertificateDer::from(plain.as_slice());
        let webpki_says = webpki::EndEntityCert::try_from(&webpki_says).unwrap();
        assert_eq!((facts.issuer, facts.subject), (webpki_says.issuer(), webpki_says.subject()));
        let authority = made(|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(3)));
        assert!(CertificateFacts::read(&authority).unwrap().is_authority);
        let explicit = made(|params| params.is_ca = IsCa::ExplicitNoCa);
        assert!(!CertificateFacts::read(&explicit).unwrap().is_authority);
    }

    #[test]
    fn what_is_cut_or_changed_anywhere_is_read_or_refused_without_a_panic() {
        let whole = made(|_| {});
        for end in 0..whole.len() {
            assert_eq!(CertificateFacts::read(&whole[..end]), None, "{end}");
        }
        for at in 0..whole.len() {
            for byte in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut changed = whole.clone();
                changed[at] = byte;
                let _ = CertificateFacts::read(&changed);
            }
        }
    }
}
