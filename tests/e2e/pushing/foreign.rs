//! Pages of other sites, which a visitor's browser lets ask: blindly, or by a name of their own
//! that they have resolve to the machine (DNS rebinding).

use super::*;

#[tokio::test]
async fn a_page_of_another_site_asks_in_vain_and_a_program_is_answered() {
    let backend = Backend::echo("a").await;
    let named = API.replace("routes = \"all\" }", "routes = \"all\", aws = true }\n")
        + "[[routes]]\nlistener = \"internal\"\nhost = \"api.example.com\"\n\
           api = { routes = \"all\" }\n";
    let site = site(&[&backend]).table(&named).route("push = {}");
    let proxy = Proxy::start(&site).await;
    let mut session = proxy.client().open().await;
    session.echo("before").await;
    let (address, port) = ("127.0.0.3", caller(&proxy, "/").address().port());
    let own = format!("http://{address}:{port}");
    let by_address = format!("{address}:{port}");
    let asked = async |host: &str, method: &str, path: &str, fields: &[(&str, &str)]| {
        let client = caller(&proxy, path).host(host);
        let client = fields.iter().fold(client, |client, (name, value)| client.field(name, value));
        let (head, body) = client.request(method, "from a page").await;
        (head.status(), body)
    };
    for (host, fields) in [
        ("localhost", &[("Origin", "http://evil.example")][..]),
        ("localhost", &[("Origin", "null")]),
        ("localhost", &[("Origin", "http://localhost:1")]),
        ("localhost", &[("Sec-Fetch-Site", "cross-site")]),
        ("localhost", &[("Sec-Fetch-Site", "same-site")]),
        ("api.example.com", &[("Origin", "http://evil.example")]),
        ("evil.example", &[]),
        ("evil.example", &[("Origin", "http://evil.example"), ("Sec-Fetch-Site", "same-origin")]),
        ("127.0.0.3.nip.io", &[]),
    ] {
        for (method, path) in [
            ("POST", "/v1/push?all=true"),
            ("GET", "/v1/sessions"),
            ("GET", "/v1/events"),
            ("DELETE", "/v1/sessions?all=true"),
        ] {
            let (status, told) = asked(host, method, path, fields).await;
            let told: Value = serde_json::from_str(&told).unwrap();
            assert_eq!(status, 403, "{host} {fields:?} {method} {path}: {told}");
            assert!(told["error"].is_string(), "{told}");
        }
    }
    let evil = [("Origin", "http://evil.example")];
    let (status, told) = asked("localhost", "POST", "/@connections/x", &evil).await;
    assert!(status == 403 && told.contains("\"message\""), "{told}");
    let mut pushed = 0;
    for (host, fields) in [
        ("localhost", &[][..]),
        ("tidegate", &[]),
        (&*by_address, &[("Origin", &*own), ("Sec-Fetch-Site", "same-origin")]),
        (&*by_address, &[("Sec-Fetch-Site", "none")]),
        ("api.example.com", &[]),
        ("api.example.com", &[("Origin", "http://api.example.com")]),
    ] {
        let (status, told) = asked(host, "POST", "/v1/push?all=true", fields).await;
        assert_eq!(status, 200, "{host} {fields:?}: {told}");
        pushed += 1;
    }
    for _ in 0..pushed {
        assert_eq!(session.text().await, "from a page");
    }
    session.echo("after").await;
    drop(session);
    proxy.stop().await;
}
