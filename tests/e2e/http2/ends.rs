//! How sessions on streams end, each way, and that their connection goes on.

use bytes::Bytes;
use h2::Reason;

use super::front::rest;
use super::*;
use crate::actors::{Backend, Ending, until, within};

#[tokio::test]
async fn a_client_that_resets_its_stream_is_lost_and_its_backend_hears_no_close() {
    let backend = Backend::echo("a").await;
    let front = Front::clear(&backend, "");
    let mut client = front.client().await;
    let mut other = client.open("/").await;
    let (_receiving, mut sending) = client.stream("/").await;
    sending.send_data(text("hello"), false).unwrap();
    until("the message", || backend.messages().len() == 1).await;
    sending.send_reset(Reason::CANCEL);
    until("the backend's end", || backend.endings().len() == 1).await;
    assert_eq!(backend.endings(), [Ending::Cut]);
    other.echo("the connection goes on").await;
    drop((other, client));
    front.stop().await;
}

#[tokio::test]
async fn the_end_of_a_clients_stream_is_the_end_of_its_connection() {
    let backend = Backend::echo("a").await;
    let front = Front::clear(&backend, "");
    let mut client = front.client().await;
    let (receiving, mut sending) = client.stream("/").await;
    sending.send_data(text("last words"), false).unwrap();
    sending.send_data(Bytes::new(), true).unwrap();
    until("the backend's end", || backend.endings().len() == 1).await;
    assert_eq!(backend.endings(), [Ending::Cut]);
    assert_eq!(backend.messages().len(), 1);
    // It is told in order, too.
    rest(receiving).await.unwrap();
    drop(client);
    front.stop().await;
}

#[tokio::test]
async fn a_backend_that_vanishes_is_told_by_a_close_and_the_streams_end() {
    for resets in [false, true] {
        let backend = Backend::sessions(move |mut session| async move {
            session.text().await;
            if resets {
                session.reset();
            }
        })
        .await;
        let front = Front::clear(&backend, "");
        let mut client = front.client().await;
        let (receiving, mut sending) = client.stream("/").await;
        sending.send_data(text("go"), false).unwrap();
        let mut receiving = receiving;
        let close = within("a Close", receiving.data()).await.unwrap().unwrap();
        assert_eq!((close[0], u16::from_be_bytes([close[2], close[3]])), (0x88, 1012));
        let echo = crate::actors::frame(0x88, &1012_u16.to_be_bytes(), Some([0; 4]));
        sending.send_data(echo.into(), false).unwrap();
        assert_eq!(rest(receiving).await.unwrap(), b"");
        until("the session's end", || front.sessions() == 0).await;
        drop(client);
        front.stop().await;
    }
}

#[tokio::test]
async fn what_cannot_be_said_in_time_ends_in_a_reset_of_that_stream_alone() {
    // It sends more than the client's window, which is never read.
    let backend = Backend::sessions(|mut session| async move {
        session.send(vec![7u8; 1_000_000]).await;
        let _ = session.next().await;
    })
    .await;
    let more = "relay.max_lifetime = \"1s\"\nrelay.close_timeout = \"1s\"";
    let front = Front::clear(&backend, more);
    let mut client = front.client().await;
    let (mut receiving, _sending) = client.stream("/").await;
    until("the session's end", || front.sessions() == 0).await;
    let ended = loop {
        match within("the stream's end", receiving.data()).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("a stream that was cut ended in order"),
        }
    };
    assert_eq!(ended.reason(), Some(Reason::CANCEL));
    // The connection has room for others.
    let get = http::Request::get("http://localhost/nothing");
    let _ = client.ask(get.body(()).unwrap(), true).await;
    drop(client);
    front.stop().await;
}

#[tokio::test]
async fn who_breaks_the_protocol_reads_1002_and_the_others_go_on() {
    let backend = Backend::echo("a").await;
    let front = Front::clear(&backend, "");
    let mut client = front.client().await;
    let mut other = client.open("/").await;
    let (mut receiving, mut sending) = client.stream("/").await;
    // Not masked, as no client may send (RFC 6455 §5.1).
    sending.send_data(crate::actors::frame(0x81, b"x", None).into(), false).unwrap();
    let close = within("a Close", receiving.data()).await.unwrap().unwrap();
    assert_eq!((close[0], u16::from_be_bytes([close[2], close[3]])), (0x88, 1002));
    other.echo("on").await;
    drop((other, client, sending, receiving));
    front.stop().await;
}

#[tokio::test]
async fn a_client_that_pauses_gets_all_that_its_backend_said_before_its_close() {
    let said = vec![7u8; 1_000_000];
    let all = said.clone();
    let backend = Backend::sessions(move |mut session| {
        let said = said.clone();
        async move {
            session.send(said).await;
            session.close(1000, "all said").await;
        }
    })
    .await;
    let front = Front::clear(&backend, "relay.close_timeout = \"200ms\"");
    let mut client = front.client().await;
    let (receiving, mut sending) = client.stream("/").await;
    // For several times `close_timeout` it gives no room.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let got = async {
        let got = rest(receiving).await.expect("a stream that ends in order");
        assert_eq!(got[10..], [&all[..], &got[10 + all.len()..]].concat());
        let close = [&[0x88, 10][..], &1000_u16.to_be_bytes(), b"all said"].concat();
        assert_eq!(got[10 + all.len()..], close);
    };
    let answer = async {
        until("the backend has closed", || backend.connections() == 1).await;
        sending.send_data(crate::actors::frame(0x88, b"", Some([0; 4])).into(), true)
    };
    let ((), _) = tokio::join!(got, answer);
    drop((client, sending));
    front.stop().await;
}
