use bytes::BufMut;
use rustls::sign::SingleCertAndKey;
use rustls::{AlertDescription, ClientConnection, Error, InvalidMessage};
use std::io::{Read, Write};

use super::*;

/// An engine and a client of rustls, without any socket.
struct Pair {
    engine: Engine,
    client: ClientConnection,
}

impl Pair {
    fn new(version: &'static SupportedProtocolVersion, fragment: Option<usize>) -> Pair {
        let made = certificate(&["a.example"]);
        let mut config = client(&made, &[version]);
        config.max_fragment_size = fragment;
        let name = ServerName::try_from("a.example").unwrap();
        Pair {
            engine: acceptor(&made).engine().unwrap(),
            client: ClientConnection::new(Arc::new(config), name).unwrap(),
        }
    }

    fn greeted(version: &'static SupportedProtocolVersion) -> Pair {
        let mut pair = Pair::new(version, None);
        pair.greet(usize::MAX);
        pair
    }

    /// The handshake, the client's bytes in pieces of `piece`.
    fn greet(&mut self, piece: usize) {
        while self.engine.is_handshaking() || self.client.is_handshaking() {
            let wire = self.client_sends();
            assert!(feed(&mut self.engine, &wire, piece, 0).unwrap().is_empty());
            self.client_hears().unwrap();
        }
    }

    fn client_sends(&mut self) -> Vec<u8> {
        let mut wire = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut wire).unwrap();
        }
        wire
    }

    /// What the client sends when it writes each of `messages`.
    fn sealed_by_client(&mut self, messages: &[&[u8]]) -> Vec<u8> {
        let mut wire = Vec::new();
        for message in messages {
            for part in message.chunks(16_384) {
                self.client.writer().write_all(part).unwrap();
                wire.extend(self.client_sends());
            }
        }
        wire
    }

    fn client_hears(&mut self) -> Result<(), Error> {
        let wire = self.engine.unsent().to_vec();
        self.engine.sent(wire.len());
        self.give_client(&wire)
    }

    fn give_client(&mut self, mut wire: &[u8]) -> Result<(), Error> {
        while !wire.is_empty() {
            self.client.read_tls(&mut wire).unwrap();
            self.client.process_new_packets()?;
        }
        Ok(())
    }

    fn seal(&mut self, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let mut out = vec![0; plain.len() + SEAL_OVERHEAD_MAX];
        let sealed = self.engine.seal(plain, &mut out)?;
        out.truncate(sealed);
        Ok(out)
    }

    fn client_reads(&mut self, wire: &[u8]) -> Vec<u8> {
        self.give_client(wire).unwrap();
        let mut plain = vec![0; SEAL_BYTES_MAX];
        let read = self.client.reader().read(&mut plain).unwrap();
        plain.truncate(read);
        plain
    }
}

fn records(mut wire: &[u8]) -> usize {
    let mut count = 0;
    while let [_, _, _, high, low, rest @ ..] = wire {
        wire = &rest[usize::from(u16::from_be_bytes([*high, *low]))..];
        count += 1;
    }
    count
}

/// Gives `wire` in pieces, taking plaintext out with `room` bytes at a time.
fn feed(engine: &mut Engine, wire: &[u8], piece: usize, room: usize) -> Result<Vec<u8>, Error> {
    let mut plain = Vec::new();
    for piece in wire.chunks(piece.min(wire.len().max(1))) {
        let mut bytes = [engine.held(), piece].concat();
        loop {
            let before = plain.len();
            engine.open(&mut bytes, &mut (&mut plain).limit(room))?;
            while room > 0 && engine.take_plain(&mut (&mut plain).limit(room)) > 0 {}
            bytes = engine.held().to_vec();
            if plain.len() == before && (engine.partial().is_some() || room == 0) {
                break;
            }
        }
    }
    Ok(plain)
}

#[test]
fn any_split_of_the_wire_and_any_room_give_the_same_plaintext() {
    let (small, long) = (pattern(300), pattern(40_000));
    let messages: [&[u8]; 5] = [b"x", &small, b"", &long, b"yz"];
    for version in VERSIONS {
        for (piece, room) in [(1, 50_000), (2, 1), (5, 7), (21, 22), (999, 100), (60_000, 16_384)] {
            let mut pair = Pair::new(version, None);
            pair.greet(piece);
            let wire = pair.sealed_by_client(&messages);
            let plain = feed(&mut pair.engine, &wire, piece, room).unwrap();
            assert!(plain == messages.concat(), "{version:?} {piece} {room}");
        }
    }
}

#[test]
fn many_small_records_in_one_read_fill_a_small_room_again_and_again() {
    let mut pair = Pair::greeted(&TLS13);
    let sent = pattern(1000);
    let messages: Vec<&[u8]> = sent.chunks(3).collect();
    let wire = pair.sealed_by_client(&messages);
    assert!(feed(&mut pair.engine, &wire, usize::MAX, 10).unwrap() == sent);
}

#[test]
fn what_is_sealed_is_what_the_client_reads() {
    for version in VERSIONS {
        let mut pair = Pair::greeted(version);
        for length in [1, 125, 16_384, 16_385, SEAL_BYTES_MAX] {
            let plain = pattern(length);
            let wire = pair.seal(&plain).unwrap();
            assert!(pair.client_reads(&wire) == plain, "{version:?} {length}");
        }
    }
}

#[test]
fn an_idle_engine_owns_no_buffer() {
    let mut pair = Pair::greeted(&TLS13);
    let wire = pair.sealed_by_client(&[&pattern(5000)]);
    let (front, back) = wire.split_at(4000);
    feed(&mut pair.engine, front, 4000, 100).unwrap();
    assert_eq!(pair.engine.held().len(), 4000);
    feed(&mut pair.engine, back, 4000, 100).unwrap();
    pair.engine.keep_unsent(b"abc");
    pair.engine.sent(3);
    assert_eq!(pair.engine.buffers(), 0);
}

#[test]
fn a_key_update_of_the_client_is_answered_before_our_next_message() {
    let mut pair = Pair::greeted(&TLS13);
    for round in 0..3 {
        pair.client.refresh_traffic_keys().unwrap();
        let wire = pair.sealed_by_client(&[b"after"]);
        assert_eq!(feed(&mut pair.engine, &wire, 1, 100).unwrap(), b"after");
        let wire = pair.seal(b"ours").unwrap();
        assert_eq!(records(&wire), 2, "round {round}: a key update and a message");
        assert_eq!(pair.client_reads(&wire), b"ours");
    }
}

#[test]
fn plaintext_waiting_for_room_does_not_hinder_sealing() {
    let mut pair = Pair::greeted(&TLS13);
    let messages: [&[u8]; 3] = [b"one", b"two", b"three"];
    let mut wire = pair.sealed_by_client(&messages);
    let mut plain = Vec::new();
    assert_eq!(pair.engine.open(&mut wire, &mut (&mut plain).limit(4)).unwrap(), 3);
    assert_eq!(pair.engine.partial(), None);
    let sealed = pair.seal(b"between").unwrap();
    assert_eq!(pair.client_reads(&sealed), b"between");
    assert_eq!(feed(&mut pair.engine, &[], 1, 4).unwrap(), b"");
    let mut held = pair.engine.held().to_vec();
    pair.engine.open(&mut held, &mut plain).unwrap();
    assert_eq!(plain, b"onetwothree");
}

#[test]
fn a_client_hello_in_many_records_is_taken_and_sealing_meanwhile_refused() {
    for version in VERSIONS {
        let mut pair = Pair::new(version, Some(64));
        let wire = pair.client_sends();
        feed(&mut pair.engine, &wire[..150], 10, 0).unwrap();
        assert!(pair.engine.held().len() > 100);
        assert_eq!(pair.seal(b"early").unwrap_err(), Error::HandshakeNotComplete);
        feed(&mut pair.engine, &wire[150..], 10, 0).unwrap();
        pair.client_hears().unwrap();
        pair.greet(1);
    }
}

#[test]
fn sealing_between_the_pieces_of_a_handshake_message_disturbs_neither() {
    // A client's Finished in two records: in TLS 1.3 a server may write before it has it whole.
    // Ours does not, but a client may cut its messages after the handshake the same way.
    let made = certificate(&["a.example"]);
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&made.plan.loaded))));
    config.send_half_rtt_data = true;
    let mut trusting = client(&made, &[&TLS13]);
    trusting.max_fragment_size = Some(32);
    let name = ServerName::try_from("a.example").unwrap();
    let mut pair = Pair {
        engine: Engine::new(Arc::new(config)).unwrap(),
        client: ClientConnection::new(Arc::new(trusting), name).unwrap(),
    };
    let hello = pair.client_sends();
    feed(&mut pair.engine, &hello, usize::MAX, 0).unwrap();
    pair.client_hears().unwrap();
    let finished = pair.client_sends();
    let (front, back) = finished.split_at(finished.len() - 20);
    feed(&mut pair.engine, front, usize::MAX, 0).unwrap();
    assert!(pair.engine.is_handshaking() && pair.engine.held().len() > 40);
    let sealed = pair.seal(b"early").unwrap();
    assert_eq!(pair.client_reads(&sealed), b"early");
    feed(&mut pair.engine, back, usize::MAX, 0).unwrap();
    assert!(!pair.engine.is_handshaking());
    pair.client_hears().unwrap();
    let sealed = pair.seal(b"late").unwrap();
    assert_eq!(pair.client_reads(&sealed), b"late");
}

#[test]
fn a_client_hello_beyond_the_limit_is_refused() {
    let mut pair = Pair::new(&TLS13, None);
    // A handshake message of 0xefff bytes in records of 0x2000.
    let record = [vec![22, 3, 1, 0x20, 0], vec![0; 0x2000]].concat();
    let mut wire = record.repeat(6);
    wire[5..9].copy_from_slice(&[1, 0, 0xef, 0xff]);
    let refused = feed(&mut pair.engine, &wire, 1000, 0).unwrap_err();
    assert_eq!(refused, InvalidMessage::HandshakePayloadTooLarge.into());
    assert!(pair.engine.held().is_empty());
}

#[test]
fn after_a_close_notify_we_may_still_write() {
    for version in VERSIONS {
        let mut pair = Pair::greeted(version);
        let mut wire = pair.sealed_by_client(&[b"last"]);
        pair.client.send_close_notify();
        wire.extend(pair.client_sends());
        wire.extend(b"what follows is ignored");
        assert_eq!(feed(&mut pair.engine, &wire, usize::MAX, 100).unwrap(), b"last");
        assert!(pair.engine.is_peer_closed());
        let sealed = pair.seal(b"bye").unwrap();
        assert_eq!(pair.client_reads(&sealed), b"bye");
        pair.engine.close();
        pair.engine.close();
        pair.client_hears().unwrap();
        assert_eq!(pair.client.reader().read(&mut [0; 8]).unwrap(), 0);
        assert!(pair.seal(b"more").is_err());
    }
}

#[test]
fn a_broken_record_is_told_by_an_alert_after_what_came_before_it() {
    for version in VERSIONS {
        let mut pair = Pair::greeted(version);
        let mut wire = pair.sealed_by_client(&[b"good", b"broken"]);
        *wire.last_mut().unwrap() ^= 1;
        let mut plain = Vec::new();
        assert_eq!(pair.engine.open(&mut wire, &mut plain).unwrap(), 4);
        assert_eq!(pair.engine.open(&mut [], &mut plain).unwrap_err(), Error::DecryptError);
        assert_eq!(pair.seal(b"x").unwrap_err(), Error::DecryptError);
        let told = pair.client_hears().unwrap_err();
        assert_eq!(told, Error::AlertReceived(AlertDescription::BadRecordMac));
    }
}

#[test]
fn garbage_is_refused_by_its_first_header() {
    for garbage in [&b"\x80\x2e\x01\x00\x02"[..], &[0; 5], &[0xff; 5], b"\x16\x03\x01\xff\xff"] {
        let mut pair = Pair::new(&TLS13, None);
        let refused = feed(&mut pair.engine, garbage, 1, 0).unwrap_err();
        assert!(matches!(refused, Error::InvalidMessage(_)), "{refused:?}");
        assert_eq!(pair.engine.unsent()[0], 21, "an alert");
    }
}

/// One seed replays by `TIDEGATE_SEED`.
fn seeds() -> std::ops::Range<u64> {
    match std::env::var("TIDEGATE_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..300,
    }
}

#[test]
fn a_flipped_byte_anywhere_never_yields_other_plaintext_and_never_panics() {
    for seed in seeds() {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut pair = Pair::new(VERSIONS[random.usize(..2)], random.bool().then_some(100));
        if random.bool() {
            pair.greet(usize::MAX);
        }
        let sent: Vec<u8> = match pair.engine.is_handshaking() {
            true => Vec::new(),
            false => pattern(random.usize(1..3000)),
        };
        let mut wire = pair.sealed_by_client(&sent.chunks(700).collect::<Vec<_>>());
        wire.extend(pair.client_sends());
        let at = random.usize(..wire.len());
        wire[at] ^= random.u8(1..);
        let mut plain = Vec::new();
        let room = random.usize(1..2000);
        for piece in wire.chunks(random.usize(1..500)) {
            match feed(&mut pair.engine, piece, usize::MAX, room) {
                Ok(opened) => plain.extend(opened),
                Err(_) => break,
            }
            // Answers, and writing meanwhile, must not disturb it either.
            let unsent = pair.engine.unsent().len();
            pair.engine.sent(unsent);
            let _ = pair.seal(b"between");
        }
        assert!(sent.starts_with(&plain), "seed {seed}");
        pair.engine.close();
    }
}
