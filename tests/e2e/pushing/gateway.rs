//! Single sessions by `/@connections/ID`, as programs for Amazon's API Gateway reach them.

use super::documented::with_aws;
use super::*;

/// Status, the error's name and the body.
async fn connection(proxy: &Proxy, method: &str, id: &str, body: &str) -> (u16, String, String) {
    let path = format!("/@connections/{id}");
    let (head, body) = caller(proxy, &path).request(method, body).await;
    (head.status(), head.get("x-amzn-errortype").to_owned(), body)
}

#[tokio::test]
async fn a_connection_is_posted_to_shown_and_deleted_by_its_token_or_id() {
    let backend = Backend::echo("a").await;
    let site = site(&[&backend]).table(&with_aws()).route("push = {}");
    let proxy = Proxy::start(&site).await;
    let mut session = proxy.client().open().await;
    session.echo("here").await;
    let token = backend.head().get("tidegate-session").to_owned();
    let (_, listed) = ask(&proxy, "GET", "/v1/sessions", "").await;
    let id = listed["sessions"][0]["id"].as_str().unwrap().to_owned();
    let none = (200, String::new(), String::new());
    assert_eq!(connection(&proxy, "POST", &token, "by token").await, none);
    assert_eq!(connection(&proxy, "POST", &id, "by id").await, none);
    assert_eq!((session.text().await, session.text().await), ("by token".into(), "by id".into()));
    let bytes = format!("POST /@connections/{id} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n");
    let bytes = [bytes.as_bytes(), b"\xc3("].concat();
    let (head, _wire) = caller(&proxy, "/").say(&bytes).await;
    assert_eq!(head.unwrap().status(), 200);
    assert_eq!(session.next().await.unwrap(), Message::binary(&b"\xc3("[..]));

    let (status, _, told) = connection(&proxy, "GET", &token, "").await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((status, &told["identity"]["sourceIp"]), (200, &json!("127.0.0.1")), "{told}");
    for time in ["connectedAt", "lastActiveAt"] {
        let time = told[time].as_str().unwrap();
        assert!(time.len() == 20 && time.ends_with('Z') && time.contains('T'), "{told}");
    }
    // An answer without a body.
    let deletes = caller(&proxy, &format!("/@connections/{token}"));
    let (head, _wire) = deletes.say(deletes.head("DELETE", &[]).as_bytes()).await;
    assert_eq!(head.unwrap().status(), 204);
    assert!(matches!(session.ending().await, Ending::Close(1008, _)));
    until("it is gone", || proxy.sessions() == 0).await;
    for method in ["POST", "GET", "DELETE"] {
        let (status, name, body) = connection(&proxy, method, &token, "").await;
        assert_eq!((status, name.as_str()), (410, "GoneException"), "{method}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert!(body["message"].is_string(), "{body}");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn what_a_connection_cannot_have_has_the_name_that_clients_know() {
    let backend = Backend::echo("a").await;
    let keys =
        "push = { message_bytes_max = \"1KiB\", queue_messages_max = 1, wait_max = \"60s\" }";
    let proxy = Proxy::start(&site(&[&backend]).table(&with_aws()).route(keys)).await;
    let session = proxy.client().open().await;
    until("a session", || proxy.sessions() == 1).await;
    let token = backend.head().get("tidegate-session").to_owned();
    let long = "x".repeat(1025);
    for (method, id, body, status, name) in [
        ("POST", &*token, &*long, 413, "PayloadTooLargeException"),
        ("POST", "no-id", "x", 400, "BadRequestException"),
        ("PUT", &token, "x", 405, "MethodNotAllowedException"),
        ("POST", &"0".repeat(32), "x", 410, "GoneException"),
    ] {
        let (told, named, body) = connection(&proxy, method, id, body).await;
        assert_eq!((told, named.as_str()), (status, name), "{method} {id}: {body}");
    }
    drop(session);
    proxy.stop().await;
    // Not where it is not asked for, and no more than the route lets be asked.
    let routes = "routes = \"all\", aws = true, may = \"list\"";
    let listing = API.replace("routes = \"all\"", routes);
    for (api, status, name) in [(API, 404, ""), (&*listing, 403, "ForbiddenException")] {
        let proxy = Proxy::start(&site(&[&backend]).table(api).route("push = {}")).await;
        let (told, named, _) = connection(&proxy, "POST", &token, "x").await;
        assert_eq!((told, named.as_str()), (status, name));
        proxy.stop().await;
    }
}

#[tokio::test]
async fn a_connection_whose_client_does_not_read_is_over_its_limit() {
    let backend = Backend::echo("a").await;
    let keys = "push = { message_bytes_max = \"64KiB\", queue_messages_max = 4 }";
    let proxy = Proxy::start(&site(&[&backend]).table(&with_aws()).route(keys)).await;
    let frozen = proxy.client().open().await;
    until("a session", || proxy.sessions() == 1).await;
    let token = backend.head().get("tidegate-session").to_owned();
    let message = "x".repeat(60_000);
    let filling = async {
        loop {
            let (status, name, _) = connection(&proxy, "POST", &token, &message).await;
            if status != 200 {
                return (status, name);
            }
        }
    };
    let full = within("a full queue", filling).await;
    assert_eq!(full, (429, "LimitExceededException".to_owned()));
    drop(frozen);
    proxy.stop().await;
}
