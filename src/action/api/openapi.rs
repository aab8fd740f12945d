//! The API as an OpenAPI document, from the table by which requests are answered.
//!
//! <https://spec.openapis.org/oas/v3.1.0>

use serde_json::{Map, Value, json};

use super::operations::{OPERATIONS, Operation, OperationKind};
use super::schemas::{reference, schemas};

const VERSION: &str = env!("CARGO_PKG_VERSION");

const ABOUT: &str = "Live sessions of tidegate: send them messages, list, count, follow, change \
                     and end them. Paths stand below the path of the route with `api`; what it \
                     lets be asked says `api.may`, and who may ask its `access`.";

/// The document, in JSON.
pub fn openapi_json() -> String {
    let mut paths = Map::new();
    for operation in &OPERATIONS {
        let method = operation.method.as_str().to_lowercase();
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[method] = describe(operation);
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "tidegate",
            "version": VERSION,
            "description": ABOUT,
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": "http://127.0.0.1:8081", "description": "a route with `api`" }],
        "paths": paths,
        "components": { "schemas": schemas() },
    });
    // cannot fail: strings, lists and objects with string keys.
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

fn describe(operation: &Operation) -> Value {
    let (id, summary) = words(operation.kind);
    let tag = match operation.kind.is_aws() {
        true => "API Gateway, where the route has `aws`",
        false => "sessions",
    };
    let mut described = json!({
        "operationId": id,
        "summary": summary,
        "tags": [tag],
        "responses": responses(operation.kind),
    });
    if let Some(right) = operation.right {
        let right = json!(right);
        let right = right.as_str().unwrap_or_default();
        described["description"] = format!("Needs `{right}` in `api.may`.").into();
    }
    let parameters = parameters(operation.kind);
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    if let Some(body) = body(operation.kind) {
        described["requestBody"] = body;
    }
    described
}

/// What an operation is called by programs, and what it does.
fn words(kind: OperationKind) -> (&'static str, &'static str) {
    match kind {
        OperationKind::Push => ("push", "Send a message to sessions"),
        OperationKind::List => ("listSessions", "List sessions, the oldest first"),
        OperationKind::Kick => ("endSessions", "End sessions, each with a Close"),
        OperationKind::ShowOne => ("showSession", "Show one session"),
        OperationKind::PatchOne => {
            ("changeSession", "Change labels (`label`), or when the session ends (`kick`)")
        }
        OperationKind::KickOne => ("endSession", "End one session with a Close"),
        OperationKind::Count => ("countSessions", "Count sessions"),
        OperationKind::Follow => ("followEvents", "Follow what becomes of sessions"),
        OperationKind::AwsPost => ("postToConnection", "Send one session a message"),
        OperationKind::AwsGet => ("getConnection", "Show one session"),
        OperationKind::AwsDelete => ("deleteConnection", "End one session"),
    }
}

fn query(name: &str, about: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "description": about, "schema": schema })
}

/// By which sessions are chosen.
fn targets() -> Vec<Value> {
    let text = json!({ "type": "string" });
    let several = json!({ "type": "array", "items": text });
    vec![
        query("label", "NAME:VALUE; several: sessions with each of them", &several),
        query("session", "an id or a token; several: any of these", &several),
        query("route", "the name of a route", &text),
        query("all", "every session that the route covers", &json!({ "type": "boolean" })),
    ]
}

fn parameters(kind: OperationKind) -> Vec<Value> {
    let text = json!({ "type": "string" });
    let one = json!({
        "name": "session", "in": "path", "required": true, "schema": text,
        "description": "an id, as the log shows it, or the token of `Tidegate-Session`",
    });
    let code = query(
        "code",
        "close code (RFC 6455 §7.4)",
        &json!({ "type": "integer", "minimum": 1000, "maximum": 4999 }),
    );
    let reason = query("reason", "what the Close says beside it, 123 bytes at most", &text);
    let mut parameters = match kind {
        OperationKind::Push | OperationKind::List | OperationKind::Kick => targets(),
        OperationKind::Count | OperationKind::Follow => targets(),
        _ => vec![one],
    };
    match kind {
        OperationKind::Push => parameters.extend([
            query("as", "what the body is", &json!({ "enum": ["text", "binary"] })),
            query("wait", "what is waited for", &reference("Wait")),
            query("timeout", "how long, as in `5s`, `60s` at most", &text),
        ]),
        OperationKind::List => parameters.push(query(
            "limit",
            "how many at most",
            &json!({ "type": "integer", "minimum": 0, "maximum": 10_000, "default": 100 }),
        )),
        OperationKind::Kick | OperationKind::KickOne => parameters.extend([code, reason]),
        OperationKind::Follow => parameters.push(json!({
            "name": "Last-Event-ID", "in": "header", "schema": text,
            "description": "go on behind this event",
        })),
        _ => {}
    }
    parameters
}

fn body(kind: OperationKind) -> Option<Value> {
    let bytes = json!({ "application/octet-stream": {} });
    let content = match kind {
        OperationKind::Push => json!({
            "application/json": { "schema": reference("PushRequest") },
            "text/plain": { "schema": { "type": "string" } },
            "application/octet-stream": {},
        }),
        OperationKind::PatchOne => {
            json!({ "application/json": { "schema": reference("SessionPatch") } })
        }
        OperationKind::AwsPost => bytes,
        _ => return None,
    };
    let mut body = json!({ "required": true, "content": content });
    if kind == OperationKind::Push {
        body["description"] = "With a target in the query the message itself, else `PushRequest`; \
                               what `Content-Type` says counts for the message only."
            .into();
    }
    Some(body)
}

fn told(about: &str, schema: &str) -> Value {
    let content = json!({ "application/json": { "schema": reference(schema) } });
    json!({ "description": about, "content": content })
}

fn responses(kind: OperationKind) -> Value {
    let (status, done) = match kind {
        OperationKind::Push => ("200", told("what became of it", "PushReport")),
        OperationKind::List => ("200", told("sessions", "SessionList")),
        OperationKind::Kick | OperationKind::KickOne => ("200", told("how many", "Kicked")),
        OperationKind::ShowOne => ("200", told("the session", "Session")),
        OperationKind::PatchOne => ("200", told("the session as it is now", "PatchedSession")),
        OperationKind::Count => ("200", told("how many", "Count")),
        OperationKind::Follow => {
            let stream = json!({ "text/event-stream": { "schema": { "type": "string" } } });
            ("200", json!({ "description": "events, each with an `Event`", "content": stream }))
        }
        OperationKind::AwsPost => ("200", json!({ "description": "it is on its way" })),
        OperationKind::AwsGet => ("200", told("the session", "Connection")),
        OperationKind::AwsDelete => ("204", json!({ "description": "it ends" })),
    };
    let error = if kind.is_aws() { "GatewayError" } else { "Error" };
    let mut responses = json!({
        status: done,
        "400": told("the request is wrong", error),
        "403": told("`api.may` does not have it", error),
        "503": told("full, replaced, or an older process does not answer: try again", error),
    });
    let is_one = |kind| {
        matches!(kind, OperationKind::ShowOne | OperationKind::PatchOne | OperationKind::KickOne)
    };
    if is_one(kind) || kind.is_aws() {
        responses["410"] = told("no such session lives", error);
    }
    if kind == OperationKind::Push {
        responses["410"] = told("none of the sessions named lives", "PushReport");
    }
    if matches!(kind, OperationKind::Push | OperationKind::PatchOne | OperationKind::AwsPost) {
        responses["413"] = told("the body is too long", error);
    }
    if kind == OperationKind::AwsPost {
        responses["429"] = told("as much is on its way to the client as may be", error);
    }
    responses
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `$ref` in a document.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn the_committed_document_is_the_one_that_is_printed() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/openapi.json");
        if std::env::var_os("TIDEGATE_BLESS").is_some() {
            std::fs::write(&path, openapi_json()).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == openapi_json(),
            "config/openapi.json differs: TIDEGATE_BLESS=1 prints it anew"
        );
    }

    #[test]
    fn the_document_has_every_operation_and_no_reference_to_nothing() {
        let document: Value = serde_json::from_str(&openapi_json()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let count: usize = paths.values().map(|path| path.as_object().unwrap().len()).sum();
        assert_eq!(count, OPERATIONS.len());
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 20, "{found:?}");
        for reference in &found {
            let at = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(at).is_some(), "{reference}");
        }
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for name in schemas.keys().filter(|name| *name != "Event") {
            let at = format!("#/components/schemas/{name}");
            assert!(found.contains(&at), "nothing names {name}");
        }
    }
}
