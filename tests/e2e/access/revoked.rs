//! Tokens that are taken back while their sessions live.

use std::path::PathBuf;

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;
use tempfile::TempDir;

use super::denied;
use super::tokens::{SECRET, now};
use super::ways::{Asker, both, everywhere};
use crate::actors::{Backend, Certificates, Ending, Session, until};
use crate::proxy::Proxy;
use crate::site::{Site, site};

/// A token of this name and owner, as a field's value.
fn bearer(jti: &str, sub: &str) -> String {
    let claims = json!({ "exp": now() + 600.0, "jti": jti, "sub": sub });
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    format!("Bearer {}", encode(&Header::default(), &claims, &key).unwrap())
}

/// A list in a file of its own.
struct List(TempDir);

impl List {
    fn new(text: &str) -> List {
        let list = List(tempfile::tempdir().unwrap());
        list.write(text);
        list
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("revoked.txt")
    }

    /// In one step, as editors do.
    fn write(&self, text: &str) {
        let next = self.0.path().join("next");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(next, self.path()).unwrap();
    }

    fn guard(&self, site: Site) -> Site {
        let path = self.path();
        let rule = format!("[access.login.jwt]\nsecret = \"{SECRET}\"\nrevoked = {path:?}");
        site.table(&rule).route("access = \"login\"")
    }
}

async fn revoked(session: Session) {
    assert_eq!(session.ending().await, Ending::Close(4403, "revoked".into()));
}

#[tokio::test]
async fn a_token_that_is_taken_back_opens_nothing_and_ends_what_it_has_opened() {
    let certificates = Certificates::new(&["localhost"]);
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let list = List::new("# nobody yet\n");
    let site = list.guard(both(site(&backends.each_ref()), &certificates));
    let proxy = Proxy::start(&site).await;
    let of = |jti: &str, sub: &str| {
        Asker::new(&proxy, &certificates).field("Authorization", &bearer(jti, sub))
    };
    let ada = of("1", "ada");
    let mut streams = [ada.streams(false).await, ada.streams(true).await];
    let mut sessions = Vec::new();
    for (is_secure, streams) in [false, true].into_iter().zip(&mut streams) {
        sessions.push(ada.client(is_secure).open().await);
        sessions.push(streams.open_by(ada.handshake()).await);
    }
    let mut others = [of("2", "ada").client(false).open().await];
    let mut stays = of("3", "bob").client(true).open().await;
    list.write("1\n");
    proxy.reload(&site).await.unwrap();
    for session in sessions {
        revoked(session).await;
    }
    assert_eq!(ada.statuses().await, everywhere(401, 401));
    assert_eq!(denied(&proxy, "login", "token_revoked"), 8);
    others[0].echo("another token of hers").await;
    // All that are hers.
    list.write("1\nada\n");
    proxy.reload(&site).await.unwrap();
    for session in others {
        revoked(session).await;
    }
    assert_eq!(of("9", "ada").client(false).handshake().await.0.status(), 401);
    stays.echo("it is another's").await;
    until("the others to be gone", || proxy.sessions() == 1).await;
    // A list that cannot be read is refused, and the one before stands.
    list.write("1\nada\n\x07\n");
    assert!(proxy.reload(&site).await.is_err());
    assert_eq!(ada.client(false).handshake().await.0.status(), 401);
    list.write("");
    proxy.reload(&site).await.unwrap();
    assert_eq!(ada.statuses().await, everywhere(200, 101));
    drop((stays, streams));
    proxy.stop().await;
}

#[tokio::test]
async fn a_list_ends_sessions_that_were_opened_before_there_was_one() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let certificates = Certificates::new(&["localhost"]);
    let list = List::new("1\n");
    let site = both(site(&backends.each_ref()), &certificates);
    let rule = format!("[access.login.jwt]\nsecret = \"{SECRET}\"");
    let proxy = Proxy::start(&site.clone().table(&rule).route("access = \"login\"")).await;
    let of =
        |jti: &str| Asker::new(&proxy, &certificates).field("Authorization", &bearer(jti, "ada"));
    let mut streams = of("1").streams(true).await;
    let gone = [of("1").client(false).open().await, streams.open_by(of("1").handshake()).await];
    let mut stays = of("2").client(true).open().await;
    proxy.reload(&list.guard(site)).await.unwrap();
    for session in gone {
        revoked(session).await;
    }
    stays.echo("it is another's").await;
    drop((stays, streams));
    proxy.stop().await;
}

#[tokio::test]
async fn a_held_session_ends_with_its_token_that_is_taken_back_and_a_file_is_watched() {
    let backend = Backend::echo("a").await;
    let list = List::new("");
    let site = list
        .guard(site(&[&backend]))
        .table("[reload]\nwatch = true\ndebounce = \"50ms\"")
        .route("hold = { resume = \"always\" }");
    let proxy = Proxy::start(&site).await;
    let session = proxy.client().field("Authorization", &bearer("1", "ada")).open().await;
    backend.kill().await;
    let held = "tidegate_sessions_held{route=\"all\"} 1";
    until("the session to be held", || proxy.scrape().contains(held)).await;
    list.write("ada\n");
    revoked(session).await;
    proxy.stop().await;
}
