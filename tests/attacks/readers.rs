//! Two readers of one path: what the route decided by, and what stands behind it.

use crate::case::{attack, request};
use crate::proxy::Proxy;
use crate::site::site;
use crate::witness::Witness;

/// Parts that paths are put together of, readers' differences among them.
const PARTS: &[&str] = &[
    "/",
    "//",
    "/admin",
    "/x",
    "/..",
    "/.",
    "/%2e%2e",
    "/..%2f",
    "%2F",
    "%2fadmin",
    ";v",
    "/;",
    "/..;",
    "%5c..%5cadmin",
    "\\..\\admin",
    "%0aadmin",
    "/%61dmin",
    "/%c0%ae%c0%ae",
    "/...",
    "%3b/admin",
    "/%252e%252e",
];

fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((byte, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let escaped = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        let (byte, left) = match (byte, escaped) {
            (b'%', Some(escaped)) => (escaped, &behind[2..]),
            _ => (*byte, behind),
        };
        bytes.push(byte);
        rest = left;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The first segment of a path, as a reader walks it that takes backslashes for slashes, too.
fn first(path: &str) -> String {
    let mut kept = Vec::new();
    for segment in path.split(['/', '\\']) {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    kept.first().copied().unwrap_or_default().to_owned()
}

/// Where nginx and WSGI (decoded at once), Express (segments first), and a servlet container
/// (parameters cut off first) see a path lead.
fn readers(target: &str) -> [String; 3] {
    let bare = target.split('/').map(|part| part.split(';').next().unwrap_or_default());
    let bare = bare.collect::<Vec<_>>().join("/");
    [first(&decoded(target)), decoded(&first(target)), first(&decoded(&bare))]
}

#[tokio::test]
async fn who_stands_behind_reads_no_path_that_the_route_did_not() {
    let witness = Witness::start().await;
    let says = |route: &str| format!("request_headers.set = {{ X-Route = \"{route}\" }}");
    let admin = format!("[[routes]]\npath = \"/admin\"\npool = \"chat\"\n{}", says("admin"));
    let plan = site(&[]).backend(witness.address()).table(&admin).route(&says("other"));
    let proxy = Proxy::start(&plan).await;
    let client = proxy.client();
    let mut passed = 0;
    for (one, two) in PARTS.iter().flat_map(|one| PARTS.iter().map(move |two| (one, two))) {
        for three in ["", "/admin", "/../x"] {
            let path = format!("{one}{two}{three}");
            if !path.starts_with('/') {
                continue;
            }
            let before = witness.heads().len();
            let outcome = attack(&client, &request(&format!("GET {path}"), &[], "")).await;
            let heads = witness.heads();
            let Some(head) = heads.get(before) else {
                assert!(outcome.starts_with("400"), "{path}: {outcome}");
                continue;
            };
            passed += 1;
            let (target, route) = (head.second(), head.get("x-route"));
            let seen = readers(target);
            // A route is stricter than a reader to whom `%2F` is a letter: it never is laxer.
            let sees_admin = seen.iter().any(|first| first == "admin");
            assert!(!sees_admin || route == "admin", "{path} → {target}: {seen:?}, {route}");
            let means_admin = seen[2] == "admin";
            assert_eq!(means_admin, route == "admin", "{path} → {target}: {seen:?}");
        }
    }
    assert!(passed > 200, "{passed} passed");
    proxy.stop().await;
}
