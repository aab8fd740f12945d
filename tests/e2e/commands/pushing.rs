//! `tidegate push`: a message to clients from a shell.

use serde_json::Value;
use tungstenite::Message;

use super::*;
use crate::access::ways::{Asker, both};
use crate::actors::Certificates;
use crate::proxy::Proxy;
use crate::site::site;

async fn ask(dir: &TempDir, words: &[&str]) -> (i32, String, String) {
    let words = [&["push"], words, &["--socket", "control.sock"]].concat();
    meanwhile(dir.path(), &words).await
}

#[tokio::test]
async fn a_message_is_typed_or_comes_from_a_file_and_what_became_of_it_is_said() {
    let certificates = Certificates::new(&["localhost"]);
    let backends = [Backend::echo("one").await, Backend::echo("two").await];
    let dir = tempfile::tempdir().unwrap();
    let control =
        format!("[control]\nsocket = \"{}\"\n", dir.path().join("control.sock").display());
    let site = both(site(&backends.each_ref()), &certificates)
        .table(&control)
        .route("labels = { user = \"{query.user}\" }\npush = { message_bytes_max = \"1KiB\" }");
    let proxy = Proxy::start(&site).await;
    let asker = |user: &str| Asker::new(&proxy, &certificates).path(&format!("/?user={user}"));
    let mut streams = asker("ada").streams(true).await;
    let mut ada = [
        asker("ada").client(false).open().await,
        asker("ada").client(true).open().await,
        streams.open_by(asker("ada").handshake()).await,
    ];
    let mut bob = asker("bob").client(false).open().await;
    until("four sessions", || proxy.sessions() == 4).await;

    let (code, out, err) = ask(&dir, &["--label", "user=ada", "--text", "hello"]).await;
    // Some of it may be written by then.
    assert_eq!((code, out.starts_with("queued: 3 of 3 matched")), (0, true), "{out}{err}");
    std::fs::write(dir.path().join("frame"), [0, 255]).unwrap();
    let file = ["--label", "user=ada", "--file", "frame"];
    let (code, _, err) = ask(&dir, &file).await;
    assert_eq!((code, err.contains("at byte 1") && err.contains("--binary")), (2, true), "{err}");
    let (code, out, err) =
        ask(&dir, &[&file[..], &["--binary", "--wait", "written"]].concat()).await;
    assert_eq!((code, &*out), (0, "queued: 3 of 3 matched, 3 written\n"), "{err}");
    for session in &mut ada {
        assert_eq!(session.text().await, "hello");
        assert_eq!(session.next().await, Ok(Message::binary(vec![0, 255])));
    }
    let all = ["--all", "--text", "to all", "--json"];
    assert_eq!(ask(&dir, &all).await.0, 2, "without --yes");
    let (code, out, err) = ask(&dir, &[&all[..], &["--yes"]].concat()).await;
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["queued"], &report["instances"]["asked"]), (0, &4.into(), &1.into()));
    assert_eq!(bob.text().await, "to all", "{err}");

    let id = id_of_bob(&dir).await;
    let (code, out, err) = ask(&dir, &[&id, "--text", "to one"]).await;
    assert_eq!((code, out.starts_with("queued: 1 of 1 matched")), (0, true), "{out}{err}");
    assert_eq!(bob.text().await, "to one");
    let long = "x".repeat(1025);
    for (words, code, said) in [
        (&["--label", "user=eve", "--text", "x"][..], 4, "no live session"),
        (&["0123456789ab-00000000000000ff", "--text", "x"], 4, "no live session"),
        (&["seven", "--text", "x"], 2, "not the id of a session"),
        (&["--label", "user", "--text", "x"], 2, "NAME=VALUE"),
        (&["--label", "user=ada"], 2, "--text"),
        (&["--text", "x"], 2, "--label"),
        (&["--label", "user=ada", "--text", "x", "--timeout", "5"], 2, "timeout"),
        (&["--label", "user=ada", "--text", &long], 1, "more than 1024 bytes"),
        (&["--label", "user=ada", "--file", "nowhere"], 2, "nowhere"),
    ] {
        let (answered, _, err) = ask(&dir, words).await;
        assert_eq!((answered, err.contains(said)), (code, true), "{words:?}: {err}");
    }
    drop((ada, bob, streams));
    proxy.stop().await;
}

/// The id of bob's session.
async fn id_of_bob(dir: &TempDir) -> String {
    let words = ["sessions", "--label", "user=bob", "--json", "--socket", "control.sock"];
    let (_, out, _) = meanwhile(dir.path(), &words).await;
    let listed: Value = serde_json::from_str(&out).unwrap();
    listed["sessions"][0]["id"].as_str().unwrap().to_owned()
}
