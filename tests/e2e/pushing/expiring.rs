//! Sessions whose end a caller of the API changes.

use crate::access::tokens::{guarded, now, token};

use super::*;

/// A session whose token is good for so long, where the rule is this, and its path in the API.
async fn begun(proxy: &Proxy, seconds: f64) -> (Session, String) {
    let client = proxy.client().path("/?user=ada");
    let mut session =
        client.field("Authorization", &format!("Bearer {}", token(seconds))).open().await;
    session.echo("before").await;
    let (_, listed) = ask(proxy, "GET", "/v1/sessions?label=user:ada", "").await;
    let rows = listed["sessions"].as_array().unwrap();
    // The newest is the last.
    (session, format!("/v1/sessions/{}", rows.last().unwrap()["id"].as_str().unwrap()))
}

async fn expire(proxy: &Proxy, path: &str, second: u64) -> u64 {
    let patch = json!({ "expires": second }).to_string();
    let (status, answer) = ask(proxy, "PATCH", path, &patch).await;
    assert_eq!(status, 200, "{answer}");
    answer["expires"].as_u64().unwrap()
}

#[tokio::test]
async fn a_caller_has_a_session_end_sooner_and_later_as_far_as_its_rule_lets_it() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    for (rule, least, most) in [("", 2, 4), ("session = { extend_max = \"1h\" }", 60, 60)] {
        let site = guarded(pushed_to(site(&backends.each_ref()), ""), rule);
        let proxy = Proxy::start(&site).await;
        let (put_off, path) = begun(&proxy, 3.0).await;
        let begun_at = now() as u64;
        let told = expire(&proxy, &path, begun_at + 60).await - begun_at;
        assert!((least..=most).contains(&told), "{rule}: {told}");
        let far = expire(&proxy, &path, begun_at + 10_000_000).await - begun_at;
        let most = if rule.is_empty() { most } else { 3_605 };
        assert!((least..=most).contains(&far), "{rule}: {far}");
        // Two seconds on, which is sooner.
        let told = expire(&proxy, &path, now() as u64 + 2).await;
        let ending = put_off.ending().await;
        assert_eq!(ending, Ending::Close(4403, "expired".into()), "{rule}");
        assert!(now() > told as f64 - 1.5, "{rule}");
        until("it is gone", || proxy.sessions() == 0).await;
        let patch = json!({ "expires": told }).to_string();
        assert_eq!(ask(&proxy, "PATCH", &path, &patch).await.0, 410);
        proxy.stop().await;
    }
}

#[tokio::test]
async fn a_session_without_an_end_gets_one_and_what_is_no_end_is_refused() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&pushed_to(site(&[&backend]), "")).await;
    let (session, path) = begun(&proxy, 3.0).await;
    let far = now() as u64 + 1_000;
    assert_eq!(expire(&proxy, &path, far).await, far);
    for wrong in ["null", "-1", "1.5", "\"soon\"", "1790000000000", "[]", "{}", "true"] {
        let body = format!("{{\"expires\":{wrong},\"labels\":{{\"seat\":\"7\"}}}}");
        let (status, why) = ask(&proxy, "PATCH", &path, &body).await;
        assert_eq!(status, 400, "{wrong}: {why}");
        assert!(why["error"].as_str().unwrap().contains("`expires`"), "{wrong}: {why}");
    }
    for wrong in ["", "[]", "7", "{\"expire\":7}", "{\"expires\":7,\"expires\":8}"] {
        assert_eq!(ask(&proxy, "PATCH", &path, wrong).await.0, 400, "{wrong}");
    }
    // A wrong label, and so not this end either.
    let body = json!({ "expires": 0, "labels": { "a b": "7" } }).to_string();
    assert_eq!(ask(&proxy, "PATCH", &path, &body).await.0, 400);
    let body = json!({ "expires": far + 1, "labels": { "seat": "7" } }).to_string();
    let (status, patched) = ask(&proxy, "PATCH", &path, &body).await;
    let labels = json!({ "user": "ada", "seat": "7" });
    assert_eq!((status, &patched["labels"]), (200, &labels), "{patched}");
    // Many at once: each is told an end, or that there are too many.
    let mut asked = tokio::task::JoinSet::new();
    for number in 0..40 {
        let (caller, patch) = (caller(&proxy, &path), json!({ "expires": far + number }));
        asked.spawn(async move { caller.request("PATCH", &patch.to_string()).await.0.status() });
    }
    let told = asked.join_all().await;
    assert!(told.iter().all(|status| matches!(status, 200 | 503)), "{told:?}");
    // Past: at once.
    expire(&proxy, &path, 0).await;
    assert_eq!(session.ending().await, Ending::Close(4403, "expired".into()));
    proxy.stop().await;
}

#[tokio::test]
async fn to_end_a_session_is_another_right_than_to_label_it() {
    let backend = Backend::echo("a").await;
    for (may, ends, labels) in [("label", 403, 200), ("kick", 200, 403)] {
        let may_list = format!("routes = \"all\", may = [\"list\", \"{may}\"]");
        let site = site(&[&backend]).table(&API.replace("routes = \"all\"", &may_list));
        let site = site.route("labels = { user = \"{query.user}\" }\npush = {}");
        let proxy = Proxy::start(&site).await;
        let (session, path) = begun(&proxy, 3.0).await;
        let later = json!({ "expires": now() as u64 + 1_000 }).to_string();
        assert_eq!(ask(&proxy, "PATCH", &path, &later).await.0, ends, "{may}");
        assert_eq!(ask(&proxy, "PATCH", &path, "{\"labels\":{\"a\":\"1\"}}").await.0, labels);
        let both = json!({ "expires": now() as u64 + 1_000, "labels": { "a": "1" } });
        assert_eq!(ask(&proxy, "PATCH", &path, &both.to_string()).await.0, 403, "{may}");
        drop(session);
        proxy.stop().await;
    }
}
