use super::*;
use crate::actors::frames::{END_HEADERS, END_STREAM, Fate, GET, HEADERS};

const PROTOCOL_ERROR: u32 = 1;

/// What becomes of a request with these fields, on a connection of its own.
async fn fate(address: SocketAddr, fields: &[(&str, &str)]) -> Fate {
    let mut raw = Raw::new(address).await;
    let stream = raw.ask(fields, END_STREAM).await;
    raw.fate(stream).await
}

/// The same, with more fields than a GET needs.
async fn fate_with(address: SocketAddr, more: &[(&str, &str)]) -> Fate {
    fate(address, &[&GET[..], more].concat()).await
}

#[tokio::test]
async fn what_http1_could_misread_is_refused() {
    let (stand, address) = Stand::with(clear());
    let on_stream = [
        [("transfer-encoding", "chunked")],
        [("connection", "close")],
        [("keep-alive", "timeout=5")],
        [("proxy-connection", "close")],
        [("upgrade", "websocket")],
        [("te", "gzip")],
        [("host", "b")],
        [("x-padded", " x")],
        [("x-padded", "x\t")],
        [("content-length", "+0")],
        [("content-length", "5")],
        [(":status", "200")],
        [(":path", "/again")],
    ];
    for more in on_stream {
        assert_eq!(fate_with(address, &more).await, Fate::Reset(PROTOCOL_ERROR), "{more:?}");
    }
    let lengths = [("content-length", "0"), ("content-length", "1")];
    assert_eq!(fate_with(address, &lengths).await, Fate::Reset(PROTOCOL_ERROR));
    // The crate takes these for a broken compression, which ends the connection.
    for more in [
        [("x-crlf", "a\r\nb: c")],
        [("x-nul", "a\0b")],
        [("X-Upper", "x")],
        [("x space", "x")],
        [(":unknown", "x")],
    ] {
        let fate = fate_with(address, &more).await;
        assert!(matches!(fate, Fate::GoAway(_) | Fate::Reset(_)), "{more:?}: {fate:?}");
    }
    stand.is_quiet().await;
    let cells = stand.metrics.listener(&Arc::from("a"));
    assert_eq!(cells.http2_failed.get("protocol_error"), 5);
}

#[tokio::test]
async fn pseudo_fields_have_their_rules() {
    let (stand, address) = Stand::with(clear());
    let [method, scheme, authority, path] = GET;
    let cases: [&[(&str, &str)]; 9] = [
        &[scheme, authority, path],
        &[method, authority, path],
        &[method, scheme, authority],
        &[method, scheme],
        &[method, scheme, ("host", "a")],
        &[method, scheme, authority, (":path", "")],
        &[method, scheme, authority, (":path", "*")],
        &[method, scheme, authority, ("x", "y"), path],
        &[method, scheme, (":authority", "a b"), path],
    ];
    for fields in cases {
        assert_eq!(fate(address, fields).await, Fate::Reset(PROTOCOL_ERROR), "{fields:?}");
    }
    let fine: [&[(&str, &str)]; 3] = [
        &[method, scheme, path, ("host", "a")],
        &[method, scheme, authority, path, ("host", "A"), ("te", "trailers")],
        &[(":method", "OPTIONS"), scheme, authority, (":path", "*")],
    ];
    for fields in fine {
        assert_eq!(fate(address, fields).await, Fate::Answer(200), "{fields:?}");
    }
    stand.is_quiet().await;
}

#[tokio::test]
async fn a_query_beyond_ascii_is_escaped() {
    let (stand, address) = Stand::with(clear());
    let (mut asker, _connection) = client(address).await;
    for (path, told) in [
        ("/head?q=é&x=%22", "http://a/head?q=%C3%A9&x=%22 {}"),
        ("/head?", "http://a/head? {}"),
        ("/head?a?b", "http://a/head?a?b {}"),
    ] {
        let (answer, _) = asker.send_request(request(Method::GET, path), true).unwrap();
        let body = read(answer.await.unwrap().into_body()).await;
        assert_eq!(String::from_utf8(body).unwrap(), told, "{path}");
    }
    drop(asker);
    stand.is_quiet().await;
}

/// The crate makes an `http::Uri` of `:path` before anything is ours.
#[tokio::test]
async fn a_path_that_is_no_uri_resets_its_stream_alone_and_is_counted() {
    let (stand, address) = Stand::with(clear());
    let mut raw = Raw::new(address).await;
    let cells = stand.metrics.listener(&Arc::from("a"));
    for (at, path) in ["/head?\"", "/head?<", "/head?>", "/head?a b", "/<"].into_iter().enumerate()
    {
        let fields = GET.map(|field| if field.0 == ":path" { (":path", path) } else { field });
        let stream = raw.ask(&fields, END_STREAM).await;
        assert_eq!(raw.fate(stream).await, Fate::Reset(PROTOCOL_ERROR), "{path}");
        let count = at as u64 + 1;
        until(|| cells.requests_refused.get("malformed") == count).await;
    }
    let stream = raw.ask(&GET, END_STREAM).await;
    assert_eq!(raw.fate(stream).await, Fate::Answer(200));
    // What is not UTF-8 ends the connection: the crate refuses it with the whole block of fields.
    let fields = GET.map(|field| if field.0 == ":path" { (":path", "/head?~") } else { field });
    let mut block = raw::block(&fields);
    block.iter_mut().filter(|byte| **byte == b'~').for_each(|byte| *byte = 0xff);
    raw.send(HEADERS, END_HEADERS | END_STREAM, stream + 2, &block).await;
    assert_eq!(raw.fate(stream + 2).await, Fate::GoAway(PROTOCOL_ERROR));
    until(|| cells.http2_failed.get("protocol_error") == 1).await;
    drop(raw);
    stand.is_quiet().await;
}

#[tokio::test]
async fn connect_for_a_protocol_has_its_rules() {
    let (stand, address) = Stand::with(clear());
    let protocol = (":protocol", "websocket");
    let [_, scheme, authority, path] = GET;
    let connect = (":method", "CONNECT");
    let cases: [&[(&str, &str)]; 5] = [
        &[connect, protocol, scheme, authority],
        &[connect, protocol, authority, path],
        &[connect, scheme, authority, path],
        &[GET[0], protocol, scheme, authority, path],
        &[connect, authority, protocol, protocol, scheme, path],
    ];
    for fields in cases {
        assert_eq!(fate(address, fields).await, Fate::Reset(PROTOCOL_ERROR), "{fields:?}");
    }
    stand.is_quiet().await;
    let without = Http2 { websocket: false, ..http2() };
    let (_stand, address) = Stand::with(Listener { http2: Some(without), ..plain("a") });
    let whole = [connect, protocol, scheme, authority, path];
    assert_eq!(fate(address, &whole).await, Fate::Reset(PROTOCOL_ERROR));
}

#[tokio::test]
async fn websockets_are_announced_unless_they_are_off() {
    for websocket in [true, false] {
        let listener = Listener { http2: Some(Http2 { websocket, ..http2() }), ..plain("a") };
        let (_stand, address) = Stand::with(listener);
        let settings = Raw::new(address).await.expect(raw::SETTINGS).await.payload;
        let of = |id: u16| {
            let mut all = settings.chunks(6);
            let found = all.find(|one| one[..2] == id.to_be_bytes())?;
            Some(u32::from_be_bytes(found[2..].try_into().unwrap()))
        };
        // RFC 8441 §3, RFC 9113 §6.5.2.
        assert_eq!(of(8), websocket.then_some(1));
        assert_eq!(of(3), Some(100));
        assert_eq!(of(4), Some(64 * 1024));
        assert_eq!(of(6), Some(64 * 1024));
    }
}

#[tokio::test]
async fn a_head_comes_as_http1_would_have_brought_it() {
    let (_stand, address) = Stand::with(clear());
    let (mut asker, _connection) = client(address).await;
    let mut asked = request(Method::GET, "/head?x");
    for crumb in ["a=1", "b=2", "c=3"] {
        asked.headers_mut().append("cookie", crumb.parse().unwrap());
    }
    let (answer, _) = asker.send_request(asked, true).unwrap();
    let told = String::from_utf8(read(answer.await.unwrap().into_body()).await).unwrap();
    assert_eq!(told, "http://a/head?x {\"cookie\": \"a=1; b=2; c=3\"}");
}

#[tokio::test]
async fn who_waits_to_be_told_to_go_on_is_told() {
    let (_stand, address) = Stand::with(clear());
    let (mut asker, _connection) = client(address).await;
    let mut asked = request(Method::POST, "/read");
    asked.headers_mut().insert("expect", "100-continue".parse().unwrap());
    let (mut answer, mut sending) = asker.send_request(asked, false).unwrap();
    let told = std::future::poll_fn(|cx| answer.poll_informational(cx)).await.unwrap().unwrap();
    assert_eq!(told.status(), 100);
    sending.send_data("now".into(), true).unwrap();
    assert_eq!(read(answer.await.unwrap().into_body()).await, b"now");
}

#[tokio::test]
async fn a_head_over_its_limits_is_answered_431() {
    let mut narrow = clear();
    (narrow.limits.headers_max, narrow.limits.head_bytes_max) = (5, 16 * 1024);
    let (stand, address) = Stand::with(narrow);
    let (mut asker, _connection) = client(address).await;
    let mut many = request(Method::GET, "/");
    for _ in 0..6 {
        many.headers_mut().append("x", "y".parse().unwrap());
    }
    let mut large = request(Method::GET, "/");
    large.headers_mut().insert("x", "y".repeat(17 * 1024).parse().unwrap());
    for asked in [many, large] {
        let (answer, _) = asker.send_request(asked, true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 431);
    }
    get(&mut asker, "/").await.unwrap();
    drop(asker);
    stand.is_quiet().await;
}
