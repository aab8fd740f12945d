//! What strangers write: the PROXY header, lists, hosts, paths, extensions, `Forwarded`, lengths.
#![no_main]

use http::header::{
    CONNECTION, CONTENT_LENGTH, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue,
    SEC_WEBSOCKET_EXTENSIONS, TRANSFER_ENCODING,
};
use libfuzzer_sys::fuzz_target;
use tidegate::wire::{answer, extension, fields, forwarded, framing, host, list, path, proxy};

const NAMES: [HeaderName; 6] =
    [CONNECTION, CONTENT_LENGTH, FORWARDED, HOST, SEC_WEBSOCKET_EXTENSIONS, TRANSFER_ENCODING];

fuzz_target!(|data: &[u8]| {
    match proxy::parse(data) {
        proxy::Parsed::Incomplete { more } => assert!(more > 0),
        // What is whole stays the same whatever comes behind it, and nothing less is whole.
        whole @ proxy::Parsed::Header(proxy::ProxyHeader { consumed, .. }) => {
            assert_eq!(proxy::parse(&data[..consumed]), whole);
            let less = proxy::parse(&data[..consumed - 1]);
            let proxy::Parsed::Incomplete { more } = less else { panic!("{less:?}") };
            assert_eq!(more, 1);
        }
        proxy::Parsed::Invalid(_) => {}
    }
    // The head of a 101 ends where it ends, whatever comes behind it.
    if let answer::Answer::Switching { length, .. } = answer::read(data) {
        assert!(matches!(answer::read(&data[..length]), answer::Answer::Switching { .. }));
        assert!(matches!(answer::read(&data[..length - 1]), answer::Answer::Partial));
    }
    let mut headers = HeaderMap::new();
    for (number, line) in data.split(|byte| *byte == b'\n').enumerate().take(64) {
        let Ok(value) = HeaderValue::from_bytes(line) else { continue };
        headers.append(&NAMES[number % NAMES.len()], value.clone());
        headers.append("x-forwarded-for", value);
    }
    assert!(list::tokens(&headers, CONNECTION).all(|token| !token.contains(',')));
    let named = fields::named_by_connection(&headers);
    assert!(named.iter().all(|name| fields::scope(name) == fields::Scope::Unnamed));
    if let Ok(extensions) = extension::parse(&headers) {
        extension::allowed(&extensions);
    }
    let mut settled = headers.clone();
    if framing::settle_answer(http::StatusCode::OK, &mut settled).is_ok() {
        assert!(settled.get_all(CONTENT_LENGTH).iter().count() <= 1);
        assert!(!(settled.contains_key(CONTENT_LENGTH) && settled.contains_key(TRANSFER_ENCODING)));
    }
    let peer = [127, 0, 0, 1].into();
    for trusted in [false, true] {
        forwarded::client(&headers, Some(peer), |_| trusted);
        let hop = forwarded::Hop {
            peer: Some((peer, 1).into()),
            client: Some(peer),
            proto: "http",
            host: Some("a"),
            port: 80,
            prefix: "",
        };
        let mut told = HeaderMap::new();
        let hops = forwarded::HopFields::of(&headers, hop, trusted);
        hops.give(|name, value| drop(told.insert(name, value)));
        let told = told["x-forwarded-for"].to_str().unwrap();
        assert!(told.ends_with("127.0.0.1"));
        assert!(trusted || told == "127.0.0.1");
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(host) = host::canonical(text) {
        assert_eq!(host::canonical(&host.name).unwrap().name, host.name);
    }
    if let Ok(path::Reading { matched, sent }) = path::read(text) {
        assert!(matched.starts_with('/') && !matched.contains("//"));
        assert!(!sent.split('/').any(|segment| [".", ".."].contains(&segment)));
        assert_eq!(path::read(&sent).unwrap().matched, matched);
        assert!(path::cut(&sent, matched.len()).starts_with('/'));
    }
});
