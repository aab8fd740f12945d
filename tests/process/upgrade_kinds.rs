//! Upgrades and sessions of every kind: over TLS, on HTTP/2, and one whose upstream is away.

use std::time::Duration;

use futures_util::SinkExt;
use tokio::net::TcpStream;
use tungstenite::Message;

use crate::actors::{Ending, Session};
use crate::backend::Backend;
use crate::front::Streams;
use crate::proxy::Proxy;
use crate::traffic::{self, Ended, Socket};
use crate::upgrade::{is_alive, upgraded};

fn configuration(backend: &Backend, dies: &Backend, upgrade: &str) -> String {
    format!(
        r#"
[pools.one]
backends = [{:?}]
[pools.dies]
backends = [{:?}]
[[routes]]
path = "/"
pool = "one"
[[routes]]
path = "/held"
pool = "dies"
hold = {{ timeout = "60s", resume = "always" }}
{upgrade}
"#,
        backend.address, dies.address
    )
}

/// Over TLS, with the protocol that is offered.
async fn tls(proxy: &Proxy, alpn: &[u8]) -> tokio_rustls::client::TlsStream<TcpStream> {
    let tcp = TcpStream::connect(&proxy.tls).await.unwrap();
    let name = "process.test".try_into().unwrap();
    proxy.connector(&[alpn]).connect(name, tcp).await.unwrap()
}

async fn echo(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.unwrap();
    assert_eq!(traffic::read(socket).await.as_deref(), Ok(text.as_bytes()));
}

/// A session of each kind.
struct Each {
    tls: Socket,
    /// The connection of `h2`.
    _streams: Streams,
    h2: Session,
    /// Both lost their upstream.
    held: Socket,
    held_h2: Session,
}

impl Each {
    /// Opens them; the upstream of `held` is killed then.
    async fn open(proxy: &Proxy, dies: Backend) -> Each {
        let mut tls_socket =
            traffic::open_on(Box::new(tls(proxy, b"http/1.1").await), "/").await.unwrap();
        echo(&mut tls_socket, "over TLS").await;
        let mut streams = Streams::on(tls(proxy, b"h2").await).await;
        let mut h2 = streams.open("/").await;
        h2.echo("on HTTP/2").await;
        let mut held = traffic::open(&proxy.plain, "/held").await.unwrap();
        echo(&mut held, "before").await;
        let mut held_h2 = streams.open("/held").await;
        held_h2.echo("before").await;
        dies.kill();
        let are_held = || proxy.metric("tidegate_sessions_held") == 2.0;
        proxy.wait("the sessions to be held", are_held).await;
        Each { tls: tls_socket, _streams: streams, h2, held, held_h2 }
    }
}

#[tokio::test]
async fn sessions_over_tls_on_http2_and_held_ones_are_kept_through_an_upgrade() {
    let (backend, dies) = (Backend::start(), Backend::start());
    let proxy = Proxy::start(&configuration(&backend, &dies, "")).await;
    let address = dies.address.clone();
    let mut each = Each::open(&proxy, dies).await;
    each.held.send(Message::text("meanwhile")).await.unwrap();
    each.held_h2.send("meanwhile").await;
    upgraded(&proxy).await;
    echo(&mut each.tls, "still over TLS").await;
    each.h2.echo("still on HTTP/2").await;
    // The old process goes on to look for its upstream.
    let _revived = Backend::start_on(&address, Duration::ZERO);
    let kept = traffic::read(&mut each.held).await;
    assert_eq!(kept.as_deref(), Ok(&b"meanwhile"[..]));
    echo(&mut each.held, "afterwards").await;
    // By then the client of HTTP/2 was told to open what is new elsewhere.
    assert_eq!(each.held_h2.text().await, "meanwhile");
    each.held_h2.echo("afterwards").await;

    // New ones are the new process's.
    let mut new = traffic::open_on(Box::new(tls(&proxy, b"http/1.1").await), "/").await.unwrap();
    echo(&mut new, "over TLS").await;
    let mut streams = Streams::on(tls(&proxy, b"h2").await).await;
    streams.open("/").await.echo("on HTTP/2").await;
    assert!(is_alive(proxy.pid()), "it has what is open");
    each.tls.close(None).await.unwrap();
    each.held.close(None).await.unwrap();
    assert_eq!(each.held_h2.close(1000, "").await, Ending::Close(1000, String::new()));
    assert_eq!(each.h2.close(1000, "").await, Ending::Close(1000, String::new()));
    drop(each._streams);
    proxy.wait("the old process to leave", || !is_alive(proxy.pid())).await;
    echo(&mut new, "and these stay").await;
}

#[tokio::test]
async fn sessions_over_tls_on_http2_and_held_ones_are_drained_with_1012_by_an_upgrade_that_drains()
{
    let (backend, dies) = (Backend::start(), Backend::start());
    let drain = "upgrade.sessions = \"drain\"\n[drain]\ndelay = \"0s\"\nwindow = \"100ms\"";
    let text = configuration(&backend, &dies, "");
    let proxy = Proxy::start(&format!("{drain}\n{text}")).await;
    let mut each = Each::open(&proxy, dies).await;
    upgraded(&proxy).await;
    assert_eq!(traffic::read(&mut each.tls).await, Err(Ended::Close(1012)));
    assert_eq!(traffic::read(&mut each.held).await, Err(Ended::Close(1012)));
    for session in [each.h2, each.held_h2] {
        let ending = session.ending().await;
        assert!(matches!(ending, Ending::Close(1012, _)), "{ending:?}");
    }
    proxy.wait("the old process to leave", || !is_alive(proxy.pid())).await;
}
