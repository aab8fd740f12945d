use super::*;

fn made(names: &[&str]) -> (String, String) {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn error(chain: &str, key: &str) -> PemError {
    certified(chain.as_bytes(), key.as_bytes()).unwrap_err()
}

#[test]
fn a_chain_and_its_key_are_read_with_the_names_in_lower_case() {
    let (chain, key) = made(&["Site.example", "*.site.example", "127.0.0.1"]);
    let read = certified(chain.as_bytes(), key.as_bytes()).unwrap();
    let names: Vec<&str> = read.names.iter().map(|name| &**name).collect();
    assert_eq!(names, ["site.example", "*.site.example"]);
    assert_eq!(read.key.cert.len(), 1);
}

#[test]
fn chain_and_key_may_stand_in_one_file_with_text_around() {
    let (chain, key) = made(&["a.example"]);
    let both = format!("subject: a\n{key}\r\nissuer: b\n{chain}{chain}");
    let read = certified(both.as_bytes(), both.as_bytes()).unwrap();
    assert_eq!(read.key.cert.len(), 2);
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
    assert_eq!(error("hello", &key), PemError::NotPem(Part::Certificates));
    assert_eq!(error(&chain, ""), PemError::NotPem(Part::Key));
    assert_eq!(error(&key, &key), PemError::NoCertificate);
    assert_eq!(error(&chain, &chain), PemError::NoKey);
}

#[test]
fn a_cut_file_says_which_block_does_not_end() {
    let (chain, key) = made(&["a.example"]);
    let cut = &chain[..chain.len() / 2];
    let text = error(cut, &key).to_string();
    assert_eq!(text, "is broken PEM: a block does not end: CERTIFICATE");
    let holed = key.replacen('M', "!", 1);
    assert_eq!(error(&chain, &holed).to_string(), "is broken PEM: a block is not base64");
}

#[test]
fn a_key_under_a_passphrase_says_how_to_take_it_off() {
    let (chain, _) = made(&["a.example"]);
    let key = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert_eq!(error(&chain, key), PemError::EncryptedKey);
    assert!(error(&chain, key).to_string().contains("openssl pkey"));
}

#[test]
fn what_is_no_key_and_what_is_no_certificate_is_refused() {
    let (chain, key) = made(&["a.example"]);
    let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_eq!(error(&chain, no_key), PemError::UnsupportedKey);
    let no_chain = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(error(no_chain, &key), PemError::BadCertificate(_)));
    assert!(matches!(roots(no_chain.as_bytes()), Err(PemError::BadCertificate(_))));
}

#[test]
fn roots_takes_every_certificate_and_wants_one() {
    let (one, key) = made(&["a.example"]);
    let (other, _) = made(&["b.example"]);
    assert_eq!(roots(format!("{one}{other}").as_bytes()).unwrap().len(), 2);
    assert_eq!(roots(key.as_bytes()).unwrap_err(), PemError::NoCertificate);
    assert_eq!(roots(b"").unwrap_err(), PemError::NotPem(Part::Certificates));
}
