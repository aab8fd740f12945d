//! A link that is cut says nothing: no FIN, no RST. In a network namespace of its own, `lo` goes
//! down; the side that matters is on TCP, the other on a unix socket, which goes on.

use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tungstenite::Message;

use crate::backend::Backend;
use crate::proxy::Proxy;
use crate::traffic::{self, Ended, Socket};

/// Set in the process that runs inside the namespace: which side is cut.
const INSIDE: &str = "TIDEGATE_TEST_CUT";

/// Runs one case in a namespace of its own.
fn in_a_namespace(case: &str) {
    let status = Command::new("unshare")
        .args(["--map-root-user", "--net", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "cut::inside_the_namespace", "--nocapture"])
        .env(INSIDE, case)
        .status()
        .unwrap();
    assert!(status.success(), "the case inside failed: {case}");
}

#[test]
fn an_idle_client_whose_link_is_cut_is_closed() {
    in_a_namespace("client idle");
}

#[test]
fn a_streaming_client_whose_link_is_cut_is_closed() {
    in_a_namespace("client streaming");
}

#[test]
fn an_idle_upstream_whose_link_is_cut_is_closed() {
    in_a_namespace("upstream idle");
}

#[test]
fn a_streaming_upstream_whose_link_is_cut_is_closed() {
    in_a_namespace("upstream streaming");
}

#[test]
fn a_held_session_whose_upstreams_link_is_cut_goes_on_elsewhere() {
    in_a_namespace("upstream held");
}

/// Takes this namespace's `lo` up or down (netdevice(7)), which `ip` is not everywhere there for.
fn link(up: bool) {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    // SAFETY: an ifreq is plain data, and zeros are an empty one.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = if up { libc::IFF_UP as libc::c_short } else { 0 };
    // SAFETY: the descriptor is open, and the call reads one ifreq, which lives on.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) };
    assert_eq!(done, 0, "`lo`: {}", std::io::Error::last_os_error());
}

/// Not a test of its own: what [`in_a_namespace`] runs.
#[test]
fn inside_the_namespace() {
    let Ok(case) = std::env::var(INSIDE) else { return };
    link(true);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match case.as_str() {
        "upstream held" => runtime.block_on(held()),
        case => runtime.block_on(inside(case)),
    }
}

/// One backend's link is cut; the other's, on a unix socket, is not.
async fn held() {
    let dir = tempfile::tempdir().unwrap();
    let cut_off = Backend::start_on("127.0.0.1:0", Duration::ZERO);
    let reachable = format!("unix:{}/backend.socket", dir.path().display());
    let reachable = Backend::start_on(&reachable, Duration::ZERO);
    let proxy = Proxy::start(&format!(
        r#"
[relay]
ping_interval = "1s"
pong_timeout = "1s"
[pools.one]
backends = ["{}", "{}"]
connect_timeout = "1s"
[[routes]]
path = "/"
pool = "one"
hold.resume = "always"
"#,
        cut_off.address, reachable.address
    ))
    .await;
    let to = format!("unix:{}", proxy.path("plain.socket").display());
    let on_the_cut =
        format!("tidegate_backend_sessions{{pool=\"one\",backend=\"{}\"", cut_off.address);
    let mut first = traffic::open(&to, "/").await.unwrap();
    let mut second = traffic::open(&to, "/").await.unwrap();
    proxy.wait("a session on each", || proxy.metric(&on_the_cut) == 1.0).await;
    for socket in [&mut first, &mut second] {
        socket.send(Message::text("before")).await.unwrap();
        assert_eq!(traffic::read(socket).await.unwrap(), b"before");
    }
    link(false);
    let cut = Instant::now();
    // Clients read on, or they could not answer pings.
    let reading = [first, second].map(|mut socket| {
        tokio::spawn(async move {
            let read = traffic::read(&mut socket).await;
            (socket, read)
        })
    });
    proxy.wait("the loss", || proxy.log().contains("session_held")).await;
    let noticed = cut.elapsed();
    proxy.wait("the other backend", || proxy.log().contains("session_resumed")).await;
    println!("upstream held: held {noticed:?} after the cut, elsewhere after {:?}", cut.elapsed());
    assert!(!proxy.log().contains("session_ended"), "{}", proxy.log());
    for reading in reading {
        assert!(!reading.is_finished(), "a client was closed");
        reading.abort();
    }
}

async fn inside(case: &str) {
    let (side, streaming) = case.split_once(' ').unwrap();
    let streaming = streaming == "streaming";
    let dir = tempfile::tempdir().unwrap();
    let address = match side {
        "client" => format!("unix:{}/backend.socket", dir.path().display()),
        _ => "127.0.0.1:0".to_owned(),
    };
    let backend = Backend::start_on(&address, Duration::ZERO);
    let proxy = Proxy::start(&format!(
        r#"
[relay]
ping_interval = "1s"
pong_timeout = "1s"
[pools.one]
backends = ["{}"]
[[routes]]
path = "/"
pool = "one"
"#,
        backend.address
    ))
    .await;
    let to = match side {
        "client" => proxy.plain.clone(),
        _ => format!("unix:{}", proxy.path("plain.socket").display()),
    };
    let mut socket = traffic::open(&to, "/").await.unwrap();
    socket.send(Message::text("first")).await.unwrap();
    assert_eq!(traffic::read(&mut socket).await.unwrap(), b"first");
    // A client that only waits reads on, as browsers do; one that streams writes as well.
    let (ended, end) = tokio::sync::oneshot::channel();
    let echoes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&echoes);
    let client = tokio::spawn(async move {
        if streaming {
            stream(socket, &counted).await;
        } else {
            drop(ended.send(traffic::read(&mut socket).await));
        }
    });
    if streaming {
        // Echoes are on their way in both directions when the link goes.
        proxy.wait("echoes", || echoes.load(Relaxed) > 0).await;
    }
    link(false);
    let cut = Instant::now();
    let word = if side == "client" { "client_silent" } else { "upstream_silent" };
    proxy.wait(word, || proxy.log().contains(word)).await;
    println!("{case}: closed {:?} after the cut", cut.elapsed());
    if side == "upstream" && !streaming {
        assert_eq!(end.await.unwrap(), Err(Ended::Close(1012)));
    }
    client.abort();
}

/// Writes and reads for ever.
async fn stream(socket: Socket, echoes: &AtomicUsize) {
    let (mut send, mut read) = socket.split();
    let message = Message::binary(vec![7; 64 * 1024]);
    let reading = async {
        while let Some(Ok(_)) = read.next().await {
            echoes.fetch_add(1, Relaxed);
        }
    };
    let writing = async { while send.send(message.clone()).await.is_ok() {} };
    tokio::join!(reading, writing);
}
