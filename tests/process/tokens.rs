//! A token is in no line of the log, however much is logged, not at the backend, and not in the
//! handshake that is stored for a held session.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

use crate::actors::{Backend, Client, until};
use crate::proxy::Proxy;

const SECRET: &str = "a secret that both sides know, and nobody else";

fn token() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let claims = json!({ "exp": since.as_secs() + 600, "sub": "ada" });
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
}

#[tokio::test]
async fn a_token_is_in_no_line_not_at_the_backend_and_not_in_a_stored_handshake() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&format!(
        r#"log.query = "keep"
log.filter = "debug"
[access.login.jwt]
secret = "{SECRET}"
from = ["query:access_token", "protocol:bearer."]
[pools.chat]
backends = ["{}"]
[[routes]]
path = "/chat"
pool = "chat"
websocket = "only"
allowed_origins = "any"
access = "login"
hold = {{ resume = "always" }}
"#,
        backend.address()
    ))
    .await;
    let (query, entry) = (token(), token().replace("eyJ", "eyK"));
    let client = Client::to(proxy.plain.parse().unwrap());
    let with = |token: &str| client.clone().path(&format!("/chat?access_token={token}&id=7"));
    // Refused for many reasons: not signed, not a WebSocket, of another place.
    let refused = [
        (with("eyJbad.eyJbad.bad").handshake().await.0, 401),
        (with(&query).request("GET", "").await.0, 426),
        (
            client
                .clone()
                .path("/chat")
                .field("Sec-WebSocket-Protocol", &format!("bearer.{entry}"))
                .handshake()
                .await
                .0,
            401,
        ),
    ];
    for (head, status) in refused {
        assert_eq!(head.status(), status);
    }
    let mut session =
        with(&query).field("Sec-WebSocket-Protocol", "chat, bearer.hidden").open().await;
    session.echo("before").await;
    let mut heads = backend.heads();
    let address = backend.kill().await;
    let backend = Backend::echo_at("b", address).await;
    proxy.wait("another upstream", || proxy.log().contains("session_resumed")).await;
    session.echo("after").await;
    heads.extend(backend.heads());
    assert_eq!(heads.len(), 2, "once, and once again from what is stored");
    drop(session);
    until("the session's last line", || proxy.log().contains("session_ended")).await;
    let log = proxy.log();
    assert!(log.contains("/chat?id=7") && log.contains("\"access\":\"login\""), "{log}");
    let signature = query.rsplit('.').next().unwrap();
    for secret in [&*query, &*entry, signature, "eyJ", "eyK", "hidden"] {
        assert!(!log.contains(secret), "{secret} is in the log");
        for head in &heads {
            assert!(!format!("{head:?}").contains(secret), "{secret} is at the backend");
        }
    }
}

#[tokio::test]
async fn a_secret_for_backends_reaches_them_and_is_in_no_line_and_no_report() {
    const VALUE: &str = "zebra-quagga-okapi";
    let backend = Backend::echo("a").await;
    let text = format!(
        r#"log.filter = "debug"
log.session_every = "1s"
[pools.app]
backends = ["{}"]
[pools.unused]
backends = ["127.0.0.1:9"]
[[routes]]
path = "/app"
pool = "app"
allowed_origins = "any"
request_headers.set.X-Proxy-Secret = "${{PROXY_SECRET}}"
request_headers.set.X-Broken = "${{PROXY_SECRET}} {{claim.sub}}"
hold = {{ resume = "always" }}
"#,
        backend.address()
    );
    let proxy = Proxy::start_by(&[], &text, |command| _ = command.env("PROXY_SECRET", VALUE));
    proxy.wait("readiness", || proxy.get("/readyz").is_some_and(|(status, _)| status == 200)).await;
    let client = Client::to(proxy.plain.parse().unwrap()).path("/app");
    let mut session = client.clone().field("X-Proxy-Secret", "a guess").open().await;
    session.echo("it lives").await;
    assert_eq!(client.request("GET", "").await.0.status(), 200);
    let heads = backend.heads();
    assert_eq!(heads.len(), 2);
    for head in heads {
        assert_eq!(head.all("x-proxy-secret").collect::<Vec<_>>(), [VALUE]);
    }
    let mut said = Vec::new();
    for (order, flags) in [
        ("check", &[][..]),
        ("check", &["--json"]),
        ("check", &["--explain", "http://localhost/app"]),
    ] {
        let words = [order, "--config"];
        let output = std::process::Command::new(crate::proxy::binary())
            .args(words)
            .arg(proxy.path("tidegate.toml"))
            .args(flags)
            .env("PROXY_SECRET", VALUE)
            .output()
            .unwrap();
        said.push(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned());
    }
    assert!(said[0].contains("`{claim.sub}` is always empty"), "{}", said[0]);
    for order in ["status", "sessions", "reload", "backends"] {
        said.push(proxy.order(order, &[]).1);
        said.push(proxy.order(order, &["--json"]).1);
    }
    // A configuration that is refused quotes what was written.
    proxy.configure(&text.replace("X-Broken", "X Broken"));
    said.push(proxy.order("reload", &[]).1);
    drop(session);
    until("the session's last line", || proxy.log().contains("session_ended")).await;
    said.push(proxy.log());
    for said in said {
        for part in ["zebra", "quagga", "okapi"] {
            assert!(!said.contains(part), "{part} is in: {said}");
        }
    }
}
