//! Requests to the API that are wrong in form, each with its clear answer; no session notices.

use super::*;

/// Says these bytes on a connection of their own; the status, or none where it is closed.
async fn said(proxy: &Proxy, bytes: &[u8]) -> Option<u16> {
    let (head, _wire) = caller(proxy, "/").say(bytes).await;
    head.map(|head| head.status())
}

#[tokio::test]
async fn what_is_wrong_in_form_is_refused_and_what_is_odd_is_taken() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&pushed_to(site(&[&backend]), "")).await;
    let mut session = proxy.client().path("/?user=ada").open().await;
    session.echo("before").await;
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let sessions: Vec<String> = (0..1_001).map(|number| format!("{number:032x}")).collect();
    let many = json!({ "to": [{ "sessions": sessions }], "text": "x" }).to_string();
    let twice = r#"{"to":[{"labels":{"user":"eve","user":"ada"}}],"text":"x"}"#;
    let long = format!("label=user:{}", "x".repeat(129));
    let labels: Vec<String> = (0..9).map(|number| format!("label=n{number}:1")).collect();
    for (method, path, body, status) in [
        ("POST", "/v1/push", &*deep, 400),
        ("POST", "/v1/push", &many, 400),
        ("POST", "/v1/push", "", 400),
        ("POST", "/v1/push", "null", 400),
        ("POST", "/v1/push", "[[{\"all\":true}],[],\"x\"]", 400),
        ("POST", "/v1/push", "{\"to\":[{\"all\":true}],\"text\":null}", 400),
        ("POST", "/v1/push", "{\"to\":[{\"all\":1}],\"text\":\"x\"}", 400),
        ("POST", "/v1/push", "{\"to\":{\"all\":true},\"text\":\"x\"}", 400),
        ("POST", "/v1/push", "{\"to\":[{\"all\":true}],\"text\":\"\\ud800\"}", 400),
        ("POST", "/v1/push", "{\"to\":[{\"all\":true}],\"text\":\"x\"} trailing", 400),
        ("POST", "/v1/push", "{\"to\":[{\"all\":true}],\"text\":\"x\",\"wait\":\"READ\"}", 400),
        ("POST", "/v1/push", "{\"to\":[{\"all\":true}],\"base64\":\"AA=A\"}", 400),
        ("POST", "/v1/push?all=true&as=json", "x", 400),
        ("POST", "/v1/push?all=true&timeout=-1s", "x", 400),
        ("POST", "/v1/push?label=%00:1", "x", 400),
        ("POST", "/v1/push?label=%C3%28:1", "x", 400),
        ("POST", "/v1/push?session=%20", "x", 400),
        ("POST", &format!("/v1/push?{long}"), "x", 400),
        ("POST", &format!("/v1/push?{}", labels.join("&")), "x", 400),
        ("GET", "/v1/sessions?limit=-1", "", 400),
        ("GET", "/v1/sessions?limit=10001", "", 400),
        ("GET", "/v1/sessions?limit=1e3", "", 400),
        ("GET", "/v1/sessions/%2e%2e", "", 400),
        ("DELETE", "/v1/sessions?label=user:ada&code=999", "", 400),
        ("DELETE", "/v1/sessions?label=user:ada&code=5000", "", 400),
        ("DELETE", "/v1/sessions?label=user:ada&code=4000x", "", 400),
        ("PATCH", "/v1/sessions/x", "{}", 400),
        // What is ignored, or of which one counts, would be for more sessions than are meant.
        ("POST", "/v1/push?label=user:ada&label=user:bob", "x", 400),
        ("POST", "/v1/push?route=none&route=all", "x", 400),
        ("POST", "/v1/push?all=false&all=true", "x", 400),
        ("POST", "/v1/push?all=true&except=user:ada", "x", 400),
        ("POST", "/v1/push?lable=user:ada", "{\"to\":[{\"all\":true}],\"text\":\"x\"}", 400),
        ("POST", "/v1/push?wait=read", "{\"to\":[{\"all\":true}],\"text\":\"x\"}", 400),
        ("POST", "/v1/push", twice, 400),
        ("POST", "/v1/push", "{\"to\":[{\"all\":true}],\"text\":\"x\",\"text\":\"y\"}", 400),
        ("POST", "/v1/push", "{\"to\":[[[],{},null,true]],\"text\":\"x\"}", 400),
        ("DELETE", "/v1/sessions?label=user:ada&rout=none", "", 400),
        ("DELETE", "/v1/sessions?label=user:ada&label=user:bob", "", 400),
        ("DELETE", "/v1/sessions?label=user:ada&code=4000&code=4001", "", 400),
        ("GET", "/v1/count?lable=user:ada", "", 400),
        ("GET", "/v1/events?lable=user:ada", "", 400),
        ("HEAD", "/v1/count", "", 405),
        ("OPTIONS", "/v1/push", "", 405),
        ("TRACE", "/v1/push", "", 405),
        ("PUT", "/v1/sessions", "", 405),
        // What names nobody that lives is no mistake.
        ("POST", "/v1/push?route=none", "x", 200),
        ("POST", "/v1/push?label=user:%C3%A9", "x", 200),
        ("GET", "/v1/count?all=true&route=all&label=user:ada", "", 200),
    ] {
        let bytes =
            caller(&proxy, path).head(method, &[("Content-Length", &body.len().to_string())]);
        let told = said(&proxy, format!("{bytes}{body}").as_bytes()).await;
        assert_eq!(told, Some(status), "{method} {path}: {}", &body[..body.len().min(80)]);
    }
    session.echo("after").await;
    drop(session);
    proxy.stop().await;
}

#[tokio::test]
async fn a_body_may_come_in_pieces_or_late_and_one_that_never_comes_whole_is_no_message() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&pushed_to(site(&[&backend]), "")).await;
    let mut session = proxy.client().path("/?user=ada").open().await;
    session.echo("before").await;
    let head = "POST /v1/push?label=user:ada HTTP/1.1\r\nHost: a\r\n";
    let pieces =
        format!("{head}Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n4\r\n two\r\n0\r\n\r\n");
    assert_eq!(said(&proxy, pieces.as_bytes()).await, Some(200));
    assert_eq!(session.text().await, "one two");
    let expecting = format!("{head}Content-Length: 5\r\nExpect: 100-continue\r\n\r\nthree");
    assert!(matches!(said(&proxy, expecting.as_bytes()).await, Some(100 | 200)));
    assert_eq!(session.text().await, "three");
    let mut wire = caller(&proxy, "/").connect().await.unwrap();
    wire.write_all(format!("{head}Content-Length: 9\r\n\r\nhalf").as_bytes()).await.unwrap();
    drop(wire);
    // Control characters and a text of no bytes are text.
    for text in ["", "\0\u{1}\u{7f}", "\u{feff}\u{fffe}"] {
        let report = push(&proxy, "label=user:ada", text).await;
        assert_eq!(report["queued"], 1, "{report}");
        assert_eq!(session.text().await, text);
    }
    session.echo("after").await;
    drop(session);
    proxy.stop().await;
}
