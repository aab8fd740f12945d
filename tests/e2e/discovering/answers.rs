//! What a name server says, and does not: which answers are believed, and when.

use std::time::{Duration, Instant};

use super::*;
use crate::actors::Ending;

const NAME: &str = "chat.test";

/// The name with the port of these.
fn source(backends: &[Backend]) -> String {
    format!("dns:{NAME}:{}", backends[0].address().port())
}

/// A server, backends that it names, and a proxy that has found them all.
async fn found(count: usize, more: &str) -> (NameServer, Vec<Backend>, Proxy) {
    let (server, backends) = (NameServer::start().await, on_one_port(count).await);
    server.addresses(NAME, ips(&backends));
    let proxy = Proxy::start(&asking(&server, &source(&backends), more)).await;
    until_members(&proxy, count).await;
    (server, backends, proxy)
}

#[tokio::test]
async fn a_start_waits_for_no_answer_and_serves_with_the_first() {
    for manner in [Manner::Silent, Manner::Failing(2), Manner::Failing(5), Manner::Garbage] {
        let (server, backend) = (NameServer::start().await, Backend::echo("late").await);
        server.addresses(NAME, [backend.address().ip()]);
        server.behave(manner);
        let source = format!("dns:{NAME}:{}", backend.address().port());
        let site = asking(&server, &source, "");
        let held = "name = \"held\"\npath = \"/held\"\npool = \"chat\"\n\
                    hold = { resume = \"always\", queue_timeout = \"18s\" }";
        let proxy = Proxy::start(&site.table(&format!("[[routes]]\n{held}"))).await;
        assert_eq!(proxy.client().handshake().await.0.status(), 503);
        let waiting = proxy.client().path("/held");
        let (mut session, ()) = tokio::join!(waiting.open(), async {
            until("a question", || server.asked() > 0).await;
            server.behave(Manner::Honest);
        });
        session.echo("at last").await;
        drop(session);
        proxy.stop().await;
    }
}

#[tokio::test]
async fn the_last_good_answer_holds_however_long_there_is_no_other() {
    let (server, backends, proxy) = found(2, "").await;
    let mut sessions = [proxy.client().open().await, proxy.client().open().await];
    let manners = [Manner::Failing(2), Manner::Failing(5), Manner::Truncating, Manner::Garbage];
    for manner in manners {
        server.behave(manner);
        // Longer than all the times after which an answer would be believed.
        let since = Instant::now();
        until_asked_more(&server, 4).await;
        until("the time", || since.elapsed() > Duration::from_millis(700)).await;
        assert_eq!(members(&proxy), 2);
        for session in &mut sessions {
            session.echo("lives").await;
        }
        proxy.client().open().await.echo("new").await;
    }
    // The server is gone altogether.
    let known = (server.address(), backends);
    drop(server);
    tokio::time::sleep(Duration::from_secs(1)).await;
    proxy.client().open().await.echo("new").await;
    for session in &mut sessions {
        session.echo("lives").await;
    }
    drop((sessions, known));
    proxy.stop().await;
}

#[tokio::test]
async fn an_answer_without_half_of_the_members_drains_nobody_and_says_why() {
    let (server, backends) = (NameServer::start().await, on_one_port(4).await);
    server.addresses(NAME, ips(&backends));
    let proxy = Proxy::start(&doubting(&server, &source(&backends))).await;
    until_members(&proxy, 4).await;
    let mut sessions = Vec::new();
    for _ in 0..4 {
        sessions.push(proxy.client().open().await);
    }
    server.addresses(NAME, ips(&backends[..2]));
    until_asked_more(&server, 20).await;
    // New work goes to the others meanwhile.
    until("two that are missing", || sample(&proxy, "tidegate_discovery_missing{") == Some(2))
        .await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    for _ in 0..4 {
        let mut session = proxy.client().open().await;
        session.echo("new").await;
        sessions.push(session);
    }
    let heads: Vec<_> = backends.iter().map(|one| one.heads().len()).collect();
    assert_eq!(heads, [3, 3, 1, 1]);
    for session in &mut sessions {
        session.echo("lives").await;
    }
    assert_eq!(members(&proxy), 4);
    // Nothing but what was missing for a moment.
    server.addresses(NAME, ips(&backends));
    until("all", || sample(&proxy, "tidegate_discovery_missing{") == Some(0)).await;
    drop(sessions);
    proxy.stop().await;
}

#[tokio::test]
async fn no_such_name_and_no_address_are_believed_after_their_time_and_never_where_it_is_said() {
    for is_removed in [true, false] {
        let (server, backends, proxy) = found(2, "").await;
        let session = proxy.client().open().await;
        match is_removed {
            true => server.remove(NAME),
            false => server.set(NAME, Vec::new()),
        }
        let since = Instant::now();
        let ending = session.ending().await;
        assert!(matches!(ending, Ending::Close(1012, _)), "{ending:?}");
        assert!(since.elapsed() >= Duration::from_millis(450), "{:?}", since.elapsed());
        assert_eq!(proxy.client().handshake().await.0.status(), 503);
        server.addresses(NAME, ips(&backends));
        until_members(&proxy, 2).await;
        proxy.client().open().await.echo("again").await;
        proxy.stop().await;
    }
}

#[tokio::test]
async fn what_is_cut_short_is_asked_over_tcp_and_an_answer_has_so_many_members() {
    let server = NameServer::start().await;
    let many = |count: u32| (0..count).map(|at| IpAddr::from((0x7f10_0000 + at).to_be_bytes()));
    server.addresses(NAME, many(1000));
    let proxy = Proxy::start(&asking(&server, &format!("dns:{NAME}:9"), "")).await;
    until_members(&proxy, 1000).await;
    server.addresses(NAME, many(1100));
    until_members(&proxy, 1024).await;
    proxy.stop().await;
}

#[tokio::test]
async fn what_was_not_asked_is_not_taken() {
    let (server, backends) = (NameServer::start().await, on_one_port(1).await);
    server.addresses(NAME, ips(&backends));
    server.behave(Manner::Foreign);
    let source = source(&backends);
    let proxy = Proxy::start(&asking(&server, &source, "family = \"ipv4\"")).await;
    until_members(&proxy, 1).await;
    until_asked_more(&server, 3).await;
    assert_eq!(members(&proxy), 1);
    proxy.client().open().await.echo("to the right one").await;
    proxy.stop().await;
}

#[tokio::test]
async fn other_names_are_followed_and_those_that_lead_in_a_circle_have_no_address() {
    let (server, backends) = (NameServer::start().await, on_one_port(2).await);
    server.set(NAME, vec![Data::Alias("one.test")]);
    server.set("one.test", vec![Data::Alias("two.test")]);
    server.addresses("two.test", ips(&backends));
    let proxy = Proxy::start(&doubting(&server, &source(&backends))).await;
    until_members(&proxy, 2).await;
    server.set("two.test", vec![Data::Alias(NAME)]);
    until_asked_more(&server, 40).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(members(&proxy), 2);
    proxy.client().open().await.echo("lives").await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_ttl_of_nothing_is_asked_no_more_often_than_it_may_be() {
    let server = NameServer::start().await;
    server.addresses(NAME, ["127.0.0.1".parse().unwrap()]);
    server.ttl(0);
    let more = format!("resolver = \"{}\", family = \"ipv4\"", server.address());
    let rules = format!("discovery = {{ refresh_min = \"300ms\", {more} }}");
    let proxy = Proxy::start(&site(&[]).backend(format!("dns:{NAME}:9")).pool(&rules)).await;
    until_members(&proxy, 1).await;
    let (before, since) = (server.asked(), Instant::now());
    until_asked_more(&server, 3).await;
    let most = since.elapsed().as_millis() / 300 + 1;
    assert!((server.asked() - before) as u128 <= most.max(3));
    assert!(since.elapsed() >= Duration::from_millis(600), "{:?}", since.elapsed());
    proxy.stop().await;
}

#[tokio::test]
async fn a_backend_that_comes_begins_slowly_and_keeps_what_was_counted_of_the_others() {
    let (server, backends) = (NameServer::start().await, on_one_port(2).await);
    server.addresses(NAME, ips(&backends[..1]));
    let source = source(&backends);
    let slow = asking(&server, &source, "").pool("slow_start = \"3s\"");
    let proxy = Proxy::start(&slow).await;
    until_members(&proxy, 1).await;
    let mut sessions = vec![proxy.client().open().await];
    // The first one has its whole weight by then.
    tokio::time::sleep(Duration::from_millis(3500)).await;
    server.addresses(NAME, ips(&backends));
    until_members(&proxy, 2).await;
    for _ in 0..9 {
        sessions.push(proxy.client().open().await);
    }
    let heads: Vec<_> = backends.iter().map(|one| one.heads().len()).collect();
    assert_eq!((heads.iter().sum::<usize>(), heads[1] <= 2), (10, true), "{heads:?}");
    assert_eq!(sessions_on(&proxy, backends[0].address()), heads[0] as u64);
    drop(sessions);
    proxy.stop().await;
}
