//! What else may happen while a session is held: reloads, other protocols, pings.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::actors::{Ending, frame, within};
use crate::http2::front::Front;

#[tokio::test]
async fn a_reload_that_gives_the_pool_other_backends_is_where_a_held_session_goes() {
    let (gone, other) = (Backend::echo("a").await, Backend::echo("b").await);
    let proxy = Proxy::start(&holding(&[&gone], "")).await;
    let mut session = proxy.client().open().await;
    session.echo("before").await;
    gone.kill().await;
    until_held(&proxy, 1).await;
    session.send("kept").await;
    proxy.reload(&holding(&[&other], "")).await.unwrap();
    assert_eq!(session.text().await, "kept");
    assert_eq!(resumed(&other.head()).0.len(), 32);
    drop(session);
    proxy.stop().await;
}

#[tokio::test]
async fn a_session_keeps_the_terms_it_was_opened_under_and_goes_with_its_route() {
    let backend = Backend::echo("a").await;
    let toml = holding(&[&backend], "");
    let proxy = Proxy::start(&toml).await;
    let mut session = proxy.client().open().await;
    session.echo("before").await;
    // What it was opened under outlives the key.
    proxy.reload(&site(&[&backend])).await.unwrap();
    let address = backend.kill().await;
    until_held(&proxy, 1).await;
    let backend = Backend::echo_at("b", address).await;
    session.echo("after").await;
    backend.kill().await;
    until_held(&proxy, 1).await;
    let other = Backend::echo("c").await;
    let elsewhere = site(&[&other]).route("path = \"/elsewhere\"").toml();
    let elsewhere = elsewhere.replace("name = \"all\"", "name = \"other\"");
    proxy.force_toml(&elsewhere).await.unwrap();
    let ending = session.ending().await;
    assert!(matches!(ending, Ending::Close(1012, _)), "{ending:?}");
    assert_eq!(other.connections(), 0);
    proxy.stop().await;
}

#[tokio::test]
async fn a_client_on_a_stream_is_held_as_well() {
    let backend = Backend::echo("a").await;
    let front = Front::clear(&backend, "name = \"all\"\nhold = { resume = \"always\" }");
    let mut client = front.client().await;
    let mut session = client.open("/chat").await;
    session.echo("before").await;
    let token = backend.head().get("tidegate-session").to_owned();
    let address = backend.kill().await;
    session.send("kept").await;
    let backend = Backend::echo_at("b", address).await;
    // The kept one may have been on its way when the backend died: then it is lost.
    session.send("after").await;
    while session.text().await != "after" {}
    assert_eq!(resumed(&backend.head()).0, token);
    drop((session, client));
    front.stop().await;
}

#[tokio::test]
async fn a_client_is_answered_while_it_is_held() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&holding(&[&backend], "")).await;
    let (_, mut wire) = proxy.client().handshake().await;
    until("the session", || proxy.sessions() == 1).await;
    backend.kill().await;
    until_held(&proxy, 1).await;
    wire.write_all(&frame(0x89, b"there?", Some([1, 2, 3, 4]))).await.unwrap();
    let mut pong = [0; 8];
    within("a pong", wire.read_exact(&mut pong)).await.unwrap();
    assert_eq!(&pong, b"\x8A\x06there?");
    drop(wire);
    proxy.stop().await;
}
