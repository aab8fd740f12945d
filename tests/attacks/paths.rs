//! Paths that a route and the backend behind it could read in two ways.

use tokio::io::AsyncWriteExt;

use crate::actors::{Head, within};
use crate::case::{Case, Table, case, play, request};
use crate::proxy::Proxy;
use crate::site::{Site, site};
use crate::witness::Witness;

/// What is denied, and all else that goes to the backend.
fn guarded(witness: &Witness) -> Site {
    let deny = |path: &str| {
        format!("[[routes]]\npath = \"{path}\"\nrespond = {{ status = 403, body = \"no\" }}\n")
    };
    let denials = deny("~ ^/regex.*$") + &deny("= /exact");
    site(&[])
        .backend(witness.address())
        .table(&deny("/admin"))
        .table(&denials)
        .table(&format!("{}ignore_case = true", deny("/any")))
        .table("[[routes]]\npath = \"/raw\"\npool = \"chat\"\nraw_path = true")
        .table("[[routes]]\npath = \"/cut\"\npool = \"chat\"\nstrip_prefix = true")
        .table("[[routes]]\npath = \"/put\"\npool = \"chat\"\nreplace_prefix = \"/v2\"")
        .table(&rewriting("/re", "^/re/(.*)$", "/in/$1"))
        .table(&rewriting("/go", "^/go(.*)$", "$1"))
        .table(&rewriting("/join", "^/join/([^/]*)x([^/]*)/(.*)$", "/in/$1$2/$3"))
}

fn rewriting(path: &str, from: &str, to: &str) -> String {
    format!(
        "[[routes]]\npath = \"{path}\"\npool = \"chat\"\n\
         rewrite = {{ from = \"{from}\", to = \"{to}\" }}"
    )
}

fn spellings() -> Vec<Case> {
    let get = |path: &str| request(&format!("GET {path}"), &[], "");
    let denied = |name, path| case(name, "3986 §6.2.2", get(path), "403 no, kept", "nothing");
    let refused = |name, path| case(name, "3986 §3.3", get(path), "400, kept", "nothing");
    let sent = |name, path: &str, target: &str| -> Case {
        let outcome = format!("200 {target}, kept").leak();
        case(name, "3986 §5.2.4", get(path), outcome, format!("GET {target}").leak())
    };
    let same = |name, path: &'static str| sent(name, path, path);
    vec![
        denied("as it is written", "/admin"),
        denied("below it", "/admin/users/1"),
        denied("with escapes", "/%61dmin/x"),
        denied("two slashes", "//admin"),
        denied("slashes inside", "/admin//x"),
        denied("dot segments that lead to it", "/x/../admin/./y"),
        denied("an escaped slash behind it", "/admin%2Fx"),
        denied("parameters", "/admin;x"),
        denied("parameters, and more below", "/admin;a=1;b=2/x;c"),
        denied("a segment of parameters before it", "/;x/admin"),
        denied("an exact path with parameters", "/exact;x"),
        denied("capitals where the route ignores case", "/ANY/x"),
        denied("mixed letters where it ignores case", "/aNy"),
        denied("absolute form", "http://localhost/x/../admin"),
        sent("a dot segment that leads away", "/admin/../x", "/x"),
        sent("many of them", "/admin/users/1/../../../x", "/x"),
        sent("a dot segment at the end", "/a/b/..", "/a/"),
        sent("one that removes an empty segment", "/a//../b", "/b"),
        sent("below a prefix that is cut", "/cut/a%2Fb//c", "/a%2Fb//c"),
        sent("dot segments out of a prefix that is cut", "/x/../cut/y", "/y"),
        sent("parameters of a prefix that is cut", "/cut;v=1/y", "/y"),
        sent("below a prefix that is replaced", "/put/a%2Fb//c", "/v2/a%2Fb//c"),
        sent("a prefix that is replaced, with parameters", "/put;v=1", "/v2"),
        sent("dot segments out of a prefix that is replaced", "/x/../put/y", "/v2/y"),
        sent("a path that is rewritten", "/%72e/a%20b?c", "/in/a%20b?c"),
        sent("escapes that a rewrite decoded", "/re/a%3Fb%23c%25d%3Be", "/in/a%3Fb%23c%25d%3Be"),
        sent("a host that a rewrite would leave", "/go//evil.example/x", "/evil.example/x"),
        sent("an escaped host that a rewrite would leave", "/go/%2Fevil.example", "/evil.example"),
        sent("nothing that a rewrite leaves", "/go", "/"),
        refused("a dot segment that a rewrite joins", "/join/.x./admin"),
        refused("a newline that a rewrite decoded", "/re/a%0d%0aX:%20y"),
        refused("a backslash that a rewrite decoded", "/re/..%5cadmin"),
        same("capitals where case counts", "/Admin"),
        same("an escaped slash inside a segment", "/projects/group%2Fproject/x"),
        same("slashes inside a path", "/fetch/http://a.example/b"),
        same("parameters", "/a;v=1/b;v=2"),
        same("dots that are no dot segment", "/a/.../.b/..c"),
        same("escaped dots that are none", "/a%2ehtml/%2e%2e%2e"),
        same("a percent sign, escaped", "/100%25/%252e%252e/x"),
        refused("an escaped dot segment", "/a/%2e%2e/admin"),
        refused("half an escaped dot segment", "/a/.%2E/admin"),
        refused("an escaped single dot", "/admin/%2e"),
        refused("a dot segment before an escaped slash", "/admin/..%2fx"),
        refused("a dot segment behind an escaped slash", "/a%2f../admin"),
        refused("a dot segment between escaped slashes", "/a%2f..%2fadmin"),
        refused("a dot segment with parameters", "/a/..;/admin"),
        refused("a dot segment with escaped parameters", "/a/..%3b/admin"),
        refused("a dot segment that removes one with an escaped slash", "/x%2Fa/../admin"),
        refused("a backslash", "/a\\..\\admin"),
        refused("an escaped backslash", "/a%5c..%5cadmin"),
        refused("an escaped newline", "/regex%0a"),
        refused("an escaped newline before a path", "/%0aadmin"),
        refused("an escaped tab", "/admin%09"),
        refused("an escaped DEL", "/admin%7f"),
        refused("an overlong slash", "/a%c0%afadmin"),
        refused("overlong dots", "/a/%c0%ae%c0%ae/admin"),
        refused("a long overlong slash", "/a%e0%80%afadmin"),
        refused("above the root, by an escape", "/%2e%2e/admin"),
        same("a route that takes a path as it came", "/raw/../raw/a%5cb/..;x"),
        same("dot segments, on such a route", "/raw/%2e/./x%0a"),
        denied("a path that leads out of such a route", "/raw/../admin"),
    ]
}

#[tokio::test]
async fn a_path_has_one_reading() {
    let witness = Witness::start().await;
    let proxy = Proxy::start(&guarded(&witness)).await;
    play("Paths", &spellings(), &proxy, &witness).await;
    proxy.stop().await;
}

/// What is asked for, and where the answer leads.
const REDIRECTED: &[(&str, &str, &str)] = &[
    ("a path", "GET /here/a%20b?c=d HTTP/1.1\r\nHost: a.example\r\n", "/here/a%20b?c=d"),
    ("two slashes", "GET //evil.example/ HTTP/1.1\r\nHost: a\r\n", "/evil.example/"),
    ("more", "GET ////evil.example HTTP/1.1\r\nHost: a\r\n", "/evil.example"),
    ("escaped slashes", "GET /%2f%2Fevil.example/ HTTP/1.1\r\nHost: a\r\n", "/evil.example/"),
    ("a backslash", "GET /\\evil.example/ HTTP/1.1\r\nHost: a\r\n", "400"),
    ("an escaped backslash", "GET /%5cevil.example/ HTTP/1.1\r\nHost: a\r\n", "400"),
    ("an escaped newline", "GET /%0d%0aX:%20y HTTP/1.1\r\nHost: a\r\n", "400"),
    ("a tab", "GET /%09/evil.example/ HTTP/1.1\r\nHost: a\r\n", "400"),
    ("dot segments", "GET /x/..//evil.example/ HTTP/1.1\r\nHost: a\r\n", "/evil.example/"),
    ("another host in absolute form", "GET http://b/x HTTP/1.1\r\nHost: a\r\n", "/x"),
    ("a host", "GET /host/x HTTP/1.1\r\nHost: A.example:80\r\n", "https://a.example/host/x"),
    ("no host that is asked for", "GET //evil.example/x HTTP/1.0\r\n", "/evil.example/x"),
    ("no host", "GET /host//evil.example/x HTTP/1.0\r\n", "400"),
    ("an empty host", "GET /host/x HTTP/1.1\r\nHost:\r\n", "400"),
];

#[tokio::test]
async fn a_redirect_leads_nowhere_else() {
    let witness = Witness::start().await;
    let plan = site(&[])
        .backend(witness.address())
        .table("[[routes]]\npath = \"/*\"\nredirect = \"{path}{query}\"")
        .table("[[routes]]\npath = \"/host\"\nredirect = \"https://{host}{path}\"")
        .route("path = \"/pool\"");
    let proxy = Proxy::start(&plan).await;
    let mut table = Table::new("Redirects");
    for (name, head, wanted) in REDIRECTED {
        let mut wire = proxy.client().connect().await.unwrap();
        wire.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
        let head = within("an answer", Head::read(&mut wire)).await.unwrap();
        let led = match head.status() {
            307 => head.get("location").to_owned(),
            status => status.to_string(),
        };
        table.row(name, "3986 §4.2", &head.status().to_string(), &led, &[(wanted, &led)]);
    }
    table.settle();
    proxy.stop().await;
}
