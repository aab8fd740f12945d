//! Certificates that are ordered, without an authority: what instances that share `acme.state` see
//! of one another. Orders themselves are `tests/interop/acme`'s.

mod authority;
mod faults;
mod ordered_site;
mod renewals;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::sleep;

use crate::actors::{Backend, Certificates, Client, within};
use crate::proxy::Proxy;

/// A proxy whose authority is away, and where its state is.
struct Ordering {
    proxy: Proxy,
    dir: TempDir,
}

impl Ordering {
    async fn start(backend: &Backend) -> Ordering {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let proxy = Proxy::start_with(&format!(
            "[acme]\nagree_to_terms = true\nstate = \"{}\"\n\
             directory = \"http://127.0.0.1:1/dir\"\n\
             [listeners.plain]\naddress = \"127.0.0.1:0\"\n\
             [listeners.https]\naddress = \"127.0.0.2:0\"\ntls.acme = \"localhost\"\n\
             [pools.chat]\nbackends = \"{}\"\n\
             [[routes]]\npool = \"chat\"\nallowed_origins = \"any\"\n\
             [admin]\naddress = \"127.0.0.1:0\"\n\
             [drain]\ndelay = \"0s\"\nwindow = \"0s\"\n",
            state.display(),
            backend.address(),
        ));
        Ordering { proxy, dir }
    }

    /// A file of another instance: written aside, and renamed.
    fn put(&self, name: &str, text: &str) {
        let path = self.state().join(name);
        let aside = self.dir.path().join("aside");
        fs::write(&aside, text).unwrap();
        fs::rename(aside, path).unwrap();
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state/127.0.0.1_1_dir")
    }

    /// Puts a certificate there, and waits until clients that trust its authority alone are let in.
    async fn renew(&self, made: &Certificates) -> Client {
        let read = |name: &str| fs::read_to_string(made.path().join(name)).unwrap();
        self.put("certificates/localhost.pem", &(read("site.pem") + &read("site.key")));
        let client = self.proxy.client_of("https").trusting(&made.ca());
        within("the new certificate", async {
            while client.connect().await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        client
    }

    async fn made(&self) {
        within("the directory of state", async {
            while !Path::new(&self.state()).join("locks").exists() {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_certificate_that_another_instance_got_is_shown_and_live_sessions_notice_no_renewal() {
    let backend = Backend::echo("one").await;
    let site = Ordering::start(&backend).await;
    site.made().await;
    let first = Certificates::new(&["localhost"]);
    let untrusted = site.proxy.client_of("https").trusting(&first.ca()).connect().await;
    let refused = untrusted.err().expect("nobody trusts the stand-in").to_string();
    assert!(refused.contains("UnknownIssuer") || refused.contains("certificate"), "{refused}");
    let ready = site.proxy.admin().path("/readyz").request("GET", "").await;
    assert_eq!(ready.0.status(), 200);
    let mut session = site.renew(&first).await.open().await;
    session.echo("before").await;
    let second = Certificates::new(&["localhost"]);
    let mut later = site.renew(&second).await.open().await;
    later.echo("with the new one").await;
    session.echo("after").await;
    let page = site.proxy.scrape();
    assert!(page.contains("certificate=\"acme:localhost\""), "{page}");
    // Garbage changes nothing.
    site.put("certificates/localhost.pem", "-----BEGIN nothing");
    session.echo("still").await;
    drop((session, later));
    site.proxy.stop().await;
}

#[tokio::test]
async fn the_authority_is_answered_for_another_instance_and_other_tokens_are_requests() {
    let backend = Backend::echo("one").await;
    let site = Ordering::start(&backend).await;
    site.made().await;
    site.put("challenges/http_token-of_another", "token-of_another.key");
    let asked = async |token: &str| {
        let path = format!("/.well-known/acme-challenge/{token}");
        let (head, body) = site.proxy.client().path(&path).request("GET", "").await;
        (head.status(), body)
    };
    assert_eq!(asked("token-of_another").await, (200, "token-of_another.key".to_owned()));
    assert!(backend.heads().is_empty());
    // A backend may have an ACME client of its own.
    let (status, body) = asked("nobody-s").await;
    assert_eq!((status, backend.heads().len()), (200, 1), "{body}");
    let (_, body) = asked("..%2Fcertificates%2Flocalhost").await;
    assert!(!body.contains("PRIVATE"), "{body}");
    site.proxy.stop().await;
}

#[tokio::test]
async fn acme_tls_is_agreed_on_only_for_a_name_that_is_asked_about() {
    let backend = Backend::echo("one").await;
    let site = Ordering::start(&backend).await;
    site.made().await;
    let other = Certificates::new(&["localhost"]);
    let asked = async || {
        let mut config = (*other.client()).clone();
        config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
        let client = site.proxy.client_of("https").showing(config.into());
        let refused = client.connect().await.err().expect("no such certificate is trusted");
        refused.to_string()
    };
    let before = asked().await;
    assert!(before.contains("NoApplicationProtocol"), "{before}");
    // Half of one is none, and nobody's end.
    for half in ["", "00ff", &"ab".repeat(31), &"ab".repeat(33)] {
        site.put("challenges/tls_localhost", half);
        let told = asked().await;
        assert!(told.contains("NoApplicationProtocol"), "{half}: {told}");
    }
    site.put("challenges/tls_localhost", &"ab".repeat(32));
    let pending = asked().await;
    assert!(!pending.contains("NoApplicationProtocol"), "a certificate is shown: {pending}");
    fs::remove_file(site.state().join("challenges/tls_localhost")).unwrap();
    within("the end of the challenge", async {
        while !asked().await.contains("NoApplicationProtocol") {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    site.proxy.stop().await;
}
