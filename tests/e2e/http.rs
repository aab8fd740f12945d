//! Plain HTTP beside WebSockets: pages, requests to a pool, redirects, streams.

use std::fs;

use tokio::io::AsyncWriteExt;

use crate::actors::{Backend, Head, read_chunk, within};
use crate::proxy::Proxy;
use crate::site::site;

#[tokio::test]
async fn page_socket_and_requests_live_on_one_site() {
    let backend = Backend::echo("a").await;
    let files = tempfile::tempdir().unwrap();
    fs::write(files.path().join("index.html"), "<h1>page</h1>").unwrap();
    let toml = site(&[&backend]).route("path = \"/socketurl\"").route(&format!(
        "[[routes]]\nfiles = \"{}\"\n[[routes]]\npath = \"/old\"\nredirect = \"/new{{query}}\"\n\
         [[routes]]\npath = \"= /fixed\"\nrespond = {{ body = \"no\", status = 410 }}",
        files.path().display()
    ));
    let proxy = Proxy::start(&toml).await;
    let client = proxy.client();

    let (head, body) = client.clone().request("GET", "").await;
    assert_eq!((head.status(), body.as_str()), (200, "<h1>page</h1>"));
    assert_eq!(head.get("content-type"), "text/html; charset=utf-8");
    let (head, _) = client.clone().path("/none").request("GET", "").await;
    assert_eq!(head.status(), 404);
    let (head, _) = client.clone().path("/old?a=1").request("GET", "").await;
    assert_eq!((head.status() / 100, head.get("location")), (3, "/new?a=1"));
    let (head, body) = client.clone().path("/fixed").request("GET", "").await;
    assert_eq!((head.status(), body.as_str()), (410, "no"));
    assert_eq!(head.get("content-length"), "2", "a length that is known is told");

    let socket = client.path("/socketurl/room");
    let (head, body) = socket.request("POST", "hello").await;
    assert_eq!((head.status(), head.get("x-backend")), (200, "a"));
    assert_eq!(body, "a POST /socketurl/room HTTP/1.1\nhello");
    socket.open().await.echo("hello").await;
    proxy.stop().await;
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_one_after_another() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    let client = proxy.client();
    let mut wire = client.connect().await.unwrap();
    for _ in 0..3 {
        wire.write_all(client.head("GET", &[]).as_bytes()).await.unwrap();
        let head = within("an answer", Head::read(&mut wire)).await.unwrap();
        let body = within("a body", crate::actors::read_body(&head, &mut wire)).await;
        assert_eq!(body, "a GET / HTTP/1.1\n");
    }
    // Upstream connections for plain requests are kept as well.
    assert_eq!(backend.connections(), 1);
    drop(wire);
    proxy.stop().await;
}

#[tokio::test]
async fn a_stream_of_events_is_not_held_back() {
    let (more, next) = tokio::sync::watch::channel(0);
    let backend = Backend::script(move |_head, mut wire| {
        let mut next = next.clone();
        async move {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                        Transfer-Encoding: chunked\r\n\r\n";
            wire.write_all(head.as_bytes()).await.unwrap();
            while next.changed().await.is_ok() {
                wire.write_all(b"9\r\ndata: x\n\n\r\n").await.unwrap();
            }
            wire.write_all(b"0\r\n\r\n").await.unwrap();
        }
    })
    .await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    let client = proxy.client();
    let (head, mut wire) = client.say(client.head("GET", &[]).as_bytes()).await;
    assert_eq!(head.unwrap().get("content-type"), "text/event-stream");
    for number in 1..4 {
        more.send(number).unwrap();
        let event = within("an event", read_chunk(&mut wire)).await;
        assert_eq!(event.as_deref(), Some(&b"data: x\n\n"[..]));
    }
    drop(more);
    assert_eq!(within("the end", read_chunk(&mut wire)).await, None);
    drop(wire);
    proxy.stop().await;
}

#[tokio::test]
async fn a_route_may_refuse_websockets_or_take_nothing_else() {
    let backend = Backend::echo("a").await;
    let toml = site(&[&backend])
        .route("path = \"/page\"\nwebsocket = false")
        .route("[[routes]]\npath = \"/socket\"\npool = \"chat\"\nwebsocket = \"only\"");
    let proxy = Proxy::start(&toml).await;
    let (page, socket) = (proxy.client().path("/page"), proxy.client().path("/socket"));
    assert_eq!(page.handshake().await.0.status(), 403);
    assert_eq!(page.request("GET", "").await.0.status(), 200);
    let (head, _) = socket.request("GET", "").await;
    assert_eq!((head.status(), head.get("upgrade")), (426, "websocket"));
    socket.open().await.echo("hello").await;
    assert_eq!(backend.heads().len(), 2);
    proxy.stop().await;
}

#[tokio::test]
async fn other_upgrades_are_never_tunnelled() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    let client = proxy.client();
    let asking = client
        .head("GET", &[("Upgrade", "h2c"), ("Connection", "Upgrade, X-Secret"), ("X-Secret", "1")]);
    let (head, wire) = client.say(asking.as_bytes()).await;
    assert_eq!(head.unwrap().status(), 200);
    let asked = backend.head();
    assert_eq!((asked.get("upgrade"), asked.get("x-secret")), ("", ""));
    drop(wire);
    proxy.stop().await;
}

#[tokio::test]
async fn fields_that_speak_for_the_proxy_are_not_taken_from_strangers() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    let lies = proxy
        .client()
        .field("X-Forwarded-For", "6.6.6.6")
        .field("X-Forwarded-Proto", "https")
        .field("Forwarded", "for=6.6.6.6")
        .field("Tidegate-Session", "1")
        .field("tidegate_session", "1");
    lies.request("GET", "").await;
    lies.open().await.close(1000, "").await;
    for asked in backend.heads() {
        let forwarded: Vec<_> = asked.all("x-forwarded-for").collect();
        assert_eq!(forwarded, ["127.0.0.1"]);
        assert_eq!(asked.get("x-forwarded-proto"), "http");
        assert!(!asked.get("forwarded").contains("6.6.6.6"), "{asked:?}");
        let ours = asked.fields.iter().find(|field| field.0.to_lowercase().starts_with("tidegate"));
        assert_eq!(ours, None);
    }
    assert_eq!(backend.heads().len(), 2);
    proxy.stop().await;
}

/// A chunked body's trailer section: its lines, up to the empty one (RFC 9112 §7.1.2).
async fn trailers(wire: &mut crate::actors::Wire) -> Vec<String> {
    use tokio::io::AsyncBufReadExt;
    let mut lines = Vec::new();
    // Its last chunk, whose end is the section's when there is none.
    let mut line = String::new();
    within("a line", wire.read_line(&mut line)).await.unwrap();
    let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
    if size > 0 {
        let mut chunk = vec![0; size + 2];
        tokio::io::AsyncReadExt::read_exact(wire, &mut chunk).await.unwrap();
        return Box::pin(trailers(wire)).await;
    }
    loop {
        line.clear();
        within("a trailer", wire.read_line(&mut line)).await.unwrap();
        match line.trim_end() {
            "" => return lines,
            field => lines.push(field.to_lowercase()),
        }
    }
}

const TRAILERS: &str = "X-Sum: 7\r\nTidegate-Resume: forged; attempt=1; lost=1\r\n\
                        Tidegate_Session: forged\r\nX-Forwarded-For: 203.0.113.9\r\n\
                        Forwarded: for=203.0.113.9\r\nConnection: close\r\nX-Real-IP: 1.2.3.4\r\n";
const NAMES: &str = "X-Sum, Tidegate-Resume, Tidegate_Session, X-Forwarded-For, Forwarded, \
                     Connection, X-Real-IP";

#[tokio::test]
async fn trailers_that_a_route_names_pass_both_ways_and_no_others() {
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let backend = Backend::script(move |_head, mut wire| {
        let told = told.clone();
        async move {
            told.send(trailers(&mut wire).await).unwrap();
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: ";
            let answer = format!("{head}{NAMES}\r\n\r\n3\r\nyes\r\n0\r\n{TRAILERS}\r\n");
            wire.write_all(answer.as_bytes()).await.unwrap();
            crate::actors::drain(&mut wire).await;
        }
    })
    .await;
    let proxy = Proxy::start(&site(&[&backend]).route("trailers = \"X-Sum\"")).await;
    let fields = [("Transfer-Encoding", "chunked"), ("Trailer", NAMES), ("TE", "trailers")];
    let head = proxy.client().head("POST", &fields);
    let request = format!("{head}3\r\nwhy\r\n0\r\n{TRAILERS}\r\n");
    let (answer, mut wire) = proxy.client().say(request.as_bytes()).await;
    assert_eq!(answer.unwrap().status(), 200);
    assert_eq!(heard.recv().await.unwrap(), ["x-sum: 7"]);
    assert_eq!(trailers(&mut wire).await, ["x-sum: 7"]);
    drop((wire, backend));
    proxy.stop().await;
}
