//! What a handshake on a stream becomes for the backend, and each refusal.

use http::{HeaderValue, Method, Request};
use tungstenite::handshake::derive_accept_key;

use super::*;
use crate::actors::{Backend, Certificates, Ending, until};

#[tokio::test]
async fn a_websocket_on_a_stream_is_an_upgrade_with_our_own_key_to_the_backend() {
    let certificates = Certificates::new(&["localhost"]);
    let backend = Backend::echo("a").await;
    let front = Front::tls(&backend, &certificates);
    let mut client = front.tls_client(&certificates).await;
    let mut request = Streams::handshake("/chat?room=%20b");
    let fields = [
        ("origin", "https://localhost"),
        ("sec-websocket-protocol", "chat, superchat"),
        ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
        ("sec-websocket-key", "planted"),
    ];
    for (name, value) in fields {
        request.headers_mut().append(name, HeaderValue::from_static(value));
    }
    let (answer, sending) = client.ask(request, false).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
    for absent in ["upgrade", "connection", "sec-websocket-accept", "sec-websocket-extensions"] {
        assert!(!answer.headers().contains_key(absent), "{absent}");
    }
    let head = backend.head();
    assert_eq!(head.first, "GET /chat?room=%20b HTTP/1.1");
    assert_eq!(head.get("host"), "localhost");
    assert_eq!(head.get("upgrade"), "websocket");
    assert_eq!(head.get("connection"), "Upgrade");
    assert_eq!(head.get("origin"), "https://localhost");
    assert_eq!(head.get("sec-websocket-version"), "13");
    assert_eq!(head.get("sec-websocket-protocol"), "chat, superchat");
    assert!(head.get("sec-websocket-extensions").starts_with("permessage-deflate"));
    assert_eq!(head.get("x-forwarded-proto"), "https");
    assert_eq!(head.get("cookie"), "a=1; b=2");
    assert_eq!(head.get("sec-websocket-key").len(), 24);
    let mut session = client.open("/chat").await;
    session.echo("hello").await;
    session.echo(vec![7u8; 300_000]).await;
    assert_eq!(session.close(4001, "enough").await, Ending::Close(4001, "enough".into()));
    until("the backend's end", || !backend.endings().is_empty()).await;
    assert_eq!(backend.endings()[0], Ending::Close(4001, "enough".into()));
    drop((answer, sending, client));
    front.stop().await;
}

#[tokio::test]
async fn a_plain_request_goes_to_an_http1_backend() {
    let backend = Backend::echo("a").await;
    let front = Front::clear(&backend, "");
    let mut client = front.client().await;
    let get = Request::get("http://localhost/x?y").body(()).unwrap();
    let (status, body) = client.status(get).await;
    assert_eq!((status, body.as_str()), (200, "a GET /x?y HTTP/1.1\n"));
    let head = backend.head();
    assert_eq!(head.get("host"), "localhost");
    assert_eq!(head.get("x-forwarded-proto"), "http");
    assert!(head.all("transfer-encoding").next().is_none(), "a GET has no body");
    let post = Request::post("http://localhost/").body(()).unwrap();
    let (answer, mut sending) = client.begin(post).await;
    sending.send_data("by stream".into(), true).unwrap();
    let body = front::rest(answer.await.unwrap().into_body()).await.unwrap();
    assert_eq!(body, b"a POST / HTTP/1.1\nby stream");
    drop(client);
    front.stop().await;
}

#[tokio::test]
async fn refusals_have_their_status_and_the_connection_goes_on() {
    let backend = Backend::script(|head, mut wire| async move {
        let answer: String = match head.second() {
            "/forbidden" => "HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnope".into(),
            "/success" => "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage".into(),
            "/garbled" => "SSH-2.0\r\n\r\n".into(),
            "/wrong" => format!(
                "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {}\r\n\r\n",
                derive_accept_key(b"another key")
            ),
            path => panic!("{path}"),
        };
        let _ = tokio::io::AsyncWriteExt::write_all(&mut wire, answer.as_bytes()).await;
    })
    .await;
    let more = "allowed_origins = [\"https://localhost\"]\n\
        [[routes]]\npath = \"/plain\"\npool = \"chat\"\nwebsocket = false\n\
        [[routes]]\npath = \"/text\"\nrespond = { status = 200, body = \"x\" }\n\
        [[routes]]\npath = \"/elsewhere\"\nredirect = { to = \"https://else{path}\" }\n";
    let front = Front::clear(&backend, more);
    let mut client = front.client().await;
    let with_origin = |path: &str, origin: &'static str| {
        let mut request = Streams::handshake(path);
        request.headers_mut().insert("origin", HeaderValue::from_static(origin));
        request
    };
    let ours = |path: &str| with_origin(path, "https://localhost");
    assert_eq!(client.status(ours("/forbidden")).await, (403, "nope".into()));
    let cases = [
        (ours("/success"), 502),
        (ours("/garbled"), 502),
        (ours("/wrong"), 502),
        (ours("/plain"), 403),
        (ours("/text"), 403),
        (ours("/elsewhere"), 307),
        (with_origin("/forbidden", "https://evil.example"), 403),
    ];
    for (request, status) in cases {
        let path = request.uri().path().to_owned();
        assert_eq!(client.status(request).await.0, status, "{path}");
    }
    let mut other = Streams::handshake("/");
    other.extensions_mut().insert(h2::ext::Protocol::from_static("connect-udp"));
    assert_eq!(client.status(other).await.0, 501);
    let mut old = Streams::handshake("/");
    old.headers_mut().insert("sec-websocket-version", HeaderValue::from_static("8"));
    assert_eq!(client.status(old).await.0, 426);
    let mut tunnel = Request::new(());
    *tunnel.method_mut() = Method::CONNECT;
    *tunnel.uri_mut() = "localhost:443".parse().unwrap();
    assert_eq!(client.status(tunnel).await.0, 405);
    assert_eq!(front.sessions(), 0);
    drop(client);
    front.stop().await;
}

#[tokio::test]
async fn a_dead_backend_is_told_by_status() {
    let backend = Backend::echo("a").await;
    let front = Front::clear(&backend, "");
    let mut client = front.client().await;
    backend.kill().await;
    assert_eq!(client.status(Streams::handshake("/")).await.0, 503);
    drop(client);
    front.stop().await;
}

#[tokio::test]
async fn a_host_whose_certificate_was_not_shown_is_asked_for_elsewhere() {
    let (ours, other) = (Certificates::new(&["localhost"]), Certificates::new(&["*.b.example"]));
    let backend = Backend::echo("a").await;
    let pairs = format!("{}, {}", front::pair(&ours), front::pair(&other));
    let front = Front::start(&format!("tls.certificates = [{pairs}]"), &backend, "");
    let mut client = front.tls_client(&ours).await;
    let get = |host: &str| Request::get(format!("https://{host}/")).body(()).unwrap();
    assert_eq!(client.status(get("localhost")).await.0, 200);
    assert_eq!(client.status(get("x.b.example")).await.0, 421);
    assert_eq!(client.status(get("y.x.b.example")).await.0, 200, "it is nobody's");
    let over_http1 = front.http1_client(&ours);
    let head = over_http1.head("GET", &[]).replace("localhost", "x.b.example");
    assert_eq!(over_http1.say(head.as_bytes()).await.0.unwrap().status(), 421);
    drop(client);
    front.stop().await;
}
