use rcgen::{BasicConstraints, IsCa};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::config::plan::{Roots, UpstreamTls};

use super::*;

fn trust(made: &Made, server_name: Option<&str>) -> UpstreamTls {
    let loaded = Arc::clone(&made.trusted);
    let roots = Roots::File { path: "roots.pem".into(), stamp: 0, loaded };
    UpstreamTls { server_name: server_name.map(Arc::from), roots }
}

/// Connects to a backend with the certificate `made`.
async fn connect(
    made: &Made,
    tls: &UpstreamTls,
    host: &str,
) -> (std::io::Result<Transport>, Result<(Box<ServerStream>, Greeting), AcceptError>) {
    let (socket, tcp) = sockets().await;
    let connector = Connector::build(tls).unwrap();
    let acceptor = acceptor(made);
    tokio::join!(connector.connect(Socket::from(tcp), host), acceptor.accept(socket, &[]))
}

#[tokio::test]
async fn a_backend_is_known_by_its_host_its_address_or_the_name_given() {
    let made = certificate(&["a.example", "127.0.0.1"]);
    for (host, server_name) in
        [("a.example", None), ("127.0.0.1", None), ("10.0.0.1", Some("a.example"))]
    {
        let (transport, accepted) = connect(&made, &trust(&made, server_name), host).await;
        let (mut transport, (backend, greeting)) = (transport.unwrap(), accepted.unwrap());
        assert_eq!(greeting.alpn, Some(HTTP_1_1));
        assert_eq!(greeting.sni.is_some(), host != "127.0.0.1");
        let mut backend = Transport::from(backend);
        transport.write_all(b"ping").await.unwrap();
        transport.flush().await.unwrap();
        assert!(transport.is_flushed() && backend.is_flushed());
        backend.read_exact(&mut [0; 4]).await.unwrap();
        backend.write_all(b"pong").await.unwrap();
        backend.shutdown().await.unwrap();
        let mut read = String::new();
        transport.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "pong");
    }
}

#[tokio::test]
async fn a_backend_with_another_name_or_unknown_to_the_roots_is_refused() {
    let (made, stranger) = (certificate(&["a.example"]), certificate(&["a.example"]));
    for (trusted, host) in [(&made, "b.example"), (&stranger, "a.example")] {
        let (refused, told) = connect(&made, &trust(trusted, None), host).await;
        let refused = refused.err().unwrap().downcast::<rustls::Error>().unwrap();
        assert!(matches!(refused, rustls::Error::InvalidCertificate(_)), "{refused}");
        assert!(matches!(told.err().unwrap(), AcceptError::Alert(_)));
    }
}

/// Those that `openssl req -x509` makes: they may issue others, by default with no name at all.
#[tokio::test]
async fn a_self_signed_backend_is_trusted_as_its_own_root_whether_it_may_issue_others_or_not() {
    let authority = || IsCa::Ca(BasicConstraints::Unconstrained);
    for is_ca in [IsCa::NoCa, IsCa::ExplicitNoCa, authority()] {
        for names in [&["a.example"][..], &[]] {
            let made = certificate_with(names, |params| params.is_ca = is_ca);
            let (transport, accepted) = connect(&made, &trust(&made, None), "a.example").await;
            assert!(accepted.is_ok(), "{is_ca:?}, {names:?}");
            transport.unwrap_or_else(|error| panic!("{is_ca:?}, {names:?}: {error}"));
        }
        // One with the same names is another.
        let other = certificate_with(&["a.example"], |params| params.is_ca = is_ca);
        let made = certificate_with(&["a.example"], |params| params.is_ca = is_ca);
        let (refused, _) = connect(&other, &trust(&made, None), "a.example").await;
        assert!(refused.is_err(), "{is_ca:?}");
    }
}

#[tokio::test]
async fn a_pinned_backend_must_be_in_its_time_and_have_the_name_where_it_has_names() {
    let year = |from, to| {
        certificate_with(&["a.example"], |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.not_before = rcgen::date_time_ymd(from, 1, 1);
            params.not_after = rcgen::date_time_ymd(to, 1, 1);
        })
    };
    for (made, host, why) in [
        (year(2001, 2002), "a.example", "expired"),
        (year(2101, 2102), "a.example", "not valid yet"),
        (year(2001, 2102), "b.example", "not valid for name"),
    ] {
        let (refused, told) = connect(&made, &trust(&made, None), host).await;
        let refused = refused.err().unwrap().downcast::<rustls::Error>().unwrap().to_string();
        assert!(refused.contains(why), "{refused}");
        assert!(matches!(told.err().unwrap(), AcceptError::Alert(_)));
    }
}

#[tokio::test]
async fn a_host_that_is_no_name_is_refused_before_anything_is_sent() {
    let made = certificate(&["a.example"]);
    let (socket, tcp) = sockets().await;
    let connector = Connector::build(&trust(&made, None)).unwrap();
    let refused = connector.connect(Socket::from(tcp), "not a name").await.err().unwrap();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    let accepted = acceptor(&made).accept(socket, &[]).await;
    assert!(matches!(accepted, Err(AcceptError::Eof)));
    let bad = Connector::build(&trust(&made, Some("not a name"))).err().unwrap();
    assert_eq!(bad, TlsError::ServerName("not a name".into()));
}

#[test]
fn a_system_without_authorities_is_said_and_one_with_them_is_trusted() {
    match Connector::build(&UpstreamTls { server_name: None, roots: Roots::System }) {
        Ok(_) => {}
        Err(error) => assert!(error.to_string().contains("`ca-certificates`"), "{error}"),
    }
}

#[test]
fn a_transport_is_small_and_may_be_held_by_hyper() {
    fn is_send<T: Send + Unpin + 'static>() {}
    is_send::<Transport>();
    assert!(size_of::<Transport>() <= 40, "{}", size_of::<Transport>());
}
