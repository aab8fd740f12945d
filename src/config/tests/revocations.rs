use super::*;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use tempfile::TempDir;

use crate::wire::x509::CertificateFacts;

/// A listener that asks for certificates; the names of its files are in the directory `DIR`.
const CLIENTS: &str = "\
[listeners.https]
address = \"0.0.0.0:443\"
tls.certificates = [{ chain = \"ca.pem\", key = \"ca.key\" }]
[listeners.https.tls.clients]
roots = \"ca.pem\"
crls = [\"list.crl\"]
[[routes]]
respond = \"x\"
";

/// An authority, with its certificate and key in a directory.
struct Authority {
    dir: TempDir,
    /// Its name in DER.
    name: Vec<u8>,
}

impl Authority {
    fn new() -> Authority {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(["ca.example".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        fs::write(dir.path().join("ca.pem"), made.pem()).unwrap();
        fs::write(dir.path().join("ca.key"), key.serialize_pem()).unwrap();
        fs::write(dir.path().join("main.toml"), CLIENTS).unwrap();
        let name = der(0x30, &[CertificateFacts::read(made.der()).unwrap().subject]);
        Authority { dir, name }
    }

    /// What is said where the list of revoked certificates is this file.
    fn said_of(&self, list: &[u8]) -> String {
        fs::write(self.dir.path().join("list.crl"), list).unwrap();
        self.said()
    }

    fn said(&self) -> String {
        let report = match load(&self.dir.path().join("main.toml"), &nothing) {
            Ok(loaded) => loaded.warnings.text(&loaded.sources, Colour::Plain),
            Err(refused) => refused.report.text(&refused.sources, Colour::Plain),
        };
        report.replace(self.dir.path().to_str().unwrap(), "DIR")
    }

    /// A list of its, not signed, with these entries and extensions.
    fn list(&self, entries: &[u8], extensions: &[&[u8]]) -> Vec<u8> {
        let extensions = der(0xa0, &[&der(0x30, extensions)]);
        signed(&[&VERSION_2, ALGORITHM, &self.name, FROM, UNTIL, entries, &extensions])
    }
}

const VERSION_2: [u8; 3] = [0x02, 1, 1];

/// Ed25519.
const ALGORITHM: &[u8] = &[0x30, 5, 0x06, 3, 0x2b, 0x65, 0x70];
const FROM: &[u8] = b"\x17\x0d240101000000Z";
const UNTIL: &[u8] = b"\x17\x0d490101000000Z";

/// An element of DER (X.690 §8.1).
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = match u16::try_from(content.len()).unwrap().to_be_bytes() {
        [0, short @ 0..0x80] => vec![short],
        [0, long] => vec![0x81, long],
        longer => [&[0x82][..], &longer].concat(),
    };
    [&[tag][..], &length, &content].concat()
}

fn signed(tbs: &[&[u8]]) -> Vec<u8> {
    der(0x30, &[&der(0x30, tbs), ALGORITHM, &der(0x03, &[&[0; 65]])])
}

/// An extension 2.5.29.`id`, or one that no one knows, which is critical.
fn extension(id: u8, value: &[u8]) -> Vec<u8> {
    der(0x30, &[&[0x06, 3, 0x55, 0x1d, id], &[0x01, 1, 0xff], &der(0x04, &[value])])
}

/// Entries of one certificate, with these extensions.
fn revoked(extensions: &[&[u8]]) -> Vec<u8> {
    let extensions = der(0x30, extensions);
    der(0x30, &[&der(0x30, &[&[0x02, 1, 7], FROM, &extensions])])
}

fn pem(list: &[u8]) -> String {
    let text = STANDARD.encode(list);
    format!("-----BEGIN X509 CRL-----\n{text}\n-----END X509 CRL-----\n")
}

#[test]
fn a_list_of_revoked_certificates_that_is_of_no_use_is_told_with_its_reason() {
    let authority = Authority::new();
    let number = der(0x30, &[&[0x06, 3, 0x55, 0x1d, 20], &der(0x04, &[&[0x02, 1, 1]])]);
    let good = authority.list(&[], &[&number]);
    let with = |id, value: &[u8]| pem(&authority.list(&[], &[&number, &extension(id, value)]));
    let entry = revoked(&[&extension(99, &[])]);
    let of = |name: &[u8]| [&VERSION_2[..], ALGORITHM, name, FROM, UNTIL].concat();
    let whole = pem(&good);
    let extensions = der(0xa0, &[&der(0x30, &[&number])]);
    let stranger = der(0x31, &[&der(0x30, &[&[0x06, 3, 0x55, 4, 3, 0x0c, 1, b'x']])]);
    let stranger = signed(&[&of(&der(0x30, &[&stranger])), &extensions]);
    let first = signed(&[ALGORITHM, &authority.name, FROM, UNTIL]);
    let endless = signed(&[&VERSION_2, ALGORITHM, &authority.name, FROM, &extensions]);
    let rows: [(&str, Vec<u8>); 15] = [
        ("nothing", Vec::new()),
        ("no PEM", "revoked: none\n".into()),
        ("DER", good.clone()),
        ("a certificate", fs::read(authority.dir.path().join("ca.pem")).unwrap()),
        ("half of one", whole[..whole.len() / 2].into()),
        ("no base64", whole.replace('M', "!").into()),
        ("cut inside", pem(&good[..good.len() - 9]).into()),
        ("version 1", pem(&first).into()),
        ("without its next update", pem(&endless).into()),
        ("changes only", with(27, &[0x02, 1, 1]).into()),
        ("for others, too", with(28, &[0x30, 3, 0x84, 1, 0xff]).into()),
        ("a critical extension", with(99, &[]).into()),
        ("in an entry", pem(&authority.list(&entry, &[&number])).into()),
        ("two of one authority", format!("{whole}\n{whole}").into()),
        ("another authority's", pem(&stranger).into()),
    ];
    let mut text = String::new();
    for (title, list) in rows {
        text += &format!("== {title}\n\n{}\n", authority.said_of(&list));
    }
    let file = authority.dir.path().join("list.crl");
    fs::remove_file(&file).unwrap();
    text += &format!("== none there\n\n{}\n", authority.said());
    fs::create_dir(&file).unwrap();
    text += &format!("== a directory\n\n{}\n", authority.said());
    fs::remove_dir(&file).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &file).unwrap();
    text += &format!("== without end\n\n{}\n", authority.said());
    fs::remove_file(&file).unwrap();
    golden(&root().join("tests/config/revocations.txt"), &text);
    assert_eq!(authority.said_of(whole.as_bytes()), "");
    let both = format!("{whole}{}", pem(&stranger));
    assert_eq!(authority.said_of(both.as_bytes()), "");
}
