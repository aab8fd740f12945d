use std::fs;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer,
    KeyIdMethod, KeyPair, SerialNumber, date_time_ymd,
};

use super::*;
use crate::report::Colour;

const SITE: &str = "\
[listeners.https]
address = \"127.0.0.1:0\"
tls.certificates = [
    { chain = \"old.pem\", key = \"site.key\" },
    { chain = \"soon.pem\", key = \"site.key\" },
    { chain = \"later.pem\", key = \"site.key\" },
]
[listeners.https.tls.clients]
roots = \"ca.pem\"
crls = \"list.crl\"
[listeners.http]
address = \"127.0.0.1:0\"
[listeners.unmade]
address = \"unix:none/x.sock\"
[listeners.inside]
address = \"unix:site.key/x.sock\"
[listeners.taken]
address = \"unix:site.key\"
[control]
socket = \"none/below/control.sock\"
[listeners.made]
address = \"unix:made.sock\"
[[routes]]
host = \"old.example\"
respond = \"a certificate is for it\"
[[routes]]
host = \"other.example\"
respond = \"no certificate is for it\"
[[routes]]
host = \"*.soon.example\"
respond = \"nor for all of these\"
[[routes]]
host = \"plain.example\"
listener = \"http\"
respond = \"here nobody is shown a certificate\"
";

/// Noon of 2027-01-10.
const NOW: i64 = 1_799_582_400;

/// A directory with `text` as its configuration, and certificates in all their times.
fn directory(text: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    for (name, from, to) in [("old", 2026, 2027), ("soon", 2026, 2027), ("later", 2028, 2029)] {
        let mut params = CertificateParams::new([format!("{name}.example")]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, if name == "soon" { 20 } else { 1 });
        let pem = params.self_signed(&key).unwrap().pem();
        fs::write(dir.path().join(format!("{name}.pem")), pem).unwrap();
    }
    fs::write(dir.path().join("site.key"), key.serialize_pem()).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    fs::write(dir.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 12, 1),
        next_update: date_time_ymd(2027, 1, 8),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&Issuer::new(params, key)).unwrap().pem().unwrap();
    fs::write(dir.path().join("list.crl"), list).unwrap();
    fs::write(dir.path().join("tidegate.toml"), text).unwrap();
    dir
}

#[test]
fn traps_are_told_as_written_in_their_golden_file() {
    let dir = directory(SITE);
    let loaded = config::load(&dir.path().join("tidegate.toml"), &|_| None).unwrap();
    let mut findings = loaded.warnings.clone();
    traps::add_expiries(&loaded, NOW, &mut findings);
    traps::add_uncovered(&loaded, &mut findings);
    traps::add_sockets(&loaded, &mut findings);
    findings.sort();
    let text = findings.text(&loaded.sources, Colour::Plain);
    let text = text.replace(dir.path().to_str().unwrap(), "DIR");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/traps.txt");
    if std::env::var_os("TIDEGATE_BLESS").is_some() {
        fs::write(&golden, &text).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    assert!(
        expected == text,
        "tests/config/traps.txt differs; TIDEGATE_BLESS=1 writes it:\n{text}"
    );
}

#[test]
fn without_files_a_configuration_of_another_machine_can_be_checked() {
    let dir = tempfile::tempdir().unwrap();
    let text = SITE.replace("unix:", "unix:/nowhere/") + "[[routes]]\nfiles = \"/nowhere\"\n";
    fs::write(dir.path().join("tidegate.toml"), &text).unwrap();
    let path = dir.path().join("tidegate.toml");
    assert!(config::load(&path, &|_| None).is_err());
    let loaded = config::load_file(&path, &|_| None, NamedFiles::Skip).unwrap();
    let router = Router::build(&loaded.plan.routes);
    assert!(all_findings(&loaded, &router, NamedFiles::Skip).is_empty());
    // What else is wrong is told.
    fs::write(&path, text.replace("address", "addres")).unwrap();
    assert!(config::load_file(&path, &|_| None, NamedFiles::Skip).is_err());
}
