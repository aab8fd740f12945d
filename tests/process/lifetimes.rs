//! How long sessions last that were opened with a token, and keys of tokens over an upgrade.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ED25519};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::actors::{Backend, Client, Ending, Session, within};
use crate::proxy::Proxy;
use crate::upgrade::upgraded;

const SECRET: &str = "a secret that both sides know, and nobody else";

fn now() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs_f64()
}

/// A field with a token that expires then.
fn bearer(expires: u64) -> String {
    let claims = json!({ "exp": expires, "sub": "ada" });
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    format!("Bearer {}", encode(&Header::default(), &claims, &key).unwrap())
}

async fn guarded(backends: &[Backend; 2], session: &str) -> Proxy {
    let addresses = backends.each_ref().map(|backend| backend.address().to_string());
    Proxy::start(&format!(
        "[access.login.jwt]\nsecret = \"{SECRET}\"\n{session}\n\
         [pools.chat]\nbackends = {addresses:?}\n\
         [[routes]]\npath = \"/chat\"\npool = \"chat\"\naccess = \"login\"\n"
    ))
    .await
}

fn client(proxy: &Proxy) -> Client {
    Client::to(proxy.plain.parse().unwrap()).path("/chat")
}

async fn opened(proxy: &Proxy, expires: u64) -> Session {
    client(proxy).field("Authorization", &bearer(expires)).open().await
}

/// When a session ends that must end of age, and which must say nothing before.
async fn ended(mut session: Session, expires: u64) -> f64 {
    // Much longer than a client of other tests waits.
    let wait = Duration::from_secs_f64((expires as f64 - now()).max(0.0) + 30.0);
    let ending = tokio::time::timeout(wait, session.forward()).await.unwrap();
    assert_eq!(ending, Err(Ending::Close(4403, "expired".into())));
    now()
}

#[tokio::test]
async fn sessions_end_with_their_tokens_and_not_with_those_of_others() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let proxy = guarded(&backends, "").await;
    let (short, long) = (now() as u64 + 6, now() as u64 + 60);
    let mut stay = Vec::new();
    let mut ending = JoinSet::new();
    for _ in 0..20 {
        stay.push(opened(&proxy, long).await);
        ending.spawn(ended(opened(&proxy, short).await, short));
    }
    let late: Vec<f64> = ending.join_all().await.into_iter().map(|at| at - short as f64).collect();
    assert!(late.iter().all(|late| *late >= 0.0), "none before its time: {late:?}");
    // The rest is the machine's, which has other work.
    let in_time = late.iter().filter(|late| **late <= 1.0).count();
    assert!(in_time >= 15, "within a second: {late:?}");
    for session in &mut stay {
        session.echo("it has another token").await;
    }
    assert!(now() < long as f64, "too slow to show anything");
}

#[tokio::test]
async fn a_thousand_sessions_of_one_moment_end_evenly_over_their_spread() {
    const SPREAD: u64 = 12;
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let proxy = Arc::new(guarded(&backends, &format!("session.spread = \"{SPREAD}s\"")).await);
    // Half a minute of a machine that has other work is enough for all handshakes.
    let expires = now() as u64 + 30 + SPREAD;
    let (mut ending, places) = (JoinSet::new(), Arc::new(Semaphore::new(50)));
    let mut opening = JoinSet::new();
    for _ in 0..1000 {
        let (proxy, places) = (Arc::clone(&proxy), Arc::clone(&places));
        opening.spawn(async move {
            let _place = places.acquire_owned().await.unwrap();
            opened(&proxy, expires).await
        });
    }
    for session in opening.join_all().await {
        ending.spawn(ended(session, expires));
    }
    assert!(now() < (expires - SPREAD) as f64, "too slow to show anything");
    let mut quarters = [0; 4];
    for at in ending.join_all().await {
        let early = (expires as f64 - at).clamp(0.0, SPREAD as f64 - 0.001);
        quarters[(early / (SPREAD as f64 / 4.0)) as usize] += 1;
    }
    assert!(quarters.iter().all(|ended| (200..=300).contains(ended)), "{quarters:?} of 250 each");
}

#[tokio::test]
async fn a_login_server_that_is_away_during_an_upgrade_keeps_nobody_out() {
    let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let x = URL_SAFE_NO_PAD.encode(pair.public_key_raw());
    let keys = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "one", "x": x }] });
    let (keys, length) = (keys.to_string(), keys.to_string().len());
    let issuer = Backend::answering(format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{keys}"
    ))
    .await;
    let header = Header { kid: Some("one".into()), ..Header::new(Algorithm::EdDSA) };
    let claims = json!({ "exp": now() as u64 + 600 });
    let key = EncodingKey::from_ed_der(pair.serialized_der());
    let token = format!("Bearer {}", encode(&header, &claims, &key).unwrap());
    let address = issuer.address();
    let text = format!(
        "[access.login.jwt.keys]\nsource = \"http://{address}/keys\"\n\
         refresh = \"1h\"\nrefresh_min = \"1s\"\nstale_max = \"1d\"\n\
         [[routes]]\npath = \"/chat\"\nrespond = \"in\"\naccess = \"login\"\n"
    );
    let proxy = Proxy::start(&text).await;
    let good = client(&proxy).field("Authorization", &token);
    let status = async || within("an answer", good.request("GET", "")).await.0.status();
    assert_eq!(status().await, 200);
    issuer.kill().await;
    for _ in 0..2 {
        upgraded(&proxy).await;
        assert_eq!(status().await, 200, "{}", proxy.log());
        let (code, said) = proxy.order("status", &[]);
        assert!(code == 0 && said.contains("login"), "{said}");
    }
    // Of a set that is asked for elsewhere these are no keys, whatever its rule is called.
    proxy.configure(&text.replace("/keys", "/others"));
    upgraded(&proxy).await;
    assert_eq!(status().await, 503);
}
