//! What an idle TLS connection of a client costs: `cargo bench --bench tls_memory`.
//!
//! Prints the bytes of heap (glibc's count, so aws-lc's allocations are in it) per accepted
//! connection after the handshake and a message each way. The clients run in a child process: only
//! the server's side is counted.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SupportedProtocolVersion};
use tidegate::base::socket::Socket;
use tidegate::config::plan::{Certificate, ServerTls, TlsVersion};
use tidegate::tls::{Acceptor, HTTP_1_1, ServerStream};
use tidegate::wire::pem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const CONNECTIONS: usize = 1000;
const VERSIONS: [(&str, &SupportedProtocolVersion); 2] = [("TLS1.3", &TLS13), ("TLS1.2", &TLS12)];

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "client") {
        let address = arguments[at + 2].parse().unwrap();
        return runtime.block_on(client(&arguments[at + 1], address));
    }
    println!("size_of::<ServerStream>()       {:>6} bytes", size_of::<ServerStream>());
    for (version, _) in VERSIONS {
        let plain = runtime.block_on(measure(version, false));
        let tls = runtime.block_on(measure(version, true));
        println!("{version} heap per connection {tls:>6} bytes, of a plain one {plain:>6}");
    }
}

/// Heap bytes per connection that has answered one message and is idle.
async fn measure(version: &str, with_tls: bool) -> usize {
    let made = rcgen::generate_simple_self_signed(vec!["a.example".to_owned()]).unwrap();
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let acceptor = acceptor(&chain, &key);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let version = if with_tls { version } else { "plain" };
    let mut child = start(version, listener.local_addr().unwrap(), &chain);
    let mut kept = Vec::with_capacity(CONNECTIONS);
    let mut before = 0;
    for index in 0..CONNECTIONS {
        // What is made once, the scratch and the like, is made by the first ones.
        if index == CONNECTIONS / 10 {
            before = heap();
        }
        let mut socket = Socket::from(listener.accept().await.unwrap().0);
        kept.push(if with_tls {
            let (mut stream, _) = acceptor.accept(socket, &[]).await.unwrap();
            let byte = stream.read_u8().await.unwrap();
            stream.write_u8(byte).await.unwrap();
            tidegate::tls::Transport::from(stream)
        } else {
            let byte = socket.read_u8().await.unwrap();
            socket.write_u8(byte).await.unwrap();
            tidegate::tls::Transport::from(socket)
        });
    }
    let used = heap() - before;
    drop(child.stdin.take());
    child.wait().unwrap();
    used / (CONNECTIONS - CONNECTIONS / 10)
}

fn acceptor(chain: &str, key: &str) -> Acceptor {
    let read = pem::certified(chain.as_bytes(), key.as_bytes()).unwrap();
    let certificate = Certificate {
        chain: "bench.pem".into(),
        key: "bench.key".into(),
        stamp: 0,
        names: read.names,
        validity: read.validity,
        loaded: Arc::new(read.key),
    };
    let tls = ServerTls {
        certificates: vec![certificate],
        acme: Vec::new(),
        development: None,
        version_min: TlsVersion::V1_2,
        resumption: true,
        strict_sni: false,
        clients: None,
    };
    Acceptor::build(&tls, &[HTTP_1_1], &Arc::default()).unwrap()
}

/// This program again, as the clients; it keeps its connections until its input ends.
fn start(version: &str, address: SocketAddr, chain: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["client", version, &address.to_string()])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    write!(child.stdin.as_mut().unwrap(), "{chain}\n\n").unwrap();
    child
}

async fn client(version: &str, address: SocketAddr) {
    let mut input = BufReader::new(std::io::stdin());
    let mut chain = String::new();
    while input.read_line(&mut chain).unwrap() > 1 {}
    let version = VERSIONS.iter().find(|(word, _)| *word == version);
    let config = version.map(|(_, version)| {
        let config = ClientConfig::builder_with_protocol_versions(&[version])
            .with_root_certificates(pem::trusted(chain.as_bytes()).unwrap().0.roots)
            .with_no_client_auth();
        tokio_rustls::TlsConnector::from(Arc::new(config))
    });
    let mut kept: Vec<Box<dyn std::any::Any>> = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut tcp = TcpStream::connect(address).await.unwrap();
        if let Some(connector) = &config {
            let name = ServerName::try_from("a.example").unwrap();
            let mut stream = connector.connect(name, tcp).await.unwrap();
            stream.write_u8(1).await.unwrap();
            stream.read_u8().await.unwrap();
            kept.push(Box::new(stream));
        } else {
            tcp.write_u8(1).await.unwrap();
            tcp.read_u8().await.unwrap();
            kept.push(Box::new(tcp));
        }
    }
    input.read_to_end(&mut Vec::new()).unwrap();
}

/// Bytes of heap in use.
fn heap() -> usize {
    // SAFETY: mallinfo2 takes nothing and only reads the allocator's counters.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}
