//! Clients that leave in the middle of TLS: in a handshake, in a record's header, in a record.

use std::io::Write as _;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::actors::{Certificates, Client, Wire, drain, frame, within};
use crate::case::{Table, request, serves_as_before};
use crate::cuts::{How, Mumbler, cut, upgrade};
use crate::proxy::Proxy;
use crate::site::site;

/// How far a client comes before it leaves.
enum Stage {
    /// So many bytes of its ClientHello.
    Hello(usize),
    /// What a server answers to a ClientHello has begun to come.
    Answered,
    /// These bytes instead of TLS.
    Clear(&'static [u8]),
    /// So many bytes of the record of a request's head (RFC 8446 §5.1).
    Request(usize),
    /// So many bytes of the record of a frame, in a WebSocket.
    Frame(usize),
}

const HEADER_BYTES: usize = 5;

const STAGES: &[(&str, &str, Stage)] = &[
    ("before a byte", "8446 §4.1.2", Stage::Hello(0)),
    ("in a ClientHello's header", "8446 §5.1", Stage::Hello(HEADER_BYTES - 2)),
    ("behind a ClientHello's header", "8446 §5.1", Stage::Hello(HEADER_BYTES)),
    ("in a ClientHello", "8446 §4.1.2", Stage::Hello(100)),
    ("behind a ClientHello", "8446 §4.4.4", Stage::Answered),
    ("in plain HTTP", "9112 §9.7", Stage::Clear(b"GET / HT")),
    ("behind plain HTTP", "9112 §9.7", Stage::Clear(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")),
    ("in a request's record's header", "8446 §5.1", Stage::Request(HEADER_BYTES - 2)),
    ("in a request's record", "8446 §5.2", Stage::Request(HEADER_BYTES + 20)),
    ("in a frame's record's header", "8446 §5.1", Stage::Frame(HEADER_BYTES - 2)),
    ("in a frame's record", "8446 §5.2", Stage::Frame(HEADER_BYTES + 20)),
];

/// What is to be sent for `plain`, and all before it.
fn records(tls: &mut ClientConnection, plain: &[u8]) -> Vec<u8> {
    tls.writer().write_all(plain).unwrap();
    let mut wire = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut wire).unwrap();
    }
    wire
}

/// A client that has come so far; `certificates` are the proxy's.
async fn at(stage: &Stage, client: &Client, certificates: &Certificates) -> TcpStream {
    let name = ServerName::try_from("localhost").unwrap();
    let mut tcp = within("a connection", TcpStream::connect(client.address())).await.unwrap();
    let (plain, most) = match stage {
        Stage::Clear(bytes) => {
            tcp.write_all(bytes).await.unwrap();
            return tcp;
        }
        Stage::Hello(_) | Stage::Answered => {
            let mut tls = ClientConnection::new(certificates.client(), name).unwrap();
            let hello = records(&mut tls, b"");
            let most = if let Stage::Hello(most) = stage { *most } else { hello.len() };
            tcp.write_all(&hello[..most]).await.unwrap();
            if let Stage::Answered = stage {
                within("a ServerHello", tcp.read_u8()).await.unwrap();
            }
            return tcp;
        }
        Stage::Request(most) => (request("GET /a", &[], ""), *most),
        Stage::Frame(most) => (frame(0x82, &[7; 100], Some([1, 2, 3, 4])), *most),
    };
    let shaking = TlsConnector::from(certificates.client()).connect(name, tcp);
    let mut wire = within("a handshake", shaking).await.unwrap();
    if let Stage::Frame(_) = stage {
        wire.write_all(&upgrade("/a")).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within("an answer", wire.read_u8()).await.unwrap());
        }
    }
    let (mut tcp, mut tls) = wire.into_inner();
    tcp.write_all(&records(&mut tls, &plain)[..most]).await.unwrap();
    tcp
}

#[tokio::test]
async fn a_client_may_leave_in_the_middle_of_tls() {
    let mumbler = Mumbler::start().await;
    let certificates = Certificates::new(&["localhost"]);
    let proxy = Proxy::start(&site(&[&mumbler.backend]).https(&[&certificates], "")).await;
    let client = proxy.client_of("https");
    let mut table = Table::new("A client leaves in the middle of TLS");
    for (phase, rfc, stage) in STAGES {
        for (how, by) in [(How::Bare, "FIN"), (How::Reset, "RST")] {
            let ended = mumbler.ended();
            let tcp = at(stage, &client, &certificates).await;
            let left = cut(Wire::new(Box::new(tcp)), how).await;
            let came = match stage {
                // The rest of what it has sent is no frame.
                Stage::Frame(_) => mumbler.end(ended).await,
                _ => "not asked".to_owned(),
            };
            let wanted = if let Stage::Frame(_) = stage { "nothing" } else { "not asked" };
            if let Some(mut wire) = left {
                drain(&mut wire).await;
            }
            table.row(&format!("{by} {phase}"), rfc, "gone", &came, &[(wanted, &came)]);
        }
    }
    table.settle();
    // Whoever left before a request was whole never came to a backend.
    let asked = mumbler.backend.heads();
    assert!(asked.iter().all(|head| head.is_upgrade()), "{asked:?}");
    serves_as_before(&proxy).await;
    proxy.stop().await;
}
