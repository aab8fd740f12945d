//! Sessions that leave a backend by command: they go once another one takes them up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tokio::io::AsyncWriteExt;

use super::*;
use crate::actors::{Head, Wire, granted};

/// A proxy before two backends of which `second` is a backup, with so many sessions on `first`, on
/// a route with the defaults of `hold`.
async fn held(first: &Backend, second: &Backend, count: usize) -> (TempDir, Running, Vec<Session>) {
    let address = free();
    let dir = dir_with(&format!(
        "workers = 2\n[listeners.http]\naddress = \"{address}\"\n\
         [control]\nsocket = \"control.sock\"\n\
         [drain]\ndelay = \"0s\"\nwindow = \"0s\"\n[pools.chat]\n\
         backends = [\"{}\", {{ address = \"{}\", backup = true }}]\n\
         [[routes]]\npath = \"/\"\npool = \"chat\"\nhold = {{}}\n",
        first.address(),
        second.address()
    ));
    let running = Running::start(dir.path(), &["run"]);
    until("a proxy", || tidegate(dir.path(), &["status"]).0 == 0).await;
    let mut sessions = Vec::new();
    for _ in 0..count {
        let mut session = Client::to(address).path("/").open().await;
        session.echo("hello").await;
        sessions.push(session);
    }
    (dir, running, sessions)
}

async fn stop(running: Running) {
    running.signal(libc::SIGTERM);
    let (code, said) = tokio::task::spawn_blocking(move || running.end()).await.unwrap();
    assert_eq!(code, Some(0), "{said}");
}

/// An echo that confirms whatever is resumed on it once `is_open`.
async fn confirming(is_open: Arc<AtomicBool>) -> Backend {
    Backend::script(move |head: Head, mut wire: Wire| {
        let is_open = Arc::clone(&is_open);
        async move {
            until("the gate", || is_open.load(SeqCst)).await;
            let confirmed = format!("\r\nTidegate-Resume: {}\r\n", head.get("tidegate-resume"));
            let answer = granted(&head).replacen("\r\n", &confirmed, 1);
            wire.write_all(answer.as_bytes()).await.unwrap();
            let mut session = Session::server(wire).await;
            while session.forward().await.is_ok() {}
        }
    })
    .await
}

#[tokio::test]
async fn sessions_that_no_other_backend_confirms_stay_where_they_are() {
    let (one, two) = (Backend::echo("a").await, Backend::echo("b").await);
    let (dir, running, mut sessions) = held(&one, &two, 4).await;
    let from = one.address().to_string();
    let (code, out, err) = meanwhile(dir.path(), &["move", "--from", &from, "--wait"]).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.ends_with("finished: 0 moved, 0 ended, 4 stayed\n"), "{out}");
    for session in &mut sessions {
        session.echo("still here").await;
    }
    assert_eq!((one.connections(), one.endings().len(), two.heads().len()), (4, 0, 4));
    assert!(two.heads().iter().all(|head| !head.get("tidegate-resume").is_empty()));
    // Whose backend goes away is told so, and not that it was lost.
    let (code, out, _) =
        meanwhile(dir.path(), &["drain", "--backend", &from, "--wait", "--json"]).await;
    assert_eq!(code, 0, "{out}");
    for session in sessions {
        assert_eq!(session.ending().await, Ending::Close(1012, "drain".into()));
    }
    stop(running).await;
}

#[tokio::test]
async fn a_session_leaves_when_another_backend_has_confirmed_it_and_not_before() {
    let is_open = Arc::new(AtomicBool::new(false));
    let (one, two) = (Backend::echo("a").await, confirming(Arc::clone(&is_open)).await);
    for words in [["move", "--from"], ["drain", "--backend"]] {
        is_open.store(false, SeqCst);
        let (dir, running, mut sessions) = held(&one, &two, 1).await;
        let session = &mut sessions[0];
        let (asked, left) = (two.heads().len(), one.endings().len());
        let words = [words[0], words[1], &one.address().to_string()];
        let (code, out, err) = meanwhile(dir.path(), &words).await;
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        until("the question", || two.heads().len() > asked).await;
        session.echo("at the old one").await;
        assert_eq!(one.endings().len(), left);
        is_open.store(true, SeqCst);
        until("the old one's end", || one.endings().len() > left).await;
        assert_eq!(one.endings().pop(), Some(Ending::Close(1001, "moved".into())));
        session.echo("at the new one").await;
        assert_eq!(two.heads().len(), asked + 1, "it is asked once");
        drop(sessions);
        stop(running).await;
    }
}

#[tokio::test]
async fn a_backend_that_is_lost_while_another_is_asked_leaves_its_session_to_that() {
    let is_open = Arc::new(AtomicBool::new(false));
    let (one, two) = (Backend::echo("a").await, confirming(Arc::clone(&is_open)).await);
    let (dir, running, mut sessions) = held(&one, &two, 1).await;
    let from = one.address().to_string();
    let (code, out, _) = meanwhile(dir.path(), &["move", "--from", &from]).await;
    assert_eq!(code, 0, "{out}");
    until("the question", || two.heads().len() == 1).await;
    one.kill().await;
    // What is said before that is known may be lost with it.
    until("the loss", || tidegate(dir.path(), &["sessions"]).1.contains("(none)")).await;
    sessions[0].send("kept").await;
    is_open.store(true, SeqCst);
    assert_eq!(sessions[0].text().await, "kept");
    assert_eq!(two.heads().len(), 1);
    drop(sessions);
    stop(running).await;
}

#[tokio::test]
async fn a_session_stays_whatever_else_the_other_backend_answers() {
    for (answer, asked) in [("401 Unauthorized", 1), ("503 Service Unavailable", 1)] {
        let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n");
        let (one, two) = (Backend::echo("a").await, Backend::answering(answer).await);
        let (dir, running, mut sessions) = held(&one, &two, 1).await;
        let from = one.address().to_string();
        let (code, out, _) = meanwhile(dir.path(), &["move", "--from", &from, "--wait"]).await;
        assert_eq!(code, 0, "{out}");
        assert!(out.ends_with("finished: 0 moved, 0 ended, 1 stayed\n"), "{out}");
        sessions[0].echo("still here").await;
        assert_eq!((two.heads().len(), one.endings().len()), (asked, 0));
        drop(sessions);
        stop(running).await;
    }
}

#[tokio::test]
async fn a_backends_sessions_are_moved_by_command_and_their_clients_do_not_notice() {
    let (one, two) = (Backend::echo("a").await, Backend::echo("b").await);
    let address = free();
    let [from, to] = [one.address().to_string(), two.address().to_string()];
    let dir = dir_with(&format!(
        "[listeners.http]\naddress = \"{address}\"\n[control]\nsocket = \"control.sock\"\n\
         [drain]\ndelay = \"0s\"\nwindow = \"0s\"\n\
         [pools.chat]\nbackends = [\"{from}\", {{ address = \"{to}\", backup = true }}]\n\
         [[routes]]\npath = \"/chat\"\npool = \"chat\"\nhold.resume = \"always\"\n\
         [[routes]]\npath = \"/talk\"\npool = \"chat\"\n"
    ));
    let running = Running::start(dir.path(), &["run"]);
    until("a proxy", || tidegate(dir.path(), &["status"]).0 == 0).await;
    let mut sessions = Vec::new();
    for path in ["/chat", "/chat", "/talk"] {
        let mut session = Client::to(address).path(path).open().await;
        session.echo("hello").await;
        sessions.push(session);
    }
    assert_eq!(tidegate(dir.path(), &["move"]).0, 2);
    let (code, out, _) = tidegate(dir.path(), &["move", "--from", &from, "--dry-run"]);
    assert_eq!((code, out.contains("would be asked to move: 2 of 3 sessions")), (0, true), "{out}");
    assert!(out.contains("stay: 1 that cannot be held"), "{out}");
    let words = ["move", "--from", &from, "--pool", "chat", "--route", "/chat", "--wait"];
    let (code, out, err) = meanwhile(dir.path(), &words).await;
    assert_eq!((code, out.contains("asked to move: 2 of 3 sessions")), (0, true), "{out}{err}");
    assert!(out.contains("until `tidegate enable`"), "{out}");
    assert!(out.ends_with("finished: 2 moved, 0 ended\n"), "{out}");
    for session in &mut sessions {
        session.echo("still here").await;
    }
    let (_, out, err) = tidegate(dir.path(), &["sessions", "--backend", &to]);
    assert_eq!(err, "listed: 2 of 2 matched, 3 live\n", "{out}");
    let (code, out, _) = tidegate(dir.path(), &["move", "--from", &to, "--json"]);
    assert_eq!((code, out.contains("no other backend can take")), (4, true), "{out}");
    let (code, out, _) = tidegate(dir.path(), &["enable", "--backend", &from]);
    assert_eq!((code, out.contains("gets new sessions again")), (0, true), "{out}");
    drop(sessions);
    running.signal(libc::SIGTERM);
    let (code, said) = tokio::task::spawn_blocking(move || running.end()).await.unwrap();
    assert_eq!(code, Some(0), "{said}");
}
