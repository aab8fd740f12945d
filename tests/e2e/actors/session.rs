//! One end of a WebSocket, spoken by tungstenite; and frames made by hand for what it will not say.

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::WebSocketStream;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Bytes, Message};

use super::{Wire, within};

/// How a session ended, seen from one end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// A Close came with this code (1005: without one) and reason.
    Close(u16, String),
    /// The stream ended without a Close.
    Cut,
}

/// One end of a WebSocket.
pub struct Session(WebSocketStream<Wire>);

impl Session {
    /// The client's end of a wire whose handshake is done.
    pub async fn client(wire: Wire) -> Session {
        Session::new(wire, Role::Client).await
    }

    /// The backend's end of such a wire.
    pub async fn server(wire: Wire) -> Session {
        Session::new(wire, Role::Server).await
    }

    async fn new(wire: Wire, role: Role) -> Session {
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        Session(WebSocketStream::from_raw_socket(wire, role, Some(config)).await)
    }

    /// Sends a text or, from bytes, a binary message.
    pub async fn send(&mut self, message: impl Into<Message>) {
        within("a message to leave", self.0.send(message.into())).await.unwrap();
    }

    /// Sends a message, however long that takes.
    ///
    /// # Errors
    /// When the session ends instead.
    pub async fn try_send(&mut self, message: impl Into<Message>) -> Result<(), Ending> {
        self.0.send(message.into()).await.map_err(|_| Ending::Cut)
    }

    /// The next message, pings and pongs aside; `Err` when the session ends instead.
    pub async fn next(&mut self) -> Result<Message, Ending> {
        within("a message", self.read()).await
    }

    /// The next message sent back, however long it takes to come.
    pub async fn forward(&mut self) -> Result<Message, Ending> {
        let message = self.read().await?;
        self.try_send(message.clone()).await?;
        Ok(message)
    }

    async fn read(&mut self) -> Result<Message, Ending> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(close))) => {
                    // The answer to their Close is queued by now: it leaves with this read.
                    let _ = self.0.next().await;
                    let (code, reason) = close.map_or((1005, String::new()), |close| {
                        (close.code.into(), close.reason.to_string())
                    });
                    return Err(Ending::Close(code, reason));
                }
                Some(Ok(message)) => return Ok(message),
                Some(Err(_)) | None => return Err(Ending::Cut),
            }
        }
    }

    /// The next text.
    pub async fn text(&mut self) -> String {
        self.next().await.unwrap().into_text().unwrap().to_string()
    }

    /// Sends a message and expects it back unchanged.
    pub async fn echo(&mut self, message: impl Into<Message>) {
        let message = message.into();
        self.send(message.clone()).await;
        let back = self.next().await;
        // Not `assert_eq`: it would print a megabyte.
        assert!(back.as_ref() == Ok(&message), "{} bytes came back changed", message.len());
    }

    /// Starts the closing handshake and waits for the answer.
    pub async fn close(mut self, code: u16, reason: &str) -> Ending {
        let frame = CloseFrame { code: CloseCode::from(code), reason: reason.to_owned().into() };
        // The other end may be gone already: then the ending says so.
        let _ = within("a Close to leave", self.0.close(Some(frame))).await;
        self.ending().await
    }

    /// Reads whatever still comes, to the end.
    pub async fn ending(mut self) -> Ending {
        loop {
            if let Err(ending) = self.next().await {
                return ending;
            }
        }
    }

    /// Closes at once with a reset.
    pub fn reset(self) {
        super::wire::reset(self.0.into_inner());
    }

    /// The wire below, for frames made by hand.
    pub fn wire(&mut self) -> &mut Wire {
        self.0.get_mut()
    }

    /// The wire, and no session any more.
    pub fn into_wire(self) -> Wire {
        self.0.into_inner()
    }
}

/// A frame made by hand (RFC 6455 §5.2): `first` is FIN, RSV and opcode; masked with `mask`.
pub fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let bit = if mask.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(bit | length as u8),
        length @ 126..=65535 => {
            bytes.push(bit | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            bytes.push(bit | 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes.extend(mask.iter().flatten());
    let key = mask.unwrap_or_default();
    bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// A message of `length` bytes that differ from place to place.
pub fn bytes(length: usize) -> Bytes {
    (0..length).map(|i| (i % 251) as u8 ^ (i >> 8) as u8).collect::<Vec<u8>>().into()
}
