use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::tls::tests::{VERSIONS, certificate, client, server_tls};

/// A TLS listener with a certificate of its own, and a client that trusts it.
pub fn secured(name: &str) -> (Listener, TlsConnector) {
    secured_with(name, &[])
}

/// The same, where the client offers these protocols.
pub fn secured_with(name: &str, alpn: &[Alpn]) -> (Listener, TlsConnector) {
    let made = certificate(&["a.example"]);
    let mut config = client(&made, &VERSIONS);
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let listener = Listener { tls: Some(server_tls(&[&made])), ..plain(name) };
    (listener, TlsConnector::from(Arc::new(config)))
}

pub async fn connect(
    connector: &TlsConnector,
    address: SocketAddr,
) -> std::io::Result<TlsStream<TcpStream>> {
    connect_from(connector, TcpStream::connect(address).await.unwrap()).await
}

/// The same on a connection that is there.
pub async fn connect_from(
    connector: &TlsConnector,
    tcp: TcpStream,
) -> std::io::Result<TlsStream<TcpStream>> {
    connector.connect(ServerName::try_from("a.example").unwrap(), tcp).await
}

/// The first record of a handshake, whole, with a ClientHello that asks for nothing odd.
pub fn client_hello() -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from("a.example").unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

/// A client that has sent its ClientHello, was answered, and goes no further.
pub async fn half_shaken(address: SocketAddr) -> TcpStream {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(&client_hello()).await.unwrap();
    client.read_u8().await.unwrap();
    client
}

#[tokio::test]
async fn a_request_over_tls_knows_the_name_that_was_asked_for() {
    let (listener, connector) = secured("a");
    let (stand, address) = Stand::with(listener);
    let mut client = connect(&connector, address).await.unwrap();
    assert!(ask(&mut client).await.contains("Some(\"a.example\")"));
    drop(client);
    stand.is_quiet().await;
    assert_eq!(stand.metrics.listener(&Arc::from("a")).tls_handshakes.get(), 1);
}

#[tokio::test]
async fn plain_http_on_a_tls_port_is_told_so_in_clear_text() {
    let (stand, address) = Stand::with(secured("a").0);
    let heard = once(address).await;
    assert!(heard.starts_with("HTTP/1.1 400 "), "{heard}");
    assert!(heard.ends_with("This port speaks TLS: use https:// or wss:// URLs"), "{heard}");
    let (_, body) = heard.split_once("\r\n\r\n").unwrap();
    assert!(heard.contains(&format!("Content-Length: {}\r\n", body.len())));
    stand.is_quiet().await;
}

#[tokio::test]
async fn a_tls_handshake_has_its_time_and_garbage_has_none() {
    let (mut listener, _) = secured("a");
    listener.limits.tls_handshake_timeout = Duration::from_millis(100);
    let (stand, address) = Stand::with(listener);
    let mut silent = TcpStream::connect(address).await.unwrap();
    assert_eq!(rest(&mut silent).await, "");
    let mut garbage = TcpStream::connect(address).await.unwrap();
    garbage.write_all(&[0xFF; 64]).await.unwrap();
    let mut heard = Vec::new();
    let _ = garbage.read_to_end(&mut heard).await;
    stand.is_quiet().await;
    let cells = stand.metrics.listener(&Arc::from("a"));
    assert_eq!((cells.tls_failures.get("timeout"), cells.tls_failures.get("refused")), (1, 1));
}

#[tokio::test]
async fn handshakes_in_flight_have_a_limit() {
    let (mut listener, connector) = secured("a");
    listener.limits.handshakes_in_flight_max = 1;
    let (stand, address) = Stand::with(listener);
    let begun = half_shaken(address).await;
    connect(&connector, address).await.unwrap_err();
    stand.refused(Rejection::Handshakes).await;
    drop(begun);
    stand.is_quiet().await;
    connect(&connector, address).await.unwrap();
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_the_next_client_and_no_other_feels_it() {
    let (old, trusts_old) = secured("a");
    let (mut stand, address) = Stand::with(old);
    let mut before = connect(&trusts_old, address).await.unwrap();
    ask(&mut before).await;
    let (new, trusts_new) = secured("a");
    assert_eq!(stand.takes(&[new]), [address]);
    let mut after = connect(&trusts_new, address).await.unwrap();
    ask(&mut after).await;
    ask(&mut before).await;
    drop((before, after));
    stand.is_quiet().await;
}
