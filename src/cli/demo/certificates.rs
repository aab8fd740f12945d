//! Development certificates: a small authority for `localhost` and nothing else, made once.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};

use crate::base::clock;

/// How long both certificates are valid.
const VALID: Duration = Duration::from_secs(397 * 86_400);

/// They are made anew when less than this is left.
const SPARE: Duration = Duration::from_secs(14 * 86_400);

/// Clocks of other machines may be behind ours.
const SKEW: Duration = Duration::from_secs(86_400);

/// Where the files are.
pub(super) struct Certificates {
    /// The authority, for a person to trust.
    pub(super) authority: PathBuf,
    /// The certificate for `localhost`, `127.0.0.1` and `::1`.
    pub(super) chain: PathBuf,
    /// Its key.
    pub(super) key: PathBuf,
    /// Whether they were made just now.
    pub(super) is_new: bool,
}

/// The certificates below `dir`; made there when one is missing or soon out of date.
///
/// The authority's key is never written: nobody can sign a second certificate with it, and what it
/// could sign is good for this machine's own names only (RFC 5280 §4.2.1.10).
///
/// # Errors
/// The system's, when a file cannot be read or written.
pub(super) fn prepare(dir: &Path) -> io::Result<Certificates> {
    let mut certificates = Certificates {
        authority: dir.join("ca.pem"),
        chain: dir.join("localhost.pem"),
        key: dir.join("localhost.key"),
        is_new: false,
    };
    if !certificates.are_fresh() {
        certificates.make(dir)?;
        certificates.is_new = true;
    }
    Ok(certificates)
}

impl Certificates {
    fn are_fresh(&self) -> bool {
        [&self.authority, &self.chain, &self.key].into_iter().all(|file| {
            let made = fs::metadata(file).and_then(|found| found.modified());
            let age = made.map(|made| clock::wall().duration_since(made).unwrap_or_default());
            age.is_ok_and(|age| age + SPARE < VALID)
        })
    }

    fn make(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)?;
        let (authority, leaf, key) = sign().map_err(io::Error::other)?;
        write(&self.key, &key.serialize_pem(), 0o600)?;
        write(&self.chain, &leaf.pem(), 0o644)?;
        write(&self.authority, &authority.pem(), 0o644)
    }
}

fn sign() -> Result<(rcgen::Certificate, rcgen::Certificate, KeyPair), rcgen::Error> {
    let mut params = dated("tidegate development authority", Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![
            GeneralSubtree::DnsName("localhost".to_owned()),
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([127, 0, 0, 0], 8)),
            GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix(LOOPBACK_V6, 128)),
        ],
        excluded_subtrees: Vec::new(),
    });
    let authority_key = KeyPair::generate()?;
    let authority = params.self_signed(&authority_key)?;

    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut leaf_params = dated("localhost", names.into())?;
    leaf_params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf_params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let leaf = leaf_params.signed_by(&key, &Issuer::new(params, authority_key))?;
    Ok((authority, leaf, key))
}

/// `::1` (RFC 4291 §2.5.3).
const LOOPBACK_V6: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

fn dated(name: &str, names: Vec<String>) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = (clock::wall() - SKEW).into();
    params.not_after = (clock::wall() + VALID).into();
    Ok(params)
}

/// Writes a new file with this mode; an old one is removed first, for its mode would stay.
fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn certificates_are_made_once_and_fit() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("certs/dev");
        let made = prepare(&dir).unwrap();
        assert!(made.is_new);
        let key = fs::read(&made.key).unwrap();
        let chain = fs::read(&made.chain).unwrap();
        let pem = crate::wire::pem::certified(&chain, &key).unwrap();
        assert!(pem.names.iter().any(|name| &**name == "localhost"), "{:?}", pem.names);
        assert_eq!(fs::metadata(&made.key).unwrap().permissions().mode() & 0o777, 0o600);

        let again = prepare(&dir).unwrap();
        assert!(!again.is_new);
        assert_eq!(fs::read(&again.key).unwrap(), key);
        fs::remove_file(&made.chain).unwrap();
        assert!(prepare(&dir).unwrap().is_new);
        assert_ne!(fs::read(&made.key).unwrap(), key);
    }

    #[test]
    fn what_is_soon_out_of_date_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let made = prepare(dir.path()).unwrap();
        let file = fs::File::open(&made.chain).unwrap();
        file.set_modified(clock::wall() - VALID + SPARE).unwrap();
        assert!(prepare(dir.path()).unwrap().is_new);
    }
}
