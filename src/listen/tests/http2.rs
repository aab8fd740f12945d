//! HTTP/2: requests, limits and ends, with the `h2` crate as client and with frames made by hand.

mod floods;
mod heads;
mod worn;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::Method;

use super::secure::secured_with;
use super::*;
use crate::actors::frames::{self as raw, Raw};
use crate::config::plan::Http2;

/// What a listener speaks here; tests change what they are about.
fn http2() -> Http2 {
    Http2 { websocket: true, streams_max: 100, stream_window: 64 * 1024, resets_max: 200 }
}

/// A listener without TLS that takes clients with prior knowledge.
fn clear() -> Listener {
    Listener { http2: Some(http2()), ..plain("a") }
}

type Asker = SendRequest<Bytes>;

/// A client on a connection of its own; the task ends with the connection.
async fn client(address: SocketAddr) -> (Asker, tokio::task::JoinHandle<Result<(), h2::Error>>) {
    let tcp = TcpStream::connect(address).await.unwrap();
    on(tcp).await
}

#[allow(clippy::disallowed_methods)]
async fn on(
    io: impl AsyncReadExt + AsyncWriteExt + Unpin + Send + 'static,
) -> (Asker, tokio::task::JoinHandle<Result<(), h2::Error>>) {
    let (asker, connection) = h2::client::handshake(io).await.unwrap();
    (asker, tokio::spawn(connection))
}

fn request(method: Method, path: &str) -> Request<()> {
    let uri = format!("http://a{path}");
    Request::builder().method(method).uri(uri).body(()).unwrap()
}

async fn read(mut body: RecvStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        bytes.extend(data);
    }
    bytes
}

/// Asks for a path; gives the answer and its body.
async fn get(asker: &mut Asker, path: &str) -> Result<(Response<()>, String), h2::Error> {
    std::future::poll_fn(|cx| asker.poll_ready(cx)).await?;
    let (answer, _) = asker.send_request(request(Method::GET, path), true)?;
    let answer = tokio::time::timeout(PATIENCE, answer).await.unwrap()?;
    let (head, body) = answer.into_parts();
    let body = String::from_utf8(read(body).await).unwrap();
    Ok((Response::from_parts(head, ()), body))
}

#[tokio::test]
async fn tls_clients_that_can_speak_http2_do() {
    let (mut listener, connector) = secured_with("a", &[HTTP_2, HTTP_1_1]);
    listener.http2 = Some(http2());
    let (stand, address) = Stand::with(listener);
    let tls = super::secure::connect(&connector, address).await.unwrap();
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut asker, connection) = on(tls).await;
    let (answer, body) = get(&mut asker, "/").await.unwrap();
    assert!(body.contains("Some(\"a.example\")"), "{body}");
    assert!(answer.headers().contains_key("date"));
    assert_eq!(answer.headers()["content-length"], body.len().to_string());
    drop(asker);
    connection.await.unwrap().unwrap();
    stand.is_quiet().await;
}

#[tokio::test]
async fn without_http2_a_listener_does_not_offer_it() {
    let (listener, connector) = secured_with("a", &[HTTP_2, HTTP_1_1]);
    let (_stand, address) = Stand::with(listener);
    let tls = super::secure::connect(&connector, address).await.unwrap();
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let (_stand, address) = Stand::with(plain("a"));
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(raw::PREFACE).await.unwrap();
    assert_eq!(rest(&mut client).await, "");
}

#[tokio::test]
async fn prior_knowledge_is_told_from_http1_by_its_first_bytes() {
    let (stand, address) = Stand::with(clear());
    let (mut asker, _) = client(address).await;
    get(&mut asker, "/").await.unwrap();
    assert!(once(address).await.contains("200 OK"));
    // Each byte by itself, as far as they are alike.
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.set_nodelay(true).unwrap();
    slow.write_all(b"P").await.unwrap();
    tokio::time::sleep(Duration::from_millis(30)).await;
    slow.write_all(b"OST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    answer(&mut slow).await;
    let mut raw = Raw::beginning_with(address, b"P").await;
    raw.say(&raw::PREFACE[1..]).await;
    raw.expect(raw::SETTINGS).await;
    drop((asker, slow, raw));
    stand.is_quiet().await;
}

#[tokio::test]
async fn bodies_and_trailers_stream_both_ways() {
    let (stand, address) = Stand::with(clear());
    let (mut asker, _connection) = client(address).await;
    let (answer, mut sending) = asker.send_request(request(Method::POST, "/echo"), false).unwrap();
    let sent: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
    let mut left = Bytes::from(sent.clone());
    let all = async {
        while !left.is_empty() {
            let room = std::future::poll_fn(|cx| {
                crate::base::flow::poll_room(&mut sending, cx, left.len())
            });
            let room = room.await.unwrap();
            sending.send_data(left.split_to(room), false).unwrap();
        }
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-sum", "7".parse().unwrap());
        sending.send_trailers(trailers).unwrap();
    };
    let back = async {
        let mut body = answer.await.unwrap().into_body();
        let mut bytes = Vec::new();
        while let Some(data) = body.data().await {
            let data = data.unwrap();
            body.flow_control().release_capacity(data.len()).unwrap();
            bytes.extend(data);
        }
        (bytes, body.trailers().await.unwrap())
    };
    let ((), (back, trailers)) = tokio::join!(all, back);
    assert!(back == sent, "{} bytes came back changed", back.len());
    assert_eq!(trailers.unwrap()["x-sum"], "7");
    drop((asker, sending));
    stand.is_quiet().await;
}

#[tokio::test]
async fn an_answer_to_head_has_no_body() {
    let (_stand, address) = Stand::with(clear());
    let (mut asker, _connection) = client(address).await;
    let (answer, _) = asker.send_request(request(Method::HEAD, "/"), true).unwrap();
    let answer = answer.await.unwrap();
    assert!(answer.body().is_end_stream());
}

#[tokio::test]
async fn a_connection_is_idle_only_when_no_stream_is_open() {
    let mut brief = clear();
    brief.limits.keep_alive_timeout = Duration::from_millis(100);
    let (stand, address) = Stand::with(brief);
    let (mut asker, connection) = client(address).await;
    let (answer, _) = asker.send_request(request(Method::GET, "/wait"), true).unwrap();
    stand.handler.arrived.acquire().await.unwrap().forget();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(!connection.is_finished());
    stand.handler.release.add_permits(1);
    answer.await.unwrap();
    tokio::time::timeout(PATIENCE, connection).await.unwrap().unwrap().unwrap();
    drop(asker);
    stand.is_quiet().await;
}

#[tokio::test]
async fn a_closing_listener_finishes_open_streams_and_refuses_new_ones() {
    let (mut stand, address) = Stand::with(clear());
    let (mut asker, connection) = client(address).await;
    let (mut idle_asker, idle) = client(address).await;
    get(&mut idle_asker, "/").await.unwrap();
    let (answer, _) = asker.send_request(request(Method::GET, "/wait"), true).unwrap();
    stand.handler.arrived.acquire().await.unwrap().forget();
    stand.sockets.close_all();
    tokio::time::timeout(PATIENCE, idle).await.unwrap().unwrap().unwrap();
    let refused = get(&mut asker, "/").await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::REFUSED_STREAM), "{refused}");
    stand.handler.release.add_permits(1);
    assert_eq!(answer.await.unwrap().status(), 200);
    tokio::time::timeout(PATIENCE, connection).await.unwrap().unwrap().unwrap();
    drop((asker, idle_asker));
    stand.is_quiet().await;
}

#[tokio::test]
async fn when_another_process_accepts_open_streams_go_on_and_new_ones_are_sent_there() {
    let (mut stand, address) = Stand::with(clear());
    let (mut asker, connection) = client(address).await;
    let (answer, _) = asker.send_request(request(Method::GET, "/wait"), true).unwrap();
    stand.handler.arrived.acquire().await.unwrap().forget();
    stand.sockets.pause().await;
    let known: Vec<_> = stand.sockets.handovers().map(|handover| handover.address).collect();
    stand.sockets.hand_over(&known);
    // Until the client has heard of it its requests are served.
    let sent_away = async {
        loop {
            if let Err(error) = get(&mut asker, "/").await {
                return error;
            }
        }
    };
    let sent_away = tokio::time::timeout(PATIENCE, sent_away).await.unwrap();
    assert_eq!(sent_away.reason(), Some(Reason::NO_ERROR), "{sent_away}");
    stand.handler.release.add_permits(1);
    assert_eq!(answer.await.unwrap().status(), 200);
    tokio::time::timeout(PATIENCE, connection).await.unwrap().unwrap().unwrap();
    drop(asker);
    stand.is_quiet().await;
}

#[tokio::test]
async fn a_client_that_never_hears_the_goodbye_is_left() {
    let mut brief = clear();
    brief.limits.keep_alive_timeout = Duration::from_millis(50);
    let (stand, address) = Stand::with(brief);
    let mut raw = Raw::new(address).await;
    raw.expect(raw::GOAWAY).await;
    // It was a question as well, which stays without an answer.
    stand.is_quiet().await;
}
