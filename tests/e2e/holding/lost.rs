//! An upstream is lost, and another takes the session up.

use tokio::io::AsyncWriteExt;

use super::*;
use crate::actors::{Ending, bytes, drain, granted, reset, within};

#[tokio::test]
async fn a_client_stays_while_its_backend_dies_and_another_takes_its_place() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&holding(&[&backend], "")).await;
    let mut session = proxy.client().path("/room?id=7").field("cookie", "who=me").open().await;
    session.echo("before").await;
    let first = backend.head();
    assert_eq!(first.get("tidegate-session").len(), 32);
    let address = backend.kill().await;
    until_held(&proxy, 1).await;
    send_all(&mut session, &["one", "two", "three"]).await;
    session.send(bytes(100_000)).await;

    let backend = Backend::echo_at("b", address).await;
    assert_eq!(texts(&mut session, 3).await, ["one", "two", "three"]);
    assert_eq!(session.next().await.unwrap().into_data(), bytes(100_000));
    session.echo("after").await;
    let second = backend.head();
    let (token, attempt, _) = resumed(&second);
    assert_eq!(token, first.get("tidegate-session"));
    assert!(attempt >= 1);
    assert_eq!(second.get("tidegate-session"), "");
    assert_eq!(second.first, first.first);
    assert_ne!(second.get("sec-websocket-key"), first.get("sec-websocket-key"));
    for same in ["cookie", "host", "x-forwarded-for", "sec-websocket-version"] {
        assert_eq!(second.get(same), first.get(same), "{same}");
    }
    let ended = |result| sample(&proxy, "tidegate_holds_ended_total", result);
    assert_eq!((ended("resumed"), ended("in_vain")), (Some(1), None));
    assert_eq!(session.close(4001, "enough").await, Ending::Close(4001, "enough".into()));
    proxy.stop().await;
}

#[tokio::test]
async fn where_there_is_another_backend_the_session_goes_there_at_once() {
    let (one, two) = (Backend::echo("a").await, Backend::echo("b").await);
    let proxy = Proxy::start(&holding(&[&one, &two], "")).await;
    let mut session = proxy.client().open().await;
    session.echo("before").await;
    let (dies, stays) = if one.connections() == 1 { (one, two) } else { (two, one) };
    let token = dies.head().get("tidegate-session").to_owned();
    dies.kill().await;
    let (resumed, attempt, _) = resumed(&last_head(&stays, 1).await);
    assert_eq!((resumed, attempt), (token, 1));
    session.echo("after").await;
    assert_eq!(received(&stays), ["after"]);
    drop(session);
    proxy.stop().await;
}

#[tokio::test]
async fn a_reset_is_a_loss_and_so_is_a_close_that_says_the_backend_goes_away() {
    for how in [0, 1001, 1012, 1013] {
        let backend = Backend::sessions(move |mut session| async move {
            if session.next().await.is_err() {
                return;
            }
            match how {
                0 => session.reset(),
                code => drop(session.close(code, "going away").await),
            }
        })
        .await;
        let proxy = Proxy::start(&holding(&[&backend], "")).await;
        let mut session = proxy.client().open().await;
        session.send("go").await;
        let head = last_head(&backend, 2).await;
        assert_eq!(resumed(&head).0, backend.heads()[0].get("tidegate-session"), "{how}");
        drop(session);
        proxy.stop().await;
    }
}

#[tokio::test]
async fn a_close_with_another_code_is_the_sessions_end_and_the_codes_can_be_chosen() {
    let closing = || {
        Backend::sessions(|mut session| async move {
            let Ok(code) = session.next().await else { return };
            let code: u16 = code.to_string().parse().unwrap();
            session.close(code, "so").await;
        })
    };
    let backend = closing().await;
    let proxy = Proxy::start(&holding(&[&backend], "lost_codes = [4000]")).await;
    for code in [1000, 1011, 1012] {
        let mut session = proxy.client().open().await;
        session.send(code.to_string()).await;
        assert_eq!(session.ending().await, Ending::Close(code, "so".into()));
    }
    let heads = backend.heads().len();
    let mut session = proxy.client().open().await;
    session.send("4000").await;
    last_head(&backend, heads + 2).await;
    drop(session);
    proxy.stop().await;
}

#[tokio::test]
async fn an_upstream_that_falls_silent_is_lost() {
    let silent = Backend::script(|head, mut wire| async move {
        wire.write_all(granted(&head).as_bytes()).await.unwrap();
        // Reads, and never says a word: not even a pong.
        drain(&mut wire).await;
    })
    .await;
    let lively = Backend::script(|head, mut wire| async move {
        wire.write_all(granted(&head).as_bytes()).await.unwrap();
        let mut session = Session::server(wire).await;
        session.send(if resumes(&head) { "taken up" } else { "new" }).await;
        // To its end.
        let _ = session.next().await;
    })
    .await;
    let toml = holding(&[&silent, &lively], "")
        .pool("balance = \"round_robin\"")
        .route("relay = { ping_interval = \"200ms\", pong_timeout = \"300ms\" }");
    let proxy = Proxy::start(&toml).await;
    let mut session = proxy.client().open().await;
    if silent.connections() == 0 {
        // The other one had the first turn.
        drop(session);
        session = proxy.client().open().await;
    }
    assert_eq!(session.text().await, "taken up");
    drop(session);
    proxy.stop().await;
}

fn resumes(head: &Head) -> bool {
    !head.get("tidegate-resume").is_empty()
}

#[tokio::test]
async fn when_nobody_comes_in_time_the_client_is_told_with_1012() {
    let backend = Backend::echo("a").await;
    let keys = "timeout = \"3s\", message_age_max = \"1s\"";
    let proxy = Proxy::start(&holding(&[&backend], keys)).await;
    let mut silent = proxy.client().open().await;
    silent.echo("before").await;
    let mut speaks = proxy.client().open().await;
    speaks.echo("before").await;
    backend.kill().await;
    until_held(&proxy, 2).await;
    speaks.send("too old before somebody comes").await;
    assert!(matches!(speaks.ending().await, Ending::Close(1012, _)));
    assert!(matches!(silent.ending().await, Ending::Close(1012, _)));
    let ended = |result| sample(&proxy, "tidegate_holds_ended_total", result);
    assert_eq!(ended("resumed"), None);
    proxy.stop().await;
}

#[tokio::test]
async fn a_full_buffer_ends_the_session_with_1013_and_not_the_others() {
    let backend = Backend::echo("a").await;
    let keys = "buffer_bytes_max = \"64KiB\", full_timeout = \"200ms\", message_age_max = \"20s\"";
    let proxy = Proxy::start(&holding(&[&backend], keys)).await;
    let mut much = proxy.client().open().await;
    let mut little = proxy.client().open().await;
    much.echo("before").await;
    little.echo("before").await;
    let address = backend.kill().await;
    until_held(&proxy, 2).await;
    little.send("kept").await;
    while much.try_send(bytes(50_000)).await.is_ok() {
        if sample(&proxy, "tidegate_sessions_ended_total", "all").is_some() {
            break;
        }
    }
    assert!(matches!(much.ending().await, Ending::Close(1013, _) | Ending::Cut));
    let _backend = Backend::echo_at("b", address).await;
    assert_eq!(little.text().await, "kept");
    drop(little);
    proxy.stop().await;
}

#[tokio::test]
async fn who_is_held_can_leave_and_is_closed_at_a_stop() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&holding(&[&backend], "")).await;
    let mut leaves = proxy.client().open().await;
    let mut vanishes = proxy.client().open().await;
    let mut stays = proxy.client().open().await;
    for session in [&mut leaves, &mut vanishes, &mut stays] {
        session.echo("before").await;
    }
    backend.kill().await;
    until_held(&proxy, 3).await;
    assert!(matches!(leaves.close(1000, "").await, Ending::Close(1000, _)));
    reset(vanishes.into_wire());
    until("two sessions' ends", || proxy.sessions() == 1).await;
    let (ending, ()) = tokio::join!(stays.ending(), proxy.stop());
    assert!(matches!(ending, Ending::Close(1012, _)), "{ending:?}");
}

#[tokio::test]
async fn nothing_is_held_where_the_route_does_not_say_so() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    let mut session = proxy.client().open().await;
    session.echo("before").await;
    assert_eq!(backend.head().get("tidegate-session"), "");
    backend.kill().await;
    assert!(matches!(session.ending().await, Ending::Close(1012, _)));
    proxy.stop().await;
}

#[tokio::test]
async fn a_thousand_messages_cross_ten_losses_in_order_and_none_twice() {
    let mut backend = Backend::echo("a").await;
    let proxy = Proxy::start(&holding(&[&backend], "")).await;
    let mut session = proxy.client().open().await;
    let mut number = 0;
    for _ in 0..10 {
        for _ in 0..50 {
            session.echo(number.to_string()).await;
            number += 1;
        }
        let address = within("a death", backend.kill()).await;
        until_held(&proxy, 1).await;
        for _ in 0..50 {
            session.send(number.to_string()).await;
            number += 1;
        }
        backend = Backend::echo_at("b", address).await;
        let back = texts(&mut session, 50).await;
        let expected: Vec<String> = (number - 50..number).map(|one| one.to_string()).collect();
        assert_eq!(back, expected);
    }
    drop(session);
    proxy.stop().await;
}

#[tokio::test]
async fn a_session_with_a_large_handshake_is_not_held_and_what_is_stored_counts() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&holding(&[&backend], "head_bytes_max = \"2KiB\"")).await;
    let bytes = || {
        let page = proxy.scrape();
        let line = page.lines().find(|line| line.starts_with("tidegate_hold_bytes "));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).unwrap()
    };
    assert_eq!(bytes(), 0);
    let small = "s=".to_owned() + &"1".repeat(1000);
    let mut held = proxy.client().field("cookie", &small).open().await;
    held.echo("before").await;
    assert!((1000..2000).contains(&bytes()), "{} bytes", bytes());
    let large = "s=".to_owned() + &"1".repeat(2000);
    let mut other = proxy.client().field("cookie", &large).open().await;
    other.echo("before").await;
    assert!((1000..2000).contains(&bytes()), "{} bytes", bytes());
    let address = backend.kill().await;
    assert!(matches!(other.ending().await, Ending::Close(1012, _)));
    // What is said before that is known may be lost with it.
    until_held(&proxy, 1).await;
    let _backend = Backend::echo_at("b", address).await;
    held.echo("after").await;
    drop(held);
    until("what was stored to be given back", || bytes() == 0).await;
    proxy.stop().await;
}
