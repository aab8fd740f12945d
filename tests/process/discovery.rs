//! Members that were found, over upgrades.

use std::net::SocketAddr;
use std::time::Duration;

use crate::backend::Backend;
use crate::name_server::NameServer;
use crate::proxy::Proxy;
use crate::traffic::{Crowd, Kind};
use crate::upgrade::upgraded;

fn configuration(server: &NameServer, source: &str) -> String {
    format!(
        "[pools.one]\nbackends = {source:?}\n\
         discovery = {{ refresh_min = \"50ms\", gone_after = \"100ms\", empty_after = \"300ms\", \
         resolver = \"{}\" }}\n\
         [[routes]]\npath = \"/\"\npool = \"one\"\nhold = {{ resume = \"always\" }}\n\
         [upgrade]\nsessions = \"keep\"\n",
        server.address()
    )
}

fn members(proxy: &Proxy) -> usize {
    let (_, page) = proxy.get("/metrics").unwrap();
    page.lines().filter(|line| line.starts_with("tidegate_backend_up{pool=\"one\"")).count()
}

#[tokio::test]
async fn a_process_that_takes_over_has_the_members_though_no_name_server_answers() {
    let (server, backend) = (NameServer::start().await, Backend::start());
    let address: SocketAddr = backend.address.parse().unwrap();
    server.addresses("chat.test", [address.ip()]);
    let source = format!("dns:chat.test:{}", address.port());
    let proxy = Proxy::start(&configuration(&server, &source)).await;
    proxy.wait("the first answer", || members(&proxy) == 1).await;
    let mut crowd = Crowd::new();
    let kind = Kind { size_max: 64, pause: Duration::from_millis(20) };
    crowd.join(4, &proxy.plain, "/", kind).await;
    drop(server);
    for _ in 0..2 {
        upgraded(&proxy).await;
        // The first client that it serves finds a backend.
        crowd.join(2, &proxy.plain, "/", kind).await;
        assert_eq!(members(&proxy), 1, "{}", proxy.log());
    }
    let is_shown = || {
        let (_, status) = proxy.order("status", &[]);
        let line = status.lines().find(|line| line.contains(&source));
        line.is_some_and(|line| line.contains(" ago ") && line.contains("A: "))
    };
    proxy.wait("the age of the answer, and why there is no other", is_shown).await;
    crowd.finish().await;
}

#[tokio::test]
async fn a_process_that_takes_over_waits_for_the_first_answers_of_what_is_new() {
    let (server, backend) = (NameServer::start().await, Backend::start());
    let address: SocketAddr = backend.address.parse().unwrap();
    server.addresses("chat.test", [address.ip()]);
    let fixed = configuration(&server, &backend.address).replace("discovery", "#");
    let proxy = Proxy::start(&fixed).await;
    let source = format!("dns:chat.test:{}", address.port());
    proxy.configure(&configuration(&server, &source));
    let mut crowd = Crowd::new();
    let kind = Kind { size_max: 64, pause: Duration::from_millis(20) };
    upgraded(&proxy).await;
    crowd.join(4, &proxy.plain, "/", kind).await;
    assert_eq!(members(&proxy), 1);
    crowd.finish().await;
}

#[tokio::test]
async fn a_process_that_has_left_goes_on_to_follow_its_members() {
    let (server, one) = (NameServer::start().await, Backend::start());
    let address: SocketAddr = one.address.parse().unwrap();
    let other = format!("127.0.0.2:{}", address.port());
    let _two = Backend::start_on(&other, Duration::ZERO);
    server.addresses("chat.test", [address.ip()]);
    let source = format!("dns:chat.test:{}", address.port());
    let proxy = Proxy::start(&configuration(&server, &source)).await;
    proxy.wait("the first answer", || members(&proxy) == 1).await;
    let mut crowd = Crowd::new();
    let kind = Kind { size_max: 64, pause: Duration::from_millis(20) };
    crowd.join(4, &proxy.plain, "/", kind).await;
    upgraded(&proxy).await;
    server.addresses("chat.test", ["127.0.0.2".parse().unwrap()]);
    let moved = || {
        let (code, said) = proxy.order("sessions", &["--json"]);
        code == 0 && said.matches(&other).count() == 4
    };
    proxy.wait("the older process's sessions to move", moved).await;
    crowd.finish().await;
}
