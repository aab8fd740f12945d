//! By `dns:` and `srv:`: every address is a backend of its own.

use super::*;
use crate::actors::{Certificates, Ending};
use crate::holding::Clients;

#[tokio::test]
async fn only_the_sessions_of_an_address_that_is_gone_move_whatever_carries_them() {
    let (server, backends) = (NameServer::start().await, on_one_port(3).await);
    server.addresses("chat.test", ips(&backends));
    let certificates = Certificates::new(&["localhost"]);
    let source = format!("dns:chat.test:{}", backends[0].address().port());
    let site = asking(&server, &source, "")
        .route("hold = { resume = \"always\" }")
        .listener("http2.h2c = true")
        .https(&[&certificates], "");
    let proxy = Proxy::start(&site).await;
    until_members(&proxy, 3).await;
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(Clients::open(&proxy, &certificates).await);
    }
    let before: Vec<usize> = backends.iter().map(|one| one.heads().len()).collect();
    assert_eq!(before, [4, 4, 4]);
    server.addresses("chat.test", ips(&backends[..2]));
    until_members(&proxy, 2).await;
    until("its sessions to move", || {
        let heads = backends[..2].iter().map(|one| one.heads().len()).sum::<usize>();
        heads == 12
    })
    .await;
    for clients in &mut all {
        clients.echo("after").await;
    }
    assert_eq!(backends[2].heads().len(), 4, "nothing new came to it");
    let page = proxy.scrape();
    assert!(page.contains("tidegate_sessions_opened_total{route=\"all\"} 12"), "{page}");
    // It comes back, and is a backend like the others.
    server.addresses("chat.test", ips(&backends));
    until_members(&proxy, 3).await;
    let mut session = proxy.client().open().await;
    session.echo("again").await;
    until("the new one to be chosen", || sessions_on(&proxy, backends[2].address()) == 1).await;
    drop((all, session));
    proxy.stop().await;
}

#[tokio::test]
async fn without_hold_the_sessions_of_an_address_that_is_gone_read_1012_and_no_others() {
    let (server, backends) = (NameServer::start().await, on_one_port(3).await);
    server.addresses("chat.test", ips(&backends));
    let source = format!("dns:chat.test:{}", backends[0].address().port());
    let proxy = Proxy::start(&asking(&server, &source, "")).await;
    until_members(&proxy, 3).await;
    let mut sessions: Vec<(Session, usize)> = Vec::new();
    for _ in 0..6 {
        let heads = |at: usize| backends[at].heads().len();
        let before = [heads(0), heads(1), heads(2)];
        let mut session = proxy.client().open().await;
        session.echo("before").await;
        let at = (0..3).find(|at| heads(*at) > before[*at]).unwrap();
        sessions.push((session, at));
    }
    server.addresses("chat.test", ips(&backends[1..]));
    for (mut session, at) in sessions {
        match at {
            0 => {
                let ending = session.ending().await;
                assert!(matches!(ending, Ending::Close(1012, _)), "{ending:?}");
            }
            _ => {
                until_members(&proxy, 2).await;
                session.echo("after").await;
                session.close(1000, "").await;
            }
        }
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_name_has_addresses_of_both_kinds_or_of_one() {
    let server = NameServer::start().await;
    server.addresses("chat.test", ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()]);
    for (family, backends) in [
        ("any", &["127.0.0.1:9", "[::1]:9"][..]),
        ("ipv4", &["127.0.0.1:9"]),
        ("ipv6", &["[::1]:9"]),
    ] {
        let more = format!("family = \"{family}\"");
        let proxy = Proxy::start(&asking(&server, "dns:chat.test:9", &more)).await;
        until_members(&proxy, backends.len()).await;
        let page = proxy.scrape();
        for backend in backends {
            assert!(page.contains(&format!("backend=\"{backend}\"")), "{family}\n{page}");
        }
        proxy.stop().await;
    }
}

#[tokio::test]
async fn a_service_names_targets_with_weights_and_backups() {
    let server = NameServer::start().await;
    let backends = [Backend::echo("a").await, Backend::echo("b").await, Backend::echo("c").await];
    let names = ["a.test", "b.test", "c.test"];
    for (name, backend) in names.iter().zip(&backends) {
        server.addresses(name, [backend.address().ip()]);
    }
    let service = |at: usize, priority, weight| Data::Service {
        priority,
        weight,
        port: backends[at].address().port(),
        target: names[at],
    };
    let gone = Data::Service { priority: 1, weight: 1, port: 7, target: "gone.test" };
    let none = Data::Service { priority: 0, weight: 0, port: 0, target: "" };
    let records = vec![service(0, 1, 30), service(1, 1, 10), service(2, 2, 10), gone, none];
    server.set("_ws._tcp.chat.test", records);
    let proxy = Proxy::start(&asking(&server, "srv:_ws._tcp.chat.test", "")).await;
    until_members(&proxy, 3).await;
    let mut sessions = Vec::new();
    for _ in 0..8 {
        sessions.push(proxy.client().open().await);
    }
    let heads = || backends.each_ref().map(|one| one.heads().len());
    assert_eq!(heads(), [6, 2, 0], "by weight, and none to the backup");
    let [a, b, c] = backends;
    let (_, _) = (a.kill().await, b.kill().await);
    let mut session = proxy.client().open().await;
    session.echo("to the backup").await;
    assert_eq!(c.heads().len(), 1);
    drop((sessions, session));
    proxy.stop().await;
}

/// Records of a service, each with its target's place among these.
type Services<'a> = &'a [(usize, u16, u16)];

#[tokio::test]
async fn a_service_is_read_as_its_rfc_says() {
    let server = NameServer::start().await;
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let names = ["a.test", "b.test"];
    for (name, backend) in names.iter().zip(&backends) {
        server.addresses(name, [backend.address().ip()]);
    }
    let rows: [(&str, Services<'_>, [usize; 2]); 5] = [
        ("a weight of nothing has very little", &[(0, 1, 0), (1, 1, 1)], [0, 8]),
        ("and an equal share where others have no more", &[(0, 1, 0), (1, 1, 0)], [4, 4]),
        ("a target twice has both weights", &[(0, 1, 1), (1, 1, 2), (0, 1, 1)], [4, 4]),
        ("and is no backup by its second", &[(0, 2, 9), (0, 1, 3), (1, 1, 1)], [6, 2]),
        ("the lowest number is the first", &[(0, 65535, 9), (1, 65534, 1)], [0, 8]),
    ];
    for (what, services, shares) in rows {
        let service = |(at, priority, weight): &(usize, u16, u16)| Data::Service {
            priority: *priority,
            weight: *weight,
            port: backends[*at].address().port(),
            target: names[*at],
        };
        server.set("_ws._tcp.chat.test", services.iter().map(service).collect());
        let proxy = Proxy::start(&asking(&server, "srv:_ws._tcp.chat.test", "")).await;
        until_members(&proxy, 2).await;
        let heads = || backends.each_ref().map(|one| one.heads().len());
        let before = heads();
        let mut sessions = Vec::new();
        for _ in 0..8 {
            sessions.push(proxy.client().open().await);
        }
        let [a, b] = heads();
        assert_eq!([a - before[0], b - before[1]], shares, "{what}");
        drop(sessions);
        proxy.stop().await;
    }
}

#[tokio::test]
async fn a_service_that_is_not_available_or_half_told_changes_nothing() {
    let (server, backend) = (NameServer::start().await, Backend::echo("a").await);
    let name = "_ws._tcp.chat.test";
    server.ttl(0);
    server.addresses("a.test", [backend.address().ip()]);
    server.addresses("b.test", ["127.0.0.9".parse().unwrap()]);
    let port = backend.address().port();
    let service = |port, target| Data::Service { priority: 1, weight: 1, port, target };
    server.set(name, vec![service(port, "a.test")]);
    let proxy = Proxy::start(&doubting(&server, &format!("srv:{name}"))).await;
    until_members(&proxy, 1).await;
    let mut session = proxy.client().open().await;
    let value = |metric: &str| -> f64 {
        let page = proxy.scrape();
        let line = page.lines().find(|line| line.starts_with(metric)).unwrap().to_owned();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    // An answer lacks the member, or there is none.
    let is_ill = || {
        value("tidegate_discovery_missing{") > 0.0 || value("tidegate_discovery_age_seconds{") > 0.7
    };
    for (what, records) in [
        ("not available (RFC 2782)", vec![service(port, "")]),
        ("no port", vec![service(0, "a.test")]),
        ("no such target", vec![service(port, "gone.test")]),
        (
            "a target that cannot be asked for",
            vec![service(port, "a.test"), service(9, "fails.test")],
        ),
        ("one that is not answered", vec![service(port, "a.test"), service(9, "hangs.test")]),
    ] {
        server.behave_for("fails.test", Manner::Failing(2));
        server.behave_for("hangs.test", Manner::Silent);
        server.set(name, records);
        until(what, is_ill).await;
        until_asked_more(&server, 4).await;
        assert_eq!(members(&proxy), 1, "{what}");
        session.echo(what).await;
        server.set(name, vec![service(port, "a.test")]);
        until(what, || !is_ill()).await;
    }
    // So many that they are asked for over TCP.
    server.set(name, (1..=60).map(|port| service(port, "b.test")).collect());
    until_members(&proxy, 60).await;
    drop(session);
    proxy.stop().await;
}

#[tokio::test]
async fn a_reload_waits_for_the_first_answers_of_a_new_source_and_moves_nobody_it_need_not() {
    let (server, backends) = (NameServer::start().await, on_one_port(2).await);
    server.addresses("chat.test", ips(&backends));
    let fixed = site(&[&backends[0], &backends[1]]);
    let source = format!("dns:chat.test:{}", backends[0].address().port());
    let proxy = Proxy::start(&fixed).await;
    let mut sessions = [proxy.client().open().await, proxy.client().open().await];
    proxy.reload(&asking(&server, &source, "")).await.unwrap();
    assert_eq!(members(&proxy), 2);
    proxy.reload(&fixed).await.unwrap();
    for session in &mut sessions {
        session.echo("as before").await;
    }
    let asked = server.asked();
    // A source that is in no plan is asked no more.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(server.asked(), asked);
    // One that does not answer is not waited for beyond its time.
    server.behave(Manner::Silent);
    proxy.force(&asking(&server, &source, "")).await.unwrap();
    assert_eq!(members(&proxy), 0);
    server.behave(Manner::Honest);
    until_members(&proxy, 2).await;
    drop(sessions);
    proxy.stop().await;
}
