//! Sockets, timers and tasks for `hickory_resolver`, on the runtime that asks. Its own would have
//! tokio built with its multi-threaded scheduler, for which each socket of each session pays eight
//! bytes.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures_io::{AsyncRead, AsyncWrite};
use hickory_resolver::net::runtime::{DnsTcpStream, DnsUdpSocket, RuntimeProvider, Spawn, Time};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long a connection to a name server may take where the library does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Makes what questions need. Its clones share their tasks, which end with the last of them.
#[derive(Clone, Default)]
pub(super) struct DnsRuntime(DnsTasks);

/// Connections to name servers at work.
#[derive(Clone, Default)]
pub(super) struct DnsTasks(Arc<Mutex<JoinSet<()>>>);

/// tokio's timers.
pub(super) struct DnsTime;

/// A socket for questions over UDP.
pub(super) struct DnsUdp(UdpSocket);

/// A connection for questions over TCP.
pub(super) struct DnsTcp(TcpStream);

type DnsOpening<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl RuntimeProvider for DnsRuntime {
    type Handle = DnsTasks;
    type Timer = DnsTime;
    type Udp = DnsUdp;
    type Tcp = DnsTcp;

    fn create_handle(&self) -> DnsTasks {
        self.0.clone()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        bind: Option<SocketAddr>,
        wait: Option<Duration>,
    ) -> DnsOpening<DnsTcp> {
        Box::pin(async move {
            let socket = match server {
                SocketAddr::V4(_) => TcpSocket::new_v4(),
                SocketAddr::V6(_) => TcpSocket::new_v6(),
            }?;
            if let Some(bind) = bind {
                socket.bind(bind)?;
            }
            socket.set_nodelay(true)?;
            let connected = timeout(wait.unwrap_or(CONNECT_TIMEOUT), socket.connect(server)).await;
            Ok(DnsTcp(connected.map_err(|_| io::ErrorKind::TimedOut)??))
        })
    }

    fn bind_udp(&self, local: SocketAddr, _server: SocketAddr) -> DnsOpening<DnsUdp> {
        Box::pin(async move { Ok(DnsUdp(UdpSocket::bind(local).await?)) })
    }
}

impl Spawn for DnsTasks {
    fn spawn_bg(&mut self, future: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(future);
        while tasks.try_join_next().is_some() {}
    }
}

#[async_trait]
impl Time for DnsTime {
    async fn delay_for(duration: Duration) {
        sleep(duration).await;
    }

    async fn timeout<F: Future + Send + 'static>(
        duration: Duration,
        future: F,
    ) -> io::Result<F::Output> {
        timeout(duration, future).await.map_err(|_| io::ErrorKind::TimedOut.into())
    }
}

impl DnsUdpSocket for DnsUdp {
    type Time = DnsTime;

    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut buffer = ReadBuf::new(buffer);
        let received = self.0.poll_recv_from(cx, &mut buffer);
        received.map_ok(|from| (buffer.filled().len(), from))
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.0.poll_send_to(cx, bytes, to)
    }
}

impl DnsTcpStream for DnsTcp {
    type Time = DnsTime;
}

impl AsyncRead for DnsTcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        let read = Pin::new(&mut self.0).poll_read(cx, &mut buffer);
        read.map_ok(|()| buffer.filled().len())
    }
}

impl AsyncWrite for DnsTcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
