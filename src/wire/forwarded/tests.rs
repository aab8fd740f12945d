use super::*;
use proptest::prelude::*;

fn hop(client: Option<&str>) -> Hop<'static> {
    let client = client.map(|client| client.parse().unwrap());
    Hop { client, proto: "https", host: Some("example.com"), port: 443 }
}

fn rewritten(fields: &[(&str, &str)], hop: &Hop<'_>, trusted: bool) -> HeaderMap {
    let field = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
    };
    let headers: HeaderMap = fields.iter().map(field).collect();
    rewrite(headers, hop, trusted)
}

/// Which of these fields pass, and what is added.
fn rewrite(headers: HeaderMap, hop: &Hop<'_>, trusted: bool) -> HeaderMap {
    let told = told(&headers, hop, trusted);
    let mut rewritten = headers;
    remove_where(&mut rewritten, |name| {
        let parsed = name.parse().unwrap();
        tells_of_hops(name) && (!trusted || is_told_anew(&parsed))
    });
    rewritten.extend(told.into_iter().filter_map(|(name, value)| Some((name, value?))));
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
    x-forwarded-proto: https\n";

fn without_port() -> String {
    FRESH.replace("x-forwarded-port: 443\n", "")
}

#[test]
fn a_first_hop_is_told_in_both_ways() {
    assert_eq!(text(&rewritten(&[], &hop(Some("192.0.2.1:5")), false)), FRESH);
    // Whoever stands between may listen on any port: only what it told would be right.
    assert_eq!(text(&rewritten(&[], &hop(Some("192.0.2.1:5")), true)), without_port());
    assert_eq!(text(&rewritten(&[], &hop(Some("[::ffff:192.0.2.1]:5")), false)), FRESH);
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
        ("x-forwarded-for", " 2001:db8::7,"),
        ("x_forwarded_for", "1.1.1.1"),
        ("forwarded", "for=203.0.113.9;proto=http, for=\"[2001:db8::7]:4711\";by=_x"),
        ("x-forwarded-proto", "WSS"),
        ("x-forwarded-host", "shop.example:8443"),
        ("x-forwarded-port", "8443"),
        ("x-real-ip", "203.0.113.9"),
    ];
    let headers = rewritten(&said, &hop(Some("[2001:db8::1]:5")), true);
    let expected = "forwarded: for=203.0.113.9;proto=http, for=\"[2001:db8::7]:4711\";by=_x, \
        for=\"[2001:db8::1]\";host=example.com;proto=https\n\
        x-forwarded-for: 203.0.113.9, 2001:db8::7, 2001:db8::1\n\
        x-forwarded-host: shop.example:8443\n\
        x-forwarded-port: 8443\n\
        x-forwarded-proto: https\n\
        x-real-ip: 203.0.113.9\n";
    assert_eq!(text(&headers), expected);
}

#[test]
fn one_chain_is_made_from_the_other() {
    let old = [
        ("x-forwarded-for", "203.0.113.9, 2001:db8::7, unknown"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "a.example:81"),
    ];
    let headers = rewritten(&old, &hop(Some("192.0.2.1:5")), true);
    let expected = "for=203.0.113.9;host=\"a.example:81\";proto=http, for=\"[2001:db8::7]\", \
        for=unknown, for=192.0.2.1;host=example.com;proto=https";
    assert_eq!(headers[FORWARDED], expected);

    let new =
        [("forwarded", "For=\"203.0.113.9:80\";proto=http,for=\"[2001:db8::7]\",by=x,for=_h")];
    let headers = rewritten(&new, &hop(Some("192.0.2.1:5")), true);
    assert_eq!(headers[X_FOR], "203.0.113.9, 2001:db8::7, _h, 192.0.2.1");
}

#[test]
fn what_cannot_be_read_is_not_appended_to() {
    let endless = "1.1.1.1, ".repeat(CHAIN_BYTES_MAX / 9 + 1);
    let said = [("forwarded", "for=\"unclosed"), ("x-forwarded-for", &endless)];
    let headers = rewritten(&said, &hop(Some("192.0.2.1:5")), true);
    assert_eq!(text(&headers), without_port());
    let said = [("forwarded", "for=\"unclosed"), ("x-forwarded-for", "203.0.113.9")];
    let headers = rewritten(&said, &hop(None), true);
    assert_eq!(headers[FORWARDED], "for=203.0.113.9, for=unknown;host=example.com;proto=https");
    let headers = rewritten(&[("x-forwarded-proto", "gopher")], &hop(None), true);
    assert_eq!(headers[X_PROTO], "https");
}

#[test]
fn a_unix_socket_has_no_address() {
    let headers = rewritten(&[("x-forwarded-for", "1.1.1.1")], &hop(None), false);
    assert_eq!(headers[FORWARDED], "for=unknown;host=example.com;proto=https");
    assert!(!headers.contains_key(X_FOR));
}

#[test]
fn a_host_that_is_no_token_is_quoted() {
    let hop = Hop { host: Some("a\"b:80"), port: 80, ..hop(Some("192.0.2.1:5")) };
    let headers = rewritten(&[], &hop, false);
    assert_eq!(headers[FORWARDED], r#"for=192.0.2.1;host="a\"b:80";proto=https"#);
    assert_eq!(headers[X_PORT], "80");
}

#[test]
fn the_client_is_the_last_that_no_trusted_proxy_is() {
    let peer: IpAddr = "10.0.0.1".parse().unwrap();
    let trusted = |ip: IpAddr| ip.to_string().starts_with("10.");
    let told = |name: &str, value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        client(&headers, peer, trusted).to_string()
    };
    assert_eq!(client(&HeaderMap::new(), peer, trusted), peer);
    assert_eq!(told("x-forwarded-for", "1.1.1.1, 203.0.113.9, 10.0.0.2"), "203.0.113.9");
    assert_eq!(told("x-forwarded-for", "10.0.0.3, 10.0.0.2"), "10.0.0.3");
    assert_eq!(told("x-forwarded-for", "203.0.113.9:4711"), "203.0.113.9");
    assert_eq!(told("x-forwarded-for", "203.0.113.9, nobody, 10.0.0.2"), "10.0.0.2");
    assert_eq!(
        told("forwarded", "for=1.1.1.1, for=\"[2001:db8::7]:80\", for=10.9.9.9"),
        "2001:db8::7"
    );
    assert_eq!(told("forwarded", "for=\"203.0.113.9"), "10.0.0.1");
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
}
