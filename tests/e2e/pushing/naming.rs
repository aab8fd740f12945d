//! Whom a caller names: twice, by a route with several hosts, or one who cannot be pushed to.

use super::*;

#[tokio::test]
async fn a_session_named_twice_gets_a_message_once_and_a_route_has_all_its_hosts() {
    let backend = Backend::echo("a").await;
    let site = site(&[&backend]).table(API).route("host = [\"a.test\", \"b.test\"]\npush = {}");
    let proxy = Proxy::start(&site).await;
    let mut one = proxy.client().host("a.test").open().await;
    one.echo("here").await;
    let token = backend.head().get("tidegate-session").to_owned();
    let mut two = proxy.client().host("b.test").open().await;
    two.echo("here").await;
    let (_, listed) = ask(&proxy, "GET", &format!("/v1/sessions?session={token}"), "").await;
    let id = listed["sessions"][0]["id"].as_str().unwrap().to_owned();
    for query in [
        format!("session={id}&session={id}"),
        format!("session={token}&session={id}&session={token}"),
    ] {
        let report = push(&proxy, &query, "once").await;
        assert_eq!((&report["matched"], &report["queued"]), (&json!(1), &json!(1)), "{query}");
        let (_, listed) = ask(&proxy, "GET", &format!("/v1/sessions?{query}"), "").await;
        assert_eq!(
            (&listed["matched"], listed["sessions"].as_array().unwrap().len()),
            (&json!(1), 1)
        );
        assert_eq!(one.text().await, "once");
    }
    assert_eq!(push(&proxy, "route=all", "to both").await["queued"], 2);
    assert_eq!((one.text().await, two.text().await), ("to both".into(), "to both".into()));
    let path = format!("/v1/sessions?session={id}&session={id}");
    assert_eq!(ask(&proxy, "DELETE", &path, "").await.1["kicked"], 1);
    assert!(matches!(one.ending().await, Ending::Close(1008, _)));
    two.echo("after").await;
    drop(two);
    proxy.stop().await;
}

#[tokio::test]
async fn a_session_that_lives_is_not_gone_though_it_cannot_be_pushed_to() {
    let backend = Backend::echo("a").await;
    let api = "[listeners.internal]\naddress = \"127.0.0.3:0\"\n\
               [[routes]]\nlistener = \"internal\"\napi = { routes = \"*\", aws = true }\n";
    let site = site(&[&backend]).table(api).route("labels = { user = \"{query.user}\" }");
    let more = "[[routes]]\nname = \"pushed\"\npath = \"/pushed\"\npool = \"chat\"\npush = {}\n";
    let proxy = Proxy::start(&site.table(more)).await;
    let mut one = proxy.client().path("/?user=ada").open().await;
    one.echo("here").await;
    let (_, listed) = ask(&proxy, "GET", "/v1/sessions?label=user:ada", "").await;
    let id = listed["sessions"][0]["id"].as_str().unwrap().to_owned();
    let one_of = json!({ "to": [{ "sessions": [id] }], "text": "x" });
    for (path, body) in [
        (&*format!("/v1/push?session={id}"), "x"),
        ("/v1/push", &*one_of.to_string()),
        (&*format!("/@connections/{id}"), "x"),
    ] {
        let (status, why) = ask(&proxy, "POST", path, body).await;
        assert!(status == 400 && why.to_string().contains("`push`"), "{path}: {status} {why}");
    }
    let mut other = proxy.client().path("/pushed").open().await;
    other.echo("here").await;
    let (_, listed) = ask(&proxy, "GET", "/v1/sessions?route=pushed", "").await;
    let id = listed["sessions"][0]["id"].as_str().unwrap().to_owned();
    let but = json!({ "to": [{ "sessions": [id] }], "except": [{ "all": true }], "text": "x" });
    let (status, report) = ask(&proxy, "POST", "/v1/push", &but.to_string()).await;
    assert_eq!((status, &report["matched"]), (200, &json!(0)));
    one.echo("after").await;
    other.echo("after").await;
    drop((one, other));
    proxy.stop().await;
}
