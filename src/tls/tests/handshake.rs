use std::io::ErrorKind;

use rustls::client::Resumption;
use rustls::{AlertDescription, HandshakeKind, NamedGroup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::base::label::Label;

/// The kind of handshake the client saw; then both write a little, so that tickets arrive.
async fn greet(acceptor: &Acceptor, config: &Arc<ClientConfig>) -> (HandshakeKind, Greeting) {
    let Ends { mut server, greeting, mut client } = ends(acceptor, config, "a.example").await;
    server.write_all(b"hello").await.unwrap();
    client.read_exact(&mut [0; 5]).await.unwrap();
    (client.get_ref().1.handshake_kind().unwrap(), greeting)
}

#[tokio::test]
async fn sessions_are_resumed_over_a_renewed_certificate_in_both_versions() {
    let made = certificate(&["a.example"]);
    // The client does not even trust the new one: it is not shown in a resumed handshake.
    let (before, after) = (acceptor(&made), acceptor(&certificate(&["a.example"])));
    for version in VERSIONS {
        let config = Arc::new(client(&made, &[version]));
        let (kind, greeting) = greet(&before, &config).await;
        assert_eq!((kind, greeting.resumed), (HandshakeKind::Full, false), "{version:?}");
        for acceptor in [&before, &after, &after] {
            let (kind, greeting) = greet(acceptor, &config).await;
            assert_eq!((kind, greeting.resumed), (HandshakeKind::Resumed, true), "{version:?}");
            assert_eq!(greeting.sni.as_deref(), Some("a.example"));
        }
    }
}

#[tokio::test]
async fn nothing_is_resumed_where_it_is_switched_off() {
    let made = certificate(&["a.example"]);
    let tls = ServerTls { resumption: false, ..server_tls(&[&made]) };
    let acceptor = Acceptor::build(&tls, &[HTTP_1_1], &Arc::default()).unwrap();
    for version in VERSIONS {
        let config = Arc::new(client(&made, &[version]));
        assert_eq!(greet(&acceptor, &config).await.0, HandshakeKind::Full);
        assert_eq!(greet(&acceptor, &config).await.0, HandshakeKind::Full);
    }
}

#[tokio::test]
async fn the_certificate_is_the_one_of_the_name_asked_for_else_the_first() {
    let made = [certificate(&["a.example"]), certificate(&["*.b.example"])];
    let acceptor =
        Acceptor::build(&server_tls(&[&made[0], &made[1]]), &[HTTP_1_1], &Arc::default()).unwrap();
    for (name, expected) in [("a.example", 0), ("x.b.example", 1), ("X.B.example", 1)] {
        let config = Arc::new(client(&made[expected], &VERSIONS));
        let ends = ends(&acceptor, &config, name).await;
        assert_eq!(ends.greeting.sni.as_deref(), Some(&*name.to_ascii_lowercase()));
    }
    let mut nameless = client(&made[0], &VERSIONS);
    nameless.enable_sni = false;
    let ends = ends(&acceptor, &Arc::new(nameless), "a.example").await;
    assert_eq!(ends.greeting.sni, None);
}

#[tokio::test]
async fn the_greeting_tells_version_and_protocol() {
    let made = certificate(&["a.example"]);
    let acceptor = acceptor(&made);
    for (version, expected) in VERSIONS.into_iter().zip([TlsVersion::V1_2, TlsVersion::V1_3]) {
        let mut config = client(&made, &[version]);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let ends = ends(&acceptor, &Arc::new(config), "a.example").await;
        assert_eq!((ends.greeting.version, ends.greeting.alpn), (expected, Some(HTTP_1_1)));
    }
    let ends = ends(&acceptor, &Arc::new(client(&made, &VERSIONS)), "a.example").await;
    assert_eq!(ends.greeting.alpn, None);
    let group = ends.client.get_ref().1.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
}

/// How both see a handshake that fails.
async fn refusal(acceptor: &Acceptor, config: ClientConfig) -> (AcceptError, rustls::Error) {
    let (socket, tcp) = sockets().await;
    let name = ServerName::try_from("a.example").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let client = async {
        // In TLS 1.3 a client is done before the server has seen whether it trusts it.
        match connector.connect(name, tcp).await {
            Ok(mut connected) => connected.read_u8().await.unwrap_err(),
            Err(error) => error,
        }
    };
    let (accepted, error) = tokio::join!(acceptor.accept(socket, &[]), client);
    (accepted.err().unwrap(), error.downcast().unwrap())
}

#[tokio::test]
async fn a_client_without_a_common_protocol_or_version_is_told_by_an_alert() {
    let made = certificate(&["a.example"]);
    let mut config = client(&made, &VERSIONS);
    config.alpn_protocols = vec![b"mqtt".to_vec()];
    let (refused, told) = refusal(&acceptor(&made), config).await;
    assert!(matches!(refused, AcceptError::Refused(rustls::Error::NoApplicationProtocol)));
    assert_eq!(told, rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol));

    let tls = ServerTls { version_min: TlsVersion::V1_3, ..server_tls(&[&made]) };
    let acceptor = Acceptor::build(&tls, &[HTTP_1_1], &Arc::default()).unwrap();
    let (refused, told) = refusal(&acceptor, client(&made, &[&TLS12])).await;
    assert!(matches!(refused, AcceptError::Refused(_)), "{refused}");
    assert_eq!(told, rustls::Error::AlertReceived(AlertDescription::ProtocolVersion));
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_certificate_is_an_alert() {
    let made = certificate(&["a.example"]);
    let stranger = certificate(&["a.example"]);
    let (refused, _) = refusal(&acceptor(&made), client(&stranger, &VERSIONS)).await;
    assert!(matches!(refused, AcceptError::Alert(_)), "{refused}");
    assert_eq!(refused.label(), "alert");
}

#[tokio::test]
async fn plain_http_gives_the_socket_back_for_an_answer_in_clear_text() {
    let made = certificate(&["a.example"]);
    let acceptor = acceptor(&made);
    for (sent, early) in [(&b"GET / HTTP/1.1\r\n\r\n"[..], &b""[..]), (b"", b"PRI"), (b"G", b"")] {
        let (socket, mut tcp) = sockets().await;
        tcp.write_all(sent).await.unwrap();
        let refused = acceptor.accept(socket, early).await.err().unwrap();
        let AcceptError::PlainHttp(mut socket) = refused else { panic!("{refused}") };
        socket.write_all(b"HTTP/1.1 400").await.unwrap();
        tcp.read_exact(&mut [0; 12]).await.unwrap();
    }
}

#[tokio::test]
async fn garbage_is_refused_with_an_alert() {
    let made = certificate(&["a.example"]);
    let (socket, mut tcp) = sockets().await;
    tcp.write_all(b"\x00\x01\x02\x03\x04\x05\x06").await.unwrap();
    let refused = acceptor(&made).accept(socket, &[]).await.err().unwrap();
    assert!(matches!(refused, AcceptError::Refused(_)), "{refused}");
    let mut alert = [0; 7];
    tcp.read_exact(&mut alert).await.unwrap();
    assert_eq!(alert[0], 21);
}

/// A ClientHello.
fn client_hello(made: &Made) -> Vec<u8> {
    let name = ServerName::try_from("a.example").unwrap();
    let config = Arc::new(client(made, &VERSIONS));
    let mut hello = Vec::new();
    rustls::ClientConnection::new(config, name).unwrap().write_tls(&mut hello).unwrap();
    hello
}

#[tokio::test]
async fn half_a_client_hello_and_an_end_is_an_end() {
    let made = certificate(&["a.example"]);
    let hello = client_hello(&made);
    for sent in [0, 3, hello.len() / 2, hello.len()] {
        let (socket, mut tcp) = sockets().await;
        tcp.write_all(&hello[..sent]).await.unwrap();
        tcp.shutdown().await.unwrap();
        let refused = acceptor(&made).accept(socket, &[]).await.err().unwrap();
        assert!(matches!(refused, AcceptError::Eof), "{sent}: {refused}");
    }
}

#[tokio::test]
async fn bytes_read_ahead_belong_to_the_handshake() {
    let made = certificate(&["a.example"]);
    let hello = client_hello(&made);
    for early in [1, 5, hello.len() - 1, hello.len()] {
        let (socket, mut tcp) = sockets().await;
        tcp.write_all(&hello[early..]).await.unwrap();
        let acceptor = acceptor(&made);
        let mut accepting = Box::pin(acceptor.accept(socket, &hello[..early]));
        let mut header = [0; 5];
        tokio::select! {
            _ = &mut accepting => panic!("the client has not finished"),
            read = tcp.read_exact(&mut header) => assert_eq!(read.unwrap(), 5),
        }
        assert_eq!(header[0], 22, "a ServerHello");
    }
    let (socket, _tcp) = sockets().await;
    let refused = acceptor(&made).accept(socket, &[0x16; 32_768]).await.err().unwrap();
    let AcceptError::Io(error) = refused else { panic!("{refused}") };
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn what_comes_right_behind_the_handshake_is_not_lost() {
    let made = certificate(&["a.example"]);
    let acceptor = acceptor(&made);
    for version in VERSIONS {
        let (socket, tcp) = sockets().await;
        let mut config = client(&made, &[version]);
        config.resumption = Resumption::disabled();
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("a.example").unwrap();
        let client = async {
            let mut connected = connector.connect(name, tcp).await.unwrap();
            connected.write_all(b"at once").await.unwrap();
            connected
        };
        // One task: the server continues only when the client has finished and written.
        let (connected, accepted) = tokio::join!(client, acceptor.accept(socket, &[]));
        let mut read = [0; 7];
        accepted.unwrap().0.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"at once");
        drop(connected);
    }
}

#[test]
fn a_listener_without_a_certificate_is_refused() {
    assert_eq!(
        Acceptor::build(&server_tls(&[]), &[], &Arc::default()).unwrap_err(),
        TlsError::NoCertificate
    );
}
