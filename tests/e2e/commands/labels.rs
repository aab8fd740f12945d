//! Sessions found by their labels: in the list, to be kicked, drained and moved, and in holes.

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::access::ways::{Asker, both};
use crate::actors::{Certificates, Head, Wire, granted};
use crate::proxy::Proxy;
use crate::site::{Site, site};

const SECRET: &str = "a secret that both sides know, and nobody else";

/// A token of this user's.
fn token(user: &str) -> String {
    let claims = json!({ "exp": 4_000_000_000_u64, "sub": user, "org": { "id": 7 } });
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    format!("Bearer {}", encode(&Header::default(), &claims, &key).unwrap())
}

/// An echo that labels its sessions with its name, and with what it must not.
async fn labelling(name: &'static str) -> Backend {
    Backend::script(move |head: Head, mut wire: Wire| async move {
        let resumed = head.get("tidegate-resume");
        let fields = format!(
            "\r\nTidegate-Label: seat={name}, user=eve, place=\"a, b\", =\r\n\
             Tidegate-Resume: {resumed}\r\n"
        );
        let answer = granted(&head).replacen("\r\n", &fields, 1);
        wire.write_all(answer.as_bytes()).await.unwrap();
        let mut session = Session::server(wire).await;
        while session.forward().await.is_ok() {}
    })
    .await
}

/// A proxy whose route labels by claim and query, with its operator's socket in a directory.
async fn labelled(site: Site) -> (Proxy, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("control.sock");
    let tables = format!(
        "[access.login.jwt]\nsecret = \"{SECRET}\"\n[control]\nsocket = \"{}\"\n",
        socket.display()
    );
    let site = site
        .table(&tables)
        .route("access = \"login\"\nhold = {}")
        .route("labels = { user = \"{claim.sub}\", room = \"{query.room}\" }");
    (Proxy::start(&site).await, dir)
}

async fn ask(dir: &TempDir, words: &[&str]) -> (i32, String, String) {
    let words = [words, &["--socket", "control.sock"]].concat();
    meanwhile(dir.path(), &words).await
}

/// The labels of the sessions that match.
async fn found(dir: &TempDir, filter: &[&str]) -> Vec<Value> {
    let (code, out, err) = ask(dir, &[&["sessions", "--json"], filter].concat()).await;
    assert_eq!(code, 0, "{out}{err}");
    let listed: Value = serde_json::from_str(&out).unwrap();
    let sessions = listed["sessions"].as_array().unwrap();
    assert_eq!(listed["matched"], sessions.len());
    sessions.iter().map(|session| session["labels"].clone()).collect()
}

#[tokio::test]
async fn sessions_of_every_carrier_are_found_and_kicked_by_labels() {
    let certificates = Certificates::new(&["localhost"]);
    let backends = [labelling("one").await, labelling("two").await];
    let site = both(site(&backends.each_ref()), &certificates)
        .pool("balance = \"round_robin\"")
        .route("backend_labels = true");
    let (proxy, dir) = labelled(site).await;
    let asker = |user: &str, room: &str| {
        let path = format!("/?room={room}");
        Asker::new(&proxy, &certificates).field("Authorization", &token(user)).path(&path)
    };
    let mut plain = asker("ada", "1").client(false).open().await;
    let mut secure = asker("ada", "2").client(true).open().await;
    let mut streams = asker("bob", "1").streams(true).await;
    let mut on_stream = streams.open_by(asker("bob", "1").handshake()).await;
    for session in [&mut plain, &mut secure, &mut on_stream] {
        session.echo("hello").await;
    }
    let (head, _) = asker("ada", "3").client(false).handshake().await;
    assert_eq!((head.status(), head.get("tidegate-label")), (101, ""), "no client sees it");
    // As many live before it has begun.
    let begun = "tidegate_sessions_opened_total{route=\"all\"} 4\n";
    let has_left = || proxy.scrape().contains(begun) && proxy.sessions() == 3;
    until("it to leave", has_left).await;

    let (_, out, _) = ask(&dir, &["sessions"]).await;
    assert!(out.contains("place=a, b,room=1,seat="), "{out}");
    let ada = found(&dir, &["--label", "user=ada"]).await;
    assert_eq!(ada.len(), 2);
    assert!(ada.iter().all(|labels| labels["place"] == "a, b" && labels["user"] == "ada"));
    let one = found(&dir, &["--label", "user=ada", "--label", "room=2"]).await;
    assert_eq!((one.len(), &one[0]["room"]), (1, &json!("2")));
    assert!(found(&dir, &["--label", "user=eve"]).await.is_empty(), "the route's word stands");
    for wrong in ["user", "user=", "a b=c"] {
        let (code, _, err) = ask(&dir, &["kick", "--label", wrong]).await;
        assert_eq!((code, err.contains("NAME=VALUE")), (2, true), "{wrong}: {err}");
    }
    let (code, _, err) = ask(&dir, &["kick", "--label", "user=nobody"]).await;
    assert_eq!((code, err.contains("no live session matches")), (4, true), "{err}");
    let (code, out, err) = ask(&dir, &["kick", "--label", "user=ada", "--code", "4403"]).await;
    assert_eq!((code, out.contains("kicked: 2 of 3")), (0, true), "{out}{err}");
    for session in [plain, secure] {
        assert!(matches!(session.ending().await, Ending::Close(4403, _)));
    }
    on_stream.echo("still here").await;
    let (code, out, err) = ask(&dir, &["drain", "--route", "all", "--label", "room=1"]).await;
    assert_eq!((code, out.contains("drained: 1 of 1")), (0, true), "{out}{err}");
    assert!(matches!(on_stream.ending().await, Ending::Close(1012, _)));
    drop(streams);
    proxy.stop().await;
}

#[tokio::test]
async fn labels_stay_over_a_move_but_for_those_that_the_backend_gave() {
    let backends = [labelling("one").await, labelling("two").await];
    let (proxy, dir) = labelled(site(&backends.each_ref()).route("backend_labels = true")).await;
    let client = proxy.client().path("/?room=1").field("Authorization", &token("ada"));
    let mut session = client.open().await;
    session.echo("hello").await;
    let seat = found(&dir, &[]).await[0]["seat"].as_str().unwrap().to_owned();
    let (from, to) = if seat == "one" { (0, "two") } else { (1, "one") };
    let from = backends[from].address().to_string();
    let label = format!("seat={seat}");
    let none = ask(&dir, &["move", "--from", &from, "--label", "user=bob", "--dry-run"]).await;
    assert!(none.1.contains("would be asked to move: 0"), "{none:?}");
    let words = ["move", "--from", &from, "--label", "user=ada", "--label", &label, "--wait"];
    let (code, out, err) = ask(&dir, &words).await;
    assert_eq!((code, out.contains("finished: 1 moved")), (0, true), "{out}{err}");
    session.echo("still here").await;
    let labels = json!({ "user": "ada", "room": "1", "seat": to, "place": "a, b" });
    assert_eq!(found(&dir, &["--label", &format!("seat={to}")]).await, [labels]);
    assert!(found(&dir, &["--label", &label]).await.is_empty());
    drop(session);
    proxy.stop().await;
}

#[tokio::test]
async fn a_backend_gives_no_labels_where_its_route_does_not_let_it() {
    let backend = labelling("one").await;
    let (proxy, dir) = labelled(site(&[&backend])).await;
    let client = proxy.client().field("Authorization", &token("ada"));
    let mut session = client.open().await;
    session.echo("hello").await;
    assert_eq!(found(&dir, &[]).await, [json!({ "user": "ada" })]);
    drop(session);
    proxy.stop().await;
}
