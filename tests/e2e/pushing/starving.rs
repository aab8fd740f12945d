//! Clients that never read, and what is left for others.

use super::*;

/// What all messages under way may have here.
const LIMIT: &str = "[limits]\npush_bytes_max = \"256KiB\"\n";

/// Pushes to this user until there is no room for it, or none for anyone; whether it was the first.
async fn is_full(proxy: &Proxy, user: usize, message: &str) -> bool {
    let path = format!("/v1/push?label=user:frozen{user}");
    let filling = async {
        loop {
            let (status, report) = ask(proxy, "POST", &path, message).await;
            match status {
                200 if report["full"] == 1 => return true,
                200 => {}
                _ => return false,
            }
        }
    };
    within("a full queue", filling).await
}

async fn frozen(proxy: &Proxy, count: usize) -> Vec<Session> {
    let mut sessions = Vec::new();
    for user in 0..count {
        let mut session = proxy.client().path(&format!("/?user=frozen{user}")).open().await;
        session.echo("here").await;
        sessions.push(session);
    }
    sessions
}

/// Reads all that was queued, until a message of this text.
async fn thaw(proxy: &Proxy, session: &mut Session, user: usize) {
    let query = format!("label=user:frozen{user}");
    let end = async {
        // There is room again as soon as it has read what was begun.
        while push(proxy, &query, "end").await["queued"] == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let mut end = std::pin::pin!(end);
    let mut is_sent = false;
    loop {
        tokio::select! {
            () = &mut end, if !is_sent => is_sent = true,
            text = session.text() => if text == "end" { return },
        }
    }
}

#[tokio::test]
async fn what_was_begun_for_clients_that_never_read_is_none_of_what_all_may_have_under_way() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&pushed_to(site(&[&backend]), "").table(LIMIT)).await;
    let mut reads = proxy.client().path("/?user=ada").open().await;
    let mut sessions = frozen(&proxy, 5).await;
    let message = "x".repeat(60_000);
    for user in 0..sessions.len() {
        assert!(is_full(&proxy, user, &message).await, "no room for {user}");
    }
    reaches_who_reads(&proxy, &mut reads, &message).await;
    for (user, session) in sessions.iter_mut().enumerate() {
        thaw(&proxy, session, user).await;
    }
    drop((reads, sessions));
    proxy.stop().await;
}

#[tokio::test]
async fn a_client_that_has_not_read_in_time_has_no_room_until_it_has() {
    let backend = Backend::echo("a").await;
    let site = pushed_to(site(&[&backend]), "wait_max = \"200ms\"").table(LIMIT);
    let proxy = Proxy::start(&site).await;
    let mut reads = proxy.client().path("/?user=ada").open().await;
    let mut sessions = frozen(&proxy, 5).await;
    let message = "x".repeat(10_000);
    for user in 0..sessions.len() {
        // What waits for the others may leave none for it, but not for long.
        while !is_full(&proxy, user, &message).await {}
    }
    let query = "label=user:frozen0&wait=written&timeout=10ms";
    // Those that wait are dropped, and none takes their place.
    until_full(&proxy, query).await;
    for _ in 0..20 {
        let report = push(&proxy, query, &message).await;
        assert_eq!((&report["queued"], &report["full"]), (&json!(0), &json!(1)), "{report}");
    }
    reaches_who_reads(&proxy, &mut reads, &message).await;
    for (user, session) in sessions.iter_mut().enumerate() {
        thaw(&proxy, session, user).await;
    }
    drop((reads, sessions));
    proxy.stop().await;
}

/// A message reaches the client that reads, whatever waits for others.
async fn reaches_who_reads(proxy: &Proxy, reads: &mut Session, message: &str) {
    let pushing = push(proxy, "label=user:ada&wait=read", message);
    let report = while_reading(reads, pushing).await;
    assert_eq!((&report["queued"], &report["read"]), (&json!(1), &json!(1)), "{report}");
}

/// Waits until even the smallest message finds no room: all that waited is dropped.
async fn until_full(proxy: &Proxy, query: &str) {
    let asking = async {
        while push(proxy, query, "").await["full"] == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within("a client that is known not to read", asking).await;
}

#[tokio::test]
async fn a_request_names_a_hundred_targets_and_no_more() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&pushed_to(site(&[&backend]), "")).await;
    let mut sessions = Vec::new();
    for user in 0..4 {
        sessions.push(proxy.client().path(&format!("/?user=u{user}&room=1")).open().await);
    }
    until("four sessions", || proxy.sessions() == 4).await;
    let named = |from: usize, to: usize| -> Vec<Value> {
        (from..to).map(|user| json!({ "labels": { "user": format!("u{user}") } })).collect()
    };
    for (request, status, matched) in [
        (json!({ "to": named(0, 100), "text": "a" }), 200, json!(4)),
        (json!({ "to": named(2, 102), "except": named(3, 103), "text": "a" }), 200, json!(1)),
        (json!({ "to": named(0, 3), "except": [{ "route": "all" }], "text": "a" }), 200, json!(0)),
        (json!({ "to": named(0, 101), "text": "a" }), 400, json!(null)),
        (json!({ "to": named(0, 1), "except": named(0, 101), "text": "a" }), 400, json!(null)),
    ] {
        let (answered, told) = ask(&proxy, "POST", "/v1/push", &request.to_string()).await;
        assert_eq!((answered, &told["matched"]), (status, &matched), "{told}");
    }
    drop(sessions);
    proxy.stop().await;
}
