//! Keys that tokens are verified with: a JWK, a set of them (RFC 7517), or public keys in PEM.

use std::fmt;
use std::ops::RangeInclusive;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

use super::byte_order_mark::without_mark;
use super::pem;
use super::x509::{PublicKeyKind, SubjectPublicKey, rsa_public_key};

/// Fewest bytes of a shared secret: as many as the shortest hash has (RFC 7518 §3.2).
pub const SECRET_BYTES_MIN: usize = 32;

/// Bits of an RSA modulus: fewest (RFC 7518 §3.3), and the most that signatures are verified with.
const MODULUS_BITS: RangeInclusive<usize> = 2048..=8192;

/// The most bits of an RSA exponent: with more, a signature takes long to verify.
const EXPONENT_BITS_MAX: usize = 33;

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
            PublicKeyKind::Rsa => {
                let (modulus, exponent) = rsa_public_key(key).ok_or_else(unknown)?;
                rsa(modulus, exponent)?
            }
            PublicKeyKind::P256 if key.len() == 65 => elliptic(Algorithm::ES256, key)?,
            PublicKeyKind::P384 if key.len() == 97 => elliptic(Algorithm::ES384, key)?,
            PublicKeyKind::Ed25519 if key.len() == 32 => {
                (vec![Algorithm::EdDSA], DecodingKey::from_ed_der(key))
            }
            _ => return Err(unknown()),
        };
        Ok(TokenKey { id: None, algorithms, key })
    }

    /// A JWK; `None` is one that is not for verifying signatures, or of a kind that is not known
    /// (RFC 7517 §5: such are passed over).
    fn jwk(jwk: &Value) -> Result<Option<TokenKey>, String> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| {
            let decoded = text(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
            decoded.ok_or_else(|| format!("has no `{name}` in base64url"))
        };
        let is_for_it = |operations: &Vec<Value>| operations.iter().any(|one| one == "verify");
        let operations = jwk.get("key_ops").and_then(Value::as_array);
        if text("use").is_some_and(|purpose| purpose != "sig")
            || operations.is_some_and(|operations| !is_for_it(operations))
        {
            return Ok(None);
        }
        let (algorithms, key) = match (text("kty"), text("crv")) {
            (Some("RSA"), _) => rsa(&bytes("n")?, &bytes("e")?)?,
            (Some("EC"), Some(curve @ ("P-256" | "P-384"))) => {
                let (length, algorithm) = match curve {
                    "P-256" => (32, Algorithm::ES256),
                    _ => (48, Algorithm::ES384),
                };
                let (x, y) = (bytes("x")?, bytes("y")?);
                if x.len() != length || y.len() != length {
                    return Err(format!("has coordinates that are not of {curve}"));
                }
                elliptic(algorithm, &[&[4][..], &x, &y].concat())?
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

/// What a key may verify, and the key.
type Verifying = (Vec<Algorithm>, DecodingKey);

/// A key of RSA. One that no signature could be verified with is refused here, where it can be
/// said, and not with each token.
fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Verifying, String> {
    // Some who publish keys put zeros in front (RFC 7518 §6.3.1.1).
    let number = |bytes: &'_ [u8]| -> Vec<u8> {
        bytes.iter().copied().skip_while(|byte| *byte == 0).collect()
    };
    let bits = |number: &[u8]| {
        number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
    };
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    let (modulus, exponent) = (number(modulus), number(exponent));
    match bits(&modulus) {
        few if few < *MODULUS_BITS.start() => {
            return Err("is an RSA key of less than 2048 bits".to_owned());
        }
        many if many > *MODULUS_BITS.end() => {
            return Err("is an RSA key of more than 8192 bits".to_owned());
        }
        _ => {}
    }
    let is_sound = is_odd(&modulus) && is_odd(&exponent);
    if !is_sound || !(2..=EXPONENT_BITS_MAX).contains(&bits(&exponent)) {
        return Err("is an RSA key whose numbers are none of a key".to_owned());
    }
    Ok((RSA.to_vec(), DecodingKey::from_rsa_raw_components(&modulus, &exponent)))
}

/// A key of ECDSA: a point that is on its curve.
fn elliptic(algorithm: Algorithm, point: &[u8]) -> Result<Verifying, String> {
    let curve = match algorithm {
        Algorithm::ES256 => &ECDSA_P256_SHA256_FIXED,
        _ => &ECDSA_P384_SHA384_FIXED,
    };
    match ParsedPublicKey::new(curve, point) {
        Ok(_) => Ok((vec![algorithm], DecodingKey::from_ec_der(point))),
        Err(_) => Err("has a point that is not on its curve".to_owned()),
    }
}

/// Reads a file of keys, at least one.
///
/// # Errors
/// What is wrong with it, as the end of a sentence that begins with the file.
pub fn read(bytes: &[u8]) -> Result<Vec<TokenKey>, String> {
    let bytes = without_mark(bytes);
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
    serde_json::from_slice(without_mark(bytes)).map_err(|error| format!("is not JSON: {error}"))
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
        let rsa = |bits: usize, last: u8, exponent: &str| {
            let mut modulus = vec![0xff; bits / 8];
            modulus[bits / 8 - 1] = last;
            let modulus = URL_SAFE_NO_PAD.encode(modulus);
            format!(r#"{{"kty":"RSA","n":"{modulus}","e":"{exponent}"}}"#)
        };
        let zeros = "A".repeat(43);
        let off_curve = format!(r#"{{"kty":"EC","crv":"P-256","x":"{zeros}","y":"{zeros}"}}"#);
        let no_numbers = [
            rsa(2040, 0xff, "AQAB"),
            rsa(16_384, 0xff, "AQAB"),
            rsa(2048, 0xfe, "AQAB"),
            rsa(2048, 0xff, "AQ"),
            rsa(2048, 0xff, "AQAA"),
            rsa(2048, 0xff, &"_".repeat(342)),
        ];
        let other = |more: &str| good.replacen('{', &format!("{{{more},"), 1);
        let for_others = [other(r#""use":"enc""#), other(r#""key_ops":["sign"]"#)];
        let odd = [
            &*off_curve,
            r#"{"kty":"OKP","crv":"Ed25519","x":"AA"}"#,
            r#"{"kty":"oct","k":"c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldA"}"#,
            r#"{"kty":7}"#,
            r#"{"kty":"post-quantum"}"#,
            "null",
            "[]",
        ];
        let set = |keys: &[&str]| format!(r#"{{"keys":[{}]}}"#, keys.join(","));
        let read = |text: &str| read_published(text.as_bytes());
        let odd: Vec<&str> =
            odd.into_iter().chain(no_numbers.iter().chain(&for_others).map(|key| &**key)).collect();
        let all = [&odd[..], &[good]].concat();
        let keys = read(&set(&all)).unwrap();
        assert_eq!(keys.iter().map(|key| key.id.as_deref()).collect::<Vec<_>>(), [Some("a")]);
        assert!(read(&set(&vec![good; KEYS_MAX])).is_ok());
        let marked = format!("\u{feff}{}", set(&[good]));
        assert!(read(&marked).is_ok() && super::read(marked.as_bytes()).is_ok());
        assert!(read(&set(&[&rsa(2048, 0xff, "AQAB")])).is_ok());
        assert!(read(&set(&[&other(r#""key_ops":["verify"]"#)])).is_ok());
        for wrong in odd.iter().map(|one| set(&[one])).chain([
            set(&[]),
            set(&vec![good; KEYS_MAX + 1]),
            good.to_owned(),
            r#"{"keys":{}}"#.to_owned(),
            "[]".to_owned(),
            "<html>".to_owned(),
            String::new(),
            "[".repeat(100_000),
        ]) {
            assert!(read(&wrong).is_err(), "{wrong:.60}");
        }
    }
}
