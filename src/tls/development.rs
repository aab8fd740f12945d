//! Certificates for development: a small authority and a certificate that it signs, made together
//! and kept in a directory.
//!
//! The authority's key is never written: nobody can sign a second certificate with it, and what it
//! could sign is good for the same names only (RFC 5280 §4.2.1.10). So other names need another
//! authority, which is trusted anew.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::pki_types::ServerName;
use webpki::EndEntityCert;

use super::error::TlsError;
use crate::base::clock;
use crate::base::lock::lock;
use crate::base::whole_file;
use crate::config::plan::{Certificate, DevelopmentCertificate};
use crate::wire::pem::{self, Pem};

/// How long authority and certificate are valid.
const VALID: Duration = Duration::from_secs(397 * 86_400);

/// They are made anew when less than this is left.
const SPARE: Duration = Duration::from_secs(14 * 86_400);

/// Clocks of other machines may be behind ours.
const SKEW: Duration = Duration::from_secs(86_400);

/// Makes certificates for development, and knows those it gave: one that cannot be kept lasts as
/// long as this does.
#[derive(Default)]
pub struct DevelopmentAuthority {
    /// By directory.
    given: Mutex<BTreeMap<PathBuf, PemTexts>>,
}

/// A certificate for development.
#[derive(Debug)]
pub struct MadeCertificate {
    /// The certificate, as those are that a configuration names.
    pub certificate: Certificate,
    /// The authority's file, for a person to trust.
    pub authority: PathBuf,
    /// Whether it was made just now.
    pub is_new: bool,
    /// Whether another was given before, or none.
    pub is_given_first: bool,
    /// Why it is in memory only, where it is.
    pub not_kept: Option<io::Error>,
}

/// Whether what is made is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keeping {
    /// In its directory; in memory where that fails.
    Kept,
    /// No: it is only looked at.
    Discarded,
}

impl DevelopmentAuthority {
    /// The certificate for development that is wanted: the one that is kept, or a new one where
    /// that is missing, broken, soon out of date or not for all names.
    ///
    /// # Errors
    /// A name is none.
    pub fn certificate(
        &self,
        wanted: &DevelopmentCertificate,
        keeping: Keeping,
    ) -> Result<MadeCertificate, TlsError> {
        let directory = &wanted.directory;
        let fitting = |texts: PemTexts| Some((texts.fitting(wanted)?, texts));
        let kept = PemTexts::read(directory).and_then(fitting);
        let is_kept = kept.is_some();
        let before = lock(&self.given).get(directory).cloned();
        let found = kept.or_else(|| before.clone().and_then(fitting));
        let is_new = found.is_none();
        let (pem, texts) = match found {
            Some(found) => found,
            None => sign(&wanted.names)
                .map_err(|error| TlsError::NotMade(error.to_string()))
                .map(fitting)?
                .ok_or_else(|| TlsError::NotMade("it is not for its names".to_owned()))?,
        };
        let mut made = texts.made(pem, directory);
        (made.is_new, made.is_given_first) = (is_new, before.as_ref() != Some(&texts));
        if keeping == Keeping::Kept {
            made.not_kept = if is_kept { None } else { texts.write(directory).err() };
            lock(&self.given).insert(directory.clone(), texts);
        }
        Ok(made)
    }
}

/// What the files have in them.
#[derive(Clone, PartialEq, Eq)]
struct PemTexts {
    authority: String,
    /// The certificate, and the authority behind it.
    chain: String,
    key: String,
}

impl PemTexts {
    fn read(directory: &Path) -> Option<PemTexts> {
        let [authority, chain, key] = files(directory).map(fs::read_to_string);
        Some(PemTexts { authority: authority.ok()?, chain: chain.ok()?, key: key.ok()? })
    }

    fn write(&self, directory: &Path) -> io::Result<()> {
        fs::create_dir_all(directory)?;
        whole_file::remove_left_aside(directory, clock::wall());
        let [authority, chain, key] = files(directory);
        whole_file::write(&key, &self.key, 0o600)?;
        whole_file::write(&chain, &self.chain, 0o644)?;
        whole_file::write(&authority, &self.authority, 0o644)
    }

    /// What can be shown of it; `None` where it is not what is wanted.
    fn fitting(&self, wanted: &DevelopmentCertificate) -> Option<Pem> {
        let pem = pem::certified(self.chain.as_bytes(), self.key.as_bytes()).ok()?;
        let now = clock::wall();
        let until = |wall: std::time::SystemTime| {
            wall.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
        };
        let is_fresh =
            pem.validity.not_before <= until(now) && until(now + SPARE) < pem.validity.not_after;
        // A process that ended between two files has left a chain of another authority.
        let is_whole = self.chain.ends_with(&self.authority) && !self.authority.is_empty();
        let leaf = EndEntityCert::try_from(pem.key.cert.first()?).ok()?;
        let is_for = |name: &Arc<str>| match ServerName::try_from(&**name) {
            Ok(name) => leaf.verify_is_valid_for_subject_name(&name).is_ok(),
            // A wildcard.
            Err(_) => pem.names.contains(name),
        };
        let fits = is_fresh && is_whole && wanted.names.iter().all(is_for);
        fits.then_some(pem)
    }

    fn made(&self, pem: Pem, directory: &Path) -> MadeCertificate {
        let mut hasher = DefaultHasher::new();
        hasher.write(self.chain.as_bytes());
        let [authority, chain, key] = files(directory);
        let certificate = Certificate {
            chain,
            key,
            stamp: hasher.finish(),
            names: pem.names,
            validity: pem.validity,
            loaded: Arc::new(pem.key),
        };
        let (is_new, is_given_first, not_kept) = Default::default();
        MadeCertificate { certificate, authority, is_new, is_given_first, not_kept }
    }
}

fn files(directory: &Path) -> [PathBuf; 3] {
    ["ca.pem", "localhost.pem", "localhost.key"].map(|file| directory.join(file))
}

fn sign(names: &[Arc<str>]) -> Result<PemTexts, rcgen::Error> {
    // A name that is none is refused here.
    let mut leaf = dated("tidegate development", names.iter().map(ToString::to_string).collect())?;
    let mut params = dated("tidegate development authority", Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: names.iter().map(|name| subtree(name)).collect(),
        excluded_subtrees: Vec::new(),
    });
    let authority_key = KeyPair::generate()?;
    let authority = params.self_signed(&authority_key)?.pem();
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Authorities made before have the same name.
    leaf.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let leaf = leaf.signed_by(&key, &Issuer::new(params, authority_key))?.pem();
    let chain = format!("{}\n{authority}", leaf.trim_end());
    Ok(PemTexts { authority, chain, key: key.serialize_pem() })
}

/// What the authority may sign for, of one name.
fn subtree(name: &str) -> GeneralSubtree {
    match name.parse() {
        Ok(IpAddr::V4(ip)) => {
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix(ip.octets(), 32))
        }
        Ok(IpAddr::V6(ip)) => {
            GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix(ip.octets(), 128))
        }
        Err(_) => GeneralSubtree::DnsName(name.trim_start_matches("*.").to_owned()),
    }
}

fn dated(name: &str, names: Vec<String>) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = (clock::wall() - SKEW).into();
    params.not_after = (clock::wall() + VALID).into();
    Ok(params)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn wanted(directory: &Path, names: &[&str]) -> DevelopmentCertificate {
        let names = names.iter().map(|name| Arc::from(*name)).collect();
        DevelopmentCertificate { directory: directory.to_owned(), names }
    }

    fn kept(directory: &Path, names: &[&str]) -> MadeCertificate {
        let authority = DevelopmentAuthority::default();
        authority.certificate(&wanted(directory, names), Keeping::Kept).unwrap()
    }

    const NAMES: [&str; 5] = ["localhost", "127.0.0.1", "::1", "*.app.test", "my_host.test"];

    #[test]
    fn one_is_made_once_for_all_its_names() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("certs/dev");
        let first = kept(&dir, &NAMES);
        assert!(first.is_new && first.not_kept.is_none());
        let mode = fs::metadata(&first.certificate.key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = kept(&dir, &NAMES);
        assert!(!again.is_new && again.certificate == first.certificate);
        let fewer = kept(&dir, &["localhost", "x.app.test"]);
        assert!(!fewer.is_new && fewer.certificate == first.certificate);
        for more in ["127.0.0.2", "other.test", "*.other.test", "app.test"] {
            let authority = DevelopmentAuthority::default();
            let found = authority.certificate(&wanted(&dir, &[more]), Keeping::Discarded).unwrap();
            assert!(found.is_new && found.certificate != first.certificate, "{more}");
        }
        assert_eq!(kept(&dir, &NAMES).certificate, first.certificate, "a look changes nothing");
    }

    #[test]
    fn what_is_broken_or_missing_or_of_two_makings_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        kept(other.path(), &NAMES);
        for file in ["ca.pem", "localhost.pem", "localhost.key"] {
            for spoil in ["", "-----BEGIN nothing", "another's"] {
                kept(dir.path(), &NAMES);
                let path = dir.path().join(file);
                match spoil {
                    "another's" => drop(fs::copy(other.path().join(file), &path).unwrap()),
                    text => fs::write(&path, text).unwrap(),
                }
                assert!(kept(dir.path(), &NAMES).is_new, "{file}: {spoil:?}");
                assert!(!kept(dir.path(), &NAMES).is_new, "{file}: {spoil:?}");
            }
        }
    }

    #[test]
    fn where_it_cannot_be_kept_it_lasts_and_is_kept_as_soon_as_it_can() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("file/dev");
        fs::write(dir.path().join("file"), "no directory").unwrap();
        let authority = DevelopmentAuthority::default();
        let made = || authority.certificate(&wanted(&below, &NAMES), Keeping::Kept).unwrap();
        let first = made();
        assert!(first.is_new && first.is_given_first && first.not_kept.is_some());
        let again = made();
        assert!(!again.is_new && !again.is_given_first && again.not_kept.is_some());
        assert_eq!(again.certificate, first.certificate);
        fs::remove_file(dir.path().join("file")).unwrap();
        let at_last = made();
        assert!(!at_last.is_new && at_last.not_kept.is_none());
        assert_eq!(at_last.certificate, first.certificate);
        // The next process finds it.
        let next = kept(&below, &NAMES);
        assert!(!next.is_new && next.is_given_first);
        assert_eq!(next.certificate, first.certificate);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let authority = DevelopmentAuthority::default();
        let refused = authority.certificate(&wanted(dir.path(), &["\u{e4}.test"]), Keeping::Kept);
        assert!(matches!(refused, Err(TlsError::NotMade(_))), "{refused:?}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
