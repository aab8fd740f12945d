//! Keys that tokens are verified with: a JWK, a set of them (RFC 7517), or public keys in PEM.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

use super::pem;
use super::x509::{PublicKeyKind, SubjectPublicKey};

/// Fewest bytes of a shared secret: as many as the shortest hash has (RFC 7518 §3.2).
pub const SECRET_BYTES_MIN: usize = 32;

/// Fewest bytes of an RSA modulus (RFC 7518 §3.3).
const MODULUS_BYTES_MIN: usize = 256;

/// Keys of one file at most.
const KEYS_MAX: usize = 64;

/// One key.
#[derive(Clone)]
pub struct TokenKey {
    /// Its name, which tokens may tell; `None` fits any.
    pub id: Option<Box<str>>,
    /// What it may verify: by its kind, never by a token.
    pub algorithms: Vec<Algorithm>,
    /// The key itself.
    pub key: DecodingKey,
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKey").field("id", &self.id).finish_non_exhaustive()
    }
}

const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

impl TokenKey {
    /// A shared secret.
    ///
    /// # Errors
    /// It is too short; the end of a sentence.
    pub fn secret(bytes: &[u8]) -> Result<TokenKey, String> {
        let mut algorithms = vec![Algorithm::HS256];
        // A secret is as long as the hash at least (RFC 7518 §3.2).
        algorithms.extend((bytes.len() >= 48).then_some(Algorithm::HS384));
        algorithms.extend((bytes.len() >= 64).then_some(Algorithm::HS512));
        match bytes.len() {
            SECRET_BYTES_MIN.. => {
                Ok(TokenKey { id: None, algorithms, key: DecodingKey::from_secret(bytes) })
            }
            short => Err(format!("must have at least {SECRET_BYTES_MIN} bytes, not: {short}")),
        }
    }

    /// A public key as certificates have it.
    fn public(spki: &[u8]) -> Result<TokenKey, String> {
        let unknown = || "is a public key of a kind that is not supported".to_owned();
        let SubjectPublicKey { kind, key } = SubjectPublicKey::read(spki).ok_or_else(unknown)?;
        let (algorithms, key) = match kind {
            // Of 2,048 bits: the DER of modulus and exponent is longer than the modulus.
            PublicKeyKind::Rsa if key.len() < MODULUS_BYTES_MIN => {
                return Err("is an RSA key of less than 2048 bits".to_owned());
            }
            PublicKeyKind::Rsa => (RSA.to_vec(), DecodingKey::from_rsa_der(key)),
            PublicKeyKind::P256 if key.len() == 65 => {
                (vec![Algorithm::ES256], DecodingKey::from_ec_der(key))
            }
            PublicKeyKind::P384 if key.len() == 97 => {
                (vec![Algorithm::ES384], DecodingKey::from_ec_der(key))
            }
            PublicKeyKind::Ed25519 if key.len() == 32 => {
                (vec![Algorithm::EdDSA], DecodingKey::from_ed_der(key))
            }
            _ => return Err(unknown()),
        };
        Ok(TokenKey { id: None, algorithms, key })
    }

    /// A JWK; `None` is one that is not for signatures, or of a kind that is not known (RFC 7517
    /// §5: such are passed over).
    fn jwk(jwk: &Value) -> Result<Option<TokenKey>, String> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| {
            let decoded = text(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
            decoded.ok_or_else(|| format!("has no `{name}` in base64url"))
        };
        if text("use").is_some_and(|purpose| purpose != "sig") {
            return Ok(None);
        }
        let (algorithms, key) = match (text("kty"), text("crv")) {
            (Some("RSA"), _) => {
                let (modulus, exponent) = (bytes("n")?, bytes("e")?);
                let length = modulus.iter().skip_while(|byte| **byte == 0).count();
                if length < MODULUS_BYTES_MIN {
                    return Err("is an RSA key of less than 2048 bits".to_owned());
                }
                (RSA.to_vec(), DecodingKey::from_rsa_raw_components(&modulus, &exponent))
            }
            (Some("EC"), Some(curve @ ("P-256" | "P-384"))) => {
                let (length, algorithm) = match curve {
                    "P-256" => (32, Algorithm::ES256),
                    _ => (48, Algorithm::ES384),
                };
                let (x, y) = (bytes("x")?, bytes("y")?);
                if x.len() != length || y.len() != length {
                    return Err(format!("has coordinates that are not of {curve}"));
                }
                (vec![algorithm], DecodingKey::from_ec_der(&[&[4][..], &x, &y].concat()))
            }
            (Some("OKP"), Some("Ed25519")) => match bytes("x")? {
                x if x.len() == 32 => (vec![Algorithm::EdDSA], DecodingKey::from_ed_der(&x)),
                _ => return Err("has an `x` that is not of Ed25519".to_owned()),
            },
            (Some("oct"), _) => {
                let TokenKey { algorithms, key, .. } = TokenKey::secret(&bytes("k")?)?;
                (algorithms, key)
            }
            (Some(_), _) => return Ok(None),
            (None, _) => return Err("has no `kty`".to_owned()),
        };
        let algorithms = match text("alg") {
            None => algorithms,
            Some(named) => {
                let of_kind = algorithms.into_iter().filter(|one| format!("{one:?}") == named);
                let of_kind: Vec<_> = of_kind.collect();
                if of_kind.is_empty() {
                    return Err(format!("is of a kind that is not for its `alg`, `{named}`"));
                }
                of_kind
            }
        };
        Ok(Some(TokenKey { id: text("kid").map(Into::into), algorithms, key }))
    }
}

/// Reads a file of keys, at least one.
///
/// # Errors
/// What is wrong with it, as the end of a sentence that begins with the file.
pub fn read(bytes: &[u8]) -> Result<Vec<TokenKey>, String> {
    let keys = match bytes.trim_ascii().first() {
        Some(b'{') => set(bytes)?,
        _ => of_pem(bytes)?,
    };
    match keys.len() {
        0 => Err("has no key that signatures can be verified with".to_owned()),
        1..=KEYS_MAX => Ok(keys),
        more => Err(format!("has more than {KEYS_MAX} keys: {more}")),
    }
}

/// Reads a set of public keys that another has published (RFC 7517 §5). What is no good key is
/// passed over: it may be for others. So is a shared secret, which who publishes it does not know
/// to be one.
///
/// # Errors
/// What is wrong with it, as the end of a sentence that begins with the answer.
pub fn read_published(bytes: &[u8]) -> Result<Vec<TokenKey>, String> {
    let value = json(bytes)?;
    let Some(Value::Array(list)) = value.get("keys") else {
        return Err("is not a set of keys: it has no list `keys`".to_owned());
    };
    if list.len() > KEYS_MAX {
        return Err(format!("has more than {KEYS_MAX} keys: {}", list.len()));
    }
    let is_public = |jwk: &&Value| jwk.get("kty").is_none_or(|kind| kind != "oct");
    let keys = list.iter().filter(is_public).filter_map(|jwk| TokenKey::jwk(jwk).ok().flatten());
    let keys: Vec<_> = keys.collect();
    match keys.is_empty() {
        true => Err("has no key that signatures can be verified with".to_owned()),
        false => Ok(keys),
    }
}

fn json(bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("is not JSON: {error}"))
}

fn set(bytes: &[u8]) -> Result<Vec<TokenKey>, String> {
    let value = json(bytes)?;
    let list = match value.get("keys") {
        Some(Value::Array(list)) => list.as_slice(),
        Some(_) => return Err("has a `keys` that is not a list".to_owned()),
        None => std::slice::from_ref(&value),
    };
    let mut keys = Vec::with_capacity(list.len());
    for (at, jwk) in list.iter().enumerate() {
        let key =
            TokenKey::jwk(jwk).map_err(|what| format!("has a key that {what} (key {})", at + 1));
        keys.extend(key?);
    }
    Ok(keys)
}

fn of_pem(bytes: &[u8]) -> Result<Vec<TokenKey>, String> {
    let found = pem::public_keys(bytes)?;
    let key = |(line, spki): (usize, Vec<u8>)| {
        TokenKey::public(&spki).map_err(|what| format!("has a block that {what} (line {line})"))
    };
    found.into_iter().map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_published_set_the_good_keys_count_and_what_is_no_set_is_none() {
        let good = r#"{"kty":"OKP","crv":"Ed25519","kid":"a",
            "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let odd = [
            r#"{"kty":"OKP","crv":"Ed25519","x":"AA"}"#,
            r#"{"kty":"oct","k":"c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldA"}"#,
            r#"{"kty":7}"#,
            r#"{"kty":"post-quantum"}"#,
            "null",
            "[]",
        ];
        let set = |keys: &[&str]| format!(r#"{{"keys":[{}]}}"#, keys.join(","));
        let read = |text: &str| read_published(text.as_bytes());
        let all = [&odd[..], &[good]].concat();
        let keys = read(&set(&all)).unwrap();
        assert_eq!(keys.iter().map(|key| key.id.as_deref()).collect::<Vec<_>>(), [Some("a")]);
        assert!(read(&set(&vec![good; KEYS_MAX])).is_ok());
        for wrong in [
            set(&odd),
            set(&[]),
            set(&vec![good; KEYS_MAX + 1]),
            good.to_owned(),
            r#"{"keys":{}}"#.to_owned(),
            "[]".to_owned(),
            "<html>".to_owned(),
            String::new(),
            "[".repeat(100_000),
        ] {
            assert!(read(&wrong).is_err(), "{wrong:.60}");
        }
    }
}
