//! What requests to the API and answers are made of, as JSON Schemas.

use serde_json::{Value, json};

/// The schema of this name.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Of an answer: what may be in it, and what always is.
fn object(properties: &Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required })
}

/// Of a request: what is not known is refused.
fn asked(properties: &Value) -> Value {
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn list(of: &Value) -> Value {
    json!({ "type": "array", "items": of })
}

/// All of them, by name.
pub(super) fn schemas() -> Value {
    let (text, count) = (json!({ "type": "string" }), json!({ "type": "integer", "minimum": 0 }));
    let maybe_text = json!({ "type": ["string", "null"] });
    let labels = json!({ "type": "object", "additionalProperties": text });
    let second = json!({ "type": "integer", "minimum": 0, "description": "seconds since 1970" });
    json!({
        "Targets": asked(&json!({
            "sessions": list(&text), "labels": labels, "route": text, "all": { "type": "boolean" },
        })),
        "Wait": { "enum": ["queued", "written", "read"], "default": "queued" },
        "PushRequest": asked(&json!({
            "to": list(&reference("Targets")), "except": list(&reference("Targets")),
            "text": text, "base64": text, "wait": reference("Wait"), "timeout": text,
            "dry_run": { "type": "boolean" },
        })),
        "PushReport": push_report(&count),
        "Instances": object(
            &json!({
                "asked": count, "answered": count, "missing": list(&reference("MissingInstance")),
            }),
            &["asked", "answered", "missing"],
        ),
        "MissingInstance": object(
            &json!({ "pid": count, "sessions": count, "why": text }),
            &["pid", "why"],
        ),
        "Session": session(&text, &maybe_text, &labels),
        "SessionList": object(
            &json!({
                "matched": count, "sessions": list(&reference("Session")),
                "instances": reference("Instances"),
            }),
            &["matched", "sessions", "instances"],
        ),
        "Count": object(
            &json!({ "matched": count, "instances": reference("Instances") }),
            &["matched", "instances"],
        ),
        "Kicked": object(
            &json!({ "kicked": count, "instances": reference("Instances") }),
            &["kicked"],
        ),
        "SessionPatch": asked(&json!({
            "labels": { "type": "object", "additionalProperties": maybe_text },
            "expires": second,
        })),
        "PatchedSession": {
            "allOf": [reference("Session"), { "properties": { "expires": second } }],
        },
        "Event": object(
            &json!({
                "session": text, "client": maybe_text, "route": text, "pool": text,
                "backend": text, "labels": labels, "end": text,
            }),
            &["session", "client", "route", "pool", "backend", "labels"],
        ),
        "Connection": connection(&text, &maybe_text),
        "Error": object(&json!({ "error": text }), &["error"]),
        "GatewayError": object(&json!({ "message": text }), &["message"]),
    })
}

fn push_report(count: &Value) -> Value {
    let counts = ["matched", "queued", "full", "refused", "gone", "late", "written", "read"];
    let mut properties: serde_json::Map<_, _> =
        counts.iter().map(|name| ((*name).to_owned(), count.clone())).collect();
    properties.insert("instances".to_owned(), reference("Instances"));
    let required: Vec<&str> = counts.into_iter().chain(["instances"]).collect();
    object(&properties.into(), &required)
}

fn session(text: &Value, maybe_text: &Value, labels: &Value) -> Value {
    let seconds = json!({ "type": "number", "minimum": 0 });
    let properties = json!({
        "id": text, "client": maybe_text, "listener": text, "route": text, "pool": text,
        "backend": text, "age_seconds": seconds, "leaving": maybe_text, "labels": labels,
    });
    let required: Vec<&str> =
        properties.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    object(&properties, &required)
}

fn connection(text: &Value, maybe_text: &Value) -> Value {
    let time = json!({ "type": "string", "format": "date-time" });
    let identity =
        object(&json!({ "sourceIp": maybe_text, "userAgent": text }), &["sourceIp", "userAgent"]);
    object(
        &json!({ "connectedAt": time, "lastActiveAt": time, "identity": identity }),
        &["connectedAt", "lastActiveAt", "identity"],
    )
}
