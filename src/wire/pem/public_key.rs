//! Public keys in PEM: alone, or in a certificate.

use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};

use super::blocks::blocks;

/// Every public key of a file, with the line it begins in, as `SubjectPublicKeyInfo` (RFC 5280
/// §4.1.2.7).
///
/// # Errors
/// What is wrong with the file, as the end of a sentence that begins with it.
pub fn public_keys(pem: &[u8]) -> Result<Vec<(usize, Vec<u8>)>, String> {
    let found = blocks(pem).map_err(|what| format!("is broken: {what}"))?;
    if found.is_empty() {
        return Err("is neither JSON nor PEM".to_owned());
    }
    let mut keys = Vec::new();
    for block in &found {
        let line = block.line;
        let broken = |what| format!("is broken: {what}");
        match &*block.label {
            "PUBLIC KEY" => {
                let key: SubjectPublicKeyInfoDer<'_> =
                    block.decode("PUBLIC KEY").map_err(broken)?;
                keys.push((line, key.to_vec()));
            }
            _ if block.is_certificate() => {
                let der: CertificateDer<'_> = block.decode("CERTIFICATE").map_err(broken)?;
                let certificate = webpki::EndEntityCert::try_from(&der)
                    .map_err(|error| format!("has a bad certificate (line {line}): {error}"))?;
                keys.push((line, certificate.subject_public_key_info().to_vec()));
            }
            _ if block.is_key() => {
                return Err(format!(
                    "has a private key (line {line}), of which only the public half is needed: \
                     `openssl pkey -pubout` writes it"
                ));
            }
            "RSA PUBLIC KEY" => {
                return Err(format!(
                    "has an RSA key in the older form (line {line}): \
                     `openssl rsa -RSAPublicKey_in -pubout` writes the other"
                ));
            }
            _ => {}
        }
    }
    Ok(keys)
}
