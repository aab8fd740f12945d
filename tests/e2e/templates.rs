//! Values made of the request: in fields that go upstream, in answers, in redirects.

use crate::actors::Backend;
use crate::proxy::Proxy;
use crate::site::site;
use crate::versions::{BOTH, SPEAKS_BOTH, get, handshake};

/// What is set on requests and on answers of the tests' routes.
const CHANGES: &str = r#"
request_headers.set.X-Who = "{client_ip} {scheme}://{host}:{port}"
request_headers.set.X-What = "{method} {path}{query} at {listener}, {route}, {pool}"
request_headers.set.X-Room = "{query.room}"
request_headers.set.X-Token = "Bearer {cookie.token}"
request_headers.set.X-Tls = "{tls.version}{tls.sni}"
request_headers.set.X-Brace = "{{{host}}"
request_headers.add.X-Line = ["{header.X-Line}?", "fixed"]
response_headers.set.X-Asked = "{path} of {header.X-Line}"
response_headers.set.X-None = "{query.none}"
response_headers.add.X-Backend = "{pool}"
"#;

#[tokio::test]
async fn fields_are_filled_in_from_the_request_on_both_versions_for_requests_and_websockets() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let toml = site(&[&backends[0], &backends[1]]).listener(SPEAKS_BOTH).route(CHANGES);
    let proxy = Proxy::start(&toml).await;
    let address = proxy.client().address();
    let fields =
        [("Cookie", "a=b; token=t0"), ("X-Line", "theirs"), ("X-Room", "9"), ("X-Tls", "forged")];
    for version in BOTH {
        for is_websocket in [false, true] {
            let path = format!("/chat/%20x?room=7&x={version:?}-{is_websocket}");
            let answer = match is_websocket {
                true => handshake(version, address, &path, &fields).await,
                false => get(version, address, &path, &fields).await,
            };
            assert_eq!(answer.status, if is_websocket { 101 } else { 200 }, "{version:?}");
            assert_eq!(answer.get("x-asked"), "/chat/%20x of theirs", "{version:?}");
            assert!(!answer.headers.contains_key("x-none"), "{version:?}");
            let added = answer.headers.get_all("x-backend").iter();
            assert!(added.map(|line| line.as_bytes()).any(|line| line == b"chat"), "{version:?}");
            let mut heads = backends.iter().flat_map(Backend::heads);
            let head = heads.find(|head| head.second() == path).unwrap();
            assert_eq!(head.get("x-who"), "127.0.0.1 http://localhost:80", "{version:?}");
            assert_eq!(head.get("x-what"), format!("GET {path} at plain, all, chat"));
            assert_eq!((head.get("x-room"), head.get("x-token")), ("7", "Bearer t0"));
            assert_eq!(head.get("x-brace"), "{localhost}");
            assert_eq!(head.all("x-tls").count(), 0, "what comes to nothing is taken away");
            let lines: Vec<&str> = head.all("x-line").collect();
            assert_eq!(lines, ["theirs", "theirs?", "fixed"], "{version:?}");
        }
    }
    proxy.stop().await;
}

#[tokio::test]
async fn own_answers_have_fields_made_of_the_request_too() {
    let backend = Backend::echo("a").await;
    let toml = site(&[&backend]).listener(SPEAKS_BOTH).route(
        "[[routes]]\npath = \"/to\"\nredirect = \"/{{x}{path}\"\n\
         response_headers.set.X-Host = \"{host}\"\n[[routes]]\npath = \"/fixed\"\n\
         respond = \"x\"\nresponse_headers.add.X-Query = \"{query}\"",
    );
    let proxy = Proxy::start(&toml).await;
    let address = proxy.client().address();
    for version in BOTH {
        let answer = get(version, address, "/to/a", &[]).await;
        assert_eq!((answer.status, answer.get("location")), (307, "/{x}/to/a"));
        assert_eq!(answer.get("x-host"), "localhost");
        let answer = get(version, address, "/fixed?a=b", &[]).await;
        assert_eq!((answer.body.as_str(), answer.get("x-query")), ("x", "?a=b"));
        assert_eq!(get(version, address, "/fixed", &[]).await.get("x-query"), "");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn tls_and_what_a_trusted_proxy_tells_are_filled_in() {
    let certificates = crate::actors::Certificates::new(&["localhost"]);
    let backend = Backend::echo("a").await;
    let toml = site(&[&backend])
        .tls(&certificates)
        .listener("trusted_proxies = \"127.0.0.0/8\"")
        .route("request_headers.set.X-Tls = \"{tls.version} {tls.sni} {scheme} {port}\"")
        .route("request_headers.set.X-Client = \"{client_ip}\"")
        .route("request_headers.set.X-Port = \"{client_port}\"");
    let proxy = Proxy::start(&toml).await;
    let client = proxy.client().tls(&certificates).field("X-Forwarded-For", "198.51.100.7");
    client.open().await.echo("hello").await;
    let head = backend.head();
    assert_eq!(head.get("x-tls"), "TLSv1.3 localhost https 443");
    assert_eq!((head.get("x-client"), head.all("x-port").count()), ("198.51.100.7", 0));
    proxy.stop().await;
}
