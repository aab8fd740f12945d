//! Sessions end as the end table says, and each side hears of it.

use tokio::io::AsyncWriteExt;
use tungstenite::Message;

use crate::actors::{
    Backend, Certificates, Ending, bytes, drain, frame, granted, reset, until, within,
};
use crate::proxy::Proxy;
use crate::site::site;

const MASK: Option<[u8; 4]> = Some([1, 2, 3, 4]);

fn close(code: u16, reason: &str) -> Ending {
    Ending::Close(code, reason.to_owned())
}

#[tokio::test]
async fn a_clients_code_and_reason_reach_the_backend_and_come_back() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    for (code, reason) in [(1000, ""), (1001, "going"), (3000, "ünïcode"), (4999, "own")] {
        let session = proxy.client().open().await;
        assert_eq!(session.close(code, reason).await, close(code, reason));
    }
    until("four endings", || backend.endings().len() == 4).await;
    assert_eq!(
        backend.endings(),
        [close(1000, ""), close(1001, "going"), close(3000, "ünïcode"), close(4999, "own")]
    );
    proxy.stop().await;
}

#[tokio::test]
async fn a_backends_code_and_reason_reach_the_client() {
    let backend = Backend::sessions(|session| async move {
        assert_eq!(session.close(4321, "enough").await, close(4321, "enough"));
    })
    .await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    assert_eq!(proxy.client().open().await.ending().await, close(4321, "enough"));
    proxy.stop().await;
}

#[tokio::test]
async fn a_close_without_a_code_stays_without_one() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    let mut session = proxy.client().open().await;
    session.wire().write_all(&frame(0x88, b"", MASK)).await.unwrap();
    assert_eq!(session.ending().await, close(1005, ""));
    until("the ending", || backend.endings() == [close(1005, "")]).await;
    proxy.stop().await;
}

#[tokio::test]
async fn the_death_of_a_backend_is_told_to_its_clients_as_1012() {
    let (dying, living) = (Backend::echo("a").await, Backend::echo("b").await);
    let proxy = Proxy::start(&site(&[&dying, &living])).await;
    let mut sessions = Vec::new();
    for _ in 0..6 {
        let mut session = proxy.client().open().await;
        session.echo("hello").await;
        sessions.push(session);
    }
    assert_eq!((dying.connections(), living.connections()), (3, 3));
    dying.kill().await;
    let mut told = 0;
    for mut session in sessions {
        session.send("still there?").await;
        match session.next().await {
            Ok(message) => assert_eq!(message, Message::text("still there?")),
            Err(ending) => {
                assert!(matches!(ending, Ending::Close(1012, _)), "{ending:?}");
                told += 1;
            }
        }
    }
    assert_eq!(told, 3);
    // New sessions go where there is life.
    proxy.client().open().await.echo("hello").await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_backend_that_dies_inside_a_frame_ends_in_a_cut_without_bytes_of_ours() {
    let backend = Backend::script(|head, mut wire| async move {
        wire.write_all(granted(&head).as_bytes()).await.unwrap();
        wire.write_all(&frame(0x82, &bytes(1000), None)[..500]).await.unwrap();
    })
    .await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    let (head, mut wire) = proxy.client().handshake().await;
    assert_eq!(head.status(), 101);
    assert_eq!(drain(&mut wire).await, &frame(0x82, &bytes(1000), None)[..500]);
    proxy.stop().await;
}

#[tokio::test]
async fn a_reset_of_a_backend_is_told_as_1012() {
    let backend = Backend::script(|head, mut wire| async move {
        wire.write_all(granted(&head).as_bytes()).await.unwrap();
        // The first message is the sign to go.
        let mut session = crate::actors::Session::server(wire).await;
        session.next().await.unwrap();
        reset(session.into_wire());
    })
    .await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    let mut session = proxy.client().open().await;
    session.send("go").await;
    assert!(matches!(session.ending().await, Ending::Close(1012, _)));
    proxy.stop().await;
}

#[tokio::test]
async fn a_client_that_is_gone_is_no_close_to_the_backend() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    drop(proxy.client().open().await);
    until("the first ending", || backend.endings() == [Ending::Cut]).await;
    reset(proxy.client().open().await.into_wire());
    until("the second ending", || backend.endings() == [Ending::Cut, Ending::Cut]).await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_frame_that_breaks_the_rules_ends_with_1002_and_does_not_reach_the_backend() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    let bad: [(&str, Vec<u8>); 6] = [
        ("no mask", frame(0x81, b"x", None)),
        ("a reserved bit", frame(0xC1, b"x", MASK)),
        ("a reserved opcode", frame(0x83, b"x", MASK)),
        ("a long ping", frame(0x89, &[0; 126], MASK)),
        ("a ping in fragments", frame(0x09, b"x", MASK)),
        ("nothing to continue", frame(0x80, b"x", MASK)),
    ];
    for (what, bytes) in bad {
        let mut session = proxy.client().open().await;
        session.wire().write_all(&bytes).await.unwrap();
        let ending = session.ending().await;
        assert!(matches!(ending, Ending::Close(1002, _)), "{what}: {ending:?}");
    }
    until("six endings", || backend.endings().len() == 6).await;
    assert!(backend.endings().iter().all(|ending| matches!(ending, Ending::Close(1001, _))));
    assert!(backend.messages().is_empty());
    proxy.stop().await;
}

#[tokio::test]
async fn sizes_beyond_their_limits_end_with_1009() {
    let backend = Backend::echo("a").await;
    let frames = "relay = { frame_bytes_max = \"600B\" }";
    let messages = "path = \"/\"\nrelay = { message_bytes_max = \"1KiB\" }\n\
                    [[routes]]\npath = \"/frames\"\npool = \"chat\"\n";
    let proxy = Proxy::start(&site(&[&backend]).route(messages).route(frames)).await;
    let mut session = proxy.client().path("/frames").open().await;
    session.echo(bytes(600)).await;
    session.send(bytes(601)).await;
    assert!(matches!(session.ending().await, Ending::Close(1009, _)));

    let mut session = proxy.client().open().await;
    let half = bytes(512);
    let message = [frame(0x02, &half, MASK), frame(0x80, &half, MASK)].concat();
    session.wire().write_all(&message).await.unwrap();
    assert_eq!(session.next().await.map(|message| message.len()), Ok(1024));
    let message = [frame(0x02, &half, MASK), frame(0x80, &bytes(513), MASK)].concat();
    session.wire().write_all(&message).await.unwrap();
    assert!(matches!(session.ending().await, Ending::Close(1009, _)));
    proxy.stop().await;
}

#[tokio::test]
async fn a_session_without_messages_ends_with_1001_where_that_is_asked_for() {
    let backend = Backend::echo("a").await;
    let idle = "relay = { idle_timeout = \"1s\" }";
    let proxy = Proxy::start(&site(&[&backend]).route(idle)).await;
    let session = proxy.client().open().await;
    assert!(matches!(session.ending().await, Ending::Close(1001, _)));
    proxy.stop().await;
}

#[tokio::test]
async fn over_tls_every_orderly_end_is_said_also_when_an_answer_did_not_come() {
    use tokio::io::AsyncReadExt;
    let backend = Backend::sessions(|session| async move {
        session.close(4321, "enough").await;
    })
    .await;
    let certificates = Certificates::new(&["localhost"]);
    let quick = "relay = { close_timeout = \"200ms\" }";
    let proxy = Proxy::start(&site(&[&backend]).tls(&certificates).route(quick)).await;
    let mut session = proxy.client().tls(&certificates).open().await;
    // It does not answer the Close; the stream's end without a close_notify would be an error
    // (RFC 8446 §6.1).
    let mut rest = Vec::new();
    within("the end", session.wire().read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, frame(0x88, &[&4321_u16.to_be_bytes()[..], b"enough"].concat(), None));
    drop(session);
    proxy.stop().await;
}
