//! Keys of tokens that are fetched by URL.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ED25519};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::denied;
use super::tokens::now;
use super::ways::{Asker, both, everywhere};
use crate::actors::{Backend, Certificates, Head, Wire, until, within};
use crate::proxy::Proxy;
use crate::site::{Site, site};

/// A key of an issuer, by its name.
struct Key {
    id: &'static str,
    pair: KeyPair,
}

impl Key {
    fn new(id: &'static str) -> Key {
        Key { id, pair: KeyPair::generate_for(&PKCS_ED25519).unwrap() }
    }

    fn jwk(&self) -> serde_json::Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key_raw());
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.id, "x": x, "use": "sig" })
    }

    /// A field with a token that says to be of the key of this name.
    fn named(&self, id: &str, seconds: f64) -> String {
        let header = Header { kid: Some(id.to_owned()), ..Header::new(Algorithm::EdDSA) };
        let key = EncodingKey::from_ed_der(self.pair.serialized_der());
        let claims = json!({ "sub": "ada", "exp": now() + seconds });
        format!("Bearer {}", encode(&header, &claims, &key).unwrap())
    }

    fn token(&self) -> String {
        self.named(self.id, 600.0)
    }
}

fn answer(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

fn keys(keys: &[&Key]) -> Vec<u8> {
    let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
    answer(&json!({ "keys": keys }).to_string())
}

/// Answers with a set of keys, or with what else it is told to.
struct Issuer {
    answer: Arc<Mutex<Option<Vec<u8>>>>,
    server: Backend,
}

impl Issuer {
    async fn new(certificates: Option<&Certificates>, keys_of: &[&Key]) -> Issuer {
        let answer = Arc::new(Mutex::new(Some(keys(keys_of))));
        let server = Backend::script_over(certificates, Issuer::script(&answer)).await;
        Issuer { answer, server }
    }

    fn script(
        answer: &Arc<Mutex<Option<Vec<u8>>>>,
    ) -> impl Fn(Head, Wire) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + use<> {
        let answer = Arc::clone(answer);
        move |_, mut wire| {
            let answer = answer.lock().unwrap().clone();
            Box::pin(async move {
                match answer {
                    Some(answer) => drop(wire.write_all(&answer).await),
                    None => std::future::pending().await,
                }
                let _ = wire.shutdown().await;
            })
        }
    }

    /// Answers so from now on; with nothing, it takes what it is asked and says no word.
    fn says(&self, answer: Option<Vec<u8>>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn fetches(&self) -> usize {
        self.server.heads().len()
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}/keys?tenant=a", self.server.address())
    }
}

fn guarded(site: Site, url: &str, more: &str) -> Site {
    let rule = format!("[access.login.jwt]\nkeys = {{ source = \"{url}\", {more} }}");
    site.table(&rule).route("access = \"login\"")
}

/// As it is in a minute of another's life.
const SOON: &str = "refresh = \"20s\", refresh_min = \"200ms\"";

async fn status(proxy: &Proxy, token: &str) -> u16 {
    proxy.client().field("Authorization", token).request("GET", "").await.0.status()
}

#[tokio::test]
async fn keys_are_fetched_over_tls_and_serve_however_a_request_comes() {
    let certificates = Certificates::new(&["localhost", "127.0.0.1"]);
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let (key, stranger) = (Key::new("one"), Key::new("one"));
    let issuer = Issuer::new(Some(&certificates), &[&key]).await;
    let ca = format!("ca = \"{}\"", certificates.ca().display());
    let site = both(site(&backends.each_ref()), &certificates);
    let proxy = Proxy::start(&guarded(site, &issuer.url("https"), &ca)).await;
    let asker = Asker::new(&proxy, &certificates);
    let with = |token: &str| asker.field("Authorization", token);
    // The first request comes before the first fetch has ended: it waits.
    assert_eq!(with(&key.token()).statuses().await, everywhere(200, 101));
    assert_eq!(with(&stranger.token()).statuses().await, everywhere(401, 401));
    assert_eq!(with("Bearer x.y.z").statuses().await, everywhere(401, 401));
    assert_eq!(issuer.fetches(), 1, "all that within `refresh_min`");
    let head = issuer.server.head();
    assert_eq!(head.first, "GET /keys?tenant=a HTTP/1.1");
    assert_eq!(head.get("host"), issuer.server.address().to_string());
    assert!(proxy.scrape().contains("tidegate_access_keys{rule=\"login\"} 1"));
    proxy.stop().await;
}

#[tokio::test]
async fn a_token_of_a_new_key_has_it_fetched_and_made_up_ones_not_more_often_than_they_may() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let (old, new) = (Key::new("old"), Key::new("new"));
    let issuer = Issuer::new(None, &[&old]).await;
    let begun = tokio::time::Instant::now();
    let url = issuer.url("http");
    let proxy = Proxy::start(&guarded(site(&backends.each_ref()), &url, SOON)).await;
    assert_eq!(status(&proxy, &old.token()).await, 200);
    issuer.says(Some(keys(&[&old, &new])));
    within("`refresh_min`", tokio::time::sleep(Duration::from_millis(250))).await;
    // All of them come at once, and wait for one fetch.
    let many = (0..20).map(|_| {
        let client = proxy.client().field("Authorization", &new.token());
        async move { client.handshake().await.0.status() }
    });
    let statuses = within("all of them", tokio::task::JoinSet::from_iter(many).join_all()).await;
    assert_eq!(statuses, vec![101; 20]);
    assert_eq!(issuer.fetches(), 2);
    for number in 0..200 {
        let forged = new.named(&format!("forged-{number}"), 600.0);
        assert_eq!(status(&proxy, &forged).await, 401);
        if number % 20 == 0 {
            assert_eq!(status(&proxy, &old.token()).await, 200);
        }
    }
    let most = 1 + begun.elapsed().as_millis() / 200;
    assert!(issuer.fetches() as u128 <= most, "{} of {most}", issuer.fetches());
    assert_eq!(denied(&proxy, "login", "token_key"), 200);
    proxy.stop().await;
}

#[tokio::test]
async fn the_last_good_keys_serve_on_over_reloads_too_until_they_are_too_old() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let key = Key::new("one");
    let issuer = Issuer::new(None, &[&key]).await;
    let url = issuer.url("http");
    let with = |more: &str| guarded(site(&backends.each_ref()), &url, more);
    let proxy = Proxy::start(&with(SOON)).await;
    let mut session = proxy.client().field("Authorization", &key.token()).open().await;
    let fetched = issuer.fetches();
    issuer.server.kill().await;
    for _ in 0..3 {
        assert_eq!(status(&proxy, &key.token()).await, 200);
        assert_eq!(status(&proxy, &key.named("forged", 600.0)).await, 401);
        within("another fetch", tokio::time::sleep(Duration::from_millis(250))).await;
    }
    assert_eq!(fetched, 1);
    let failures = "tidegate_access_key_fetch_failures_total{rule=\"login\",reason=\"dial\"}";
    until("a fetch that failed", || proxy.scrape().contains(failures)).await;
    // The rule is another one, of the same name and set.
    let longer = format!("{SOON}, stale_max = \"1h\"");
    proxy.reload(&with(&longer)).await.unwrap();
    assert_eq!(status(&proxy, &key.token()).await, 200);
    session.echo("after").await;
    let shorter = format!("{SOON}, stale_max = \"1ms\"");
    proxy.reload(&with(&shorter)).await.unwrap();
    let client = proxy.client().field("Authorization", &key.token());
    let (head, text) = client.request("GET", "").await;
    assert_eq!((head.status(), head.get("www-authenticate")), (503, ""), "{text}");
    assert!(head.get("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(denied(&proxy, "login", "no_token_keys"), 1);
    session.echo("at last").await;
    drop(session);
    proxy.stop().await;
}

#[tokio::test]
async fn without_keys_requests_are_told_to_come_again_and_later_they_pass() {
    let backend = Backend::echo("a").await;
    let key = Key::new("one");
    let issuer = Issuer::new(None, &[&key]).await;
    issuer.says(None);
    let more = "refresh_min = \"100ms\", fetch_timeout = \"300ms\"";
    let site = guarded(site(&[&backend]), &issuer.url("http"), more);
    let open = "[[routes]]\npath = \"/open\"\npool = \"chat\"";
    let proxy = Proxy::start(&site.route(open)).await;
    let mut neighbour = proxy.client().path("/open").open().await;
    let client = proxy.client().field("Authorization", &key.token());
    let waiting = tokio::spawn(async move { client.handshake().await.0 });
    neighbour.echo("meanwhile").await;
    let head = within("an answer", waiting).await.unwrap();
    assert_eq!(head.status(), 503);
    assert_eq!(head.get("retry-after"), "1");
    // What cannot be a set of keys is no better.
    for wrong in [
        &b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"[..],
        b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"keys\":",
        &answer("{\"keys\":[]}"),
        &answer("<html>"),
        b"SSH-2.0-garbage\r\n",
        b"",
    ] {
        issuer.says(Some(wrong.to_vec()));
        let fetched = issuer.fetches();
        until("another fetch", || issuer.fetches() > fetched).await;
        assert_eq!(status(&proxy, &key.token()).await, 503, "{}", String::from_utf8_lossy(wrong));
    }
    neighbour.echo("still").await;
    issuer.says(Some(keys(&[&key])));
    until("keys", || proxy.scrape().contains("tidegate_access_keys{rule=\"login\"} 1")).await;
    assert_eq!(status(&proxy, &key.token()).await, 200);
    drop(neighbour);
    proxy.stop().await;
}
