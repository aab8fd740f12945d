//! Sessions that are named by the token that their backends know them by.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};

use super::*;

/// What callers ask, once it listens.
type ApiAddress = Arc<OnceLock<SocketAddr>>;

/// A backend that pushes to a session before it has granted it, and then grants it or not.
async fn pushing_first(api: ApiAddress, grants: bool, told: Arc<Mutex<Vec<Value>>>) -> Backend {
    Backend::script(move |head: Head, mut wire: Wire| {
        let (api, told) = (Arc::clone(&api), Arc::clone(&told));
        async move {
            let path = format!("/v1/push?session={}", head.get("tidegate-session"));
            let caller = Client::to(*api.get().unwrap()).path(&path);
            for text in ["first", "second"] {
                let (_, report) = caller.request("POST", text).await;
                told.lock().unwrap().push(serde_json::from_str(&report).unwrap());
            }
            if !grants {
                let _ =
                    wire.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
                return;
            }
            wire.write_all(granted(&head).as_bytes()).await.unwrap();
            let mut session = Session::server(wire).await;
            while session.forward().await.is_ok() {}
        }
    })
    .await
}

#[tokio::test]
async fn a_backend_pushes_to_a_session_that_it_has_not_granted_yet() {
    let certificates = Certificates::new(&["localhost"]);
    let (api, told) = (ApiAddress::default(), Arc::default());
    let backends = [
        pushing_first(Arc::clone(&api), true, Arc::clone(&told)).await,
        pushing_first(Arc::clone(&api), true, Arc::clone(&told)).await,
    ];
    let site = both(site(&backends.each_ref()), &certificates);
    let proxy = Proxy::start(&pushed_to(site, "")).await;
    api.set(caller(&proxy, "/").address()).unwrap();
    let asker = Asker::new(&proxy, &certificates).path("/?user=ada");
    let mut streams = asker.streams(true).await;
    let mut sessions = vec![
        asker.client(false).open().await,
        asker.client(true).open().await,
        streams.open_by(asker.handshake()).await,
    ];
    for session in &mut sessions {
        assert_eq!((session.text().await, session.text().await), ("first".into(), "second".into()));
        session.echo("after").await;
    }
    let reports = told.lock().unwrap().clone();
    assert_eq!(reports.len(), 6);
    assert!(reports.iter().all(|report| report["queued"] == 1), "{reports:?}");
    drop((sessions, streams));
    proxy.stop().await;
}

#[tokio::test]
async fn what_waits_for_a_session_that_does_not_begin_is_gone_and_bounded() {
    let (api, told) = (ApiAddress::default(), Arc::default());
    let backend = pushing_first(Arc::clone(&api), false, Arc::clone(&told)).await;
    let site = pushed_to(site(&[&backend]), "queue_messages_max = 1");
    let proxy = Proxy::start(&site).await;
    api.set(caller(&proxy, "/").address()).unwrap();
    let (head, _wire) = proxy.client().handshake().await;
    assert_eq!(head.status(), 403);
    let reports = told.lock().unwrap().clone();
    assert_eq!((&reports[0]["queued"], &reports[1]["full"]), (&json!(1), &json!(1)), "{reports:?}");
    let token = backend.head().get("tidegate-session").to_owned();
    let (status, _) = ask(&proxy, "POST", &format!("/v1/push?session={token}"), "late").await;
    assert_eq!(status, 410);
    proxy.stop().await;
}

#[tokio::test]
async fn a_session_is_known_by_its_token_wherever_its_id_is_and_after_it_was_resumed() {
    for (hold, is_held) in [("", false), ("hold = { resume = \"always\" }", true)] {
        let backend = Backend::echo("a").await;
        let site = pushed_to(site(&[&backend]), "").route(hold);
        let proxy = Proxy::start(&site).await;
        let mut session = proxy.client().path("/?user=ada").open().await;
        session.echo("before").await;
        let token = backend.head().get("tidegate-session").to_owned();
        assert_eq!(token.len(), 32, "{token}");
        let mut backend = backend;
        if is_held {
            let address = backend.kill().await;
            let held = "tidegate_sessions_held{route=\"all\"} 1";
            until("the session to be held", || proxy.scrape().contains(held)).await;
            backend = Backend::echo_at("a", address).await;
            session.echo("resumed").await;
            assert!(backend.head().get("tidegate-resume").starts_with(&token));
        }
        let path = format!("/v1/sessions/{token}");
        let (status, one) = ask(&proxy, "GET", &path, "").await;
        assert_eq!((status, &one["labels"]), (200, &json!({ "user": "ada" })), "{one}");
        assert!(!one.to_string().contains(&token), "it is the backend's: {one}");
        let report = push(&proxy, &format!("session={token}"), "by token").await;
        assert_eq!((&report["matched"], &report["queued"]), (&json!(1), &json!(1)));
        let both = json!({
            "to": [{ "sessions": [token, one["id"]] }, { "labels": { "user": "bob" } }],
            "except": [{ "labels": { "user": "eve" } }],
            "text": "once",
        });
        let (_, report) = ask(&proxy, "POST", "/v1/push", &both.to_string()).await;
        assert_eq!(report["queued"], 1, "{report}");
        let except =
            json!({ "to": [{ "all": true }], "except": [{ "sessions": [token] }], "text": "x" });
        let (_, report) = ask(&proxy, "POST", "/v1/push", &except.to_string()).await;
        assert_eq!(report["matched"], 0, "{report}");
        assert_eq!(
            (session.text().await, session.text().await),
            ("by token".into(), "once".into())
        );
        let (status, one) = ask(&proxy, "PATCH", &path, "{\"labels\":{\"seat\":\"7\"}}").await;
        assert_eq!((status, &one["labels"]["seat"]), (200, &json!("7")), "{one}");
        let (_, listed) = ask(&proxy, "GET", &format!("/v1/sessions?session={token}"), "").await;
        assert_eq!(listed["matched"], 1, "{listed}");
        for wrong in [&token[1..], &format!("{token}0"), &token.replace(&token[..1], "g")] {
            let (status, why) = ask(&proxy, "GET", &format!("/v1/sessions/{wrong}"), "").await;
            assert_eq!(status, 400, "{wrong}: {why}");
        }
        let other = if token.starts_with('0') { "1" } else { "0" }.to_owned() + &token[1..];
        let (status, told) = ask(&proxy, "DELETE", &format!("{path}?code=4403"), "").await;
        assert_eq!((status, &told["kicked"]), (200, &json!(1)), "{told}");
        assert!(matches!(session.ending().await, Ending::Close(4403, _)));
        until("it is gone", || proxy.sessions() == 0).await;
        for token in [&token, &other] {
            for method in ["GET", "DELETE", "PATCH"] {
                let path = format!("/v1/sessions/{token}");
                assert_eq!(ask(&proxy, method, &path, "{}").await.0, 410, "{method}");
            }
            let (status, _) = ask(&proxy, "POST", &format!("/v1/push?session={token}"), "x").await;
            assert_eq!(status, 410);
        }
        drop(backend);
        proxy.stop().await;
    }
}

#[tokio::test]
async fn no_client_can_name_its_session_itself() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&pushed_to(site(&[&backend]), "")).await;
    let own = "0123456789abcdef0123456789abcdef";
    let mut session = proxy.client().field("Tidegate-Session", own).open().await;
    session.echo("here").await;
    let head = backend.head();
    let tokens: Vec<&str> = head.all("tidegate-session").collect();
    assert!(tokens.len() == 1 && tokens[0] != own, "{tokens:?}");
    assert_eq!(ask(&proxy, "POST", &format!("/v1/push?session={own}"), "x").await.0, 410);
    drop(session);
    proxy.stop().await;
}
