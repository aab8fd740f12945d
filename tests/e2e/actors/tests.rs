use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tungstenite::Message;

use super::session::bytes;
use super::*;

#[tokio::test]
async fn an_echo_backend_echoes_messages_and_requests() {
    let backend = Backend::echo("a").await;
    let client = Client::to(backend.address());
    let mut session = client.clone().path("/chat").field("Origin", "http://x").open().await;
    session.echo("hello").await;
    session.echo(bytes(1 << 20)).await;
    assert_eq!(session.close(4001, "enough").await, Ending::Close(4001, "enough".to_owned()));
    until("the ending", || !backend.endings().is_empty()).await;
    assert_eq!(backend.endings(), [Ending::Close(4001, "enough".to_owned())]);
    assert_eq!(backend.messages().first(), Some(&Message::text("hello")));
    assert_eq!(backend.head().get("origin"), "http://x");

    let (head, body) = client.path("/page").request("POST", "ping").await;
    assert_eq!((head.status(), head.get("x-backend")), (200, "a"));
    assert_eq!(body, "a POST /page HTTP/1.1\nping");
    assert_eq!((backend.heads().len(), backend.connections()), (2, 2));
}

#[tokio::test]
async fn tls_is_spoken_by_backend_and_client() {
    let certificates = Certificates::new(&["localhost"]);
    let backend = Backend::echo_tls("a", &certificates).await;
    let client = Client::to(backend.address()).tls(&certificates).host("localhost");
    client.open().await.echo("hello").await;
    let stranger = Certificates::new(&["localhost"]);
    assert!(client.tls(&stranger).connect().await.is_err());
}

#[tokio::test]
async fn the_death_of_a_backend_is_seen_by_its_clients() {
    let backend = Backend::echo("a").await;
    let client = Client::to(backend.address());
    let session = client.open().await;
    backend.kill().await;
    assert_eq!(session.ending().await, Ending::Cut);
    let refused = client.connect().await.err().map(|error| error.kind());
    assert_eq!(refused, Some(ErrorKind::ConnectionRefused));
}

#[tokio::test]
async fn scripts_say_what_they_like() {
    let backend = Backend::sessions(|mut session| async move {
        session.wire().write_all(&frame(0x81, b"by hand", None)).await.unwrap();
        assert_eq!(session.close(1000, "").await, Ending::Close(1000, String::new()));
    })
    .await;
    let mut session = Client::to(backend.address()).open().await;
    assert_eq!(session.text().await, "by hand");
    assert_eq!(session.ending().await, Ending::Close(1000, String::new()));

    let backend = Backend::answering("HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\nno").await;
    let (head, mut wire) = Client::to(backend.address()).handshake().await;
    assert_eq!((head.status(), head.is_upgrade()), (400, false));
    let mut body = [0; 2];
    wire.read_exact(&mut body).await.unwrap();
    assert_eq!(&body, b"no");

    let backend = Backend::script(|_head, wire| async move { reset(wire) }).await;
    let (head, _) = Client::to(backend.address()).say(b"GET / HTTP/1.1\r\n\r\n").await;
    assert_eq!(head, None);
    let backend = Backend::silent().await;
    let mut wire = Client::to(backend.address()).connect().await.unwrap();
    wire.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    wire.shutdown().await.unwrap();
    assert!(drain(&mut wire).await.is_empty());
}
