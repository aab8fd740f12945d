//! Which backend a request goes to: by a hash of what it carries.

use std::collections::HashSet;

use crate::actors::{Backend, Client};
use crate::proxy::Proxy;
use crate::site::site;

/// The name of the backend that answers a plain request.
async fn asked(client: &Client) -> String {
    let (head, _) = client.request("GET", "").await;
    assert_eq!(head.status(), 200, "{head:?}");
    head.get("x-backend").to_owned()
}

#[tokio::test]
async fn requests_and_sessions_of_one_value_meet_on_one_backend() {
    let (one, two) = (Backend::echo("one").await, Backend::echo("two").await);
    let by = |hash: &str| {
        let hash = format!("balance = \"hash\"\nhash = \"{hash}\"");
        site(&[&one, &two]).pool(&hash)
    };
    let proxy = Proxy::start(&by("query:room")).await;
    type Ask = fn(Client, &str) -> Client;
    let ways: [(&str, Ask); 4] = [
        ("query:room", |client, room| client.path(&format!("/x?a=b&room={room}&room=other"))),
        ("header:X-Room", |client, room| client.field("X-Room", room)),
        ("cookie:room", |client, room| client.field("Cookie", &format!("a=b; room={room}"))),
        ("path", |client, room| client.path(&format!("/rooms//./{room}"))),
    ];
    for (hash, ask) in ways {
        proxy.reload(&by(hash)).await.unwrap();
        let mut homes = HashSet::new();
        for room in 0..12 {
            let client = ask(proxy.client(), &format!("room-{room}"));
            let home = asked(&client).await;
            let before = (one.connections(), two.connections());
            let session = client.open().await;
            let after = (one.connections(), two.connections());
            let expected = match home.as_str() {
                "one" => (before.0 + 1, before.1),
                _ => (before.0, before.1 + 1),
            };
            assert_eq!(after, expected, "{hash}: room {room} is at home on {home}");
            assert_eq!(asked(&client).await, home, "{hash}");
            session.close(1000, "").await;
            homes.insert(home);
        }
        assert_eq!(homes.len(), 2, "{hash}: twelve rooms on one backend");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn one_client_has_one_backend_while_it_is_there() {
    let (one, two) = (Backend::echo("one").await, Backend::echo("two").await);
    let hashed = site(&[&one, &two]).pool("balance = \"hash\"\nhash = \"client\"");
    let hashed = hashed.listener("trusted_proxies = \"127.0.0.1\"");
    let proxy = Proxy::start(&hashed.pool("health.failures_max = 1")).await;
    let from = |ip: &str| proxy.client().field("X-Forwarded-For", ip);
    let mut homes = Vec::new();
    for host in 0..16 {
        let client = from(&format!("192.0.2.{host}"));
        homes.push(asked(&client).await);
        assert_eq!(asked(&client).await, homes[host]);
    }
    // A device changes the second half of its IPv6 address.
    let devices = [from("2001:db8::1"), from("2001:db8::abcd:9")];
    assert_eq!(asked(&devices[0]).await, asked(&devices[1]).await);
    one.kill().await;
    for (host, home) in homes.iter().enumerate() {
        assert_eq!(asked(&from(&format!("192.0.2.{host}"))).await, "two", "was at {home}");
    }
    assert!(homes.iter().any(|home| home == "one"));
    proxy.stop().await;
}
