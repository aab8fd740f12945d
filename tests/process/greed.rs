//! What one client can make the proxy keep, in memory and files, while another is served.

use bytes::Bytes;
use h2::client::ResponseFuture;
use http::Request;

use tokio::net::TcpStream;

use crate::actors::Client;
use crate::backend::large_answers;
use crate::proxy::Proxy;

/// Connections of the greedy client, and streams on each: as many as there may be by default.
const CONNECTIONS: usize = 3;
const STREAMS: usize = 100;

/// `limits.http2_buffer_bytes_max`, in KiB.
const BUFFER_KIB: u64 = 4 << 10;

/// What a stream costs beside its bytes, with the connection to its backend: what hyper reads and
/// writes with, and tasks.
const STREAM_KIB: u64 = 48;

/// Of the allocator, and of what runs for the first time.
const OTHER_KIB: u64 = 4 << 10;

/// Asks on all streams of a new connection, and gives no more room than there is at first
/// (RFC 9113 §6.9.2).
async fn ask_and_read_nothing(to: &str) -> Vec<ResponseFuture> {
    let (mut asker, connection) =
        h2::client::handshake(TcpStream::connect(to).await.unwrap()).await.unwrap();
    tokio::spawn(connection);
    let mut answers = Vec::new();
    for _ in 0..STREAMS {
        asker = asker.ready().await.unwrap();
        let request = Request::get("http://process.test/large").body(()).unwrap();
        let (answer, _): (ResponseFuture, h2::SendStream<Bytes>) =
            asker.send_request(request, true).unwrap();
        answers.push(answer);
    }
    answers
}

#[tokio::test]
async fn answers_that_nobody_reads_cost_what_the_limit_says() {
    let to = large_answers().await;
    let proxy = Proxy::start(&format!(
        "listeners.plain.http2.h2c = true\nlimits.http2_buffer_bytes_max = \"{BUFFER_KIB}KiB\"\n\
         pools.large.backends = [\"{to}\"]\n\
         routes = [{{ path = \"/large\", pool = \"large\" }}, \
         {{ path = \"/page\", respond = {{ body = \"page\" }} }}]\n"
    ))
    .await;
    let (memory, files) = (proxy.memory_kib(), proxy.files());
    let mut greedy = Vec::new();
    for _ in 0..CONNECTIONS {
        greedy.push(ask_and_read_nothing(&proxy.plain).await);
    }
    let asked = (CONNECTIONS * STREAMS) as f64;
    let streams = || proxy.metric("tidegate_http2_streams_open") >= asked;
    proxy.wait("all streams", streams).await;
    // Until nothing more is read.
    let buffered = || proxy.metric("tidegate_http2_buffer_bytes");
    let is_still = || {
        let before = (buffered(), proxy.files());
        std::thread::sleep(std::time::Duration::from_millis(300));
        before.0 > 0.0 && before == (buffered(), proxy.files())
    };
    proxy.wait("the buffers to be full", is_still).await;
    let grown = proxy.memory_kib().saturating_sub(memory);
    let opened = proxy.files() - files;
    println!("{asked} streams: {grown} KiB, {opened} files, {} KiB buffered", buffered() / 1024.0);
    let most = BUFFER_KIB + (CONNECTIONS * STREAMS) as u64 * STREAM_KIB + OTHER_KIB;
    assert!(grown <= most, "{grown} KiB, where {most} are allowed");
    // The connection of a scrape may not be closed yet.
    assert!(opened <= CONNECTIONS * (STREAMS + 1) + 1, "{opened} files");
    let stranger = Client::to(proxy.plain.parse().unwrap()).from([127, 0, 9, 9].into());
    let (head, body) = stranger.path("/page").request("GET", "").await;
    assert_eq!((head.status(), &*body), (200, "page"));
}
