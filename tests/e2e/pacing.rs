//! How fast a client is read that sends more than `[relay]` lets it.

use std::time::Instant;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::actors::{Backend, Certificates, Ending, Session, bytes, frame};
use crate::http2::Streams;
use crate::proxy::Proxy;
use crate::site::site;
use crate::versions::SPEAKS_BOTH;

#[tokio::test]
async fn a_client_that_waits_has_its_whole_rate_however_small_its_burst() {
    const MESSAGES: usize = 100;
    // They say nothing meanwhile, since each answer would have the client looked at.
    let mute = || {
        Backend::sessions(|mut session| async move {
            for _ in 0..MESSAGES {
                session.next().await.unwrap();
            }
            session.send("all").await;
            let _ = session.next().await;
        })
    };
    let backends = [mute().await, mute().await];
    let keys =
        "messages_max = \"50/s\", messages_burst = 1, bytes_max = \"2KiB\", bytes_burst = \"64B\"";
    let site =
        site(&backends.each_ref()).listener(SPEAKS_BOTH).route(&format!("relay = {{ {keys} }}"));
    let proxy = Proxy::start(&site).await;
    let mut streams =
        Streams::on(TcpStream::connect(proxy.client().address()).await.unwrap()).await;
    for mut session in [proxy.client().open().await, streams.open("/").await] {
        let began = Instant::now();
        for _ in 0..MESSAGES {
            session.send("hello").await;
        }
        assert_eq!(session.text().await, "all");
        let took = began.elapsed();
        // Two seconds, and the rest is the machine's.
        assert!((1800..6000).contains(&took.as_millis()), "{took:?}");
    }
    drop(streams);
    proxy.stop().await;
}

#[tokio::test]
async fn a_large_message_takes_the_time_that_its_bytes_take() {
    const LARGE: usize = 256 << 10;
    let certificates = Certificates::new(&["localhost"]);
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let site = site(&backends.each_ref())
        .listener(SPEAKS_BOTH)
        .https(&[&certificates], "")
        .route("relay = { bytes_max = \"64KiB\" }");
    let proxy = Proxy::start(&site).await;
    let mut streams =
        Streams::on(TcpStream::connect(proxy.client().address()).await.unwrap()).await;
    let secure = proxy.client_of("https").tls(&certificates);
    let mask = Some([1, 2, 3, 4]);
    let part = |first| frame(first, &bytes(LARGE / 16), mask);
    let parts = [vec![part(0x02)], vec![part(0x00); 14], vec![part(0x80)]].concat().concat();
    let whole = frame(0x82, &bytes(LARGE), mask);
    let sessions = [
        (proxy.client().open().await, whole.clone()),
        (proxy.client().open().await, parts.clone()),
        (secure.open().await, parts),
        (streams.open("/").await, whole),
    ];
    let passes = async |(mut session, message): (Session, Vec<u8>)| {
        let began = Instant::now();
        session.wire().write_all(&message).await.unwrap();
        session.wire().flush().await.unwrap();
        let came = session.next().await.unwrap();
        session.echo("and the next").await;
        (came.len(), began.elapsed())
    };
    let [one, two, three, four] = sessions.map(passes);
    for (length, took) in <[_; 4]>::from(tokio::join!(one, two, three, four)) {
        // A quarter at once, the first read beside it, and the others in a second each.
        assert_eq!(length, LARGE);
        assert!((2000..12_000).contains(&took.as_millis()), "{took:?}");
    }
    drop(streams);
    proxy.stop().await;
}

#[tokio::test]
async fn a_flood_of_pings_is_held_by_the_limits_of_messages_and_of_bytes() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let route = |path: &str, keys: &str| {
        format!("[[routes]]\npath = \"{path}\"\npool = \"chat\"\nrelay = {{ {keys} }}")
    };
    let site = site(&backends.each_ref())
        .listener(SPEAKS_BOTH)
        .route(&route("/messages", "messages_max = \"50/s\", messages_burst = 10"))
        .route(&route("/bytes", "bytes_max = \"500B\", bytes_burst = \"100B\""))
        .route(&route("/close", "messages_max = \"50/s\", excess = \"close\""));
    let proxy = Proxy::start(&site).await;
    let client = |path: &str| proxy.client().path(path);
    let mut streams =
        Streams::on(TcpStream::connect(proxy.client().address()).await.unwrap()).await;
    // Each is of ten bytes.
    let flood = frame(0x89, b"ping", Some([1, 2, 3, 4])).repeat(100);
    let sessions = [
        client("/messages").open().await,
        client("/bytes").open().await,
        streams.open("/messages").await,
    ];
    let passes = async |mut session: Session| {
        let began = Instant::now();
        session.wire().write_all(&flood).await.unwrap();
        session.wire().flush().await.unwrap();
        session.echo("behind them").await;
        began.elapsed()
    };
    let [one, two, three] = sessions.map(passes);
    for took in <[_; 3]>::from(tokio::join!(one, two, three)) {
        // Ninety at fifty in a second.
        assert!((1500..8000).contains(&took.as_millis()), "{took:?}");
    }
    let mut closed = client("/close").open().await;
    closed.wire().write_all(&flood).await.unwrap();
    closed.wire().flush().await.unwrap();
    assert_eq!(closed.ending().await, Ending::Close(1008, "too_fast".into()));
    drop(streams);
    proxy.stop().await;
}
