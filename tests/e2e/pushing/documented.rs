//! The API beside its document.

use std::collections::BTreeSet;

use super::*;

/// As `tidegate openapi` prints it, which a unit test keeps.
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/openapi.json");

/// As [`API`], with the paths of API Gateway.
pub(super) fn with_aws() -> String {
    API.replace("routes = \"all\"", "routes = \"all\", aws = true")
}

/// The keys of an object.
fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
}

/// What the document says of answers of this kind.
fn documented<'a>(document: &'a Value, schema: &str) -> (BTreeSet<&'a str>, BTreeSet<&'a str>) {
    let schema = &document["components"]["schemas"][schema];
    let required = schema["required"].as_array().unwrap();
    (keys(&schema["properties"]), required.iter().map(|name| name.as_str().unwrap()).collect())
}

#[tokio::test]
async fn what_is_documented_is_what_is_answered() {
    let backend = Backend::echo("a").await;
    let site = site(&[&backend]).table(&with_aws());
    let site = site.route("labels = { user = \"{query.user}\" }\npush = {}");
    let proxy = Proxy::start(&site).await;
    let mut session = proxy.client().path("/?user=ada").open().await;
    session.echo("here").await;
    let (_, listed) = ask(&proxy, "GET", "/v1/sessions", "").await;
    let id = listed["sessions"][0]["id"].as_str().unwrap().to_owned();
    let document: Value =
        serde_json::from_str(&std::fs::read_to_string(DOCUMENT).unwrap()).unwrap();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let is_documented = operations.get(method.to_lowercase()).is_some();
            // A query that no operation takes: nothing is done.
            let path = path.replace("{session}", "x") + "?session=x";
            let (head, _) = match (path.starts_with("/v1/events"), method) {
                (_, "HEAD") => continue,
                _ => caller(&proxy, &path).request(method, "").await,
            };
            let allowed = !matches!(head.status(), 404 | 405);
            assert_eq!(allowed, is_documented, "{method} {path}: {head:?}");
            if head.status() == 405 {
                let allow: BTreeSet<&str> = head.get("allow").split(", ").collect();
                let named = keys(operations);
                assert_eq!(allow.len(), named.len(), "{path}: {allow:?}");
            } else {
                // Wrong, as the document says that it may be.
                let status = head.status().to_string();
                let responses = &operations[method.to_lowercase()]["responses"];
                assert!(responses.get(&status).is_some(), "{method} {path}: {status}");
            }
        }
    }
    for path in ["/v1", "/v1/", "/v1/pushes", "/v1/sessions/", "/v2/push", "/@connections"] {
        assert_eq!(ask(&proxy, "GET", path, "").await.0, 404, "{path}");
    }
    let by_id = format!("/v1/sessions/{id}");
    let session_path = format!("/@connections/{id}");
    for (method, path, body, schema) in [
        ("POST", "/v1/push?all=true", "hello", "PushReport"),
        ("GET", "/v1/sessions", "", "SessionList"),
        ("GET", &by_id, "", "Session"),
        ("GET", "/v1/count", "", "Count"),
        ("DELETE", "/v1/sessions?label=user:bob", "", "Kicked"),
        ("PATCH", &by_id, "{\"labels\":{\"seat\":\"7\"}}", "Session"),
        ("GET", &session_path, "", "Connection"),
        ("GET", "/v1/count?label=x", "", "Error"),
        ("GET", "/@connections/x", "", "GatewayError"),
        ("DELETE", &by_id, "", "Kicked"),
    ] {
        let (status, answer) = ask(&proxy, method, path, body).await;
        let (known, required) = documented(&document, schema);
        let told = keys(&answer);
        assert!(told.is_subset(&known), "{method} {path}: {status} {answer}, {schema}: {known:?}");
        assert!(required.is_subset(&told), "{method} {path}: {answer}, {schema}: {required:?}");
    }
    assert_eq!(session.text().await, "hello");
    drop(session);
    proxy.stop().await;
}
