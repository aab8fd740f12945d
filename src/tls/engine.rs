//! TLS towards a client as a machine without I/O: ciphertext in, plaintext out, and back.
//!
//! Between two messages it owns no buffer: ciphertext is opened in the caller's scratch, plaintext
//! goes into the caller's buffer, and only what is left over is kept on the heap, while it is:
//!
//! ```text
//! wire → [held: part of a record] → open → [plain: what the caller had no room for] → caller
//! wire ← [unsent: what the socket did not take] ←───────────────────────────── seal ← caller
//! ```
//!
//! It stands on the unbuffered API of rustls 0.23 alone, which 0.24 replaces.

use std::sync::Arc;

use bytes::BufMut;
use rustls::pki_types::CertificateDer;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError,
    UnbufferedStatus, WriteTraffic,
};
use rustls::{
    Error, HandshakeKind, InvalidMessage, ProtocolVersion, ServerConfig, SupportedCipherSuite,
};

type Traffic<'c> = WriteTraffic<'c, ServerConnectionData>;

/// A record's header: type, version, length (RFC 8446 §5.1).
const HEADER_BYTES: usize = 5;

/// The longest record that may be on the wire, header included (RFC 5246 §6.2.3).
pub const RECORD_BYTES_MAX: usize = HEADER_BYTES + 16_384 + 2_048;

/// The longest handshake message in several records: a ClientHello, that is, since a client has no
/// long message to send after it.
pub const HANDSHAKE_BYTES_MAX: usize = 32 * 1024;

/// What sealing adds at most to [`SEAL_BYTES_MAX`](super::SEAL_BYTES_MAX) bytes of plaintext: the
/// headers and tags of its records, and a key update queued before them.
pub const SEAL_OVERHEAD_MAX: usize = 1024;

/// Room for a close_notify, and a key update queued before it.
const CLOSE_BYTES_MAX: usize = 256;

/// A server's side of one TLS connection.
///
/// A failure is final: the alert that tells the client of it is in [`Engine::unsent`], and every
/// later call fails too.
pub struct Engine {
    conn: UnbufferedServerConnection,
    /// Ciphertext not consumed yet. Its first `kept` bytes rustls has read and will want to see
    /// again, moved by nothing but what it discards: the beginning of a handshake message.
    held: Vec<u8>,
    kept: usize,
    /// Plaintext the caller had no room for, but for its first `taken` bytes.
    plain: Vec<u8>,
    taken: usize,
    /// Ciphertext to be sent, but for its first `sent` bytes.
    unsent: Vec<u8>,
    sent: usize,
    peer_closed: bool,
    closed: bool,
    failure: Option<Box<Error>>,
}

/// The record in front: as long as its header says, as much of it as there is.
struct Record {
    length: usize,
    present: usize,
}

impl Record {
    /// `None` while its header is incomplete.
    fn read(bytes: &[u8]) -> Option<Record> {
        let &[_, _, _, high, low] = bytes.first_chunk::<HEADER_BYTES>()?;
        let length = HEADER_BYTES + usize::from(u16::from_be_bytes([high, low]));
        Some(Record { length, present: length.min(bytes.len()) })
    }

    fn is_complete(&self) -> bool {
        self.present == self.length
    }
}

impl Engine {
    /// A connection about to receive its ClientHello.
    ///
    /// # Errors
    /// rustls's, when the configuration cannot be used.
    pub fn new(config: Arc<ServerConfig>) -> Result<Engine, Error> {
        Ok(Engine {
            conn: UnbufferedServerConnection::new(config)?,
            held: Vec::new(),
            kept: 0,
            plain: Vec::new(),
            taken: 0,
            unsent: Vec::new(),
            sent: 0,
            peer_closed: false,
            closed: false,
            failure: None,
        })
    }

    /// Opens as many records as there are and fit into `out`, and keeps the rest. `bytes` is
    /// [`Engine::held`] followed by what came from the wire; it is decrypted in place. Returns the
    /// bytes of plaintext put.
    ///
    /// That is none during the handshake and for records without application data; what is to be
    /// answered is then in [`Engine::unsent`]. A record larger than all of `out` is put in part:
    /// [`Engine::take_plain`] gives the rest, before the next call. Without any room nothing is
    /// opened once the handshake is done.
    ///
    /// # Errors
    /// The client broke the protocol or sent a fatal alert. What was opened before it is returned
    /// first, the error by the next call.
    pub fn open(&mut self, bytes: &mut [u8], out: &mut impl BufMut) -> Result<usize, Error> {
        debug_assert!(self.plain.is_empty(), "plaintext is taken before more is opened");
        if let Some(failure) = &self.failure {
            return Err(Error::clone(failure));
        }
        let room = out.remaining_mut();
        let mut used = 0;
        let opened = self.open_records(bytes, out, &mut used);
        let written = room - out.remaining_mut();
        match opened {
            Ok(()) if !self.peer_closed => self.hold(&bytes[used..]),
            // Nothing after a close_notify counts (RFC 8446 §6.1).
            Ok(()) => self.release(),
            Err(error) => {
                self.release();
                self.failure = Some(Box::new(error.clone()));
                if written == 0 {
                    return Err(error);
                }
            }
        }
        Ok(written)
    }

    /// Shows rustls one record at a time: plaintext left inside it would stand in the way of
    /// sealing, so a record is opened only when its plaintext can be given away.
    fn open_records(
        &mut self,
        bytes: &mut [u8],
        out: &mut impl BufMut,
        used: &mut usize,
    ) -> Result<(), Error> {
        let room = out.remaining_mut();
        while let Some(record) = Record::read(&bytes[*used + self.kept..]) {
            let left = out.remaining_mut();
            let fits = record.length - HEADER_BYTES <= left || (left == room && room > 0);
            if record.is_complete() && !fits && !self.conn.is_handshaking() {
                break;
            }
            // An incomplete record is shown too: what is no TLS at all is refused by its header.
            let end = self.kept + record.present;
            let discard = self.process(&mut bytes[*used..][..end], out)?;
            *used += discard;
            if !record.is_complete() || self.peer_closed {
                break;
            }
            self.kept = end - discard;
            if self.kept > HANDSHAKE_BYTES_MAX {
                return Err(InvalidMessage::HandshakePayloadTooLarge.into());
            }
        }
        Ok(())
    }

    /// Lets rustls work until it wants more bytes; returns how many of `bytes` it is done with.
    fn process(&mut self, bytes: &mut [u8], out: &mut impl BufMut) -> Result<usize, Error> {
        let mut done = 0;
        loop {
            let status = self.conn.process_tls_records(&mut bytes[done..]);
            let UnbufferedStatus { discard, state } = status;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        done += record.discard;
                        let (put, rest) =
                            record.payload.split_at(record.payload.len().min(out.remaining_mut()));
                        out.put_slice(put);
                        self.plain.extend_from_slice(rest);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut self.unsent),
                // `unsent` is ours to send, and is sent before anything that is sealed later.
                Ok(ConnectionState::TransmitTlsData(transmit)) => transmit.done(),
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    self.peer_closed = true;
                    return Ok(done + discard);
                }
                Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => {
                    return Ok(done + discard);
                }
                Ok(_) => return Err(Error::General("early data was not offered".to_owned())),
                Err(error) => {
                    self.encode_alert();
                    return Err(error);
                }
            }
            done += discard;
        }
    }

    /// The alert that goes with an error. rustls gives it before it looks at any input, and must
    /// not be asked again after it: it would look at what it refused a second time.
    fn encode_alert(&mut self) {
        while self.conn.wants_write() {
            match self.conn.process_tls_records(&mut []).state {
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut self.unsent),
                _ => break,
            }
        }
    }

    /// Seals `plain` (up to [`SEAL_BYTES_MAX`](super::SEAL_BYTES_MAX) bytes) into `out`, which has
    /// room for it and [`SEAL_OVERHEAD_MAX`] bytes; returns the bytes of ciphertext. To be called
    /// only while [`Engine::unsent`] is empty, whose place is before them on the wire.
    ///
    /// # Errors
    /// The handshake is not done, the connection is closed or has failed, or its keys are used up.
    pub fn seal(&mut self, plain: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let in_order = self.unsent().is_empty() || self.failure.is_some();
        debug_assert!(in_order, "what is unsent goes first");
        if self.closed {
            return Err(Error::General("written to after its close".to_owned()));
        }
        self.write(out, |traffic, out| traffic.encrypt(plain, out))
    }

    /// Says that nothing more is sent (close_notify, RFC 8446 §6.1), by way of [`Engine::unsent`].
    /// Does nothing where the peer cannot read it, or has read it already.
    pub fn close(&mut self) {
        if self.closed || self.failure.is_some() || self.conn.is_handshaking() {
            return;
        }
        let mut alert = [0; CLOSE_BYTES_MAX];
        if let Ok(bytes) = self.write(&mut alert, |traffic, out| traffic.queue_close_notify(out)) {
            self.unsent.extend_from_slice(&alert[..bytes]);
        }
        self.closed = true;
    }

    fn write(
        &mut self,
        out: &mut [u8],
        write: impl FnOnce(&mut Traffic<'_>, &mut [u8]) -> Result<usize, EncryptError>,
    ) -> Result<usize, Error> {
        if let Some(failure) = &self.failure {
            return Err(Error::clone(failure));
        }
        let mut written = 0;
        loop {
            // Nothing new is shown, else plaintext might stand in the way.
            match self.conn.process_tls_records(&mut self.held[..self.kept]).state? {
                ConnectionState::EncodeTlsData(mut data) => {
                    written += data.encode(&mut out[written..]).map_err(other)?;
                }
                ConnectionState::TransmitTlsData(transmit) => transmit.done(),
                ConnectionState::PeerClosed => self.peer_closed = true,
                ConnectionState::WriteTraffic(mut traffic) => {
                    let sealed = write(&mut traffic, &mut out[written..]).map_err(other)?;
                    return Ok(written + sealed);
                }
                _ => return Err(Error::HandshakeNotComplete),
            }
        }
    }

    /// Gives plaintext kept from a record larger than the caller's buffer; returns how much.
    pub fn take_plain(&mut self, out: &mut impl BufMut) -> usize {
        let left = &self.plain[self.taken..];
        let given = left.len().min(out.remaining_mut());
        out.put_slice(&left[..given]);
        self.taken += given;
        if self.taken == self.plain.len() {
            (self.plain, self.taken) = (Vec::new(), 0);
        }
        given
    }

    /// Keeps sealed bytes the socket did not take, until [`Engine::sent`] says they are gone.
    pub fn keep_unsent(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
    }

    /// `bytes` of [`Engine::unsent`] are gone.
    pub fn sent(&mut self, bytes: usize) {
        self.sent += bytes;
        if self.sent >= self.unsent.len() {
            (self.unsent, self.sent) = (Vec::new(), 0);
        }
    }

    /// Ciphertext to be sent before anything else.
    pub fn unsent(&self) -> &[u8] {
        &self.unsent[self.sent..]
    }

    /// Ciphertext that came and could not be opened yet; at most [`HANDSHAKE_BYTES_MAX`] and a
    /// record, or what the last [`Engine::open`] was given.
    pub fn held(&self) -> &[u8] {
        &self.held
    }

    /// Takes bytes that were read from the wire before there was an engine.
    pub fn hold(&mut self, bytes: &[u8]) {
        // Freed when empty: an idle connection owns no buffer.
        if bytes.is_empty() {
            self.held = Vec::new();
        } else {
            self.held.clear();
            self.held.extend_from_slice(bytes);
        }
    }

    fn release(&mut self) {
        self.kept = 0;
        self.hold(&[]);
    }

    /// Bytes at the end of [`Engine::held`] that belong to an incomplete record; none when there
    /// is a whole one.
    pub fn partial(&self) -> Option<usize> {
        let fresh = &self.held[self.kept..];
        let is_whole = Record::read(fresh).is_some_and(|record| record.is_complete());
        (!is_whole && self.failure.is_none()).then_some(fresh.len())
    }

    /// Bytes of the buffers owned.
    #[cfg(test)]
    pub(super) fn buffers(&self) -> usize {
        self.held.capacity() + self.plain.capacity() + self.unsent.capacity()
    }

    /// Whether the handshake is under way.
    pub fn is_handshaking(&self) -> bool {
        self.conn.is_handshaking()
    }

    /// Whether the client said, by close_notify, that it sends nothing more.
    pub fn is_peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Whether [`Engine::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The protocol agreed on by ALPN (RFC 7301).
    pub fn alpn(&self) -> Option<&[u8]> {
        self.conn.alpn_protocol()
    }

    /// The certificate that the client has shown.
    pub fn client_certificate(&self) -> Option<&CertificateDer<'static>> {
        self.conn.peer_certificates()?.first()
    }

    /// The version agreed on.
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.conn.protocol_version()
    }

    /// The cipher suite agreed on.
    pub fn cipher_suite(&self) -> Option<SupportedCipherSuite> {
        self.conn.negotiated_cipher_suite()
    }

    /// Whether the handshake was a full one or resumed a session.
    pub fn handshake_kind(&self) -> Option<HandshakeKind> {
        self.conn.handshake_kind()
    }
}

fn encode<Data>(mut data: EncodeTlsData<'_, Data>, unsent: &mut Vec<u8>) {
    let size = data.encode(&mut []);
    if let Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) = size {
        let start = unsent.len();
        unsent.resize(start + required_size, 0);
        // It has the size it asked for, and was not encoded before: there is no error left.
        let _ = data.encode(&mut unsent[start..]);
    }
}

fn other(error: impl std::fmt::Display) -> Error {
    Error::General(error.to_string())
}
