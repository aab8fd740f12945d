//! Messages pass unchanged, whatever their size, kind and fragments.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tungstenite::Message;

use crate::actors::{Backend, Certificates, Client, Session, bytes, frame, within};
use crate::proxy::Proxy;
use crate::site::site;

/// Sizes at the borders of the three ways to write a length (RFC 6455 §5.2), and a large one.
const SIZES: [usize; 8] = [0, 1, 125, 126, 65_535, 65_536, 1 << 20, 16 << 20];

const MASK: Option<[u8; 4]> = Some([0x37, 0xFA, 0x21, 0x3D]);

async fn every_message_comes_back(mut session: Session) {
    session.echo("hello, Ωmega").await;
    session.echo("").await;
    for size in SIZES {
        session.echo(bytes(size)).await;
    }
    session.close(1000, "").await;
}

#[tokio::test]
async fn messages_of_every_size_are_echoed_over_ws() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    every_message_comes_back(proxy.client().open().await).await;
    proxy.stop().await;
}

#[tokio::test]
async fn messages_of_every_size_are_echoed_over_wss() {
    let certificates = Certificates::new(&["localhost"]);
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&site(&[&backend]).tls(&certificates)).await;
    every_message_comes_back(proxy.client().tls(&certificates).open().await).await;
    proxy.stop().await;
}

#[tokio::test]
async fn messages_of_every_size_are_echoed_by_a_backend_that_speaks_tls() {
    let certificates = Certificates::new(&["localhost"]);
    let backend = Backend::echo_tls("a", &certificates).await;
    let tls = format!(
        "tls = {{ server_name = \"localhost\", ca = \"{}\" }}",
        certificates.ca().display()
    );
    let proxy = Proxy::start(&site(&[&backend]).pool(&tls)).await;
    every_message_comes_back(proxy.client().open().await).await;
    proxy.stop().await;
}

#[tokio::test]
async fn fragments_pass_as_they_came_with_control_frames_between_them() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    let mut session = proxy.client().open().await;
    let pieces = [
        frame(0x01, b"one ", MASK),
        frame(0x89, b"are you there", MASK),
        frame(0x00, b"message ", MASK),
        frame(0x00, b"", MASK),
        frame(0x80, b"in four", MASK),
    ];
    // Byte by byte: a frame has no need to arrive at once.
    for byte in pieces.concat() {
        session.wire().write_all(&[byte]).await.unwrap();
    }
    assert_eq!(session.text().await, "one message in four");
    session.close(1000, "").await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_frame_is_forwarded_before_it_is_whole() {
    let backend = Backend::script(|head, mut wire| async move {
        wire.write_all(crate::actors::granted(&head).as_bytes()).await.unwrap();
        // The header of a frame of 1,000 bytes, and its first three.
        wire.write_all(&[0x82, 126, 3, 232, b'a', b'b', b'c']).await.unwrap();
        crate::actors::drain(&mut wire).await;
    })
    .await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    let (head, mut wire) = proxy.client().handshake().await;
    assert_eq!(head.status(), 101);
    let mut start = [0; 7];
    within("a part of a frame", wire.read_exact(&mut start)).await.unwrap();
    assert_eq!(&start[4..], b"abc");
    drop(wire);
    proxy.stop().await;
}

#[tokio::test]
async fn compressed_frames_pass_where_compression_was_negotiated() {
    let backend = Backend::script(|head, mut wire| async move {
        let granted = crate::actors::granted(&head).replace(
            "Upgrade: websocket",
            "Sec-WebSocket-Extensions: permessage-deflate\r\nUpgrade: websocket",
        );
        assert!(head.get("sec-websocket-extensions").starts_with("permessage-deflate"));
        wire.write_all(granted.as_bytes()).await.unwrap();
        let mut asked = [0; 2 + 4 + 7];
        wire.read_exact(&mut asked).await.unwrap();
        assert_eq!(asked[0], 0xC1);
        wire.write_all(&frame(0xC1, DEFLATED_HELLO, None)).await.unwrap();
        crate::actors::drain(&mut wire).await;
    })
    .await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    let client = proxy
        .client()
        .field("Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover");
    let (head, mut wire) = client.handshake().await;
    assert_eq!(head.get("sec-websocket-extensions"), "permessage-deflate");
    wire.write_all(&frame(0xC1, DEFLATED_HELLO, MASK)).await.unwrap();
    let mut answer = [0; 2 + 7];
    within("a compressed frame", wire.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer.to_vec(), frame(0xC1, DEFLATED_HELLO, None));
    drop(wire);
    proxy.stop().await;
}

/// `Hello`, compressed (RFC 7692 §7.2.3.1).
const DEFLATED_HELLO: &[u8] = &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];

#[tokio::test]
async fn bytes_that_come_together_with_a_head_are_not_lost() {
    let backend = Backend::script(|head, mut wire| async move {
        let mut all = crate::actors::granted(&head).into_bytes();
        all.extend(frame(0x81, b"at once", None));
        wire.write_all(&all).await.unwrap();
        let mut session = Session::server(wire).await;
        while session.forward().await.is_ok() {}
    })
    .await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    let client = proxy.client();
    // A client that does not wait for the answer breaks a rule, and yet loses nothing.
    let mut all = client.upgrade("dGhlIHNhbXBsZSBub25jZQ==").into_bytes();
    all.extend(frame(0x81, b"early", MASK));
    let (head, wire) = client.say(&all).await;
    let head = head.unwrap();
    assert_eq!(head.get("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let mut session = Session::client(wire).await;
    assert_eq!([session.text().await, session.text().await], ["at once", "early"]);
    session.close(1000, "").await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_slow_reader_holds_its_own_backend_back_and_nobody_else() {
    const COUNT: usize = 32;
    let mebibyte = bytes(1 << 20);
    let payload = mebibyte.clone();
    let backend = Backend::sessions(move |mut session| {
        let payload = payload.clone();
        async move {
            for _ in 0..COUNT {
                session.try_send(payload.clone()).await.unwrap();
            }
            session.close(1000, "").await;
        }
    })
    .await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    let mut slow = proxy.client().open().await;
    let mut quick = proxy.client().open().await;
    // Not a byte is read from the first before the second has everything.
    for session in [&mut quick, &mut slow] {
        for _ in 0..COUNT {
            assert!(session.next().await == Ok(Message::Binary(mebibyte.clone())));
        }
        assert!(session.next().await.is_err());
    }
    drop((quick, slow));
    proxy.stop().await;
}

#[tokio::test]
async fn the_handshake_of_a_browser_comes_through_intact() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    let client: Client = proxy
        .client()
        .host("server.example.com")
        .path("/chat?room=7&x=%2f")
        .field("Origin", "http://example.com")
        .field("Sec-WebSocket-Protocol", "chat, superchat")
        .field("Cookie", "id=1; theme=dark");
    let (head, wire) = client.handshake().await;
    assert_eq!(head.get("sec-websocket-protocol"), "chat");
    drop(wire);
    let asked = backend.head();
    assert_eq!(asked.first, "GET /chat?room=7&x=%2f HTTP/1.1");
    for (name, value) in [
        ("host", "server.example.com"),
        ("origin", "http://example.com"),
        ("sec-websocket-protocol", "chat, superchat"),
        ("sec-websocket-version", "13"),
        ("cookie", "id=1; theme=dark"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "server.example.com"),
    ] {
        assert_eq!(asked.get(name), value, "{name}");
    }
    proxy.stop().await;
}
