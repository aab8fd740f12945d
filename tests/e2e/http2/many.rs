//! Many sessions on one connection: drained together, and none in the way of another.

use std::time::Duration;

use h2::Reason;
use tungstenite::Message;

use super::front::{rest, room};
use super::*;
use crate::actors::{Backend, Ending, until, within};

/// The time in which a backend that reads makes room, on a machine that does much else.
const NO_ROOM: Duration = Duration::from_secs(2);

#[tokio::test]
async fn many_websockets_share_a_connection_and_a_drain_closes_each_of_them() {
    let many =
        if std::env::var("TIDEGATE_SCALE").is_ok_and(|scale| scale == "full") { 1000 } else { 200 };
    let backend = Backend::echo("a").await;
    let front = Front::clear(&backend, "");
    let mut client = front.client().await;
    let mut sessions = Vec::new();
    for _ in 0..many {
        sessions.push(client.open("/").await);
    }
    for (number, session) in sessions.iter_mut().enumerate() {
        session.send(number.to_string()).await;
    }
    for (number, session) in sessions.iter_mut().enumerate() {
        assert_eq!(session.text().await, number.to_string());
    }
    // One session's end takes no other along.
    let first = sessions.remove(0);
    assert_eq!(first.close(1000, "").await, Ending::Close(1000, String::new()));
    until("one session less", || front.sessions() == many - 1).await;
    sessions[0].echo("still here").await;
    sessions.push(client.open("/").await);
    let stopping = tokio::spawn(front.stop());
    for session in sessions {
        let ending = session.ending().await;
        assert!(matches!(ending, Ending::Close(1012, _)), "{ending:?}");
    }
    let sent_away = client.sent_away().await;
    assert!(sent_away.is_go_away() && sent_away.is_remote(), "{sent_away}");
    assert_eq!(sent_away.reason(), Some(Reason::NO_ERROR));
    stopping.await.unwrap();
    until("all endings", || backend.endings().len() as u64 == many + 1).await;
}

#[tokio::test]
async fn an_operators_drain_closes_every_stream_and_leaves_the_connection_to_new_ones() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const MANY: usize = 20;
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("control.sock");
    let backend = Backend::echo("a").await;
    let front = Front::clear(&backend, &format!("[control]\nsocket = \"{}\"", socket.display()));
    let mut client = front.client().await;
    let mut sessions = Vec::new();
    for _ in 0..MANY {
        let mut session = client.open("/").await;
        session.echo("hello").await;
        sessions.push(session);
    }
    let body = "{\"who\": {\"all\": true}}";
    let length = body.len();
    let order =
        format!("POST /drain HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}");
    let mut operator = tokio::net::UnixStream::connect(&socket).await.unwrap();
    operator.write_all(order.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within("the answer", operator.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.contains("drained: 20 of 20 sessions"), "{answer}");
    for session in sessions {
        assert_eq!(session.ending().await, Ending::Close(1012, "drain".into()));
    }
    until("the sessions' end", || front.sessions() == 0).await;
    // Clients come back, and may as well do so where they were: no GOAWAY, no refusal.
    let mut back = client.open("/").await;
    back.echo("back on the same connection").await;
    assert!(matches!(back.close(1000, "").await, Ending::Close(1000, _)));
    drop(client);
    front.stop().await;
}

#[tokio::test]
async fn a_draining_connection_refuses_new_streams_while_old_ones_say_goodbye() {
    let backend = Backend::echo("a").await;
    let front = Front::clear(&backend, "relay.close_timeout = \"10s\"");
    let mut client = front.client().await;
    let (receiving, mut sending) = client.stream("/").await;
    front.begin_stop();
    let mut receiving = receiving;
    let close = within("the Close", receiving.data()).await.unwrap().unwrap();
    assert_eq!((close[0], u16::from_be_bytes([close[2], close[3]])), (0x88, 1012));
    let refused = client.ask(Streams::handshake("/"), false).await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::REFUSED_STREAM), "{refused}");
    let echo = crate::actors::frame(0x88, &1012_u16.to_be_bytes(), Some([0; 4]));
    sending.send_data(echo.into(), true).unwrap();
    assert_eq!(rest(receiving).await.unwrap(), b"");
    client.ended().await.unwrap();
    front.stopped().await;
}

#[tokio::test]
async fn a_stream_that_nobody_reads_does_not_stall_its_neighbours() {
    // `/deaf` reads nothing, `/loud` sends without end, all else is echoed.
    let backend = Backend::script(|head, mut wire| async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        wire.write_all(crate::actors::backend::granted(&head).as_bytes()).await.unwrap();
        match head.second() {
            "/deaf" => std::future::pending().await,
            "/loud" => while wire.write_all(&[0x82, 2, 7, 7]).await.is_ok() {},
            _ => {
                let mut session = crate::actors::Session::server(wire).await;
                while session.forward().await.is_ok() {}
                return;
            }
        }
        let _ = wire.read_u8().await;
    })
    .await;
    let front = Front::clear(&backend, "");
    let mut client = front.client().await;
    let mut neighbour = client.open("/").await;
    let (_deaf, mut into_deaf) = client.stream("/deaf").await;
    let (loud, _into_loud) = client.stream("/loud").await;
    let message = crate::actors::frame(0x82, &[7; 60_000], Some([0; 4]));
    let fill = async {
        loop {
            let mut data = bytes::Bytes::from(message.clone());
            while !data.is_empty() {
                let room = room(&mut into_deaf, data.len());
                let Ok(room) = tokio::time::timeout(NO_ROOM, room).await else { return };
                into_deaf.send_data(data.split_to(room.unwrap()), false).unwrap();
            }
        }
    };
    // Kernels buffer some megabytes; then there is no room any more.
    within("no room", fill).await;
    assert_eq!(into_deaf.capacity(), 0);
    for size in [1, 100, 300_000] {
        neighbour.echo(Message::binary(vec![1; size])).await;
    }
    drop((loud, into_deaf));
    neighbour.echo("on").await;
    assert!(matches!(neighbour.close(1000, "").await, Ending::Close(1000, _)));
    drop(client);
    backend.kill().await;
    front.stop().await;
}
