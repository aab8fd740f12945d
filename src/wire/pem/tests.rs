use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::pem_error::NotPem;
use super::*;

fn made(names: &[&str]) -> (String, String) {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// A leaf, what issued it, what issued that, and the leaf's key.
fn issued() -> ([String; 3], String) {
    let authority = |name: &str| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (params, KeyPair::generate().unwrap())
    };
    let (root, root_key) = authority("root");
    let root_pem = root.self_signed(&root_key).unwrap().pem();
    let root = Issuer::new(root, root_key);
    let (middle, middle_key) = authority("middle");
    let middle_pem = middle.signed_by(&middle_key, &root).unwrap().pem();
    let middle = Issuer::new(middle, middle_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["a.example".to_owned()]).unwrap();
    let leaf_pem = leaf.signed_by(&key, &middle).unwrap().pem();
    ([leaf_pem, middle_pem, root_pem], key.serialize_pem())
}

fn error(chain: &str, key: &str) -> PemError {
    certified(chain.as_bytes(), key.as_bytes()).unwrap_err()
}

fn text(chain: &str, key: &str) -> String {
    error(chain, key).to_string()
}

#[test]
fn a_chain_and_its_key_are_read_with_the_names_in_lower_case() {
    let (chain, key) = made(&["Site.example", "*.site.example", "127.0.0.1"]);
    let read = certified(chain.as_bytes(), key.as_bytes()).unwrap();
    let names: Vec<&str> = read.names.iter().map(|name| &**name).collect();
    assert_eq!(names, ["site.example", "*.site.example"]);
    assert_eq!(read.key.cert.len(), 1);
    assert!(read.remarks.is_empty());
}

#[test]
fn chain_and_key_may_stand_in_one_file_with_text_around() {
    let ([leaf, middle, _], key) = issued();
    let both = format!("subject: a\n{key}\r\nissuer: b\n{leaf}{middle}");
    let read = certified(both.as_bytes(), both.as_bytes()).unwrap();
    assert_eq!(read.key.cert.len(), 2);
    assert!(read.remarks.is_empty());
}

/// Each way in which files are written that are the same to a reader.
#[test]
fn blocks_are_found_however_their_lines_are_written() {
    let ([leaf, middle, _], key) = issued();
    let glued = format!("{}{}", leaf.trim_end(), middle.trim_end());
    let indented = |text: &str| text.lines().map(|line| format!("\t  {line}\n")).collect();
    let trailing = |text: &str| text.lines().map(|line| format!("{line} \t\n")).collect();
    type Form = fn(&str) -> String;
    let forms: [(&str, Form); 8] = [
        ("as openssl writes them", str::to_owned),
        ("after a byte order mark", |text| format!("\u{feff}{text}")),
        ("with CRLF", |text| text.replace('\n', "\r\n")),
        ("with CR", |text| text.replace('\n', "\r")),
        ("in one line, with spaces", |text| text.replace('\n', " ")),
        ("in one line, without", |text| text.replace('\n', "")),
        ("with empty lines", |text| text.replace('\n', "\n\n")),
        ("without an end of the last line", |text| text.trim_end().to_owned()),
    ];
    for chain in [format!("{leaf}{middle}"), glued, indented(&leaf), trailing(&leaf)] {
        for (name, form) in forms {
            for key in [form(&key), indented(&key), trailing(&key)] {
                let read = certified(form(&chain).as_bytes(), key.as_bytes());
                let read = read.unwrap_or_else(|error| panic!("{name}: {error}\n{chain}"));
                let count = chain.matches("BEGIN").count();
                assert_eq!((read.key.cert.len(), read.remarks), (count, Vec::new()), "{name}");
            }
        }
    }
}

#[test]
fn a_key_of_another_certificate_is_a_mismatch() {
    let (chain, _) = made(&["a.example"]);
    let (_, key) = made(&["a.example"]);
    assert_eq!(error(&chain, &key), PemError::Mismatch);
    assert_eq!(PemError::Mismatch.part(), Part::Key);
}

#[test]
fn what_is_missing_is_named() {
    let (chain, key) = made(&["a.example"]);
    assert_eq!(error("hello", &key), PemError::NotPem(Part::Certificates, NotPem::Other));
    assert_eq!(error(&chain, ""), PemError::NotPem(Part::Key, NotPem::Empty));
    assert_eq!(text(&key, &key), "holds no certificate, only `PRIVATE KEY`");
    assert_eq!(text(&chain, &chain), "holds no private key, only `CERTIFICATE`");
    assert!(are_swapped(key.as_bytes(), chain.as_bytes()));
    assert!(!are_swapped(chain.as_bytes(), key.as_bytes()));
    let request = chain.replace("CERTIFICATE", "CERTIFICATE REQUEST");
    assert_eq!(text(&request, &key), "holds no certificate, only `CERTIFICATE REQUEST`");
    let public = key.replace("PRIVATE", "PUBLIC");
    assert_eq!(text(&chain, &public), "holds no private key, only `PUBLIC KEY`");
}

#[test]
fn other_formats_are_told_with_what_makes_pem_of_them() {
    let (chain, key) = made(&["a.example"]);
    let utf16: Vec<u8> =
        format!("\u{feff}{chain}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let der = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    let rows: [(&[u8], &str, &str); 3] = [
        (&utf16, "is text in UTF-16", "UTF-8"),
        (der.cert.der(), "is a certificate in DER, not in PEM", "openssl x509"),
        (b"\x30\x82\x09\x00\x02\x01\x03\x30", "is PKCS#12, not PEM", "openssl pkcs12"),
    ];
    for (bytes, said, hint) in rows {
        let error = certified(bytes, key.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), said);
        assert!(error.hint().unwrap().contains(hint), "{said}");
    }
    let key_der = b"\x30\x82\x01\x00\x02\x01\x00\x30";
    let error = certified(chain.as_bytes(), key_der).unwrap_err();
    assert_eq!(error.to_string(), "is a private key in DER, not in PEM");
}

#[test]
fn a_broken_block_is_told_with_its_line() {
    let (chain, key) = made(&["a.example"]);
    let whole = format!("a note\n{chain}\n");
    let begins = whole.lines().count() + 1;
    let second = format!("{whole}{chain}");
    let cut = &second[..second.len() - chain.len() / 2];
    let expected = format!("is broken PEM: a block does not end: `CERTIFICATE` (line {begins})");
    assert_eq!(text(cut, &key), expected);
    // The next begins before it has ended.
    let unended = format!("{}{chain}", chain.replace("-----END CERTIFICATE-----\n", ""));
    let expected = "is broken PEM: a block does not end: `CERTIFICATE` (line 1)";
    assert_eq!(text(&unended, &key), expected);
    let mut lines: Vec<&str> = chain.lines().collect();
    lines[3] = "M!";
    let expected = "is broken PEM: a block is not base64 (line 4)";
    assert_eq!(text(&lines.join("\n"), &key), expected);
    let escaped = chain.trim_end().replace('\n', "\\n");
    assert!(text(&escaped, &key).contains("perhaps `\\n` for a line's end (line 1)"));
    let ends = chain.replace("END CERTIFICATE", "END CERTIFICATES");
    let expected = "a block begins as `CERTIFICATE` and ends as `CERTIFICATES` (line 1)";
    assert!(text(&ends, &key).ends_with(expected));
    let begins = chain.replacen("CERTIFICATE-----", "CERTIFICATE----", 1);
    assert!(text(&begins, &key).contains("begins without `-----`"));
    let shortened = chain.replacen("MII", "MI", 1);
    assert!(matches!(error(&shortened, &key), PemError::Broken(..) | PemError::BadCertificate(..)));
}

#[test]
fn a_chain_out_of_order_is_put_in_order_and_told() {
    let ([leaf, middle, root], key) = issued();
    let right = certified(format!("{leaf}{middle}{root}").as_bytes(), key.as_bytes()).unwrap();
    assert!(right.remarks.is_empty());
    for wrong in [[&root, &middle, &leaf], [&leaf, &root, &middle], [&middle, &leaf, &root]] {
        let text: String = wrong.iter().map(|one| one.as_str()).collect();
        let read = certified(text.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(read.key.cert, right.key.cert);
        let line = |one: &String| text[..text.find(one.as_str()).unwrap()].lines().count() + 1;
        let lines = [&leaf, &middle, &root].map(line).to_vec();
        assert_eq!(read.remarks, [Remark::Reordered { lines }]);
        let glued = certified(text.replace('\n', "").as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(glued.remarks, [Remark::Reordered { lines: vec![1, 1, 1] }]);
    }
}

#[test]
fn what_is_not_of_the_chain_and_what_stands_twice_is_told() {
    let ([leaf, middle, _], key) = issued();
    let (other, _) = made(&["other.example"]);
    let read = |text: String| certified(text.as_bytes(), key.as_bytes()).unwrap();
    let at = leaf.lines().count() + 1;
    let strange = read(format!("{leaf}{other}{middle}"));
    assert_eq!(strange.remarks, [Remark::Unrelated { line: at }]);
    assert_eq!(strange.key.cert.len(), 3);
    let twice = read(format!("{leaf}{leaf}{middle}{middle}"));
    let last = at + leaf.lines().count() + middle.lines().count();
    assert_eq!(twice.remarks, [Remark::Twice { line: at }, Remark::Twice { line: last }]);
    assert_eq!(twice.key.cert.len(), 2);
}

#[test]
fn a_key_among_certificates_and_a_certificate_beside_the_key_are_told() {
    let (chain, key) = made(&["a.example"]);
    let both = format!("{chain}{key}");
    let line = chain.lines().count() + 1;
    let read = |chain: &str, key: &str| certified(chain.as_bytes(), key.as_bytes()).unwrap();
    assert_eq!(read(&both, &key).remarks, [Remark::KeyInChain { line }]);
    let told = read(&chain, &both).remarks;
    assert_eq!(told, [Remark::ChainInKey { line: 1 }]);
    assert_eq!(told[0].part(), Part::Key);
}

#[test]
fn a_key_under_a_passphrase_says_how_to_take_it_off() {
    let (chain, _) = made(&["a.example"]);
    let pkcs8 =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let older = "\n-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
                 DEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    for (key, line) in [(pkcs8, 1), (older, 2)] {
        assert_eq!(error(&chain, key), PemError::EncryptedKey(line));
        assert!(error(&chain, key).hint().unwrap().contains("openssl pkey"));
    }
}

#[test]
fn what_is_no_key_and_what_is_no_certificate_is_refused() {
    let (chain, key) = made(&["a.example"]);
    let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_eq!(error(&chain, no_key), PemError::UnsupportedKey(1));
    let ssh = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";
    assert_eq!(error(&chain, ssh), PemError::UnsupportedKey(1));
    let no_chain = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(error(no_chain, &key), PemError::BadCertificate(1, _)));
    assert!(matches!(trusted(no_chain.as_bytes()), Err(PemError::BadCertificate(1, _))));
    let behind = format!("{chain}{no_chain}");
    let line = chain.lines().count() + 1;
    assert!(matches!(error(&behind, &key), PemError::BadCertificate(at, _) if at == line));
}

#[test]
fn every_certificate_to_trust_is_taken_and_one_is_wanted() {
    let (one, key) = made(&["a.example"]);
    let ([_, _, root], _) = issued();
    let (read, remarks) = trusted(format!("{root}{one}").as_bytes()).unwrap();
    assert_eq!((read.roots.len(), read.certificates.len()), (2, 2));
    assert_eq!(remarks, [Remark::Pinned { line: root.lines().count() + 1 }]);
    let (_, remarks) = trusted(format!("{root}{key}").as_bytes()).unwrap();
    assert_eq!(remarks, [Remark::KeyInChain { line: root.lines().count() + 1 }]);
    assert_eq!(
        trusted(key.as_bytes()).unwrap_err().to_string(),
        "holds no certificate, only `PRIVATE KEY`"
    );
    assert_eq!(trusted(b"").unwrap_err(), PemError::NotPem(Part::Certificates, NotPem::Empty));
}
