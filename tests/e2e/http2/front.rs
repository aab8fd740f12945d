//! The proxy with a listener for HTTP/2, and a client that speaks it.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::Poll;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http::{Method, Request, Response};
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tidegate::config::plan::Address;
use tidegate::control::{ConfigSource, Options, Supervisor};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::actors::{Backend, Certificates, Client, Io, Session, frame, within};

const MASK: [u8; 4] = [1, 2, 3, 4];

/// A client's text as a frame.
pub fn text(text: &str) -> Bytes {
    frame(0x81, text.as_bytes(), Some(MASK)).into()
}

/// A certificate and its key, as a listener's entry.
pub fn pair(certificates: &Certificates) -> String {
    let path = certificates.path().display();
    format!("{{ chain = \"{path}/site.pem\", key = \"{path}/site.key\" }}")
}

/// A running proxy before one backend.
pub struct Front {
    supervisor: Supervisor,
    _dir: TempDir,
}

impl Front {
    /// Without TLS, with prior knowledge; `more` are tables and keys of the only route.
    pub fn clear(backend: &Backend, more: &str) -> Front {
        Front::start("http2 = { h2c = true, streams_max = 1000 }", backend, more)
    }

    /// With TLS and all defaults.
    pub fn tls(backend: &Backend, certificates: &Certificates) -> Front {
        Front::start(&format!("tls.certificates = [{}]", pair(certificates)), backend, "")
    }

    /// With these lines of its listener.
    pub fn start(listener: &str, backend: &Backend, more: &str) -> Front {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tidegate.toml");
        let toml = format!(
            "workers = 2\n[listeners.a]\naddress = \"127.0.0.1:0\"\n{listener}\n\
             [pools.chat]\nbackends = [\"{}\"]\n[drain]\ndelay = \"0s\"\nwindow = \"0s\"\n\
             [relay]\nclose_timeout = \"1s\"\n\
             [[routes]]\npath = \"/\"\npool = \"chat\"\n{more}",
            backend.address()
        );
        std::fs::write(&file, &toml).unwrap();
        let supervisor = Supervisor::start(Options::new(ConfigSource::File(file)));
        let supervisor = supervisor.unwrap_or_else(|error| panic!("{error}\n{toml}"));
        Front { supervisor, _dir: dir }
    }

    pub fn address(&self) -> SocketAddr {
        match self.supervisor.address("a") {
            Some(Address::Inet(address)) => address,
            other => panic!("it listens on {other:?}"),
        }
    }

    /// A client on a connection of its own.
    pub async fn client(&self) -> Streams {
        Streams::on(TcpStream::connect(self.address()).await.unwrap()).await
    }

    /// The same over TLS.
    pub async fn tls_client(&self, certificates: &Certificates) -> Streams {
        Streams::over_tls(self.address(), certificates).await
    }

    /// A client that speaks HTTP/1.1 inside TLS.
    pub fn http1_client(&self, certificates: &Certificates) -> Client {
        Client::to(self.address()).tls(certificates)
    }

    /// Live sessions.
    pub fn sessions(&self) -> u64 {
        self.supervisor.metrics().sessions()
    }

    /// Asks it to stop, as SIGTERM does.
    pub fn begin_stop(&self) {
        self.supervisor.stop();
    }

    /// Stops it and finds that nothing is left.
    pub async fn stop(self) {
        self.begin_stop();
        self.stopped().await;
    }

    /// Waits for the end of a stop that was begun, and finds that nothing is left.
    pub async fn stopped(self) {
        let stopped = within("the end of the proxy", self.supervisor.stopped()).await;
        assert!(stopped.drained, "it was stopped before all had ended: {:?}", stopped.left);
        assert_eq!((stopped.left.sessions, stopped.left.connections), (0, 0));
    }
}

/// A client's connection.
pub struct Streams {
    asker: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Streams {
    /// On a connection that is there.
    pub async fn on(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Streams {
        let mut builder = h2::client::Builder::new();
        // So large that no stream left unread stalls the others on our side.
        builder.initial_connection_window_size(64 << 20).initial_window_size(64 << 10);
        builder.initial_max_send_streams(2000);
        let (asker, connection) = builder.handshake(io).await.unwrap();
        let connection = tokio::spawn(connection);
        let announced = async {
            while !asker.is_extended_connect_protocol_enabled() {
                tokio::task::yield_now().await;
            }
        };
        within("the setting to be announced", announced).await;
        Streams { asker, connection }
    }

    /// On a connection of its own over TLS, with what ALPN agrees on.
    pub async fn over_tls(address: SocketAddr, certificates: &Certificates) -> Streams {
        let mut config = (*certificates.client()).clone();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let tcp = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let tls = TlsConnector::from(std::sync::Arc::new(config)).connect(name, tcp).await.unwrap();
        assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        Streams::on(tls).await
    }

    /// A handshake's request; tests change what they are about.
    pub fn handshake(path: &str) -> Request<()> {
        let mut request = Request::builder()
            .method(Method::CONNECT)
            .uri(format!("http://localhost{path}"))
            .header("sec-websocket-version", "13")
            .body(())
            .unwrap();
        request.extensions_mut().insert(Protocol::from_static("websocket"));
        request
    }

    /// Sends a request; gives the answer, and the way to send more on its stream.
    pub async fn ask(
        &mut self,
        request: Request<()>,
        ends: bool,
    ) -> Result<(Response<RecvStream>, SendStream<Bytes>), h2::Error> {
        poll_fn(|cx| self.asker.poll_ready(cx)).await?;
        let (answer, sending) = self.asker.send_request(request, ends)?;
        Ok((within("an answer", answer).await?, sending))
    }

    /// Sends a request whose body is still to come.
    pub async fn begin(
        &mut self,
        request: Request<()>,
    ) -> (h2::client::ResponseFuture, SendStream<Bytes>) {
        poll_fn(|cx| self.asker.poll_ready(cx)).await.unwrap();
        self.asker.send_request(request, false).unwrap()
    }

    /// The status of an answer, and its body.
    pub async fn status(&mut self, request: Request<()>) -> (u16, String) {
        let ends = request.extensions().get::<Protocol>().is_none();
        let (answer, _sending) = self.ask(request, ends).await.unwrap();
        let (head, body) = answer.into_parts();
        (head.status.as_u16(), String::from_utf8(rest(body).await.unwrap()).unwrap())
    }

    /// A stream that is a WebSocket, for frames made by hand.
    pub async fn stream(&mut self, path: &str) -> (RecvStream, SendStream<Bytes>) {
        self.stream_by(Streams::handshake(path)).await
    }

    /// The same, by this handshake.
    async fn stream_by(&mut self, handshake: Request<()>) -> (RecvStream, SendStream<Bytes>) {
        let (answer, sending) = self.ask(handshake, false).await.unwrap();
        assert_eq!(answer.status(), 200);
        (answer.into_body(), sending)
    }

    /// A WebSocket.
    pub async fn open(&mut self, path: &str) -> Session {
        self.open_by(Streams::handshake(path)).await
    }

    /// A WebSocket by this handshake.
    pub async fn open_by(&mut self, handshake: Request<()>) -> Session {
        let (receiving, sending) = self.stream_by(handshake).await;
        let (near, far) = UnixStream::pair().unwrap();
        tokio::spawn(pump(far, receiving, sending));
        let near: Box<dyn Io> = Box::new(near);
        Session::client(BufReader::new(near)).await
    }

    /// Waits for the connection's end; what a request would be told now.
    pub async fn sent_away(self) -> h2::Error {
        let Streams { mut asker, connection } = self;
        within("the connection's end", connection).await.unwrap().unwrap();
        poll_fn(|cx| asker.poll_ready(cx)).await.unwrap_err()
    }

    /// Closes the connection at once, its streams and all.
    pub fn abort(self) {
        self.connection.abort();
    }

    /// Waits for the connection's end.
    pub async fn ended(self) -> Result<(), h2::Error> {
        let Streams { asker, connection } = self;
        let ended = within("the connection's end", connection).await.unwrap();
        drop(asker);
        ended
    }
}

/// All that comes on a stream.
///
/// # Errors
/// How it was cut short.
pub async fn rest(mut body: RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut bytes = Vec::new();
    while let Some(data) = within("data", body.data()).await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        bytes.extend(data);
    }
    Ok(bytes)
}

/// Waits for room for `wanted` bytes, or some of them.
pub async fn room(sending: &mut SendStream<Bytes>, wanted: usize) -> Option<usize> {
    sending.reserve_capacity(wanted);
    poll_fn(|cx| match sending.capacity().min(wanted) {
        0 => sending.poll_capacity(cx).map(|room| room?.ok().map(|room| room.min(wanted))),
        room => Poll::Ready(Some(room)),
    })
    .await
}

/// Brings bytes across, and each side's end to the other.
async fn pump(far: UnixStream, mut receiving: RecvStream, mut sending: SendStream<Bytes>) {
    let (mut reads, mut writes) = far.into_split();
    let up = async {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(read @ 1..) = reads.read(&mut buffer).await {
            let mut data = Bytes::copy_from_slice(&buffer[..read]);
            while !data.is_empty() {
                let Some(room) = room(&mut sending, data.len()).await else { return };
                let _ = sending.send_data(data.split_to(room), false);
            }
        }
        let _ = sending.send_data(Bytes::new(), true);
    };
    let down = async {
        while let Some(Ok(data)) = receiving.data().await {
            let _ = receiving.flow_control().release_capacity(data.len());
            if writes.write_all(&data).await.is_err() {
                return;
            }
        }
        let _ = writes.shutdown().await;
    };
    tokio::join!(up, down);
}
