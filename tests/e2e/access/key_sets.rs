//! Keys of tokens that are fetched by URL.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ED25519};
use serde_json::json;

use super::denied;
use super::speaker::{Said, Speaker};
use super::tokens::now;
use super::ways::{Asker, both, everywhere};
use crate::actors::{Backend, Certificates, until, within};
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
struct Issuer(Speaker);

impl Issuer {
    async fn new(certificates: Option<&Certificates>, keys_of: &[&Key]) -> Issuer {
        Issuer(Speaker::new(certificates, keys(keys_of)).await)
    }

    /// Answers so from now on.
    fn says(&self, answer: impl Into<Said>) {
        self.0.says(answer);
    }

    fn fetches(&self) -> usize {
        self.0.server.heads().len()
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}/keys?tenant=a", self.0.server.address())
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
    let head = issuer.0.server.head();
    assert_eq!(head.first, "GET /keys?tenant=a HTTP/1.1");
    assert_eq!(head.get("host"), issuer.0.server.address().to_string());
    assert!(proxy.scrape().contains("tidegate_access_keys{rule=\"login\"} 1"));
    proxy.stop().await;
}

#[tokio::test]
async fn keys_of_a_server_with_another_name_are_none() {
    let certificates = Certificates::new(&["other.example"]);
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let key = Key::new("one");
    let issuer = Issuer::new(Some(&certificates), &[&key]).await;
    let ca = format!("ca = \"{}\"", certificates.ca().display());
    let site = guarded(site(&backends.each_ref()), &issuer.url("https"), &ca);
    let proxy = Proxy::start(&site).await;
    assert_eq!(status(&proxy, &key.token()).await, 503);
    let failures = "tidegate_access_key_fetch_failures_total{rule=\"login\",reason=\"dial\"}";
    assert!(proxy.scrape().contains(failures), "{}", proxy.scrape());
    assert_eq!(issuer.fetches(), 0);
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
    issuer.says(keys(&[&old, &new]));
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
    issuer.0.server.kill().await;
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
    issuer.says(Said::Nothing);
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
        issuer.says(wrong.to_vec());
        let fetched = issuer.fetches();
        until("another fetch", || issuer.fetches() > fetched).await;
        assert_eq!(status(&proxy, &key.token()).await, 503, "{}", String::from_utf8_lossy(wrong));
    }
    neighbour.echo("still").await;
    issuer.says(keys(&[&key]));
    until("keys", || proxy.scrape().contains("tidegate_access_keys{rule=\"login\"} 1")).await;
    assert_eq!(status(&proxy, &key.token()).await, 200);
    drop(neighbour);
    proxy.stop().await;
}

/// Answers of a server of keys that is broken, or whose owner is no friend; a key of its may be
/// good.
fn hostile(key: &Key) -> Vec<(&'static str, Said)> {
    let set = |keys: &[String]| answer(&format!("{{\"keys\":[{}]}}", keys.join(",")));
    let (jwk, zeros) = (key.jwk().to_string(), "A".repeat(43));
    let with = |more: &str| vec![jwk.replacen('{', &format!("{{{more},"), 1)];
    let rsa = |bytes: usize| {
        let modulus = URL_SAFE_NO_PAD.encode(vec![0xff; bytes]);
        vec![format!("{{\"kty\":\"RSA\",\"n\":\"{modulus}\",\"e\":\"AQAB\"}}")]
    };
    let redirect = |to: &str| {
        let head = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
        head.into_bytes()
    };
    let off_curve =
        format!("{{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"{zeros}\",\"y\":\"{zeros}\"}}");
    let head = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n").into_bytes();
    let piece = [&b"10000\r\n"[..], &[b' '; 0x10000], b"\r\n"].concat();
    let secret = vec![format!("{{\"kty\":\"oct\",\"k\":\"{zeros}\"}}")];
    vec![
        ("an empty set", set(&[]).into()),
        ("a shared secret", set(&secret).into()),
        ("no point of the curve", set(&[off_curve]).into()),
        ("16,384 bits", set(&rsa(2048)).into()),
        ("for encryption", set(&[jwk.replace("sig", "enc")]).into()),
        ("for what is signed", set(&with("\"key_ops\":[\"sign\"]")).into()),
        ("another's algorithm", set(&with("\"alg\":\"RS256\"")).into()),
        ("thousands of keys", set(&vec![jwk.clone(); 3000]).into()),
        ("one list in another", answer(&"[".repeat(100_000)).into()),
        ("a redirect to itself", redirect("/keys?tenant=a").into()),
        ("a redirect to a file", redirect("file:///etc/hostname").into()),
        ("a page", answer("<html>").into()),
        ("half of it", Said::Whole(head("Content-Length: 999999")[..40].to_vec())),
        ("an upgrade", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n".to_vec().into()),
        ("byte by byte", Said::ByteByByte(set(std::slice::from_ref(&jwk)))),
        (
            "a head without end",
            Said::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"X-A: b\r\n".to_vec()),
        ),
        ("chunks without end", Said::Endless(head("Transfer-Encoding: chunked"), piece)),
        ("a gigabyte", Said::Endless(head("Content-Length: 1073741824"), vec![b' '; 0x10000])),
        ("answers to no question", Said::Endless(b"".to_vec(), head("Content-Length: 0"))),
        ("not a word", Said::Nothing),
    ]
}

#[tokio::test]
async fn whatever_a_server_of_keys_answers_the_last_good_ones_serve_and_no_other_waits() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let (key, stranger) = (Key::new("one"), Key::new("one"));
    let issuer = Issuer::new(None, &[&key]).await;
    let times = "refresh = \"200ms\", refresh_min = \"200ms\", fetch_timeout = \"400ms\"";
    let site = guarded(site(&backends.each_ref()), &issuer.url("http"), times);
    let proxy = Proxy::start(&site.route("[[routes]]\npath = \"/open\"\npool = \"chat\"")).await;
    let mut neighbour = proxy.client().path("/open").open().await;
    assert_eq!(status(&proxy, &key.token()).await, 200);
    let failures = || {
        let scrape = proxy.scrape();
        let lines = scrape.lines().filter(|line| line.contains("access_key_fetch_failures_total{"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>()
    };
    for (what, said) in hostile(&stranger) {
        let before = failures();
        issuer.says(said);
        // One may have been under way.
        until(what, || failures() >= before + 2).await;
        assert_eq!(status(&proxy, &key.token()).await, 200, "{what}");
        assert_eq!(status(&proxy, &stranger.token()).await, 401, "{what}");
        neighbour.echo(what).await;
    }
    assert!(proxy.scrape().contains("tidegate_access_keys{rule=\"login\"} 1"));
    issuer.says(keys(&[&stranger]));
    within("the others' keys", async { while status(&proxy, &stranger.token()).await != 200 {} })
        .await;
    drop(neighbour);
    proxy.stop().await;
}
