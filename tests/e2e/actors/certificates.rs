//! A certificate authority of the tests' own, and what it signs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer,
    KeyIdMethod, KeyPair, SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tempfile::TempDir;

/// A directory with `ca.pem`, `site.pem` and `site.key`.
pub struct Certificates {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Certificates {
    /// A new authority, and a certificate of its for `names`.
    pub fn new(names: &[&str]) -> Certificates {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.pem"), ca.pem()).unwrap();
        let made = Certificates { dir, issuer: Issuer::new(params, key) };
        made.renew(names);
        made
    }

    /// Writes a new key and certificate over the old ones, as a renewal does.
    pub fn renew(&self, names: &[&str]) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        fs::write(self.path().join("site.pem"), leaf.pem()).unwrap();
        fs::write(self.path().join("site.key"), key.serialize_pem()).unwrap();
    }

    /// The authority's list of revoked certificates, which has none.
    #[allow(dead_code)]
    pub fn revoked(&self) -> String {
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2124, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    /// Where the files are.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The authority's own certificate.
    pub fn ca(&self) -> PathBuf {
        self.path().join("ca.pem")
    }

    /// A listener's `certificates`, as TOML.
    pub fn toml(&self) -> String {
        format!("[{}]", self.entry())
    }

    /// One of a listener's `certificates`.
    pub fn entry(&self) -> String {
        let path = self.path().display();
        format!("{{ chain = \"{path}/site.pem\", key = \"{path}/site.key\" }}")
    }

    /// A client that trusts this authority and no other.
    pub fn client(&self) -> Arc<ClientConfig> {
        trusting(&self.ca())
    }

    /// A server with the certificate, for backends that speak TLS.
    pub fn server(&self) -> Arc<ServerConfig> {
        let chain = CertificateDer::from_pem_file(self.path().join("site.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.path().join("site.key")).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        Arc::new(config.with_single_cert(vec![chain], key).unwrap())
    }
}

/// A client that trusts the authority in this file and no other.
pub fn trusting(ca: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}
