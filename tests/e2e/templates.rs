//! Values made of the request: in fields that go upstream, in answers, in redirects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

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

#[tokio::test]
async fn who_a_request_comes_from_is_filled_in_and_tells_requests_apart() {
    const SECRET: &str = "a secret that both sides know, and nobody else";
    let backend = Backend::echo("a").await;
    let users = tempfile::NamedTempFile::new().unwrap();
    let hash = bcrypt::hash("pass", 4).unwrap();
    std::fs::write(users.path(), format!("bob:{hash}\n")).unwrap();
    let site = site(&[&backend])
        .listener(SPEAKS_BOTH)
        .table(&format!(
            "[access.login.jwt]\nsecret = \"{SECRET}\"\nfrom = \"query:token\"\n\
             [access.tools.basic]\nusers = \"{}\"\n\
             [[routes]]\npath = \"/basic\"\npool = \"chat\"\naccess = \"tools\"\n\
             request_headers.set.X-User = \"{{access.user}}\"\n",
            users.path().display()
        ))
        .route("access = \"login\"\nhold = {}")
        .route("labels = { user = \"{claim.sub}\", room = \"room {query.room}\" }")
        .route("limits.handshakes = { key = \"claim:sub\", rate = \"1/h\" }")
        .route("limits.requests = { key = \"label:user\", rate = \"1/h\" }")
        .route("request_headers.set.X-User = \"{access.user}, {claim.sub}, {claim.org.id}\"")
        .route("request_headers.set.X-Roles = \"{claim.roles}\"")
        .route("request_headers.set.X-Label = \"{label.user} in {label.room}{label.none}\"")
        .route("request_headers.set.X-Id = \"{request_id}\"")
        .route("request_headers.set.X-Session = \"{session}\"");
    let proxy = Proxy::start(&site).await;
    let address = proxy.client().address();
    let mut asked = 0;
    for version in BOTH {
        let path = |user: &str| {
            let claims = json!({
                "exp": 4_000_000_000_u64, "sub": user, "org": { "id": 7 }, "roles": ["a", "b"],
            });
            let key = EncodingKey::from_secret(SECRET.as_bytes());
            format!("/?room=1&token={}", encode(&Header::default(), &claims, &key).unwrap())
        };
        let (user, other) = (format!("ada-{version:?}"), format!("eve-{version:?}"));
        for is_websocket in [true, false] {
            let answer = match is_websocket {
                true => handshake(version, address, &path(&user), &[]).await,
                false => get(version, address, &path(&user), &[]).await,
            };
            assert_eq!(answer.status, if is_websocket { 101 } else { 200 }, "{version:?}");
            let head = backend.heads().pop().unwrap();
            assert_eq!(head.get("x-user"), format!("{user}, {user}, 7"));
            assert_eq!(head.get("x-roles"), "a,b");
            assert_eq!(head.get("x-label"), format!("{user} in room 1"));
            assert_eq!(head.get("x-id"), head.get("x-request-id"));
            assert_eq!(head.get("x-session"), head.get("tidegate-session"));
            assert_eq!(head.get("x-session").len(), if is_websocket { 32 } else { 0 });
            asked += 1;
        }
        // One an hour for each user, whatever connection it comes by.
        assert_eq!(handshake(version, address, &path(&user), &[]).await.status, 429);
        assert_eq!(get(version, address, &path(&user), &[]).await.status, 429);
        assert_eq!(get(version, address, &path(&other), &[]).await.status, 200);
        asked += 1;
        let shown = format!("Basic {}", STANDARD.encode("bob:pass"));
        let answer = get(version, address, "/basic", &[("Authorization", &shown)]).await;
        assert_eq!(answer.status, 200);
        assert_eq!(backend.heads().pop().unwrap().get("x-user"), "bob");
        asked += 1;
    }
    assert_eq!(backend.heads().len(), asked);
    proxy.stop().await;
}
