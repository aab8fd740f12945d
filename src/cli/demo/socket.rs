//! The server's end of a WebSocket, as small as a demo's backend needs it (RFC 6455 §5).

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::base::side::Side;
use crate::wire::control;
use crate::wire::frame::{Allowed, FrameEvent, FrameHeader, Opcode, Tracker, unmask};

/// Bytes of a message that are taken; who sends more is told 1009.
const MESSAGE_BYTES_MAX: u64 = 1 << 20;

/// Bytes read at once.
const READ_BYTES: usize = 16 * 1024;

/// A message, whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Message {
    /// Text, UTF-8.
    Text(String),
    /// Anything.
    Binary(Bytes),
}

/// A WebSocket whose handshake is done.
pub(super) struct DemoSocket<I> {
    io: I,
    tracker: Tracker,
    /// Read and not looked at.
    inbox: BytesMut,
    /// The frame in hand.
    header: Option<FrameHeader>,
    /// Bytes of that frame's payload, unmasked.
    payload: BytesMut,
    /// The message in hand: whether it is text, and its fragments so far.
    message: Option<(bool, BytesMut)>,
    /// Said and not sent.
    outbox: BytesMut,
    /// Whether our Close is said: nothing may follow it (RFC 6455 §5.5.1).
    closing: bool,
}

impl<I: AsyncRead + AsyncWrite + Unpin> DemoSocket<I> {
    pub(super) fn new(io: I) -> DemoSocket<I> {
        DemoSocket {
            io,
            tracker: Tracker::new(Side::Client, Allowed::NOTHING),
            inbox: BytesMut::new(),
            header: None,
            payload: BytesMut::new(),
            message: None,
            outbox: BytesMut::new(),
            closing: false,
        }
    }

    /// The next message; `None` after a Close, which is answered. May be dropped while it waits:
    /// nothing is lost.
    ///
    /// # Errors
    /// The transport's; and `InvalidData` after a Close told the client what it did wrong.
    pub(super) async fn next(&mut self) -> io::Result<Option<Message>> {
        loop {
            match self.advance() {
                Advance::Part => continue,
                Advance::All => {}
                Advance::Message(message) => return Ok(Some(message)),
                Advance::Close => return self.flush().await.map(|()| None),
                Advance::Fault(code) => {
                    self.close(code, "").await?;
                    return Err(io::ErrorKind::InvalidData.into());
                }
            }
            self.flush().await?;
            self.inbox.reserve(READ_BYTES);
            if self.io.read_buf(&mut self.inbox).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Queues a message; [`DemoSocket::next`] sends it before it waits. After a Close it is
    /// dropped.
    pub(super) fn say(&mut self, message: &Message) {
        if self.closing {
            return;
        }
        let (opcode, bytes) = match message {
            Message::Text(text) => (1, text.as_bytes()),
            Message::Binary(bytes) => (2, &bytes[..]),
        };
        self.outbox.put_u8(0x80 | opcode);
        match bytes.len() {
            length @ 0..=125 => self.outbox.put_u8(length as u8),
            length @ 126..=0xFFFF => {
                self.outbox.put_u8(126);
                self.outbox.put_u16(length as u16);
            }
            length => {
                self.outbox.put_u8(127);
                self.outbox.put_u64(length as u64);
            }
        }
        self.outbox.put_slice(bytes);
    }

    /// Sends a Close with this code and reason, unless one was sent.
    pub(super) async fn close(&mut self, code: u16, reason: &str) -> io::Result<()> {
        self.queue_close(code, reason);
        self.flush().await
    }

    fn queue_close(&mut self, code: u16, reason: &str) {
        if !self.closing {
            self.outbox.put_slice(&control::close(code, reason, None));
            self.closing = true;
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        while !self.outbox.is_empty() {
            if self.io.write_buf(&mut self.outbox).await? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    /// Takes the bytes up to the next thing that happens.
    fn advance(&mut self) -> Advance {
        let (mask, offset) = (self.tracker.mask(), self.tracker.mask_offset());
        let step = self.tracker.step(&self.inbox);
        let mut bytes = self.inbox.split_to(step.used);
        if let Some(FrameEvent::Header { header, violation }) = step.event {
            self.header = Some(header);
            return match violation {
                Some(_) => Advance::Fault(1002),
                None if header.message_bytes > MESSAGE_BYTES_MAX => Advance::Fault(1009),
                None => Advance::Part,
            };
        }
        // Without a frame in hand these bytes are the beginning of a header.
        let Some(header) = self.header else { return Advance::All };
        unmask(&mut bytes, mask, offset);
        self.payload.extend_from_slice(&bytes);
        if step.event.is_none() {
            return Advance::All;
        }
        self.header = None;
        let payload = self.payload.split();
        self.frame(header, payload)
    }

    /// A frame is whole.
    fn frame(&mut self, header: FrameHeader, payload: BytesMut) -> Advance {
        match header.opcode {
            Opcode::Ping if !self.closing => self.outbox.put_slice(&control::pong(&payload, None)),
            Opcode::Close => {
                let (code, _) = control::parse_close(&payload);
                self.queue_close(code, "");
                return Advance::Close;
            }
            Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                let is_text = header.opcode == Opcode::Text;
                let (_, fragments) = self.message.get_or_insert((is_text, BytesMut::new()));
                fragments.extend_from_slice(&payload);
                if header.fin {
                    return self.message.take().map_or(Advance::Part, whole);
                }
            }
            _ => {}
        }
        Advance::Part
    }
}

/// What [`DemoSocket::advance`] came upon.
enum Advance {
    /// There may be more in the inbox.
    Part,
    /// The inbox is empty.
    All,
    Message(Message),
    Close,
    /// To be told with this code.
    Fault(u16),
}

fn whole((is_text, bytes): (bool, BytesMut)) -> Advance {
    if !is_text {
        return Advance::Message(Message::Binary(bytes.freeze()));
    }
    match String::from_utf8(bytes.into()) {
        Ok(text) => Advance::Message(Message::Text(text)),
        Err(_) => Advance::Fault(1007),
    }
}
