use super::*;

use http::Request;
use httparse::EMPTY_HEADER;

use crate::config::plan::Resumption;
use crate::handshake::{Agreed, Replay, WsRequest};
use crate::rewrite::Outbound;
use crate::rewrite::tests::outbound;
use crate::wire::accept_key::accept_key;

const EXTENSIONS: &str = "sec-websocket-extensions";
const PROTOCOL: &str = "sec-websocket-protocol";

/// A client's head, as it goes upstream, and its handshake on a holding route.
fn asked(fields: &[(&str, &str)], swallows: bool) -> (WsRequest, Outbound) {
    let mut request = Request::get("/chat?room=1")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-version", "13")
        .header("host", "example.com");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let head = request.body(()).unwrap().into_parts().0;
    let mut asked = WsRequest::check(&head).unwrap();
    asked.hold(Token::new(), swallows, Resumption::Always);
    (asked, outbound(head))
}

/// The fields that go upstream.
fn written(asked: &mut WsRequest, head: &Outbound) -> HeaderMap {
    let text = asked.write(head);
    let mut fields = [EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut fields);
    assert!(request.parse(&text).unwrap().is_complete());
    assert_eq!(request.path, Some("/chat?room=1"));
    let field = |field: &httparse::Header<'_>| {
        (field.name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(field.value).unwrap())
    };
    request.headers.iter().map(field).collect()
}

/// What a backend's 101 to it with these fields agrees on.
fn agreed(asked: &mut WsRequest, head: &Outbound, fields: &[(&'static str, &str)]) -> Agreed {
    let accept = accept_key(&written(asked, head)["sec-websocket-key"]);
    let right =
        [("upgrade", "websocket"), ("connection", "upgrade"), ("sec-websocket-accept", &accept)];
    let field = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), value.parse().unwrap())
    };
    let answer: Vec<_> = right.iter().chain(fields).map(field).collect();
    Agreed::verify(asked, &answer).unwrap()
}

fn told(agreed: &Agreed) -> String {
    let mut headers = HeaderMap::new();
    agreed.write(&mut headers);
    headers.get(EXTENSIONS).map_or(String::new(), |told| told.to_str().unwrap().to_owned())
}

#[test]
fn a_backend_learns_whose_session_it_is_and_no_client_says_so() {
    let (mut asked, head) = asked(&[("tidegate-resume", "forged")], false);
    let written = written(&mut asked, &head);
    assert_eq!(written[SESSION].len(), 32);
    assert!(!written.contains_key(RESUME));
}

#[test]
fn compression_is_offered_on_with_its_resets_and_nothing_else_is() {
    let offered = |line, swallows| {
        let (mut asked, head) = asked(&[(EXTENSIONS, line)], swallows);
        written(&mut asked, &head).get(EXTENSIONS).map(|line| line.to_str().unwrap().to_owned())
    };
    let deflate = "permessage-deflate; client_max_window_bits";
    let resets = format!("{deflate}; client_no_context_takeover");
    assert_eq!(offered(deflate, false), Some(resets.clone()));
    assert_eq!(offered(deflate, true), Some(format!("{resets}; server_no_context_takeover")));
    assert_eq!(offered("x-mux, permessage-deflate; client_max_window_bits", false), Some(resets));
    assert_eq!(offered("x-mux", false), None);
    assert_eq!(offered("not; ; right", false), None);
}

#[test]
fn a_client_is_told_to_forget_though_its_backend_does_not_ask_it_to() {
    let (mut asked, head) = asked(&[(EXTENSIONS, "permessage-deflate")], false);
    let silent = agreed(&mut asked, &head, &[(EXTENSIONS, "permessage-deflate")]);
    assert_eq!(told(&silent), "permessage-deflate; client_no_context_takeover");
    assert!(silent.can_be_held());
    let plain = agreed(&mut asked, &head, &[]);
    assert_eq!(told(&plain), "");
    assert!(plain.can_be_held());
}

#[test]
fn a_backend_that_keeps_its_context_is_not_held_where_answers_are_swallowed() {
    let (mut asked, head) = asked(&[(EXTENSIONS, "permessage-deflate")], true);
    let keeps = agreed(&mut asked, &head, &[(EXTENSIONS, "permessage-deflate")]);
    assert!(!keeps.can_be_held());
    assert!(Replay::keep(&asked, &head, &keeps).is_none());
    let resets = "permessage-deflate; server_no_context_takeover";
    let resets = agreed(&mut asked, &head, &[(EXTENSIONS, resets)]);
    assert!(resets.can_be_held());
    let plain = agreed(&mut asked, &head, &[]);
    assert!(plain.can_be_held());
}

#[test]
fn a_handshake_is_said_again_as_it_was_but_for_its_key_and_token() {
    let fields = [
        (PROTOCOL, "chat, superchat"),
        (EXTENSIONS, "permessage-deflate"),
        ("cookie", "a=1; b=\u{e9}"),
        ("x-empty", ""),
        ("x-twice", "1"),
        ("x-twice", "2: b"),
    ];
    let (mut asked, head) = asked(&fields, false);
    let mut first = written(&mut asked, &head);
    let terms = agreed(&mut asked, &head, &[]);
    let replay = Replay::keep(&asked, &head, &terms).unwrap();
    let (mut again, head) = replay.again(4, clock::now()).unwrap();
    let mut second = written(&mut again, &head);
    assert_eq!(again.attempts(), 5);
    let token = first.remove(SESSION).unwrap();
    let resume = second.remove(RESUME).unwrap();
    let begins = format!("{}; attempt=5; lost=", token.to_str().unwrap());
    assert!(resume.to_str().unwrap().starts_with(&begins), "{resume:?}");
    assert_ne!(first.remove("sec-websocket-key"), second.remove("sec-websocket-key"));
    assert_eq!(first, second);
}

#[test]
fn a_new_backend_must_agree_on_the_same() {
    let offer = [(PROTOCOL, "chat, news"), (EXTENSIONS, "permessage-deflate")];
    let (mut asked, head) = asked(&offer, false);
    let deflate = "permessage-deflate; server_max_window_bits=10; server_no_context_takeover";
    let terms = agreed(&mut asked, &head, &[(PROTOCOL, "chat"), (EXTENSIONS, deflate)]);
    let replay = Replay::keep(&asked, &head, &terms).unwrap();
    let (mut again, head) = replay.again(0, clock::now()).unwrap();
    let mut agrees = |fields: &[_]| replay.agrees_with(&agreed(&mut again, &head, fields));
    let otherwise = "permessage-deflate; client_no_context_takeover; \
                     server_no_context_takeover; server_max_window_bits=\"10\"";
    assert!(agrees(&[(PROTOCOL, "chat"), (EXTENSIONS, deflate)]));
    assert!(agrees(&[(EXTENSIONS, otherwise), (PROTOCOL, "chat")]));
    assert!(!agrees(&[(EXTENSIONS, deflate)]));
    assert!(!agrees(&[(PROTOCOL, "news"), (EXTENSIONS, deflate)]));
    assert!(!agrees(&[(PROTOCOL, "chat")]));
    assert!(!agrees(&[(PROTOCOL, "chat"), (EXTENSIONS, "permessage-deflate")]));
    let narrower = deflate.replace("10", "9");
    assert!(!agrees(&[(PROTOCOL, "chat"), (EXTENSIONS, &narrower)]));
}

#[test]
fn what_is_kept_is_the_head_and_little_more() {
    let cookie = "c".repeat(300);
    let fields =
        [("cookie", &*cookie), (PROTOCOL, "graphql-ws"), (EXTENSIONS, "permessage-deflate")];
    let (mut asked, head) = asked(&fields, false);
    let terms = agreed(&mut asked, &head, &[(PROTOCOL, "graphql-ws")]);
    let replay = Replay::keep(&asked, &head, &terms).unwrap();
    let written = asked.write(&head).len();
    assert!(replay.bytes() + size_of::<Replay>() <= written + 100);
    assert!(size_of::<Replay>() <= 56);
}

#[test]
fn a_backend_that_does_not_name_the_session_confirms_nothing() {
    for (resume, needed) in [(Resumption::Confirmed, true), (Resumption::Always, false)] {
        let (mut asked, head) = asked(&[], false);
        asked.hold(Token::new(), false, resume);
        let token = written(&mut asked, &head)[SESSION].clone();
        let terms = agreed(&mut asked, &head, &[]);
        let replay = Replay::keep(&asked, &head, &terms).unwrap();
        let field = |name, value: &HeaderValue| vec![(name, value.clone())];
        assert!(replay.is_confirmed_by(&field(RESUME, &token)));
        for other in
            [vec![], field(SESSION, &token), field(RESUME, &"0".repeat(32).parse().unwrap())]
        {
            assert_eq!(replay.is_confirmed_by(&other), !needed);
        }
    }
}
