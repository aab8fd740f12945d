//! Tokens, where they may stand, and how long a session lasts that was opened with one.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

use super::denied;
use super::ways::{Asker, both, everywhere};
use crate::actors::{Backend, Certificates, Ending, Session, until, within};
use crate::proxy::Proxy;
use crate::site::{Site, site};

pub const SECRET: &str = "a secret that both sides know, and nobody else";

/// The entry by which a token is shown among subprotocols.
const ENTRY: &str = "base64url.bearer.authorization.k8s.io.";

pub fn now() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs_f64()
}

/// A token that is good for so many seconds.
pub fn token(seconds: f64) -> String {
    let claims = json!({ "exp": now() + seconds, "sub": "ada" });
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(SECRET.as_bytes()))
        .unwrap()
}

pub fn guarded(site: Site, more: &str) -> Site {
    let rule = format!("[access.login.jwt]\nsecret = \"{SECRET}\"\n{more}");
    site.table(&rule).route("access = \"login\"")
}

const EVERYWHERE: &str = "from = [\"header\", \"cookie:token\", \"query:access_token\", \
                          \"protocol\", \"protocol:bearer.\"]";

#[tokio::test]
async fn a_token_is_found_in_each_place_and_goes_no_further() {
    let certificates = Certificates::new(&["localhost"]);
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let site = guarded(both(site(&backends.each_ref()), &certificates), EVERYWHERE);
    let proxy = Proxy::start(&site).await;
    let token = token(600.0);
    let encoded = URL_SAFE_NO_PAD.encode(&token);
    let asker = Asker::new(&proxy, &certificates).path("/room?id=7");
    let with = |name: &str, value: String| asker.field(name, &value);
    for shown in [
        with("Authorization", format!("bearer {token}")),
        with("Cookie", format!("a=1; token={token}; b=2")),
        asker.path(&format!("/room?access_token={token}&id=7")),
        with("Sec-WebSocket-Protocol", format!("{ENTRY}{encoded}, chat")),
        with("Sec-WebSocket-Protocol", format!("chat, bearer.{token}")),
        // The first place counts; all are emptied.
        with("Authorization", format!("Bearer {token}"))
            .field("Cookie", "token=x")
            .path("/room?id=7&access_token=y&access_token=z")
            .field("Sec-WebSocket-Protocol", "bearer.secret-of-mine"),
    ] {
        assert_eq!(shown.statuses().await, everywhere(200, 101));
    }
    let heads: Vec<_> = backends.iter().flat_map(|backend| backend.heads()).collect();
    assert_eq!(heads.len(), 48);
    for head in heads {
        let text = format!("{head:?}");
        assert!(head.first.ends_with("/room?id=7 HTTP/1.1"), "{text}");
        for secret in [&token, &encoded, "token", "bearer", "secret-of-mine"] {
            assert!(!text.to_lowercase().contains(&secret.to_lowercase()), "{secret}: {text}");
        }
    }
    assert_eq!(asker.statuses().await, everywhere(401, 401));
    let two = asker.path("/room?access_token=x&access_token=y");
    assert_eq!(two.statuses().await, everywhere(400, 400), "two are none");
    proxy.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_told_as_rfc_6750_says() {
    let backend = Backend::echo("a").await;
    let site = guarded(site(&[&backend]), "claims = { sub = \"bob\" }\nstrip = false");
    let proxy = Proxy::start(&site).await;
    let challenge = async |value: Option<String>| {
        let client = value
            .into_iter()
            .fold(proxy.client(), |client, value| client.field("Authorization", &value));
        let (head, _) = client.handshake().await;
        (head.status(), head.get("www-authenticate").to_owned())
    };
    let realm = "Bearer realm=\"login\"";
    assert_eq!(challenge(None).await, (401, realm.to_owned()));
    let told = |status, error| (status, format!("{realm}, error=\"{error}\""));
    let bearer = |token| Some(format!("Bearer {token}"));
    assert_eq!(challenge(bearer(token(-60.0))).await, told(401, "invalid_token"));
    assert_eq!(challenge(bearer(token(60.0))).await, told(403, "insufficient_scope"));
    assert_eq!(challenge(bearer(String::new())).await, told(400, "invalid_request"));
    assert_eq!(denied(&proxy, "login", "token_expired"), 1);
    proxy.stop().await;
}

async fn expired(session: Session) {
    assert_eq!(session.ending().await, Ending::Close(4403, "expired".into()));
}

#[tokio::test]
async fn a_session_ends_with_its_token_and_its_neighbour_stays() {
    let certificates = Certificates::new(&["localhost"]);
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let proxy = Proxy::start(&guarded(both(site(&backends.each_ref()), &certificates), "")).await;
    let shown = |seconds| {
        let token = format!("Bearer {}", token(seconds));
        Asker::new(&proxy, &certificates).field("Authorization", &token)
    };
    let mut stays = shown(60.0).client(true).open().await;
    let begun = now();
    let (mut plain, mut secure) =
        (shown(2.0).client(false).open().await, shown(2.0).client(true).open().await);
    let mut streams = shown(2.0).streams(true).await;
    let mut on_stream = streams.open_by(shown(2.0).handshake()).await;
    for session in [&mut plain, &mut secure, &mut on_stream] {
        session.echo("before").await;
    }
    for session in [plain, secure, on_stream] {
        expired(session).await;
    }
    assert!(now() - begun >= 1.9, "not before its time");
    stays.echo("after").await;
    until("the three to be gone", || proxy.sessions() == 1).await;
    // The backends read that the client goes.
    until("the backends' ends", || {
        backends.iter().map(|backend| backend.endings().len()).sum::<usize>() == 3
    })
    .await;
    let endings = backends.iter().flat_map(|backend| backend.endings());
    endings.for_each(|ending| assert_eq!(ending, Ending::Close(1001, "expired".into())));
    drop((stays, streams));
    proxy.stop().await;
}

#[tokio::test]
async fn a_held_session_ends_with_its_token_too_and_by_the_code_that_is_chosen() {
    let backend = Backend::echo("a").await;
    let site = guarded(site(&[&backend]), "session = { grace = \"500ms\" }")
        .route("hold = { resume = \"always\" }\nrelay.close_codes = { expired = 4000 }");
    let proxy = Proxy::start(&site).await;
    let client = proxy.client().field("Authorization", &format!("Bearer {}", token(1.5)));
    let mut session = client.open().await;
    session.echo("before").await;
    backend.kill().await;
    let held = "tidegate_sessions_held{route=\"all\"} 1";
    until("the session to be held", || proxy.scrape().contains(held)).await;
    assert_eq!(session.ending().await, Ending::Close(4000, "expired".into()));
    proxy.stop().await;
}

#[tokio::test]
async fn a_session_may_outlive_its_token_where_a_rule_says_so() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&guarded(site(&[&backend]), "session = { expires = false }")).await;
    let client = proxy.client().field("Authorization", &format!("Bearer {}", token(1.0)));
    let mut session = client.open().await;
    within("the token's end", tokio::time::sleep(Duration::from_millis(1500))).await;
    session.echo("after").await;
    drop(session);
    proxy.stop().await;
}
