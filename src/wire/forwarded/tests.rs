use super::*;
use crate::wire::fields::{remove_where, tells_of_hops};
use proptest::prelude::*;

fn hop(peer: Option<&str>) -> Hop<'static> {
    let peer: Option<SocketAddr> = peer.map(|peer| peer.parse().unwrap());
    let client = peer.map(|peer| peer.ip());
    Hop { peer, client, proto: "https", host: Some("example.com"), port: 443, prefix: "" }
}

fn map(fields: &[(&str, &str)]) -> HeaderMap {
    let field = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    fields.iter().map(field).collect()
}

/// Which of these fields pass, and what is added. Every proxy of `10.0.0.0/8` is
/// trusted.
fn rewritten(fields: &[(&str, &str)], hop: &Hop<'_>, trusted: bool) -> HeaderMap {
    let headers: HeaderMap = map(fields);
    let peer = hop.peer.map(|peer| peer.ip());
    let client = match trusted {
        true => client(&headers, peer, |ip| ip.to_string().starts_with("10.")),
        false => peer,
    };
    let hop = Hop { client, ..*hop };
    let mut rewritten = headers.clone();
    remove_where(&mut rewritten, |name| {
        let name: HeaderName = name.parse().unwrap();
        tells_of_hops(name.as_str()) && (!trusted || is_told_anew(&name))
    });
    HopFields::of(&headers, hop, trusted).give(|name, value| drop(rewritten.insert(name, value)));
    rewritten
}

/// All fields, sorted, one a line.
fn text(headers: &HeaderMap) -> String {
    let line = |(name, value): (&HeaderName, &HeaderValue)| {
        format!("{name}: {}\n", value.to_str().unwrap())
    };
    let mut lines: Vec<_> = headers.iter().map(line).collect();
    lines.sort_unstable();
    lines.concat()
}

const FRESH: &str = "forwarded: for=192.0.2.1;host=example.com;proto=https\n\
    x-forwarded-for: 192.0.2.1\n\
    x-forwarded-host: example.com\n\
    x-forwarded-port: 443\n\
    x-forwarded-proto: https\n\
    x-real-ip: 192.0.2.1\n";

/// What a trusted sender is told to have told nothing with: no port, which it alone knows.
const UNTOLD: &str = "forwarded: for=10.0.0.1;host=example.com;proto=https\n\
    x-forwarded-for: 10.0.0.1\n\
    x-forwarded-host: example.com\n\
    x-forwarded-proto: https\n\
    x-real-ip: 10.0.0.1\n";

const PROXY: Option<&str> = Some("10.0.0.1:5");

#[test]
fn a_first_hop_is_told_in_both_ways() {
    assert_eq!(text(&rewritten(&[], &hop(Some("192.0.2.1:5")), false)), FRESH);
    assert_eq!(text(&rewritten(&[], &hop(Some("[::ffff:192.0.2.1]:5")), false)), FRESH);
    assert_eq!(text(&rewritten(&[], &hop(PROXY), true)), UNTOLD);
}

#[test]
fn a_prefix_that_is_cut_stands_behind_those_that_trusted_proxies_cut() {
    let whole = |told: &str, own: &str, trusted| {
        whole_prefix(&map(&[("x-forwarded-prefix", told)]), own, trusted)
    };
    assert_eq!(whole("/a/", "/tool", true), "/a/tool");
    assert_eq!(whole("/a, /b", "/tool", true), "/a/b/tool");
    assert_eq!(whole("//evil.example", "/tool", true), "/evil.example/tool");
    assert_eq!(whole("/a/../b", "/tool", true), "/tool");
    assert_eq!(whole("/a", "/tool", false), "/tool");
    assert_eq!(whole("", "/tool", true), "/tool");
    let told = Hop { prefix: "/a/tool", ..hop(PROXY) };
    let headers = rewritten(&[("x-forwarded-prefix", "/a")], &told, true);
    assert_eq!(headers[X_PREFIX], "/a/tool");
}

#[test]
fn nothing_a_stranger_says_is_kept() {
    let said = [
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-for", "2.2.2.2"),
        ("X_Forwarded_For", "1.1.1.1"),
        ("x-forwarded_proto", "http"),
        ("x-forwarded-prefix", "/x"),
        ("x-forwarded", "for=1.1.1.1"),
        ("forwarded", "for=1.1.1.1"),
        ("x-real-ip", "1.1.1.1"),
        ("x_real-ip", "1.1.1.1"),
        ("x-forwarded-port", "1"),
    ];
    assert_eq!(text(&rewritten(&said, &hop(Some("192.0.2.1:5")), false)), FRESH);
}

#[test]
fn a_trusted_chain_grows_by_this_hop() {
    let said = [
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-for", " 10.0.0.7,"),
        ("x_forwarded_for", "1.1.1.1"),
        ("forwarded", "for=203.0.113.9;proto=https, for=\"10.0.0.7:4711\";by=_x"),
        ("x-forwarded-proto", "WSS"),
        ("x-forwarded-host", "shop.example:8443"),
        ("x-forwarded-port", "8443"),
        ("x-forwarded-prefix", "/shop"),
        ("x-forwarded-user", "jo"),
        ("x-real-ip", "203.0.113.9"),
    ];
    let headers = rewritten(&said, &hop(Some("[2001:db8::1]:5")), true);
    let expected = "forwarded: for=203.0.113.9;proto=https, for=\"10.0.0.7:4711\";by=_x, \
        for=\"[2001:db8::1]\";host=example.com;proto=https\n\
        x-forwarded-for: 203.0.113.9, 10.0.0.7, 2001:db8::1\n\
        x-forwarded-host: shop.example:8443\n\
        x-forwarded-port: 8443\n\
        x-forwarded-prefix: /shop\n\
        x-forwarded-proto: https\n\
        x-forwarded-user: jo\n\
        x-real-ip: 203.0.113.9\n";
    assert_eq!(text(&headers), expected);
}

#[test]
fn one_chain_is_made_from_the_other() {
    let old = [
        ("x-forwarded-for", "6.6.6.6, 203.0.113.9, 10.0.0.7"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "a.example:81"),
    ];
    let headers = rewritten(&old, &hop(PROXY), true);
    let expected = "for=6.6.6.6, for=203.0.113.9;host=\"a.example:81\";proto=http, for=10.0.0.7, \
        for=10.0.0.1;host=example.com;proto=https";
    assert_eq!(headers[FORWARDED], expected);

    let new =
        [("forwarded", "For=\"203.0.113.9:80\";proto=http,for=\"[2001:db8::7]\",by=x,for=_h")];
    let headers = rewritten(&new, &hop(PROXY), true);
    assert_eq!(headers[X_FOR], "203.0.113.9, 2001:db8::7, _h, 10.0.0.1");
}

#[test]
fn what_contradicts_the_field_that_counts_is_made_from_it() {
    // The first is what a proxy writes that knows one field; the rest its client's.
    let spoofed = [
        ("x-forwarded-for", "203.0.113.9"),
        ("forwarded", "for=6.6.6.6;host=evil;proto=http"),
        ("x-real-ip", "6.6.6.6"),
    ];
    let expected = "forwarded: for=203.0.113.9, for=10.0.0.1;host=example.com;proto=https\n\
        x-forwarded-for: 203.0.113.9, 10.0.0.1\n\
        x-forwarded-host: example.com\n\
        x-forwarded-proto: https\n\
        x-real-ip: 203.0.113.9\n";
    assert_eq!(text(&rewritten(&spoofed, &hop(PROXY), true)), expected);
    // It knows its own address, too.
    let own = [spoofed[0], ("forwarded", "for=203.0.113.9;host=evil"), spoofed[2]];
    assert_eq!(text(&rewritten(&own, &hop(PROXY), true)), expected);

    let spoofed = [
        ("forwarded", "for=6.6.6.6;host=evil, for=203.0.113.9;host=\"a.example:81\";proto=http"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil"),
        ("x-forwarded-port", "1"),
        ("x-forwarded-prefix", "/evil"),
        ("x-real-ip", "6.6.6.6"),
    ];
    let expected = "forwarded: for=6.6.6.6;host=evil, \
        for=203.0.113.9;host=\"a.example:81\";proto=http, \
        for=10.0.0.1;host=example.com;proto=https\n\
        x-forwarded-for: 6.6.6.6, 203.0.113.9, 10.0.0.1\n\
        x-forwarded-host: a.example:81\n\
        x-forwarded-port: 81\n\
        x-forwarded-proto: http\n\
        x-real-ip: 203.0.113.9\n";
    assert_eq!(text(&rewritten(&spoofed, &hop(PROXY), true)), expected);
    // Nothing counts for it, and it is nobody's word.
    assert_eq!(rewritten(&[("x-real-ip", "6.6.6.6")], &hop(PROXY), true)[X_REAL_IP], "10.0.0.1");
}

#[test]
fn what_cannot_be_read_ends_the_chain_and_nobody_else_is_believed() {
    let endless = "6.6.6.6, ".repeat(CHAIN_BYTES_MAX / 9 + 1);
    let (long, foreign) = (format!("{endless}203.0.113.9"), "6.6.6.6, \u{e9}, 203.0.113.9");
    let (odd, quoted) = ("6.6.6.6, no/node, 203.0.113.9", "6.6.6.6, \", 203.0.113.9");
    for line in [&*long, foreign, odd, quoted, "6.6.6.6,\t203.0.113.9:4711 ,,"] {
        let said =
            [("x-forwarded-for", line), ("forwarded", "for=6.6.6.6"), ("x-real-ip", "6.6.6.6")];
        let headers = rewritten(&said, &hop(PROXY), true);
        let addresses = headers[X_FOR].to_str().unwrap();
        assert!(addresses.ends_with("203.0.113.9, 10.0.0.1"), "{addresses}");
        assert!(addresses.len() <= CHAIN_BYTES_MAX + 20);
        assert_eq!(headers[X_REAL_IP], "203.0.113.9");
        assert!(!headers[FORWARDED].to_str().unwrap().starts_with("for=6.6.6.6, for=10"));
    }
    for line in ["203.0.113.9, \u{e9}", "\u{1f}", "garbled", "6.6.6.6, 1.2.3", ",", ""] {
        let said = [("x-forwarded-for", line), ("forwarded", "for=6.6.6.6;host=evil")];
        // A control character is refused before.
        let said = if line == "\u{1f}" { &said[1..1] } else { &said[..] };
        assert_eq!(text(&rewritten(said, &hop(PROXY), true)), UNTOLD, "{line:?}");
    }
    for line in ["for=\"6.6.6.6", "for=6.6.6.6, for=\"", "for", "for=203.0.113.9, for=a/b"] {
        let said =
            [("forwarded", line), ("x-forwarded-proto", "http"), ("x-forwarded-host", "evil")];
        assert_eq!(text(&rewritten(&said, &hop(PROXY), true)), UNTOLD, "{line:?}");
    }
    let odd = [
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-host", "e/vil"),
        ("x-forwarded-port", "x"),
        ("x-forwarded-prefix", "//evil\\"),
    ];
    assert_eq!(text(&rewritten(&odd, &hop(PROXY), true)), UNTOLD);
}

#[test]
fn a_quote_left_open_far_out_swallows_nothing() {
    for line in [
        "for=\"6.6.6.6, for=203.0.113.9",
        "for=\"6.6.6.6\\, for=\"203.0.113.9:80\"",
        "for=6.6.6.6;x=\"\\\", for=203.0.113.9;x=\"a,\\\"b\"",
        "for=6.6.6.6\", for=203.0.113.9",
    ] {
        let headers = rewritten(&[("forwarded", line)], &hop(PROXY), true);
        assert_eq!(headers[X_FOR], "203.0.113.9, 10.0.0.1", "{line}");
    }
}

#[test]
fn a_unix_socket_has_no_address() {
    let headers = rewritten(&[("x-forwarded-for", "1.1.1.1")], &hop(None), false);
    assert_eq!(headers[FORWARDED], "for=unknown;host=example.com;proto=https");
    assert!(!headers.contains_key(X_FOR));
    // A trusted one is heard.
    let told = [("x-forwarded-for", "6.6.6.6, 203.0.113.9"), ("x-real-ip", "6.6.6.6")];
    let headers = rewritten(&told, &hop(None), true);
    assert_eq!(
        (&headers[X_FOR], &headers[X_REAL_IP]),
        (&map(&told)[X_FOR], &map(&[("a", "203.0.113.9")])["a"])
    );
}

#[test]
fn a_host_that_is_no_token_is_quoted() {
    let hop = Hop { host: Some("a\"b:80"), ..hop(Some("192.0.2.1:5")) };
    let headers = rewritten(&[], &hop, false);
    assert_eq!(headers[FORWARDED], r#"for=192.0.2.1;host="a\"b:80";proto=https"#);
}

#[test]
fn the_client_is_the_last_that_no_trusted_proxy_is() {
    let peer: IpAddr = "10.0.0.1".parse().unwrap();
    let trusted = |ip: IpAddr| ip.to_string().starts_with("10.");
    let told = |name: &str, value: &str| {
        client(&map(&[(name, value)]), Some(peer), trusted).unwrap().to_string()
    };
    assert_eq!(client(&HeaderMap::new(), Some(peer), trusted), Some(peer));
    assert_eq!(client(&HeaderMap::new(), None, trusted), None);
    assert_eq!(told("x-forwarded-for", "1.1.1.1, 203.0.113.9, 10.0.0.2"), "203.0.113.9");
    assert_eq!(told("x-forwarded-for", "10.0.0.3, 10.0.0.2"), "10.0.0.3");
    assert_eq!(told("x-forwarded-for", "203.0.113.9:4711"), "203.0.113.9");
    assert_eq!(told("x-forwarded-for", "203.0.113.9, nobody, 10.0.0.2"), "10.0.0.2");
    assert_eq!(told("x-forwarded-for", "203.0.113.9, unknown, 10.0.0.2"), "10.0.0.2");
    assert_eq!(
        told("forwarded", "for=1.1.1.1, for=\"[2001:db8::7]:80\", for=10.9.9.9"),
        "2001:db8::7"
    );
    assert_eq!(told("forwarded", "for=\"203.0.113.9"), "10.0.0.1");
}

#[test]
fn whether_the_client_spoke_tls_is_told_by_the_field_that_counts() {
    let client: Option<IpAddr> = "203.0.113.9".parse().ok();
    let is = |fields: &[(&str, &str)]| is_https(&map(fields), client);
    assert!(is(&[("x-forwarded-proto", "https")]));
    assert!(is(&[("x-forwarded-proto", "WSS, http")]));
    assert!(!is(&[("x-forwarded-proto", "http"), ("x-forwarded-for", "203.0.113.9")]));
    assert!(is(&[("forwarded", "for=203.0.113.9;proto=https")]));
    let spoofed = "for=6.6.6.6;proto=https, for=203.0.113.9;proto=http";
    assert!(!is(&[("forwarded", spoofed), ("x-forwarded-proto", "https")]));
}

proptest! {
    #[test]
    fn any_fields_are_rewritten_and_can_be_read_again(
        any in "[ -~]{0,60}",
        near in "(for=|\"|,|;|\\[::1\\]|1\\.2\\.3\\.4|:80|unknown| |\\\\|proto=http){0,20}",
        trusted: bool,
    ) {
        for line in [any, near] {
            let said = [("forwarded", &*line), ("x-forwarded-for", &*line)];
            for said in [&said[..], &said[..1], &said[1..]] {
                let headers = rewritten(said, &hop(Some("192.0.2.1:5")), trusted);
                let last = headers[X_FOR].to_str().unwrap().rsplit(", ").next();
                prop_assert_eq!(last, Some("192.0.2.1"));
                let end = "for=192.0.2.1;host=example.com;proto=https";
                prop_assert!(headers[FORWARDED].to_str().unwrap().ends_with(end));
            }
        }
    }

    #[test]
    fn what_is_appended_is_read_whatever_stands_before_it(far in "[ -~]{0,60}") {
        let peer = "10.0.0.1".parse().ok();
        let trusted = |ip: IpAddr| ip.to_string().starts_with("10.");
        for (name, near) in [("x-forwarded-for", "203.0.113.9"), ("forwarded", "for=203.0.113.9")] {
            let line = format!("{far}, {near}");
            let found = client(&map(&[(name, &line)]), peer, trusted);
            prop_assert_eq!(found, "203.0.113.9".parse().ok());
        }
    }
}
