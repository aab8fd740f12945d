//! What an upgrade hands over beside sockets: what an operator has set, and what was asked of the
//! process that leaves.

use rustls::HandshakeKind;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::backend::Backend;
use crate::proxy::Proxy;
use crate::traffic;
use crate::upgrade::upgraded;

fn configuration(backends: &[&Backend], more: &str) -> String {
    let addresses: Vec<&str> = backends.iter().map(|backend| &*backend.address).collect();
    format!(
        r#"
[pools.one]
backends = {addresses:?}
[[routes]]
path = "/"
pool = "one"
[upgrade]
sessions = "keep"
{more}
"#
    )
}

#[tokio::test]
async fn a_disabled_backend_stays_disabled_through_upgrades() {
    let (one, two) = (Backend::start(), Backend::start());
    let proxy = Proxy::start(&configuration(&[&one, &two], "")).await;
    let (code, said) = proxy.order("drain", &["--backend", &one.address]);
    assert_eq!(code, 0, "{said}");
    let disabled = || {
        proxy
            .metric(&format!("tidegate_backend_disabled{{pool=\"one\",backend=\"{}\"", one.address))
    };
    assert_eq!(disabled(), 1.0);
    for _ in 0..2 {
        upgraded(&proxy).await;
        assert_eq!(disabled(), 1.0, "{}", proxy.log());
    }
    let (code, said) = proxy.order("enable", &["--backend", &one.address]);
    assert_eq!((code, said.contains("gets new sessions again")), (0, true), "{said}");
    upgraded(&proxy).await;
    assert_eq!(disabled(), 0.0);
}

#[tokio::test]
async fn a_reload_asked_of_the_old_process_is_done_by_the_new_one() {
    let one = Backend::start();
    let proxy = Proxy::start(&configuration(&[&one], "")).await;
    // It keeps the old process.
    let _session = traffic::open(&proxy.plain, "/").await.unwrap();
    upgraded(&proxy).await;
    assert_eq!(proxy.generation(), 1);
    let page = "[[routes]]\npath = \"/page\"\nrespond = { body = \"new\" }\n";
    proxy.configure(&configuration(&[&one], page));
    proxy.signal(libc::SIGHUP);
    proxy.wait("the new configuration", || proxy.generation() == 2).await;
    assert!(proxy.log().contains("passed on to the process that serves"), "{}", proxy.log());
    // Asked again with nothing changed, it stays as it is.
    proxy.signal(libc::SIGHUP);
    let asked = || proxy.log().matches("asked of an older process").count() == 2;
    proxy.wait("the second question", asked).await;
    assert_eq!(proxy.generation(), 2);
}

/// A TLS connection to the proxy; whether it resumed a session of an earlier one.
async fn resumes(proxy: &Proxy, connector: &TlsConnector) -> bool {
    let tcp = TcpStream::connect(&proxy.tls).await.unwrap();
    let name = ServerName::try_from("process.test").unwrap();
    let mut stream = connector.connect(name, tcp).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: process.test\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    // The ticket comes before the answer.
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 "), "{}", String::from_utf8_lossy(&answer));
    stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
}

#[tokio::test]
async fn clients_resume_their_tls_sessions_with_the_new_process() {
    let page = "[[routes]]\npath = \"/\"\nrespond = { body = \"page\" }\n";
    let proxy = Proxy::start(page).await;
    let connector = proxy.connector(&[]);
    assert!(!resumes(&proxy, &connector).await);
    for _ in 0..2 {
        upgraded(&proxy).await;
        assert!(resumes(&proxy, &connector).await, "{}", proxy.log());
    }
    assert!(!proxy.log().contains("keys"), "{}", proxy.log());
}
