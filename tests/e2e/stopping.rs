//! A stop closes every session at a frame's border and loses nothing a client has sent.

use tungstenite::Message;

use crate::actors::{Backend, Ending, Session, until};
use crate::proxy::Proxy;
use crate::site::site;

/// Sends numbers until a Close is read; gives how many were sent and how it ended.
async fn count_until_closed(mut session: Session) -> (usize, Ending) {
    let mut sent = 0;
    loop {
        session.send(sent.to_string()).await;
        sent += 1;
        match session.next().await {
            Ok(_) => {}
            Err(ending) => return (sent, ending),
        }
    }
}

#[tokio::test]
async fn every_client_reads_1012_and_every_message_reaches_the_backend() {
    let backend = Backend::echo("a").await;
    let drain = "[drain]\ndelay = \"0s\"\nwindow = \"300ms\"";
    let proxy = Proxy::start(&site(&[&backend]).table(drain)).await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(tokio::spawn(count_until_closed(proxy.client().open().await)));
    }
    until("messages on their way", || backend.messages().len() > 500).await;
    proxy.stop().await;
    let mut sent = 0;
    for client in clients {
        let (count, ending) = client.await.unwrap();
        assert!(matches!(ending, Ending::Close(1012, _)), "{ending:?}");
        sent += count;
    }
    until("all endings", || backend.endings().len() == 50).await;
    assert_eq!(backend.messages().len(), sent);
    assert!(backend.endings().iter().all(|ending| matches!(ending, Ending::Close(1001, _))));
}

#[tokio::test]
async fn accepting_goes_on_until_the_load_balancer_has_heard_of_the_stop() {
    let backend = Backend::echo("a").await;
    let drain = "[drain]\ndelay = \"2s\"\nwindow = \"0s\"\n[admin]\naddress = \"127.0.0.1:0\"";
    let proxy = Proxy::start(&site(&[&backend]).table(drain)).await;
    let (client, admin) = (proxy.client(), proxy.admin());
    let ready = admin.clone().path("/readyz");
    assert_eq!(ready.request("GET", "").await.0.status(), 200);
    let stopping = tokio::spawn(proxy.stop());
    let failing = async {
        while ready.request("GET", "").await.0.status() != 503 {
            tokio::task::yield_now().await;
        }
    };
    crate::actors::within("a proxy that is not ready", failing).await;
    assert_eq!(admin.path("/healthz").request("GET", "").await.0.status(), 200);
    let mut session = client.open().await;
    session.echo("late, and welcome").await;
    assert!(matches!(session.ending().await, Ending::Close(1012, _)));
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_plain_request_in_flight_is_finished() {
    let (answer, asked) = tokio::sync::watch::channel(false);
    let backend = Backend::script(move |_head, mut wire| {
        let mut asked = asked.clone();
        async move {
            asked.wait_for(|answer| *answer).await.unwrap();
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone";
            tokio::io::AsyncWriteExt::write_all(&mut wire, head).await.unwrap();
        }
    })
    .await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    let client = proxy.client();
    let request = tokio::spawn(async move { client.request("GET", "").await });
    until("the request", || backend.heads().len() == 1).await;
    let stopping = tokio::spawn(proxy.stop());
    tokio::task::yield_now().await;
    answer.send(true).unwrap();
    let (head, body) = request.await.unwrap();
    assert_eq!((head.status(), body.as_str()), (200, "done"));
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_close_is_never_written_inside_a_frame() {
    use tokio::io::AsyncWriteExt;
    let (half, rest) = tokio::sync::watch::channel(false);
    let backend = Backend::script(move |head, mut wire| {
        let mut rest = rest.clone();
        async move {
            wire.write_all(crate::actors::granted(&head).as_bytes()).await.unwrap();
            let frame = crate::actors::frame(0x82, &[7; 1000], None);
            wire.write_all(&frame[..500]).await.unwrap();
            rest.wait_for(|rest| *rest).await.unwrap();
            wire.write_all(&frame[500..]).await.unwrap();
            crate::actors::drain(&mut wire).await;
        }
    })
    .await;
    let proxy = Proxy::start(&site(&[&backend]).route("relay = { close_timeout = \"3s\" }")).await;
    let session = proxy.client().open().await;
    let reading = tokio::spawn(async move {
        let mut session = session;
        (session.next().await, session.ending().await)
    });
    until("a session", || backend.heads().len() == 1).await;
    proxy.begin_stop();
    let told = || proxy.scrape().contains("tidegate_drain_sessions_left{reason=\"stop\"} 1\n");
    until("the session to be told", told).await;
    half.send(true).unwrap();
    let (message, ending) = reading.await.unwrap();
    assert_eq!(message, Ok(Message::from(vec![7; 1000])));
    assert!(matches!(ending, Ending::Close(1012, _)), "{ending:?}");
    proxy.stopped().await;
}
