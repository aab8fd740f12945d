use std::io::Cursor;

use proptest::prelude::*;
use tungstenite::protocol::frame::{Frame, FrameHeader as OracleHeader};
use tungstenite::protocol::{Role, WebSocketContext};
use tungstenite::{Error, Message};

use super::*;

/// A frame to be sent, in words that tungstenite and the tracker share.
#[derive(Clone, Debug)]
struct Sent {
    opcode: u8,
    fin: bool,
    payload: Vec<u8>,
}

/// Events, and where in the stream each was; payload of control frames opened.
#[derive(Clone, PartialEq, Debug, Default)]
struct Seen {
    events: Vec<(usize, FrameEvent)>,
    opened: Vec<Vec<u8>>,
    passed: Vec<u8>,
}

/// Feeds `bytes` in pieces cut at `cuts`, as a relay would.
fn track(tracker: &mut Tracker, bytes: &[u8], cuts: &[usize]) -> Seen {
    let mut seen = Seen::default();
    let mut opening = Vec::new();
    let mut from = 0;
    for to in cuts.iter().copied().chain([bytes.len()]) {
        let mut rest = &bytes[from..to];
        loop {
            let (offset, mask) = (tracker.mask_offset(), tracker.mask());
            let inside = tracker.frame();
            let step = tracker.step(rest);
            let (taken, behind) = rest.split_at(step.used);
            seen.passed.extend(taken);
            if inside.is_some_and(Opcode::is_control) {
                let start = opening.len();
                opening.extend(taken);
                unmask(&mut opening[start..], mask, offset);
            }
            rest = behind;
            let Some(event) = step.event else { break };
            if event == FrameEvent::End && inside.is_some_and(Opcode::is_control) {
                seen.opened.push(std::mem::take(&mut opening));
            }
            seen.events.push((to - rest.len(), event));
        }
        assert!(rest.is_empty(), "a step without an event takes all");
        from = to;
    }
    seen
}

fn headers(seen: &Seen) -> Vec<(FrameHeader, Option<Violation>)> {
    let event = |(_, event): &(usize, FrameEvent)| match event {
        FrameEvent::Header { header, violation } => Some((*header, *violation)),
        FrameEvent::End => None,
    };
    seen.events.iter().filter_map(event).collect()
}

/// The one violation in `bytes`, told at any split.
fn violation(from: Side, allowed: Allowed, bytes: &[u8]) -> Option<Violation> {
    let whole = track(&mut Tracker::new(from, allowed), bytes, &[]);
    for cut in 0..bytes.len() {
        assert_eq!(track(&mut Tracker::new(from, allowed), bytes, &[cut]), whole);
    }
    let mut found = headers(&whole).into_iter().filter_map(|(_, violation)| violation);
    let first = found.next();
    assert_eq!(found.next(), None, "one frame is at fault");
    first
}

/// The violation in an upstream's bytes, where no extension was negotiated.
fn upstream(bytes: &[u8]) -> Option<Violation> {
    violation(Side::Upstream, Allowed::NOTHING, bytes)
}

#[test]
fn a_tracker_is_forty_bytes_at_most() {
    assert!(size_of::<Tracker>() <= 40, "{}", size_of::<Tracker>());
}

#[test]
fn a_reserved_bit_is_a_violation_unless_its_extension_was_negotiated() {
    assert_eq!(upstream(&[0xc1, 0]), Some(Violation::ReservedBit));
    assert_eq!(upstream(&[0x91, 0]), Some(Violation::ReservedBit));
    let deflate = |bytes: &[u8]| violation(Side::Upstream, Allowed::DEFLATE, bytes);
    assert_eq!(deflate(&[0xc1, 0]), None);
    assert_eq!(deflate(&[0xa1, 0]), Some(Violation::ReservedBit));
    // RFC 7692 §6.1: not on control frames, not on later fragments.
    assert_eq!(deflate(&[0xc9, 0]), Some(Violation::ReservedBit));
    assert_eq!(deflate(&[0x41, 0, 0xc0, 0]), Some(Violation::ReservedBit));
    assert_eq!(violation(Side::Upstream, Allowed::ANYTHING, &[0xf9, 0, 0x71, 0]), None);
}

#[test]
fn a_reserved_opcode_is_a_violation_unless_an_unknown_extension_is_in_force() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        let bytes = [0x80 | opcode, 0];
        assert_eq!(upstream(&bytes), Some(Violation::ReservedOpcode));
        assert_eq!(violation(Side::Upstream, Allowed::ANYTHING, &bytes), None);
    }
}

#[test]
fn clients_mask_and_servers_do_not() {
    let masked = [0x81, 0x81, 1, 2, 3, 4, b'x'];
    let plain = [0x81, 0x01, b'x'];
    let client = |bytes: &[u8]| violation(Side::Client, Allowed::NOTHING, bytes);
    assert_eq!((client(&masked), client(&plain)), (None, Some(Violation::NotMasked)));
    assert_eq!((upstream(&masked), upstream(&plain)), (Some(Violation::Masked), None));
}

#[test]
fn a_control_frame_is_short_and_whole() {
    let mut long = vec![0x89, 126, 0, 126];
    long.extend([0; 126]);
    assert_eq!(upstream(&long), Some(Violation::ControlTooLong));
    assert_eq!(upstream(&[0x88, 126, 0, 1, 0]), Some(Violation::ControlTooLong));
    assert_eq!(upstream(&[0x09, 0]), Some(Violation::ControlFragmented));
    let mut longest = vec![0x8a, 125];
    longest.extend([0; 125]);
    assert_eq!(upstream(&longest), None);
}

#[test]
fn fragments_follow_their_message() {
    assert_eq!(upstream(&[0x80, 0]), Some(Violation::NothingToContinue));
    assert_eq!(upstream(&[0x81, 0, 0x80, 0]), Some(Violation::NothingToContinue));
    assert_eq!(upstream(&[0x01, 0, 0x81, 0]), Some(Violation::MessageOpen));
    assert_eq!(upstream(&[0x01, 0, 0x89, 0, 0x00, 0, 0x80, 0, 0x82, 0]), None);
    let interleaved = [0x01, 0, 0x81, 0, 0x80, 0];
    assert_eq!(violation(Side::Upstream, Allowed::ANYTHING, &interleaved), None);
}

#[test]
fn a_length_is_written_in_as_few_bytes_as_it_needs() {
    assert_eq!(upstream(&[0x82, 126, 0, 3, 0, 0, 0]), Some(Violation::LengthNotMinimal));
    let mut long = vec![0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
    long.resize(10 + 65_535, 0);
    let seen = track(&mut Tracker::new(Side::Upstream, Allowed::NOTHING), &long, &[7]);
    assert_eq!(headers(&seen)[0].1, Some(Violation::LengthNotMinimal));
    assert_eq!(upstream(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]), None);
}

#[test]
fn a_length_of_2_to_the_63_is_a_violation_and_never_overflows() {
    assert_eq!(upstream(&[0x82, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255]), None);
    let most = [0x02, 127, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0];
    assert_eq!(upstream(&most), Some(Violation::LengthTooLarge));
    let mut tracker = Tracker::new(Side::Upstream, Allowed::NOTHING);
    track(&mut tracker, &most, &[]);
    assert_eq!((tracker.message_bytes(), tracker.payload_left()), (2, u64::MAX - 2));
}

#[test]
fn after_a_violation_the_scan_goes_on_as_written() {
    let mut tracker = Tracker::new(Side::Upstream, Allowed::NOTHING);
    // A continuation of nothing begins a message; a new one inside it begins anew.
    let seen = track(&mut tracker, &[0x00, 2, 0, 0, 0x01, 1, 0, 0x80, 3, 0, 0, 0], &[]);
    let counts = headers(&seen).into_iter().map(|(header, _)| header.message_bytes);
    assert_eq!(counts.collect::<Vec<_>>(), [2, 1, 4]);
    assert!(tracker.at_message_boundary());
    // A fragmented control frame opens nothing, a reserved one ends nothing.
    track(&mut tracker, &[0x09, 0], &[]);
    assert!(tracker.at_message_boundary());
    track(&mut tracker, &[0x01, 0, 0x83, 0, 0x8b, 0], &[]);
    assert!(tracker.at_frame_boundary() && !tracker.at_message_boundary());
    assert_eq!(headers(&track(&mut tracker, &[0x80, 0], &[]))[0].1, None);
}

#[test]
fn boundaries_are_where_nothing_has_begun() {
    let mut tracker = Tracker::new(Side::Client, Allowed::NOTHING);
    let mut at = |byte: u8| {
        let step = tracker.step(&[byte]);
        let mut ended = step.event;
        if matches!(ended, Some(FrameEvent::Header { header: FrameHeader { length: 0, .. }, .. })) {
            ended = tracker.step(&[]).event;
        }
        let begun = tracker.begun().len();
        (
            begun,
            ended == Some(FrameEvent::End),
            tracker.at_frame_boundary(),
            tracker.message_bytes(),
        )
    };
    assert_eq!(at(0x01), (1, false, false, 0));
    assert_eq!(at(0x81), (2, false, false, 0));
    assert_eq!([at(1), at(2), at(3)].map(|seen| seen.0), [3, 4, 5]);
    assert_eq!(at(4), (0, false, false, 0));
    assert_eq!(at(b'x'), (0, true, true, 1));
    let ping = [0x89, 0x81, 0, 0, 0, 0, 0].map(&mut at);
    assert_eq!(ping[6], (0, true, true, 1));
    let last = [0x80, 0x80, 0, 0, 0, 0].map(&mut at);
    assert_eq!(last[5], (0, true, true, 0));
    assert!(tracker.at_message_boundary());
}

/// Messages in fragments, with control frames between them.
fn conversation(sizes: impl Strategy<Value = usize> + Clone) -> impl Strategy<Value = Vec<Sent>> {
    let control = (8_u8..=10, 0_usize..=125).prop_map(|(opcode, size)| Sent {
        // A Close would end the oracle's reading: only as Ping or Pong.
        opcode: opcode.max(9),
        fin: true,
        payload: vec![opcode; size],
    });
    let fragment = (sizes, proptest::collection::vec(control, 0..2));
    let message = (any::<bool>(), proptest::collection::vec(fragment, 1..4));
    proptest::collection::vec(message, 1..4).prop_map(|messages| {
        let mut sent = Vec::new();
        for (text, fragments) in messages {
            let last = fragments.len() - 1;
            for (number, (size, between)) in fragments.into_iter().enumerate() {
                let opcode = if number > 0 { 0 } else { 2 - u8::from(text) };
                sent.push(Sent { opcode, fin: number == last, payload: vec![b'a'; size] });
                sent.extend(between);
            }
        }
        sent
    })
}

fn written(from: Side, sent: &[Sent]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, frame) in sent.iter().enumerate() {
        let mask = [number as u8, 2, 3, 0xf4];
        let header = OracleHeader {
            is_final: frame.fin,
            opcode: frame.opcode.into(),
            mask: (from == Side::Client).then_some(mask),
            ..OracleHeader::default()
        };
        let frame = Frame::from_payload(header, frame.payload.clone().into());
        frame.format(&mut bytes).unwrap();
    }
    bytes
}

/// What tungstenite makes of the bytes: each header's end, itself, and its frame's end.
fn oracle(bytes: &[u8]) -> Vec<(usize, OracleHeader, u64, usize)> {
    let mut cursor = Cursor::new(bytes);
    let mut found = Vec::new();
    while let Some((header, length)) = OracleHeader::parse(&mut cursor).unwrap() {
        let at = cursor.position();
        cursor.set_position(at + length);
        found.push((at as usize, header, length, (at + length) as usize));
    }
    found
}

/// The sizes of the data messages tungstenite reads.
fn messages(from: Side, bytes: &[u8]) -> Vec<u64> {
    let role = if from == Side::Client { Role::Server } else { Role::Client };
    let mut context = WebSocketContext::new(role, None);
    let mut stream = OneWay(Cursor::new(bytes));
    let mut sizes = Vec::new();
    loop {
        match context.read(&mut stream) {
            Ok(Message::Text(text)) => sizes.push(text.len() as u64),
            Ok(Message::Binary(bytes)) => sizes.push(bytes.len() as u64),
            Ok(_) => {}
            Err(Error::Protocol(_) | Error::ConnectionClosed | Error::Io(_)) => return sizes,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Reads from bytes; what is written (pongs) is lost.
struct OneWay<'a>(Cursor<&'a [u8]>);

impl std::io::Read for OneWay<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(into)
    }
}

impl std::io::Write for OneWay<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Compares a whole run with both oracles.
fn agree(from: Side, sent: &[Sent], bytes: &[u8], seen: &Seen) {
    let mut expected = Vec::new();
    for (at, header, length, end) in oracle(bytes) {
        expected.push((at, Some((header.is_final, u8::from(header.opcode), header.mask, length))));
        expected.push((end, None));
    }
    let found = seen.events.iter().map(|(at, event)| match event {
        FrameEvent::Header { header, violation } => {
            assert_eq!(*violation, None);
            let number = expected_bits(header.opcode);
            (*at, Some((header.fin, number, header.mask, header.length)))
        }
        FrameEvent::End => (*at, None),
    });
    assert_eq!(found.collect::<Vec<_>>(), expected);
    let controls = sent.iter().filter(|frame| frame.opcode >= 8).map(|frame| &frame.payload);
    assert!(seen.opened.iter().eq(controls), "control payloads are opened");
    assert_eq!(seen.passed, bytes);
    let whole = |(header, _): &(FrameHeader, _)| header.fin && !header.opcode.is_control();
    let sizes = headers(seen).into_iter().filter(whole).map(|(header, _)| header.message_bytes);
    assert_eq!(sizes.collect::<Vec<_>>(), messages(from, bytes));
}

fn expected_bits(opcode: Opcode) -> u8 {
    (0..16).find(|bits| Opcode::from_bits(*bits) == opcode).unwrap()
}

fn side() -> impl Strategy<Value = Side> + Clone {
    prop_oneof![Just(Side::Client), Just(Side::Upstream)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn short_frames_are_the_same_at_every_split(
        from in side(),
        sent in conversation(prop_oneof![Just(0_usize), Just(1), 2_usize..20]),
    ) {
        let bytes = written(from, &sent);
        let whole = track(&mut Tracker::new(from, Allowed::NOTHING), &bytes, &[]);
        agree(from, &sent, &bytes, &whole);
        for cut in 0..=bytes.len() {
            let mut tracker = Tracker::new(from, Allowed::NOTHING);
            prop_assert_eq!(&track(&mut tracker, &bytes, &[cut]), &whole);
        }
        let single: Vec<usize> = (0..bytes.len()).collect();
        prop_assert_eq!(&track(&mut Tracker::new(from, Allowed::NOTHING), &bytes, &single), &whole);
    }

    #[test]
    fn long_frames_are_the_same_at_any_split(
        from in side(),
        sent in conversation(proptest::sample::select(&[0, 1, 125, 126, 127, 65_535, 65_536][..])),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..20),
    ) {
        let bytes = written(from, &sent);
        let whole = track(&mut Tracker::new(from, Allowed::NOTHING), &bytes, &[]);
        agree(from, &sent, &bytes, &whole);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        // Headers are where a split can hurt.
        cuts.extend(oracle(&bytes).iter().flat_map(|(at, ..)| [at - 1, *at]));
        cuts.sort_unstable();
        prop_assert_eq!(&track(&mut Tracker::new(from, Allowed::NOTHING), &bytes, &cuts), &whole);
    }

    #[test]
    fn any_bytes_are_scanned_alike_at_any_split(
        from in side(),
        allowed in prop_oneof![
            Just(Allowed::NOTHING), Just(Allowed::DEFLATE), Just(Allowed::ANYTHING),
        ],
        bytes in proptest::collection::vec(prop_oneof![any::<u8>(), 0_u8..4], 0..300),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..30),
    ) {
        let mut one = Tracker::new(from, allowed);
        let whole = track(&mut one, &bytes, &[]);
        prop_assert_eq!(&whole.passed, &bytes);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let mut other = Tracker::new(from, allowed);
        prop_assert_eq!(&track(&mut other, &bytes, &cuts), &whole);
        prop_assert_eq!(one.message_bytes(), other.message_bytes());
        prop_assert_eq!(one.begun(), other.begun());
    }
}
