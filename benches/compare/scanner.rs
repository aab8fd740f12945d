//! What following frames costs: the tracker alone, over the frames a relay sees.

use std::hint::black_box;
use std::time::Instant;

use tidegate::base::side::Side;
use tidegate::wire::frame::{Allowed, FrameEvent, Tracker};

use crate::codec;

/// Frames in the buffer that is walked, each with its own place in memory.
const FRAMES: usize = 256;

/// Nanoseconds the tracker takes for a frame of `size` bytes, header to end, one frame at a call as
/// a relay presents them; the mean over some hundred thousand, from a client and from an upstream
/// by turns.
pub fn nanoseconds_per_frame(size: usize) -> f64 {
    let sides = [(Side::Client, true), (Side::Upstream, false)];
    let streams = sides.map(|(side, masked)| {
        let frame = codec::frame(size, masked);
        (Tracker::new(side, Allowed::NOTHING), frame.len(), frame.repeat(FRAMES))
    });
    let mut spent = 0.0;
    let mut seen = 0_u64;
    for (mut tracker, length, bytes) in streams {
        // The first walk warms caches and branches up.
        for walk in 0..1_000 {
            let start = Instant::now();
            for frame in bytes.chunks(length) {
                seen += follow(&mut tracker, black_box(frame));
            }
            if walk > 0 {
                spent += start.elapsed().as_secs_f64();
            }
        }
    }
    assert_eq!(seen, 2 * 1_000 * FRAMES as u64, "the tracker finds every frame");
    spent * 1e9 / (2 * 999 * FRAMES) as f64
}

fn follow(tracker: &mut Tracker, mut bytes: &[u8]) -> u64 {
    let mut frames = 0;
    while !bytes.is_empty() {
        let step = tracker.step(bytes);
        bytes = &bytes[step.used..];
        frames += u64::from(matches!(step.event, Some(FrameEvent::End)));
        if step.event.is_none() {
            break;
        }
    }
    frames
}
