//! An authority's question over TLS whether a name is ours (TLS-ALPN-01, RFC 8737).

use std::sync::Arc;

use rustls::server::Acceptor as HelloReader;

use crate::base::socket::Socket;

/// The protocol that such a connection asks for, and no other.
pub(super) const ACME_TLS_1: &str = "acme-tls/1";

/// Bytes of a ClientHello that are looked at: an authority's is not longer.
const HELLO_BYTES_MAX: usize = 4096;

/// The name that an authority asks about on this connection, whose ClientHello is there; `None` of
/// every other connection. Nothing is taken.
pub async fn challenged_name(socket: &Socket) -> Option<Arc<str>> {
    let mut hello = [0; HELLO_BYTES_MAX];
    let seen = socket.peek_until(&mut hello, |_, _| true).await.ok()?;
    read(&hello[..seen])
}

fn read(hello: &[u8]) -> Option<Arc<str>> {
    // Most hellos do not have the word, and are not read.
    let word = ACME_TLS_1.as_bytes();
    if !hello.windows(word.len()).any(|window| window == word) {
        return None;
    }
    let mut reader = HelloReader::default();
    reader.read_tls(&mut &*hello).ok()?;
    let accepted = reader.accept().ok()??;
    let hello = accepted.client_hello();
    let mut protocols = hello.alpn()?;
    let is_alone = protocols.next()? == word && protocols.next().is_none();
    let name = hello.server_name()?;
    is_alone.then(|| name.to_ascii_lowercase().into())
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;

    fn hello(name: &str, protocols: &[&str]) -> Vec<u8> {
        let mut config = ClientConfig::builder_with_provider(crate::tls::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|one| one.as_bytes().to_vec()).collect();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn an_authority_asks_for_its_protocol_alone_and_for_a_name() {
        let asked = |name, protocols: &[&str]| read(&hello(name, protocols));
        assert_eq!(asked("A.example", &["acme-tls/1"]).as_deref(), Some("a.example"));
        assert_eq!(asked("a.example", &["acme-tls/1", "http/1.1"]), None);
        assert_eq!(asked("a.example", &["http/1.1", "acme-tls/1"]), None);
        assert_eq!(asked("acme-tls.1.example", &["h2"]), None);
        assert_eq!(asked("127.0.0.1", &["acme-tls/1"]), None);
    }

    #[test]
    fn what_is_cut_or_garbled_asks_for_nothing() {
        let whole = hello("a.example", &["acme-tls/1"]);
        for cut in 0..whole.len() {
            assert_eq!(read(&whole[..cut]), None, "{cut}");
        }
        assert_eq!(read(b"acme-tls/1"), None);
    }
}
