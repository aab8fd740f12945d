//! How much one client may have of a route.

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::actors::{Backend, Certificates, Ending, Head, Session, frame, granted, within};
use crate::http2::Streams;
use crate::proxy::Proxy;
use crate::site::site;
use crate::versions::{BOTH, SPEAKS_BOTH, Version, get, handshake};

const BY_CLIENT: &str = "limits.requests = { key = \"client\", rate = \"1/h\", burst = 3 }\n\
     limits.handshakes = { key = \"client\", rate = \"2/h\" }";

/// The statuses of so many requests, or handshakes, of one client behind a trusted proxy.
async fn statuses(
    version: Version,
    address: SocketAddr,
    (client, asks_websocket): (&str, bool),
    count: usize,
) -> Vec<u16> {
    let fields = [("X-Forwarded-For", client)];
    let mut statuses = Vec::new();
    for _ in 0..count {
        let answer = match asks_websocket {
            true => handshake(version, address, "/", &fields).await,
            false => get(version, address, "/", &fields).await,
        };
        if answer.status == 429 {
            let wait: u64 = answer.get("retry-after").parse().unwrap();
            assert!((1000..=3600).contains(&wait), "{wait}");
        }
        statuses.push(answer.status);
    }
    statuses
}

#[tokio::test]
async fn a_client_has_so_many_requests_and_handshakes_on_all_workers_and_versions_together() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let site = site(&[&backends[0], &backends[1]])
        .listener(SPEAKS_BOTH)
        .listener("trusted_proxies = \"127.0.0.0/8\"")
        .route(BY_CLIENT);
    let proxy = Proxy::start(&site).await;
    let address = proxy.client().address();
    for [one, other] in [["2001:db8::1", "2001:db8::2"], ["198.51.100.1", "::ffff:198.51.100.1"]] {
        let plain = statuses(Version::Http1, address, (one, false), 2).await;
        assert_eq!(plain, [200, 200], "{one}");
        let more = statuses(Version::Http2, address, (other, false), 3).await;
        assert_eq!(more, [200, 429, 429], "{other}");
        assert_eq!(statuses(Version::Http2, address, (one, true), 1).await, [101]);
        assert_eq!(statuses(Version::Http1, address, (other, true), 2).await, [101, 429]);
    }
    // What was taken before a reload counts after it, also where the limit is another.
    proxy.force_toml(&site.toml().replace("burst = 3", "burst = 4")).await.unwrap();
    let after = statuses(Version::Http1, address, ("2001:db8::1", false), 2).await;
    assert_eq!(after, [200, 429]);
    let failures = "tidegate_handshake_failures_total{route=\"all\",reason=\"rate_limit\"} 2";
    let scrape = proxy.scrape();
    assert!(scrape.contains(failures), "{scrape}");
    proxy.stop().await;
}

#[tokio::test]
async fn a_request_without_the_value_counts_by_its_client() {
    let backend = Backend::echo("a").await;
    let limit = "limits.requests = { key = \"header:X-User\", rate = \"1/h\" }";
    let site = site(&[&backend]).listener(SPEAKS_BOTH).route(limit);
    let proxy = Proxy::start(&site).await;
    let address = proxy.client().address();
    for version in BOTH {
        let user = format!("{version:?}");
        let fields = [("X-User", &*user)];
        assert_eq!(get(version, address, "/", &fields).await.status, 200);
        assert_eq!(get(version, address, "/", &fields).await.status, 429);
    }
    assert_eq!(get(Version::Http1, address, "/", &[]).await.status, 200);
    assert_eq!(get(Version::Http2, address, "/", &[]).await.status, 429);
    for version in BOTH {
        assert_eq!(get(version, address, "/", &[("X-User", "")]).await.status, 429);
        let long = "x".repeat(8 << 10);
        let fields = [("X-User", &*format!("{long}{version:?}"))];
        assert_eq!(get(version, address, "/", &fields).await.status, 200);
        assert_eq!(get(version, address, "/", &fields).await.status, 429);
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_rate_by_client_holds_who_guesses_and_no_other_limit_is_for_those_who_may_not_pass() {
    let backend = Backend::echo("a").await;
    let asked = Backend::answering(
        "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    )
    .await;
    let rates = |kind: &str| {
        format!(
            "limits.{kind} = [{{ key = \"client\", rate = \"3/h\" }}, \
             {{ key = \"host\", rate = \"1/h\", burst = 2 }}]"
        )
    };
    let site = site(&[&backend])
        .listener(SPEAKS_BOTH)
        .listener("trusted_proxies = \"127.0.0.0/8\"")
        .table("[access.net]\nallow = \"198.51.100.0/24\"\n[access.sso.forward]\npool = \"auth\"")
        .table(&format!("[pools.auth]\nbackends = [\"{}\"]", asked.address()))
        .route(&format!(
            "access = {{ any = [\"net\", \"sso\"] }}\n{}\n{}",
            rates("requests"),
            rates("handshakes")
        ));
    let proxy = Proxy::start(&site).await;
    let address = proxy.client().address();
    for (asks_websocket, good) in [(false, 200), (true, 101)] {
        for (number, version) in BOTH.into_iter().enumerate() {
            let stranger = format!("192.0.2.{}", number + 1);
            let guesses = statuses(version, address, (&stranger, asks_websocket), 5).await;
            assert_eq!(guesses, [401, 401, 401, 429, 429], "{version:?}");
            // What all who may pass have together, the stranger has used nothing of.
            let client = format!("198.51.100.{}", number + 1);
            assert_eq!(statuses(version, address, (&client, asks_websocket), 1).await, [good]);
        }
    }
    assert_eq!(asked.heads().len(), 12, "of twenty");
    proxy.stop().await;
}

#[tokio::test]
async fn who_makes_up_values_of_a_key_takes_no_room_from_others_and_is_held_by_its_own() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let rate = "rate = \"1/h\", burst = 2";
    // Room for 1,024 keys, which is the least.
    let site = site(&[&backends[0], &backends[1]])
        .table("[limits]\nkeys_max = 1")
        .listener(SPEAKS_BOTH)
        .listener("trusted_proxies = \"127.0.0.0/8\"")
        .route(&format!("limits.requests = {{ key = \"header:X-User\", {rate} }}"))
        .route("[[routes]]\npath = \"/page\"\npool = \"chat\"")
        .route(&format!("limits.requests = {{ key = \"client\", {rate} }}"));
    let proxy = Proxy::start(&site).await;
    let address = proxy.client().address();
    let statuses = async |version, path: &str, client: &str, user: &str| {
        let fields = [("X-Forwarded-For", client), ("X-User", user)];
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(get(version, address, path, &fields).await.status);
        }
        statuses
    };
    let mut passed = 0;
    for number in 0..1_500 {
        let user = format!("user-{number}");
        let fields = [("X-Forwarded-For", "192.0.2.1"), ("X-User", &*user)];
        passed += usize::from(get(Version::Http1, address, "/", &fields).await.status == 200);
    }
    assert!(passed <= 514, "{passed}");
    for number in 0..20 {
        let (client, version) = (format!("198.51.100.{number}"), BOTH[number % 2]);
        let user = format!("new-{number}");
        assert_eq!(statuses(version, "/", &client, &user).await, [200, 200, 429], "{client}");
        assert_eq!(statuses(version, "/page", &client, "").await, [200, 200, 429], "{client}");
    }
    let scrape = proxy.scrape();
    assert!(scrape.contains("tidegate_limit_keys_shared_total 0"), "{scrape}");
    proxy.stop().await;
}

#[tokio::test]
async fn a_client_has_so_many_sessions_and_one_that_ends_makes_room() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let limit = "limits.sessions = { key = \"query:user\", max = 2 }";
    let site = site(&backends.each_ref()).listener(SPEAKS_BOTH).route(limit);
    let proxy = Proxy::start(&site).await;
    let client = proxy.client().path("/?user=7");
    let mut held = vec![client.open().await, client.open().await];
    for version in BOTH {
        let answer = handshake(version, client.address(), "/?user=7", &[]).await;
        assert_eq!((answer.status, answer.get("retry-after")), (429, "1"), "{version:?}");
        assert_eq!(handshake(version, client.address(), "/?user=8", &[]).await.status, 101);
    }
    held.pop().unwrap().close(1000, "").await;
    let next = async {
        let mut asked = client.handshake().await;
        while asked.0.status() == 429 {
            asked = client.handshake().await;
        }
        Session::client(asked.1).await
    };
    within("the place to be given back", next).await.echo("hello").await;
    held.pop().unwrap().echo("still here").await;
    proxy.stop().await;
}

#[tokio::test]
async fn the_oldest_session_makes_room_on_whatever_worker_it_is() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let site = site(&[&backends[0], &backends[1]])
        .route("limits.sessions = { key = \"client\", max = 3, excess = \"oldest\" }");
    let proxy = Proxy::start(&site).await;
    let mut held = std::collections::VecDeque::new();
    for number in 0..3 {
        let mut session = proxy.client().open().await;
        session.echo(format!("{number}")).await;
        held.push_back(session);
    }
    for _ in 0..6 {
        let mut session = proxy.client().open().await;
        session.echo("new").await;
        held.push_back(session);
        let oldest = held.pop_front().unwrap();
        assert_eq!(oldest.ending().await, Ending::Close(1008, "kicked".into()));
    }
    for session in &mut held {
        session.echo("stays").await;
    }
    // A handshake that comes to nothing takes no place.
    backends[0].refuse().await;
    backends[1].refuse().await;
    assert_ne!(proxy.client().handshake().await.0.status(), 101);
    for session in &mut held {
        session.echo("stays still").await;
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_body_that_is_too_long_is_answered_413_before_its_rest_is_read() {
    let backend = Backend::echo("a").await;
    let site = site(&[&backend]).listener(SPEAKS_BOTH).route("limits.body_bytes_max = \"10B\"");
    let proxy = Proxy::start(&site).await;
    let client = proxy.client();
    assert_eq!(client.request("POST", "0123456789").await.0.status(), 200);
    // Nothing of it need be sent.
    let head = client.head("POST", &[("Content-Length", "11"), ("Expect", "100-continue")]);
    let (answer, _wire) = client.say(head.as_bytes()).await;
    assert_eq!(answer.unwrap().status(), 413);
    let mut wire = client.connect().await.unwrap();
    let head = client.head("POST", &[("Transfer-Encoding", "chunked")]);
    wire.write_all(head.as_bytes()).await.unwrap();
    wire.write_all(b"a\r\n0123456789\r\n1\r\nx\r\n").await.unwrap();
    let answer = within("an answer", Head::read(&mut wire)).await.unwrap();
    assert_eq!(answer.status(), 413, "its end has not come");
    proxy.stop().await;
}

#[tokio::test]
async fn a_client_that_sends_too_fast_waits_and_loses_nothing_and_its_neighbour_does_not_wait() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let site = site(&[&backends[0], &backends[1]])
        .listener(SPEAKS_BOTH)
        .route("relay = { messages_max = \"20/s\", messages_burst = 10 }");
    let proxy = Proxy::start(&site).await;
    let mut fast = proxy.client().open().await;
    let mut neighbour = proxy.client().open().await;
    let began = std::time::Instant::now();
    for number in 0..30 {
        fast.send(format!("{number}")).await;
    }
    neighbour.echo("at once").await;
    for number in 0..30 {
        let echo = within("an echo", fast.next()).await.unwrap();
        assert_eq!(echo.into_text().unwrap().as_str(), format!("{number}"));
    }
    // Ten at once, and twenty at twenty in a second.
    let took = began.elapsed();
    assert!(took.as_millis() >= 950, "{took:?}");
    // A stream of HTTP/2 waits alone, too.
    let mut streams =
        Streams::on(TcpStream::connect(proxy.client().address()).await.unwrap()).await;
    let (mut fast, mut other) = (streams.open("/").await, streams.open("/").await);
    for number in 0..20 {
        fast.send(format!("{number}")).await;
    }
    other.echo("at once").await;
    for number in 0..20 {
        let echo = within("an echo", fast.next()).await.unwrap();
        assert_eq!(echo.into_text().unwrap().as_str(), format!("{number}"));
    }
    drop((fast, other, streams));
    proxy.stop().await;
}

#[tokio::test]
async fn a_client_that_sends_too_much_reads_1008_where_excess_closes() {
    let backend = Backend::echo("a").await;
    let site = site(&[&backend])
        .listener(SPEAKS_BOTH)
        .route("relay = { bytes_max = \"1KiB\", excess = \"close\" }");
    let proxy = Proxy::start(&site).await;
    let mut streams =
        Streams::on(TcpStream::connect(proxy.client().address()).await.unwrap()).await;
    for mut session in [proxy.client().open().await, streams.open("/").await] {
        session.echo("little").await;
        session.send("x".repeat(2000)).await;
        assert_eq!(session.ending().await, Ending::Close(1008, "too_fast".into()));
    }
    drop(streams);
    proxy.stop().await;
}

/// A backend that sends messages of 64 KiB for as long as they go.
async fn pouring() -> Backend {
    let message = frame(0x82, &[b'x'; 64 << 10], None);
    Backend::script(move |head, mut wire| {
        let message = message.clone();
        async move {
            let _ = wire.write_all(granted(&head).as_bytes()).await;
            while wire.write_all(&message).await.is_ok() {}
        }
    })
    .await
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off_and_one_that_takes_little_is_not() {
    let certificates = Certificates::new(&["localhost"]);
    let backends = [pouring().await, pouring().await];
    let rules = "slow_timeout = \"2s\", pong_timeout = \"1s\", close_timeout = \"1s\"";
    let site = site(&[&backends[0], &backends[1]])
        .listener(SPEAKS_BOTH)
        .https(&[&certificates], "")
        .route(&format!("relay = {{ {rules}, ping_interval = false }}"));
    let proxy = Proxy::start(&site).await;
    let ended = || {
        let scrape = proxy.scrape();
        let sample = scrape.lines().find(|line| line.contains("end=\"too_slow\""));
        sample.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
    };
    let address = proxy.client().address();
    let mut streams = Streams::on(TcpStream::connect(address).await.unwrap()).await;
    let mut reads = streams.open("/").await;
    let secure = proxy.client_of("https").tls(&certificates);
    let idle = [proxy.client().open().await, streams.open("/").await, secure.open().await];
    until_while(
        || ended() == 3,
        async || {
            for _ in 0..4 {
                reads.next().await.unwrap();
            }
        },
    )
    .await;
    reads.next().await.expect("who takes little stays");
    assert_eq!(ended(), 3);
    for session in idle {
        // It reads 1013 where it reads in time, behind all that waited for it.
        let ending = session.ending().await;
        assert!(matches!(ending, Ending::Cut | Ending::Close(1013, _)), "{ending:?}");
    }
    drop((reads, streams));
    proxy.stop().await;
}

/// Does something again and again until a fact holds.
async fn until_while(mut holds: impl FnMut() -> bool, mut act: impl AsyncFnMut()) {
    within("a fact", async {
        while !holds() {
            act().await;
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn all_sessions_of_a_key_have_its_messages_together() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let site = site(&[&backends[0], &backends[1]])
        .listener(SPEAKS_BOTH)
        .route("relay.messages_by = { key = \"query:user\", rate = \"40/s\", burst = 32 }");
    let proxy = Proxy::start(&site).await;
    let client = proxy.client();
    let mut streams = Streams::on(TcpStream::connect(client.address()).await.unwrap()).await;
    let path = "/?user=7";
    let mut three = [
        client.clone().path(path).open().await,
        client.clone().path(path).open().await,
        streams.open(path).await,
    ];
    let began = std::time::Instant::now();
    for number in 0..30 {
        for session in &mut three {
            session.send(format!("{number}")).await;
        }
    }
    client.path("/?user=8").open().await.echo("another's").await;
    for session in &mut three {
        for number in 0..30 {
            assert_eq!(session.text().await, format!("{number}"));
        }
    }
    // Ninety messages: 32 at once, and the others at forty in a second.
    let took = began.elapsed();
    assert!(took.as_millis() >= 1400, "{took:?}");
    drop((three, streams));
    proxy.stop().await;
}
