//! The frame tracker on any bytes and any split of them, against a reader that is as simple as it
//! is slow.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::base::side::Side;
use tidegate::wire::frame::{Allowed, FrameEvent, Tracker};

/// A frame as RFC 6455 §5.2 draws it: where its payload begins and how long it is.
#[derive(PartialEq, Debug)]
struct Seen {
    begins: usize,
    length: u64,
    mask: Option<[u8; 4]>,
    first: u8,
}

/// Reads headers one after another from the whole stream.
fn read(bytes: &[u8]) -> (Vec<Seen>, usize) {
    let (mut seen, mut ends, mut at) = (Vec::new(), 0, 0);
    loop {
        let Some([first, second]) = bytes.get(at..at + 2) else { return (seen, ends) };
        let wide = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some(digits) = bytes.get(at + 2..at + 2 + wide) else { return (seen, ends) };
        let length = match wide {
            0 => u64::from(second & 0x7f),
            _ => digits.iter().fold(0, |sum, digit| sum << 8 | u64::from(*digit)),
        };
        let mut begins = at + 2 + wide;
        let mask = match second & 0x80 {
            0 => None,
            _ => {
                let Some(mask) = bytes.get(begins..begins + 4) else { return (seen, ends) };
                begins += 4;
                Some(mask.try_into().unwrap())
            }
        };
        seen.push(Seen { begins, length, mask, first: *first });
        let Some(end) = usize::try_from(length).ok().and_then(|length| begins.checked_add(length))
        else {
            return (seen, ends);
        };
        if end > bytes.len() {
            return (seen, ends);
        }
        ends += 1;
        at = end;
    }
}

fuzz_target!(|data: &[u8]| {
    let [rules, split, bytes @ ..] = data else { return };
    let from = if rules & 1 == 0 { Side::Client } else { Side::Upstream };
    let allowed =
        [Allowed::NOTHING, Allowed::DEFLATE, Allowed::ANYTHING][usize::from(rules >> 1) % 3];
    let mut tracker = Tracker::new(from, allowed);
    let (mut seen, mut ends, mut taken) = (Vec::new(), 0, 0);
    for piece in bytes.chunks(usize::from(*split).max(1)) {
        let mut rest = piece;
        loop {
            let step = tracker.step(rest);
            rest = &rest[step.used..];
            taken += step.used;
            match step.event {
                Some(FrameEvent::Header { header, .. }) => {
                    let Seen { begins, length, mask, first } = Seen {
                        begins: taken,
                        length: header.length,
                        mask: header.mask,
                        first: if header.fin { 0x80 } else { 0 } | header.rsv,
                    };
                    assert_eq!(tracker.payload_left(), length);
                    seen.push(Seen { begins, length, mask, first });
                }
                Some(FrameEvent::End) => {
                    ends += 1;
                    assert!(tracker.at_frame_boundary());
                }
                None => break,
            }
        }
        assert!(rest.is_empty());
    }
    let (mut expected, expected_ends) = read(bytes);
    for frame in &mut expected {
        frame.first &= 0xf0;
    }
    assert_eq!((seen, ends), (expected, expected_ends));
});
