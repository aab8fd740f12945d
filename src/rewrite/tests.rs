use super::*;

use std::sync::Arc;

use http::Method;
use http::header::{HOST, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;

use crate::config::plan::FieldChanges;
use crate::wire::forwarded::Hop;

static VIA: HeaderValue = HeaderValue::from_static("1.1 us");

static ID: HeaderValue = HeaderValue::from_static("ours");

const HOP: Hop<'static> = Hop {
    peer: None,
    client: None,
    proto: "http",
    host: Some("example.com"),
    port: 80,
    prefix: "",
};

/// A handshake's head on its way upstream, by a route that changes nothing.
pub(crate) fn outbound(head: Parts) -> Outbound {
    let target = head.uri.path_and_query().cloned().unwrap();
    let host = head.headers.get(HOST).cloned();
    // The fields of hops are not what these tests are about.
    let changes = &unchanged();
    let host = host.as_ref();
    let via = &VIA;
    let passage = FieldFilter {
        hop: HOP,
        is_trusted: false,
        host,
        via,
        request_id: &ID,
        is_handshake: true,
        changes,
        trailers: &Arc::default(),
    };
    Outbound::new(head.method, target, head.headers, &passage)
}

fn told() -> Vec<HeaderName> {
    let hops = ["forwarded", "via", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"];
    hops.into_iter().chain(["x-request-id"]).map(HeaderName::from_static).collect()
}

/// What goes upstream of these fields, a line each.
fn passed(fields: &[(&str, &str)], is_handshake: bool, changes: &FieldChanges) -> Vec<String> {
    let field = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
    };
    let host = HeaderValue::from_static("backend.example");
    let passage = FieldFilter {
        hop: HOP,
        is_trusted: false,
        host: Some(&host),
        via: &VIA,
        request_id: &ID,
        is_handshake,
        changes,
        trailers: &[HeaderName::from_static("x-sum")].into(),
    };
    let target = PathAndQuery::from_static("/");
    let headers = fields.iter().map(field).collect();
    let outbound = Outbound::new(Method::GET, target, headers, &passage);
    let line =
        |(name, value): &(HeaderName, HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
    outbound.fields().iter().map(line).collect()
}

fn unchanged() -> FieldChanges {
    FieldChanges { remove: told(), ..FieldChanges::default() }
}

#[test]
fn what_is_for_one_hop_ends_and_the_rest_goes_on_in_order_behind_host() {
    let fields = [
        ("x-one", "1"),
        ("connection", "X-Mine, keep-alive"),
        ("x-mine", "1"),
        ("keep-alive", "timeout=5"),
        ("host", "client.example"),
        ("te", "trailers, deflate"),
        ("trailer", "x-sum, x-other"),
        ("transfer-encoding", "chunked"),
        ("tidegate-session", "forged"),
        ("expect", "100-continue"),
        ("x-one", "2"),
        ("cookie", "a"),
        ("x-real-ip", "1.1.1.1"),
        ("x-forwarded-for", "1.1.1.1"),
        ("sec-websocket-key", "x"),
    ];
    let passed = passed(&fields, false, &unchanged());
    let expected = [
        "host: backend.example",
        "x-one: 1",
        "x-one: 2",
        "cookie: a",
        "sec-websocket-key: x",
        "trailer: x-sum",
        "te: trailers",
        "connection: TE",
    ];
    assert_eq!(passed, expected);
}

#[test]
fn a_handshakes_own_fields_and_its_length_are_made_anew() {
    let fields = [
        ("sec-websocket-key", "x"),
        ("sec-websocket-accept", "planted"),
        ("sec-websocket-protocol", "chat"),
        ("content-length", "0"),
        ("origin", "null"),
    ];
    let passed = passed(&fields, true, &unchanged());
    assert_eq!(passed, ["host: backend.example", "origin: null"]);
}

#[test]
fn a_routes_changes_have_the_last_word_and_connection_cannot_name_them() {
    let changes = FieldChanges {
        set: vec![
            (HOST, HeaderValue::from_static("set.example")),
            (HeaderName::from_static("x-set"), HeaderValue::from_static("1")),
            (HeaderName::from_static("x-set"), HeaderValue::from_static("2")),
        ],
        add: vec![(HeaderName::from_static("x"), HeaderValue::from_static("z"))],
        remove: [told(), vec![HeaderName::from_static("cookie")]].concat(),
    };
    let fields = [
        ("connection", "x-set"),
        ("x-set", "client"),
        ("x_set", "client"),
        ("cookie", "a"),
        ("x", "y"),
    ];
    let passed = passed(&fields, false, &changes);
    assert_eq!(passed, ["x: y", "host: set.example", "x-set: 1", "x-set: 2", "x: z"]);
}

#[test]
fn a_head_is_stored_as_text_and_restored() {
    let request = http::Request::get("/chat?room=1")
        .header(HOST, "example.com")
        .header("x-two", "1")
        .header("x-two", "2: b")
        .header("x-empty", "");
    let outbound = outbound(request.body(()).unwrap().into_parts().0);
    let restored = Outbound::restore(&outbound.store()).unwrap();
    assert_eq!(restored.target(), "/chat?room=1");
    assert_eq!(restored.fields(), outbound.fields());
    assert!(Outbound::restore(b"/x\nno colon\n").is_none());
}
