//! Certificates, and both ends of a connection on real sockets, for the tests of this module.

mod engine;
mod handshake;
mod traffic;
mod upstream;

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{
    CipherSuiteCommon, ClientConfig, SupportedCipherSuite, SupportedProtocolVersion,
    Tls12CipherSuite,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::base::socket::Socket;
use crate::config::plan::{Certificate, ServerTls, TlsVersion};
use crate::wire::pem::{self, TrustedCertificates};

use super::*;

pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// A certificate as a plan has it, and trust in it.
pub(crate) struct Made {
    pub plan: Certificate,
    pub trusted: Arc<TrustedCertificates>,
}

pub(crate) fn certificate(names: &[&str]) -> Made {
    certificate_with(names, |_| {})
}

/// A self-signed certificate that says what `change` makes it say.
pub(super) fn certificate_with(
    names: &[&str],
    change: impl FnOnce(&mut CertificateParams),
) -> Made {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let (chain, key) = (params.self_signed(&key).unwrap().pem(), key.serialize_pem());
    let read = pem::certified(chain.as_bytes(), key.as_bytes()).unwrap();
    let plan = Certificate {
        chain: "test.pem".into(),
        key: "test.key".into(),
        stamp: 0,
        names: read.names,
        validity: read.validity,
        loaded: Arc::new(read.key),
    };
    Made { plan, trusted: Arc::new(pem::trusted(chain.as_bytes()).unwrap().0) }
}

pub(crate) fn server_tls(certificates: &[&Made]) -> ServerTls {
    ServerTls {
        certificates: certificates.iter().map(|made| made.plan.clone()).collect(),
        acme: Vec::new(),
        development: None,
        version_min: TlsVersion::V1_2,
        resumption: true,
        strict_sni: false,
        clients: None,
    }
}

pub(crate) fn acceptor(made: &Made) -> Acceptor {
    Acceptor::build(&server_tls(&[made]), &[HTTP_1_1], &Arc::default()).unwrap()
}

/// A client that trusts `made` and speaks these versions.
pub(crate) fn client(made: &Made, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(Arc::clone(&made.trusted.roots))
        .with_no_client_auth()
}

/// A connected pair: the accepted socket, the client's stream.
pub(super) async fn sockets() -> (Socket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (accepted, connected) = tokio::join!(listener.accept(), TcpStream::connect(address));
    (Socket::from(accepted.unwrap().0), connected.unwrap())
}

/// Both ends after the handshake.
pub(super) struct Ends {
    pub server: Box<ServerStream>,
    pub greeting: Greeting,
    pub client: TlsStream<TcpStream>,
}

pub(super) async fn ends(acceptor: &Acceptor, client: &Arc<ClientConfig>, name: &str) -> Ends {
    let (socket, tcp) = sockets().await;
    ends_over(acceptor, client, name, socket, tcp).await
}

pub(super) async fn ends_over(
    acceptor: &Acceptor,
    client: &Arc<ClientConfig>,
    name: &str,
    socket: Socket,
    tcp: TcpStream,
) -> Ends {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connector = TlsConnector::from(Arc::clone(client));
    let (accepted, connected) =
        tokio::join!(acceptor.accept(socket, &[]), connector.connect(name, tcp));
    let (server, greeting) = accepted.unwrap();
    Ends { server, greeting, client: connected.unwrap() }
}

/// Bytes in which a lost, doubled or moved one shows.
pub(super) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 7 + index / 251) as u8).collect()
}

/// Keys of TLS 1.2 that are good for so many records only.
fn short_keys(records: u64) -> Arc<CryptoProvider> {
    let suite = aws_lc_rs::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    let SupportedCipherSuite::Tls12(of) = suite else { panic!("a suite of TLS 1.2") };
    let common = CipherSuiteCommon {
        suite: of.common.suite,
        hash_provider: of.common.hash_provider,
        confidentiality_limit: records,
    };
    let Tls12CipherSuite { prf_provider, kx, sign, aead_alg, .. } = *of;
    let short = Tls12CipherSuite { common, prf_provider, kx, sign, aead_alg };
    let mut provider = (*provider()).clone();
    provider.cipher_suites = vec![SupportedCipherSuite::Tls12(Box::leak(Box::new(short)))];
    Arc::new(provider)
}

/// A listener's, of whose keys ours are good for so many records only.
pub(crate) fn worn_acceptor(tls: &ServerTls, records: u64, alpn: &'static [Alpn]) -> Acceptor {
    Acceptor::with(short_keys(records), tls, alpn, &Arc::default()).unwrap()
}

/// A client's connection, of whose keys ours are good for so many records only; our end first.
pub(crate) async fn worn_client(records: u64) -> (Transport, TlsStream<TcpStream>) {
    let made = certificate(&["a.example"]);
    let acceptor =
        Acceptor::with(short_keys(records), &server_tls(&[&made]), &[HTTP_1_1], &Arc::default());
    let client = Arc::new(client(&made, &VERSIONS));
    let Ends { server, client, .. } = ends(&acceptor.unwrap(), &client, "a.example").await;
    (Transport::from(server), client)
}

/// A backend's connection, of whose keys ours are good for so many records only; our end first.
pub(crate) async fn worn_backend(records: u64) -> (Transport, Transport) {
    let made = certificate(&["a.example"]);
    let config = ClientConfig::builder_with_provider(short_keys(records))
        .with_protocol_versions(&VERSIONS)
        .unwrap()
        .with_root_certificates(Arc::clone(&made.trusted.roots))
        .with_no_client_auth();
    let (socket, tcp) = sockets().await;
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("a.example").unwrap();
    let acceptor = acceptor(&made);
    let (ours, far) =
        tokio::join!(connector.connect(name, Socket::from(tcp)), acceptor.accept(socket, &[]));
    (Transport::Upstream(Box::new(ours.unwrap())), Transport::from(far.unwrap().0))
}
