//! Tokens: where a request shows one, whose signature it has, and what it claims. Pure.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderMap, HeaderValue, Uri};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde_json::Value;

use super::denial::DenialReason;
use super::identity::{Claims, claim, text};
use crate::config::plan::{ClaimMatch, Jwt, TokenPlace, TokenSession};
use crate::wire::credentials::{self, Shown};
use crate::wire::token_keys::TokenKey;
use crate::wire::{cookie, list, query};

/// Bytes of a token at most.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// A token that lets its owner pass.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct VerifiedToken {
    /// In how many seconds it expires; less than none where only the leeway lets it pass.
    pub(super) left: f64,
    pub(super) claims: Claims,
}

/// The token of a request: the first of the places that has one.
pub(super) fn find(places: &[TokenPlace], headers: &HeaderMap, uri: &Uri) -> Shown<String> {
    let shown = places.iter().map(|place| at(place, headers, uri));
    shown.into_iter().find(|shown| *shown != Shown::Nothing).unwrap_or(Shown::Nothing)
}

fn at(place: &TokenPlace, headers: &HeaderMap, uri: &Uri) -> Shown<String> {
    let text = |bytes: &[u8]| match str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() => Shown::Credentials(text.to_owned()),
        _ => Shown::Unreadable,
    };
    match place {
        TokenPlace::Header => match credentials::shown(headers, "Bearer") {
            Shown::Credentials(token) => text(token),
            Shown::Nothing => Shown::Nothing,
            Shown::Unreadable => Shown::Unreadable,
        },
        TokenPlace::Cookie(name) => cookie::value(headers, name).map_or(Shown::Nothing, text),
        TokenPlace::Query(name) => {
            let mut values = query::values(uri.query().unwrap_or_default(), name);
            match (values.next(), values.next()) {
                (None, _) => Shown::Nothing,
                (Some(token), None) => text(token.as_bytes()),
                (Some(_), Some(_)) => Shown::Unreadable,
            }
        }
        TokenPlace::Protocol(prefix) => {
            let entries = list::tokens(headers, SEC_WEBSOCKET_PROTOCOL);
            let mut tokens = entries.filter_map(|entry| entry.strip_prefix(&**prefix));
            match (tokens.next(), tokens.next()) {
                (None, _) => Shown::Nothing,
                (Some(token), None) if place.is_encoded() => {
                    URL_SAFE_NO_PAD.decode(token).map_or(Shown::Unreadable, |token| text(&token))
                }
                (Some(token), None) => text(token.as_bytes()),
                (Some(_), Some(_)) => Shown::Unreadable,
            }
        }
    }
}

/// Removes tokens from every place that they may stand in, whether or not they were looked at.
pub(super) fn strip(places: &[TokenPlace], headers: &mut HeaderMap, uri: &mut Uri) {
    for place in places {
        match place {
            TokenPlace::Header => credentials::remove(headers, "Bearer"),
            TokenPlace::Cookie(name) => cookie::remove(headers, name),
            TokenPlace::Query(name) => query::remove(uri, name),
            TokenPlace::Protocol(prefix) => remove_protocol(headers, prefix),
        }
    }
}

fn remove_protocol(headers: &mut HeaderMap, prefix: &str) {
    let entries: Vec<&str> = list::tokens(headers, SEC_WEBSOCKET_PROTOCOL).collect();
    if !entries.iter().any(|entry| entry.starts_with(prefix)) {
        return;
    }
    let kept: Vec<&str> = entries.into_iter().filter(|entry| !entry.starts_with(prefix)).collect();
    let kept = HeaderValue::try_from(kept.join(", ")).ok().filter(|kept| !kept.is_empty());
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if let Some(kept) = kept {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, kept);
    }
}

/// Removes the values that may be tokens from a target for the log.
pub(super) fn redact(places: &[TokenPlace], uri: &mut Uri) {
    for place in places {
        if let TokenPlace::Query(name) = place {
            query::remove(uri, name);
        }
    }
}

/// The names by which the owner of these claims can be found in a list of those that are good no
/// more: the token's, and its subject.
pub(super) fn names(claims: &Claims) -> Box<[Box<str>]> {
    let named = |name: &&str| Some(text(claims.get(*name)?)?.into());
    ["jti", "sub"].iter().filter_map(named).collect()
}

/// Verifies a token with these keys at this moment, in seconds since 1970.
pub(super) fn verify(
    token: &str,
    keys: &[TokenKey],
    rule: &Jwt,
    now: f64,
) -> Result<VerifiedToken, DenialReason> {
    let claims = signed(token, keys)?;
    let leeway = rule.leeway.as_secs_f64();
    let number = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(DenialReason::TokenMalformed),
    };
    let expires = number("exp")?.ok_or(DenialReason::TokenExpired)?;
    if now >= expires + leeway {
        return Err(DenialReason::TokenExpired);
    }
    if number("nbf")?.is_some_and(|from| now + leeway < from) {
        return Err(DenialReason::TokenEarly);
    }
    let is_one_of = |name: &str, wanted: &[Box<str>]| {
        let claimed = claims.get(name);
        wanted.is_empty() || claimed.is_some_and(|claimed| names_any(claimed, wanted))
    };
    // A list of issuers is none (RFC 7519 §4.1.1).
    let has_issuer = claims.get("iss").is_none_or(Value::is_string);
    if !has_issuer || !is_one_of("iss", &rule.issuers) {
        return Err(DenialReason::TokenIssuer);
    }
    if !is_one_of("aud", &rule.audiences) {
        return Err(DenialReason::TokenAudience);
    }
    let holds = |(path, wanted): &(Box<str>, ClaimMatch)| {
        claim(&claims, path).is_some_and(|claimed| fits(claimed, wanted))
    };
    if !rule.claims.iter().all(holds) {
        return Err(DenialReason::TokenClaims);
    }
    Ok(VerifiedToken { left: expires - now, claims })
}

/// How long a session may last whose token expires in `left` seconds; `None` where it does not end
/// with it. `share`, 0 to 1, is how much of the spread it ends early by.
pub(super) fn session_time(rule: &Jwt, left: f64, share: f64) -> Option<Duration> {
    let TokenSession { expires, grace, spread, .. } = rule.session;
    let early = spread.as_secs_f64() * share;
    // One that only the leeway lets pass has that long: its client would come again at once.
    let left = if left > 0.0 { left } else { left + rule.leeway.as_secs_f64() };
    let seconds = (left + grace.as_secs_f64() - early).max(0.0);
    expires.then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// The claims of a token that one of the keys has signed.
fn signed(token: &str, keys: &[TokenKey]) -> Result<Claims, DenialReason> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(DenialReason::TokenMalformed);
    }
    let header = decode_header(token).map_err(|_| DenialReason::TokenMalformed)?;
    if header.crit.is_some() {
        // What must be understood, we do not understand (RFC 7515 §4.1.11).
        return Err(DenialReason::TokenMalformed);
    }
    let is_named = |key: &&TokenKey| match (&key.id, &header.kid) {
        (Some(id), Some(wanted)) => **id == **wanted,
        _ => true,
    };
    let mut named = keys.iter().filter(is_named).peekable();
    if named.peek().is_none() {
        return Err(DenialReason::TokenKey);
    }
    let mut refused = DenialReason::TokenAlgorithm;
    for key in named.filter(|key| key.algorithms.contains(&header.alg)) {
        match decode::<Claims>(token, &key.key, &only_signature(header.alg)) {
            Ok(read) => return Ok(read.claims),
            Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => {
                refused = DenialReason::TokenSignature;
            }
            Err(_) => return Err(DenialReason::TokenMalformed),
        }
    }
    Err(refused)
}

/// The signature alone: claims are judged here, at a time that is an argument.
fn only_signature(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

/// Whether a text, or one of a list, is one of these.
fn names_any(claimed: &Value, wanted: &[Box<str>]) -> bool {
    let is_wanted = |text: &str| wanted.iter().any(|one| **one == *text);
    match claimed {
        Value::String(text) => is_wanted(text),
        Value::Array(list) => list.iter().filter_map(Value::as_str).any(is_wanted),
        _ => false,
    }
}

/// Whether a claim is as it must be; of a list, whether one of it is.
fn fits(claimed: &Value, wanted: &ClaimMatch) -> bool {
    if let Value::Array(list) = claimed {
        return list.iter().any(|one| !one.is_array() && fits(one, wanted));
    }
    match wanted {
        ClaimMatch::Boolean(wanted) => claimed.as_bool() == Some(*wanted),
        ClaimMatch::Number(wanted) => claimed.as_i64() == Some(*wanted),
        ClaimMatch::Exact(wanted) => claimed.as_str() == Some(&**wanted),
        ClaimMatch::Regex(regex) => claimed.as_str().is_some_and(|text| regex.is_match(text)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use aws_lc_rs::rsa::{self, KeySize};
    use aws_lc_rs::signature::{KeyPair as _, RsaPublicKeyComponents};
    use jsonwebtoken::{EncodingKey, Header, encode};
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
    use serde_json::json;

    use super::*;
    use crate::config::plan::{TokenKeySource, TokenKeys};
    use crate::wire::token_keys;

    const NOW: f64 = 1_000_000.0;

    fn rule(keys: Vec<TokenKey>) -> Jwt {
        Jwt {
            keys: TokenKeySource::Read(TokenKeys {
                path: "".into(),
                stamp: 0,
                loaded: Arc::new(keys),
            }),
            issuers: Vec::new(),
            audiences: Vec::new(),
            leeway: Duration::from_secs(10),
            places: vec![TokenPlace::Header],
            claims: Vec::new(),
            strip: true,
            revoked: None,
            session: TokenSession {
                extend_max: None,
                expires: true,
                grace: Duration::ZERO,
                spread: Duration::from_secs(4),
            },
        }
    }

    fn keys(rule: &Jwt) -> &[TokenKey] {
        match &rule.keys {
            TokenKeySource::Read(keys) => &keys.loaded,
            TokenKeySource::Url(_) => panic!("the rules of these tests have keys"),
        }
    }

    /// In how many seconds a token expires that lets its owner pass.
    fn verified(token: &str, rule: &Jwt) -> Result<f64, DenialReason> {
        verify(token, keys(rule), rule, NOW).map(|verified| verified.left)
    }

    fn token(algorithm: Algorithm, key: &EncodingKey, claims: &Value) -> String {
        encode(&Header::new(algorithm), claims, key).unwrap()
    }

    /// A private key, and its public half in PEM.
    fn pairs() -> Vec<(Algorithm, EncodingKey, String)> {
        let made = |kind| KeyPair::generate_for(kind).unwrap();
        let (p256, p384) = (made(&PKCS_ECDSA_P256_SHA256), made(&PKCS_ECDSA_P384_SHA384));
        let ed = made(&PKCS_ED25519);
        let ec = |pair: &KeyPair| EncodingKey::from_ec_der(pair.serialized_der());
        vec![
            (Algorithm::ES256, ec(&p256), p256.public_key_pem()),
            (Algorithm::ES384, ec(&p384), p384.public_key_pem()),
            (Algorithm::EdDSA, EncodingKey::from_ed_der(ed.serialized_der()), ed.public_key_pem()),
        ]
    }

    #[test]
    fn each_kind_of_key_verifies_what_its_other_half_has_signed_and_nothing_else() {
        let claims = json!({ "exp": NOW + 60.0 });
        let pairs = pairs();
        for (algorithm, private, public) in &pairs {
            let rule = rule(token_keys::read(public.as_bytes()).unwrap());
            for (other, key, _) in &pairs {
                let verdict = verified(&token(*other, key, &claims), &rule);
                match other == algorithm {
                    true => assert_eq!(verdict, Ok(60.0)),
                    false => assert_eq!(verdict, Err(DenialReason::TokenAlgorithm), "{other:?}"),
                }
            }
            let forged =
                token(Algorithm::HS256, &EncodingKey::from_secret(public.as_bytes()), &claims);
            assert_eq!(verified(&forged, &rule), Err(DenialReason::TokenAlgorithm));
            let whole = token(*algorithm, private, &claims);
            let cut = whole.replacen('.', ".x", 1);
            assert!(verified(&cut, &rule).is_err());
        }
    }

    #[test]
    fn a_key_of_rsa_verifies_too_and_names_choose_among_keys() {
        let pair = rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        // The key itself stands behind 26 bytes that say what it is.
        let private = EncodingKey::from_rsa_der(&pkcs8.as_ref()[26..]);
        let modulus = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        let (n, e) = (URL_SAFE_NO_PAD.encode(&modulus.n), URL_SAFE_NO_PAD.encode(&modulus.e));
        // As those write it who take a number's sign along (RFC 7518 §6.3.1.1).
        let with_zero = URL_SAFE_NO_PAD.encode([&[0], &modulus.n[..]].concat());
        let jwk = json!({ "keys": [
            { "kty": "RSA", "n": with_zero, "e": e, "kid": "one", "use": "sig" },
            { "kty": "RSA", "n": n, "e": e, "kid": "two", "alg": "PS256" },
            { "kty": "RSA", "n": n, "e": e, "use": "enc" },
            { "kty": "EC", "crv": "P-521", "x": "", "y": "" },
        ] });
        let rule = rule(token_keys::read(jwk.to_string().as_bytes()).unwrap());
        assert_eq!(keys(&rule).len(), 2);
        let claims = json!({ "exp": NOW + 60.0 });
        let named = |kid: Option<&str>, algorithm| {
            let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
            let token = encode(&header, &claims, &private).unwrap();
            verified(&token, &rule)
        };
        assert_eq!(named(Some("one"), Algorithm::RS256), Ok(60.0));
        assert_eq!(named(Some("two"), Algorithm::PS256), Ok(60.0));
        assert_eq!(named(None, Algorithm::PS256), Ok(60.0));
        assert_eq!(named(Some("two"), Algorithm::RS256), Err(DenialReason::TokenAlgorithm));
        assert_eq!(named(Some("three"), Algorithm::RS256), Err(DenialReason::TokenKey));
    }

    #[test]
    fn times_have_a_leeway_and_sessions_end_early_by_their_spread_and_never_at_once() {
        let secret = [7; 32];
        let rule = rule(vec![TokenKey::secret(&secret).unwrap()]);
        let key = EncodingKey::from_secret(&secret);
        let at = |claims| verified(&token(Algorithm::HS256, &key, &claims), &rule);
        assert_eq!(at(json!({ "exp": NOW - 9.0 })), Ok(-9.0));
        assert_eq!(at(json!({ "exp": NOW - 10.0 })), Err(DenialReason::TokenExpired));
        assert_eq!(at(json!({ "exp": NOW + 5.0, "nbf": NOW + 10.0 })), Ok(5.0));
        assert_eq!(
            at(json!({ "exp": NOW + 5.0, "nbf": NOW + 11.0 })),
            Err(DenialReason::TokenEarly)
        );
        let time = |left, share| session_time(&rule, left, share).unwrap().as_secs_f64();
        assert_eq!((time(60.0, 0.0), time(60.0, 1.0), time(2.0, 1.0)), (60.0, 56.0, 0.0));
        assert_eq!(time(-9.0, 0.0), 1.0);
        assert_eq!(session_time(&rule, 1e300, 0.0), Some(Duration::MAX));
    }

    #[test]
    fn claims_are_found_by_their_names_and_lists_have_one_that_fits() {
        let claims = json!({
            "a.b": 1, "a": { "b": 2, "roles": ["user", "admin"] }, "on": true, "text": "true",
        });
        let claims = claims.as_object().unwrap();
        let holds = |path, wanted| claim(claims, path).is_some_and(|found| fits(found, &wanted));
        let exact = |text: &str| ClaimMatch::Exact(text.into());
        assert!(holds("a.b", ClaimMatch::Number(1)) && !holds("a.b", ClaimMatch::Number(2)));
        assert!(holds("a.roles", exact("admin")) && !holds("a.roles", exact("root")));
        assert!(holds("on", ClaimMatch::Boolean(true)) && !holds("on", exact("true")));
        assert!(!holds("text", ClaimMatch::Boolean(true)) && !holds("a", exact("b")));
        assert!(!holds("a.roles.user", ClaimMatch::Boolean(true)));
    }
}
