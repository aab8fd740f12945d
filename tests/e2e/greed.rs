//! One address takes all it can of something scarce, and leaves it unanswered; another is served.
//! No time-out helps here: each is an hour.

use tokio::io::AsyncWriteExt;

use crate::actors::{Backend, Client, Session, Wire, granted, until};
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
    /// Sessions.
    Sessions,
}

/// Who takes what, where there is so much of it (lines of the configuration).
const ROWS: [(Greed, &str, &str); 5] = [
    (Greed::Handshakes, "handshakes_in_flight_max = 8", ""),
    (Greed::Requests, "requests_in_flight_max = 8", ""),
    (Greed::Sessions, "sessions_max = 16", ""),
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
        let stays = head.second() == "/session";
        let page = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        let answer = if head.is_upgrade() { granted(&head) } else { page.to_owned() };
        let _ = wire.write_all(answer.as_bytes()).await;
        if stays {
            std::future::pending::<()>().await;
        }
    })
    .await
}

async fn take(client: &Client, greed: Greed) -> Option<Wire> {
    // One that is refused at once has taken nothing.
    let mut wire = client.connect().await.ok()?;
    let said = match greed {
        Greed::Handshakes => client.upgrade("dGhlIHNhbXBsZSBub25jZQ=="),
        Greed::Sessions => {
            drop(wire);
            let (head, wire) = client.clone().path("/session").handshake().await;
            return (head.status() == 101).then_some(wire);
        }
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
                Greed::Sessions => of("tidegate_pool_full_total{") > 0.0,
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

#[tokio::test]
async fn bytes_kept_for_held_sessions_have_a_share_for_each_client() {
    let backend = Backend::echo("a").await;
    let hold = "hold = { resume = \"always\", timeout = \"1h\", full_timeout = \"1h\" }";
    let budget = "[limits]\nhold_bytes_max = \"256KiB\"\n";
    let proxy = Proxy::start(&site(&[&backend]).route(hold).table(budget)).await;
    let (mut greedy, mut stranger) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        greedy.push(proxy.client().open().await);
    }
    for last in 1..=4 {
        stranger.push(proxy.client().from([127, 0, 9, last].into()).open().await);
    }
    let address = backend.kill().await;
    let value = |what: &str| {
        let page = proxy.scrape();
        let line = page.lines().find(|line| line.starts_with(what)).unwrap_or("0");
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let held = "tidegate_sessions_held{route=\"all\"";
    until("sessions to be held", || value(held) == 8).await;
    // More than there is, where it cannot be written to its end.
    let more = |mut session: Session| {
        tokio::spawn(async move {
            for _ in 0..8 {
                session.send(vec![7; 16 << 10]).await;
            }
            session
        })
    };
    let sending: Vec<_> = greedy.into_iter().map(more).collect();
    let bytes = || value("tidegate_hold_bytes ");
    let share = (256 << 10) / 9 * 8;
    until("the greedy one to have its share", || bytes() + 64 > share).await;
    assert!(bytes() <= share + (2 << 10), "{} bytes", bytes());
    // What is kept of a message is more by its header and its mask.
    for session in &mut stranger {
        session.send("s".repeat(1000)).await;
    }
    until("a stranger's messages to be kept", || bytes() > share + 4 * 900).await;
    let back = Backend::echo_at("b", address).await;
    for session in &mut stranger {
        assert_eq!(session.text().await.len(), 1000);
    }
    for task in sending {
        let mut session = task.await.unwrap();
        for _ in 0..8 {
            assert_eq!(session.next().await.unwrap().len(), 16 << 10);
        }
    }
    drop((stranger, back));
    proxy.stop().await;
}

#[tokio::test]
async fn a_handshake_is_kept_for_a_stranger_where_the_greedy_one_has_its_share() {
    let backend = Backend::echo("a").await;
    // Less than their handshakes.
    let budget = "[limits]\nhold_bytes_max = \"8KiB\"\n";
    let site = site(&[&backend]).route("hold = { resume = \"always\" }").table(budget);
    let proxy = Proxy::start(&site).await;
    let mut greedy = Vec::new();
    for _ in 0..GREEDY {
        greedy.push(proxy.client().open().await);
    }
    let mut stranger = proxy.client().from([127, 0, 9, 9].into()).open().await;
    let address = backend.kill().await;
    let value = |metric: &str| {
        let page = proxy.scrape();
        let name = format!("tidegate_sessions_{metric}{{route=\"all\"");
        let line = page.lines().find(|line| line.starts_with(&name)).unwrap_or("0");
        line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()
    };
    until("those that are not held to end", || {
        let held = value("held");
        held > 1 && held == value("live") && held < GREEDY
    })
    .await;
    let back = Backend::echo_at("b", address).await;
    stranger.echo("as if nothing was").await;
    drop((greedy, stranger, back));
    proxy.stop().await;
}
