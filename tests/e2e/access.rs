//! Who may pass: rules of `[access.NAME]`, whatever a request comes by.

mod basic;
mod certificates;
mod extended;
mod forward;
mod hostile_auth;
mod key_sets;
mod rechecks;
mod revoked;
mod speaker;
pub mod tokens;
pub mod ways;

use crate::actors::{Backend, Certificates, Head, within};
use crate::proxy::Proxy;
use crate::site::{Site, site};
use tokio::io::AsyncWriteExt;
use ways::{Asker, both, everywhere};

const OFFICE: &str = "[access.office]\nallow = [\"127.0.0.5\", \"10.0.0.0/8\"]\n\
                      deny = [\"127.0.0.6\", \"10.6.6.0/24\"]";

/// How many requests a rule kept out, by `/metrics`.
fn denied(proxy: &Proxy, rule: &str, reason: &str) -> usize {
    let name = format!("tidegate_access_denied_total{{rule=\"{rule}\",reason=\"{reason}\"}} ");
    let text = proxy.scrape();
    let count = text.lines().find_map(|line| line.strip_prefix(&name));
    count.map_or(0, |count| count.parse().unwrap())
}

fn guarded(backends: &[&Backend], certificates: &Certificates) -> Site {
    let site = both(site(backends), certificates).table(OFFICE).route("access = \"office\"");
    site.route("[[routes]]\npath = \"/page\"\nrespond = \"page\"\naccess = [\"office\"]")
        .route("[[routes]]\npath = \"/open\"\nrespond = \"open\"")
}

#[tokio::test]
async fn only_clients_of_a_rules_networks_pass_however_they_come() {
    let certificates = Certificates::new(&["localhost"]);
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let proxy = Proxy::start(&guarded(&backends.each_ref(), &certificates)).await;
    let asker = Asker::new(&proxy, &certificates);
    // What it tells of others before it counts only of a trusted proxy.
    let office = asker.from("127.0.0.5").field("X-Forwarded-For", "192.0.2.1");
    assert_eq!(office.statuses().await, everywhere(200, 101));
    let asked = || backends.iter().map(|backend| backend.heads().len()).sum::<usize>();
    let before = asked();
    for stranger in ["127.0.0.1", "127.0.0.6"] {
        assert_eq!(asker.from(stranger).statuses().await, everywhere(403, 403), "{stranger}");
    }
    assert_eq!((before, asked()), (8, 8), "no backend hears of who may not pass");
    assert_eq!(denied(&proxy, "office", "address"), 16);
    let failures = "tidegate_handshake_failures_total{route=\"all\",reason=\"address\"} 8";
    assert!(proxy.scrape().contains(failures));
    // Each action is guarded, and what names no rule is open.
    let (page, open) = (asker.path("/page"), asker.path("/open"));
    assert_eq!(page.from("127.0.0.5").statuses().await[0], 200);
    assert_eq!(page.statuses().await, everywhere(403, 403));
    assert_eq!(open.statuses().await[0], 200);
    proxy.stop().await;
}

#[tokio::test]
async fn the_client_is_who_the_log_says_it_is() {
    let backend = Backend::echo("a").await;
    let certificates = Certificates::new(&["localhost"]);
    let trusting = guarded(&[&backend], &certificates).listener("trusted_proxies = \"127.0.0.1\"");
    let proxy = Proxy::start(&trusting).await;
    let client = proxy.client();
    let told = |client: &str| proxy.client().field("X-Forwarded-For", client);
    for (forwarded, status) in [
        ("10.1.2.3", 200),
        ("192.0.2.1, 10.1.2.3", 200),
        ("10.1.2.3, 192.0.2.1", 403),
        ("10.6.6.7", 403),
    ] {
        assert_eq!(told(forwarded).request("GET", "").await.0.status(), status, "{forwarded}");
    }
    assert_eq!(client.request("GET", "").await.0.status(), 403, "the proxy itself");
    // Whom nobody trusts can tell what it likes.
    let liar = client.from("127.0.0.7".parse().unwrap()).field("X-Forwarded-For", "10.1.2.3");
    assert_eq!(liar.request("GET", "").await.0.status(), 403);
    assert_eq!(liar.handshake().await.0.status(), 403);
    proxy.stop().await;

    let proxied = guarded(&[&backend], &certificates)
        .listener("proxy_protocol = { trusted = \"127.0.0.1\" }");
    let proxy = Proxy::start(&proxied).await;
    let client = proxy.client();
    for (from, status) in [("10.1.2.3", 101), ("192.0.2.1", 403)] {
        let mut wire = client.connect().await.unwrap();
        let header = format!("PROXY TCP4 {from} 127.0.0.1 40000 443\r\n");
        let bytes = header + &client.upgrade("dGhlIHNhbXBsZSBub25jZQ==");
        wire.write_all(bytes.as_bytes()).await.unwrap();
        let head = within("an answer", Head::read(&mut wire)).await.unwrap();
        assert_eq!(head.status(), status, "{from}");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn each_rule_must_let_pass_or_one_of_several() {
    let backend = Backend::echo("a").await;
    let rules = "[access.net]\nallow = \"127.0.0.0/8\"\n[access.not_six]\ndeny = \"127.0.0.6\"\n\
                 [access.six]\nallow = \"127.0.0.6\"\n[access.seven]\nallow = \"127.0.0.7\"";
    let site = site(&[&backend]).table(rules).route("access = [\"net\", \"not_six\"]").route(
        "[[routes]]\npath = \"/any\"\nrespond = \"any\"\naccess = { any = [\"six\", \"seven\"] }",
    );
    let proxy = Proxy::start(&site).await;
    for (source, all, any) in [(5, 200, 403), (6, 403, 200), (7, 200, 200)] {
        let client = proxy.client().from([127, 0, 0, source].into());
        assert_eq!(client.request("GET", "").await.0.status(), all, "all, {source}");
        let status = client.path("/any").request("GET", "").await.0.status();
        assert_eq!(status, any, "any, {source}");
    }
    // One count each, for the first that said no.
    assert_eq!(denied(&proxy, "not_six", "address"), 1);
    assert_eq!((denied(&proxy, "six", "address"), denied(&proxy, "seven", "address")), (1, 0));
    proxy.stop().await;
}

#[tokio::test]
async fn a_rule_that_changes_is_asked_at_the_next_request_and_ends_no_session() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let at = |allow: &str| {
        let rule = format!("[access.office]\nallow = \"{allow}\"");
        site(&backends.each_ref()).table(&rule).route("access = \"office\"")
    };
    let proxy = Proxy::start(&at("127.0.0.1")).await;
    let client = proxy.client();
    let mut session = client.open().await;
    session.echo("before").await;
    proxy.reload(&at("127.0.0.5")).await.unwrap();
    assert_eq!(client.handshake().await.0.status(), 403);
    assert_eq!(client.request("GET", "").await.0.status(), 403);
    session.echo("after").await;
    let other = client.from([127, 0, 0, 5].into());
    assert_eq!(other.request("GET", "").await.0.status(), 200);
    // A rule that is gone is asked no more.
    proxy.reload(&site(&backends.each_ref())).await.unwrap();
    session.echo("at last").await;
    assert_eq!(proxy.client().request("GET", "").await.0.status(), 200);
    drop(session);
    proxy.stop().await;
}
