//! A new configuration is taken whole or not at all, and unchanged sessions do not notice.

use crate::actors::{Backend, Certificates, Ending, until};
use crate::proxy::Proxy;
use crate::site::site;

#[tokio::test]
async fn sessions_of_an_unchanged_route_live_through_reloads() {
    let (one, two) = (Backend::echo("a").await, Backend::echo("b").await);
    let toml = site(&[&one]);
    let proxy = Proxy::start(&toml).await;
    let mut session = proxy.client().open().await;
    for number in 0..20 {
        let other = format!(
            "[pools.other]\nbackends = [\"{}\"]\n\
             [[routes]]\npath = \"/other/{number}\"\npool = \"other\"",
            two.address()
        );
        proxy.reload(&toml.clone().route(&other)).await.unwrap();
        session.echo(format!("after {number}")).await;
        let mut new = proxy.client().path(&format!("/other/{number}")).open().await;
        new.echo("new").await;
        new.close(1000, "").await;
        // The next reload removes its route.
        until("the new session's end", || proxy.sessions() == 1).await;
    }
    assert_eq!((one.connections(), two.connections()), (1, 20));
    session.close(1000, "").await;
    proxy.stop().await;
}

#[tokio::test]
async fn changed_rules_reach_live_sessions() {
    let backend = Backend::echo("a").await;
    let toml = site(&[&backend]);
    let proxy = Proxy::start(&toml).await;
    let mut session = proxy.client().open().await;
    session.echo("a message of some length").await;
    let short = toml.route("relay = { message_bytes_max = \"10B\" }");
    proxy.reload(&short).await.unwrap();
    session.send("a message of some length").await;
    assert!(matches!(session.ending().await, Ending::Close(1009, _)));
    proxy.stop().await;
}

#[tokio::test]
async fn removing_a_pool_is_refused_first_and_when_forced_its_sessions_get_1012() {
    let (stays, goes) = (Backend::echo("a").await, Backend::echo("b").await);
    let toml = site(&[&stays]);
    let with = toml.clone().route(&format!(
        "[[routes]]\npath = \"/other\"\npool = \"other\"\n[pools.other]\nbackends = [\"{}\"]",
        goes.address()
    ));
    let proxy = Proxy::start(&with).await;
    let mut kept = proxy.client().open().await;
    let mut removed = proxy.client().path("/other").open().await;
    until("two sessions", || proxy.sessions() == 2).await;

    let refused = proxy.reload(&toml).await.unwrap_err();
    assert!(refused.contains('1') && refused.contains("drain_max"), "{refused}");
    removed.echo("still here").await;

    proxy.force(&toml).await.unwrap();
    assert!(matches!(removed.ending().await, Ending::Close(1012, _)));
    until("the backend's ending", || goes.endings().len() == 1).await;
    assert!(matches!(goes.endings()[0], Ending::Close(1001, _)));
    kept.echo("untouched").await;
    let (head, _) = proxy.client().path("/other").handshake().await;
    // The other route takes everything.
    assert_eq!((head.status(), stays.connections()), (101, 2));
    kept.close(1000, "").await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_broken_file_is_refused_whole_and_changes_nothing() {
    let backend = Backend::echo("a").await;
    let toml = site(&[&backend]);
    let proxy = Proxy::start(&toml).await;
    let mut session = proxy.client().open().await;
    for broken in [
        toml.clone().route("colour = \"blue\""),
        toml.clone().table("[pools.chat"),
        toml.clone().pool("connect_timeout = 5"),
        toml.clone().route("[[routes]]\npath = \"/x\"\npool = \"nobody\""),
        toml.clone().listener("tls.certificates = [{ chain = \"none.pem\", key = \"none.key\" }]"),
    ] {
        let report = proxy.force(&broken).await.unwrap_err();
        assert!(report.contains("error"), "{report}");
    }
    session.echo("untouched").await;
    proxy.client().open().await.echo("new").await;
    session.close(1000, "").await;
    proxy.stop().await;
}

#[tokio::test]
async fn renewed_certificates_serve_new_handshakes_and_live_sessions_stay() {
    let old = Certificates::new(&["localhost"]);
    let new = Certificates::new(&["localhost"]);
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&site(&[&backend]).tls(&old)).await;
    let mut session = proxy.client().tls(&old).open().await;
    assert!(proxy.client().tls(&new).connect().await.is_err());
    for file in ["site.pem", "site.key"] {
        std::fs::copy(new.path().join(file), old.path().join(file)).unwrap();
    }
    proxy.reload_files().await.unwrap();
    proxy.client().tls(&new).open().await.echo("new").await;
    session.echo("untouched").await;
    session.close(1000, "").await;
    proxy.stop().await;
}

#[tokio::test]
async fn listeners_come_and_go_without_touching_the_others() {
    let backend = Backend::echo("a").await;
    let toml = site(&[&backend]);
    let proxy = Proxy::start(&toml).await;
    let mut session = proxy.client().open().await;
    let second = toml.clone().table("[listeners.second]\naddress = \"[::1]:0\"");
    proxy.reload(&second).await.unwrap();
    let mut new = proxy.client_of("second").open().await;
    new.echo("over IPv6").await;
    new.close(1000, "").await;
    until("the new session's end", || proxy.sessions() == 1).await;
    let gone = proxy.client_of("second");
    proxy.reload(&toml).await.unwrap();
    until("the listener to be closed", || std::net::TcpStream::connect(gone.address()).is_err())
        .await;
    session.echo("untouched").await;
    session.close(1000, "").await;
    proxy.stop().await;
}

#[tokio::test]
async fn under_traffic_every_reload_is_a_generation_and_no_message_is_lost() {
    const RELOADS: u64 = 40;
    let backend = Backend::echo("a").await;
    let toml = site(&[&backend]);
    let proxy = Proxy::start(&toml).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut clients = Vec::new();
    for client in 0..20 {
        let mut session = proxy.client().open().await;
        let stopped = stopped.clone();
        clients.push(tokio::spawn(async move {
            let mut number = 0;
            while !*stopped.borrow() {
                // Each comes back once, in its turn: `echo` takes nothing else.
                session.echo(format!("{client}: {number} {}", "x".repeat(number % 3000))).await;
                number += 1;
            }
            session.close(1000, "").await;
            number
        }));
    }
    for reload in 0..RELOADS {
        let timeout = format!("relay = {{ idle_timeout = \"{}s\" }}\n", 60 + reload);
        let other = format!("[[routes]]\npath = \"/other/{reload}\"\nrespond = \"{reload}\"");
        proxy.reload(&toml.clone().route(&timeout).route(&other)).await.unwrap();
        assert_eq!(proxy.generation(), reload + 2);
        let (_, body) = proxy.client().path(&format!("/other/{reload}")).request("GET", "").await;
        assert_eq!(body, reload.to_string());
    }
    stop.send(true).unwrap();
    for client in clients {
        assert!(client.await.unwrap() > 0);
    }
    assert_eq!(backend.connections(), 20);
    proxy.stop().await;
}
