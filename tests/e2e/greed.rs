//! One address takes all it can of something scarce, and leaves it unanswered; another is served.
//! No time-out helps here: each is an hour.

use tokio::io::AsyncWriteExt;

use crate::actors::{Backend, Client, Wire, granted, until};
use crate::proxy::Proxy;
use crate::site::site;

/// What the greedy one does over and over.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Greed {
    /// Handshakes that the backends leave unanswered.
    Handshakes,
    /// Requests that they leave unanswered.
    Requests,
    /// Connections on which nothing is said.
    Silence,
}

/// Who takes what, where there is so much of it (lines of the configuration).
const ROWS: [(Greed, &str, &str); 4] = [
    (Greed::Handshakes, "handshakes_in_flight_max = 8", ""),
    (Greed::Requests, "requests_in_flight_max = 8", ""),
    (Greed::Silence, "", "[limits]\nconnections_max = 32\n"),
    (Greed::Silence, "", "[limits]\nsilent_max = 8\n"),
];

/// More than half of any of them.
const GREEDY: usize = 64;

/// A backend that leaves `/greedy` unanswered.
async fn selective() -> Backend {
    Backend::script(|head, mut wire| async move {
        if head.second() == "/greedy" {
            std::future::pending::<()>().await;
        }
        let page = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        let answer = if head.is_upgrade() { granted(&head) } else { page.to_owned() };
        let _ = wire.write_all(answer.as_bytes()).await;
    })
    .await
}

async fn take(client: &Client, greed: Greed) -> Option<Wire> {
    // One that is refused at once has taken nothing.
    let mut wire = client.connect().await.ok()?;
    let said = match greed {
        Greed::Handshakes => client.upgrade("dGhlIHNhbXBsZSBub25jZQ=="),
        Greed::Requests => client.head("GET", &[]),
        Greed::Silence => return Some(wire),
    };
    wire.write_all(said.as_bytes()).await.ok()?;
    Some(wire)
}

#[tokio::test]
async fn who_takes_all_it_can_leaves_enough_for_another() {
    let (one, two) = (selective().await, selective().await);
    for (greed, pool, table) in ROWS {
        let hour = "connect_timeout = \"1h\"\nhandshake_timeout = \"1h\"\n";
        let of_listener = "limits = { head_timeout = \"1h\", keep_alive_timeout = \"1h\" }";
        let site = site(&[&one, &two]).pool(pool).pool(hour).listener(of_listener).table(table);
        let proxy = Proxy::start(&site).await;
        let greedy = proxy.client().path("/greedy");
        let mut taken = Vec::new();
        for _ in 0..GREEDY {
            taken.extend(take(&greedy, greed).await);
        }
        // All that it can have is taken: a share of it waits, or has given way.
        let full = || {
            let page = proxy.scrape();
            let of = |name: &str| -> f64 {
                let lines = page.lines().filter(|line| line.starts_with(name));
                lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
            };
            let there = of("tidegate_connections_open{");
            match greed {
                Greed::Silence => of("tidegate_connections_evicted_total{") > 0.0,
                Greed::Handshakes | Greed::Requests => there >= GREEDY as f64,
            }
        };
        until("the greedy one to have its share", full).await;
        let stranger = proxy.client().from([127, 0, 9, 9].into()).path("/stranger");
        let (head, _) = stranger.request("GET", "").await;
        assert_eq!(head.status(), 200, "{greed:?} with {pool}{table}");
        let (head, wire) = stranger.handshake().await;
        assert_eq!(head.status(), 101, "{greed:?} with {pool}{table}");
        drop((taken, wire));
        proxy.stop().await;
    }
}
