//! Tokens of any shape (RFC 7519, RFC 8725): none passes that was not signed by a known key for
//! here and now, and none breaks anything.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::case::{Case, play};
use crate::proxy::Proxy;
use crate::site::site;
use crate::witness::Witness;

const SECRET: &str = "a secret that both sides know, and nobody else";

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn good() -> Value {
    json!({ "exp": now() + 600, "iss": "login", "aud": ["chat", "mail"], "role": "user" })
}

/// The good claims but for one.
fn but(name: &str, value: Value) -> String {
    let mut claims = good();
    claims[name] = value;
    signed(&Header::new(Algorithm::HS256), &claims, SECRET.as_bytes())
}

fn without(name: &str) -> String {
    let mut claims = good();
    claims.as_object_mut().unwrap().remove(name);
    signed(&Header::new(Algorithm::HS256), &claims, SECRET.as_bytes())
}

fn signed(header: &Header, claims: &Value, secret: &[u8]) -> String {
    encode(header, claims, &EncodingKey::from_secret(secret)).unwrap()
}

/// A token of parts that no library would write.
fn raw(header: &str, claims: &str, signature: &str) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{signature}", part(header), part(claims))
}

fn cases(public: &str) -> Vec<Case> {
    let case = |name, rfc, token: String, outcome, seen| {
        let request =
            format!("GET /a HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
        Case { name, rfc, bytes: request.into_bytes(), outcome, seen }
    };
    let refused = |name, rfc, token| case(name, rfc, token, "401, kept", "nothing");
    let whole = signed(&Header::new(Algorithm::HS256), &good(), SECRET.as_bytes());
    let parts: Vec<&str> = whole.split('.').collect();
    let claims = good().to_string();
    let mut critical = Header::new(Algorithm::HS256);
    critical.crit = Some(vec!["b64".to_owned()]);
    let mut named = Header::new(Algorithm::HS256);
    named.kid = Some("../../dev/null' OR 1=1".to_owned());
    let by_public = signed(&Header::new(Algorithm::HS256), &good(), public.as_bytes());
    let deep = format!("{{\"exp\":{}}}", "[".repeat(5_000));
    vec![
        case("a good one", "7519 §7.2", whole.clone(), "200 /a, kept", "GET /a"),
        case("nothing behind the scheme", "6750 §3.1", String::new(), "400, kept", "nothing"),
        refused("no token at all", "7519 §7.2", "x".to_owned()),
        refused("dots", "7519 §7.2", "..".to_owned()),
        refused("many dots", "7519 §7.2", ".".repeat(10_000)),
        refused("without its signature", "7515 §5.2", whole[..whole.len() - parts[2].len()].into()),
        refused("cut in its claims", "7515 §5.2", format!("{}.{}", parts[0], &parts[1][..9])),
        refused("cut in its signature", "7515 §5.2", whole[..whole.len() - 1].into()),
        refused("four parts", "7515 §7.1", format!("{whole}.x")),
        refused("five parts, as encrypted ones have", "7516 §7.1", format!("{whole}.x.y")),
        refused("padding", "7515 §2", format!("{}=.{}.{}", parts[0], parts[1], parts[2])),
        refused(
            "another's claims",
            "7515 §5.2",
            format!(
                "{}.{}.{}",
                parts[0],
                URL_SAFE_NO_PAD.encode(claims.replace("user", "root")),
                parts[2]
            ),
        ),
        refused("alg none", "8725 §2.1", raw("{\"alg\":\"none\"}", &claims, "")),
        refused("alg NONE", "8725 §2.1", raw("{\"alg\":\"NONE\"}", &claims, "")),
        refused("no alg", "7515 §4.1.1", raw("{}", &claims, parts[2])),
        refused("a number for alg", "7515 §4.1.1", raw("{\"alg\":256}", &claims, parts[2])),
        refused("alg twice", "7515 §4", raw("{\"alg\":\"none\",\"alg\":\"HS256\"}", &claims, "")),
        refused("HS256 with the public key", "8725 §2.1", by_public),
        refused(
            "alg RS256 with an HMAC",
            "8725 §3.1",
            raw("{\"alg\":\"RS256\"}", &claims, parts[2]),
        ),
        refused("another secret", "7515 §5.2", signed(&Header::default(), &good(), &[7; 32])),
        refused("an empty secret", "7515 §5.2", signed(&Header::default(), &good(), b"")),
        refused(
            "what must be understood",
            "7515 §4.1.11",
            signed(&critical, &good(), SECRET.as_bytes()),
        ),
        case(
            "a name for a key that has none",
            "7515 §4.1.4",
            signed(&named, &good(), SECRET.as_bytes()),
            "200 /a, kept",
            "GET /a",
        ),
        refused(
            "a key of its own",
            "8725 §3.5",
            raw("{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}}", &claims, parts[2]),
        ),
        refused("claims that are no JSON", "7519 §7.2", raw("{\"alg\":\"HS256\"}", "x", "")),
        refused(
            "claims that are a list",
            "7519 §7.2",
            signed(&Header::default(), &json!([1]), SECRET.as_bytes()),
        ),
        refused("deep claims", "7519 §7.2", raw("{\"alg\":\"HS256\"}", &deep, parts[2])),
        refused("a deep header", "7515 §5.2", raw(&deep, &claims, parts[2])),
        refused("20 KB", "7519 §7.2", but("x", "y".repeat(20_000).into())),
        refused("expired", "7519 §4.1.4", but("exp", (now() - 60).into())),
        refused("no end", "7519 §4.1.4", without("exp")),
        refused("an end that is text", "7519 §4.1.4", but("exp", "9999999999".into())),
        refused("an end before 1970", "7519 §4.1.4", but("exp", (-1).into())),
        case("an end in 10^300", "7519 §4.1.4", but("exp", 1e300.into()), "200 /a, kept", "GET /a"),
        refused("not yet", "7519 §4.1.5", but("nbf", (now() + 600).into())),
        refused("a beginning that is text", "7519 §4.1.5", but("nbf", "0".into())),
        refused("another issuer", "7519 §4.1.1", but("iss", "LOGIN".into())),
        refused("issuers", "7519 §4.1.1", but("iss", json!(["login", "x"]))),
        refused("no issuer", "7519 §4.1.1", without("iss")),
        refused("another audience", "7519 §4.1.3", but("aud", "mail".into())),
        refused("an audience that is a table", "7519 §4.1.3", but("aud", json!({ "chat": 1 }))),
        refused("no audience", "7519 §4.1.3", without("aud")),
        case("another role", "6750 §3.1", but("role", "guest".into()), "403, kept", "nothing"),
        case("no role", "6750 §3.1", without("role"), "403, kept", "nothing"),
        case("a role that is a table", "6750 §3.1", but("role", json!({})), "403, kept", "nothing"),
    ]
}

#[tokio::test]
async fn no_token_passes_that_was_not_made_for_here_and_now() {
    let witness = Witness::start().await;
    let keys = tempfile::tempdir().unwrap();
    let pair = rcgen::KeyPair::generate().unwrap();
    let public = pair.public_key_pem();
    let secret = URL_SAFE_NO_PAD.encode(SECRET);
    std::fs::write(keys.path().join("public.pem"), &public).unwrap();
    let jwk = json!({ "keys": [{ "kty": "oct", "k": secret }, { "kty": "new", "x": 1 }] });
    std::fs::write(keys.path().join("secret.json"), jwk.to_string()).unwrap();
    let rule = format!(
        "[access.login.jwt]\nkeys = \"{}\"\nissuer = \"login\"\naudience = \"chat\"\n\
         claims = {{ role = \"~ ^(user|admin)$\" }}\n",
        keys.path().display()
    );
    let site = site(&[]).backend(witness.address()).table(&rule);
    let route = "[[routes]]\npath = \"/a\"\npool = \"chat\"\naccess = \"login\"";
    let proxy = Proxy::start(&site.route(route)).await;
    // By the key's text, and by its bytes.
    let mut all = cases(&public);
    let der = jsonwebtoken::EncodingKey::from_secret(
        &rcgen::PublicKeyData::subject_public_key_info(&pair),
    );
    let token = encode(&Header::new(Algorithm::HS256), &good(), &der).unwrap();
    let bytes =
        format!("GET /a HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    all.push(Case {
        name: "HS256 with the public key's bytes",
        rfc: "8725 §2.1",
        bytes: bytes.into_bytes(),
        outcome: "401, kept",
        seen: "nothing",
    });
    play("tokens", &all, &proxy, &witness).await;
    proxy.stop().await;
}
