//! `tls = "dev"`: certificates for development, made by the proxy itself, before real TLS clients.

use std::fs;
use std::path::{Path, PathBuf};

use crate::actors::{Backend, Client};
use crate::proxy::Proxy;
use crate::site::{Site, site};

/// A site whose TLS listener has no file.
fn developed(backend: &Backend, tls: &str, host: &str) -> Site {
    site(&[backend])
        .table(&format!("[listeners.https]\naddress = \"127.0.0.2:0\"\ntls = {tls}\n"))
        .table(&format!(
            "[[routes]]\nhost = \"{host}\"\npool = \"chat\"\nallowed_origins = \"any\""
        ))
}

fn authority(proxy: &Proxy) -> PathBuf {
    proxy.dir().join("certs/dev/ca.pem")
}

/// A client that asks for this host, and trusts this authority and no other.
fn client(proxy: &Proxy, ca: &Path, host: &str) -> Client {
    proxy.client_of("https").trusting(ca).host(host)
}

async fn is_trusted(proxy: &Proxy, ca: &Path, host: &str) -> bool {
    client(proxy, ca, host).connect().await.is_ok()
}

#[tokio::test]
async fn any_file_is_served_over_tls_to_who_trusts_the_authority_beside_it() {
    let backend = Backend::echo("one").await;
    let proxy = Proxy::start(&developed(&backend, "\"dev\"", "app.test")).await;
    let ca = authority(&proxy);
    for host in ["localhost", "127.0.0.1", "::1", "127.0.0.2", "app.test"] {
        assert!(is_trusted(&proxy, &ca, host).await, "{host}");
    }
    // Its authority is good for these names only, and nobody has its key.
    assert!(!is_trusted(&proxy, &ca, "other.test").await);
    let left: Vec<_> = fs::read_dir(proxy.dir().join("certs/dev")).unwrap().collect();
    assert_eq!(left.len(), 3, "authority, chain and the chain's key: {left:?}");
    let mut session = client(&proxy, &ca, "app.test").open().await;
    session.echo("over TLS").await;
    let page = proxy.scrape();
    assert!(page.contains("certs/dev/localhost.pem"), "its expiry is counted: {page}");
    drop(session);
    proxy.stop().await;
}

#[tokio::test]
async fn a_reload_for_another_host_makes_another_and_live_sessions_notice_nothing() {
    let backend = Backend::echo("one").await;
    let first = developed(&backend, "\"dev\"", "app.test");
    let proxy = Proxy::start(&first).await;
    let ca = authority(&proxy);
    let text = || fs::read_to_string(&ca).unwrap();
    let before = text();
    let mut session = client(&proxy, &ca, "localhost").open().await;
    session.echo("before").await;
    proxy.reload_files().await.unwrap();
    assert_eq!(text(), before, "nothing has changed");
    proxy.reload(&developed(&backend, "\"dev\"", "other.test")).await.unwrap();
    assert_ne!(text(), before);
    assert!(is_trusted(&proxy, &ca, "other.test").await);
    session.echo("after").await;
    // What is there is for fewer names too.
    let after = text();
    let fewer = developed(&backend, "{ issuer = \"dev\", version_min = \"1.3\" }", "localhost");
    proxy.reload(&fewer).await.unwrap();
    assert_eq!(text(), after);
    session.echo("still").await;
    drop(session);
    proxy.stop().await;
}

#[tokio::test]
async fn where_nothing_can_be_kept_it_is_shown_from_memory_and_stays_over_reloads() {
    let backend = Backend::echo("one").await;
    let tls = "{ issuer = \"dev\", directory = \"tidegate.toml/dev\" }";
    let proxy = Proxy::start(&developed(&backend, tls, "app.test")).await;
    let shown = async || {
        let nobody = tempfile::NamedTempFile::new().unwrap();
        let made = crate::actors::Certificates::new(&["app.test"]);
        fs::copy(made.ca(), nobody.path()).unwrap();
        let refused = client(&proxy, nobody.path(), "app.test").connect().await;
        refused.err().expect("nobody knows its authority").to_string()
    };
    assert!(shown().await.contains("UnknownIssuer"), "{}", shown().await);
    let chain = |page: &str| {
        let mut lines = page.lines();
        lines
            .find(|line| line.contains("certificate_expiry") && line.contains("localhost.pem"))
            .map(str::to_owned)
    };
    let before = chain(&proxy.scrape()).expect("it is counted");
    proxy.reload_files().await.unwrap();
    assert_eq!(chain(&proxy.scrape()), Some(before));
    proxy.stop().await;
}

#[tokio::test]
async fn a_named_certificate_goes_before_the_one_for_development() {
    let backend = Backend::echo("one").await;
    let named = crate::actors::Certificates::new(&["app.test"]);
    let tls = format!("{{ issuer = \"dev\", certificates = {} }}", named.toml());
    let proxy = Proxy::start(&developed(&backend, &tls, "app.test")).await;
    assert!(is_trusted(&proxy, &named.ca(), "app.test").await);
    assert!(is_trusted(&proxy, &authority(&proxy), "localhost").await);
    proxy.stop().await;
}
