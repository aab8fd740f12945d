//! What passes, and how.

use std::cell::Cell;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::scene::{Far, PATIENCE, Scene, close, ended, frame, rules, run, text};
use crate::base::clock;
use crate::base::side::Side;
use crate::config::plan::Rules;
use crate::end::{End, Reason};
use crate::registry::tests::{ALONE, at_once};
use crate::registry::{self, Selector};

/// Payload of a frame that fills a small kernel buffer many times.
const BIG: usize = 60_000;

/// Bytes of a client's frame that carries a number.
const SMALL: usize = 2 + 4 + 4;

#[test]
fn messages_and_closes_pass_both_ways_as_they_are() {
    run(async || {
        let mut scene = Scene::new(rules()).await;
        for size in [0, 1, 125, 126, 65_535, 65_536] {
            let up = frame(Side::Client, 0x82, &vec![7; size]);
            scene.client.send(&up).await;
            scene.upstream.expect(&up).await;
            let down = frame(Side::Upstream, 0x81, &vec![b'x'; size]);
            scene.upstream.send(&down).await;
            scene.client.expect(&down).await;
        }
        let bye = close(Side::Client, 4321, "that was all");
        scene.client.send(&bye).await;
        scene.upstream.expect(&bye).await;
        let echo = close(Side::Upstream, 4321, "and this the answer");
        scene.upstream.send(&echo).await;
        scene.client.expect(&echo).await;
        // We are the client's server: we end its connection first (RFC 6455 §7.1.1).
        scene.client.expect_end().await;
        scene.hang_up(Side::Client).await;
        scene.hang_up(Side::Upstream).await;
        let (end, stats) = scene.ended().await;
        assert_eq!(end, End::Closed { by: Side::Client, code: 4321 });
        assert_eq!((stats.client.messages, stats.upstream.messages), (6, 6));
        assert_eq!(
            (stats.client.close.get(), stats.upstream.close.get()),
            (Some(4321), Some(4321))
        );
        assert!(!stats.cut);
    });
}

#[test]
fn a_frame_passes_while_it_is_still_arriving() {
    run(async || {
        let mut scene = Scene::new(rules()).await;
        let message = frame(Side::Client, 0x81, &[b'a'; 1000]);
        for part in message.chunks(100) {
            scene.client.send(part).await;
            scene.upstream.expect(part).await;
        }
        let short = text(Side::Upstream, "in single bytes");
        for byte in &short {
            scene.upstream.send(&[*byte]).await;
        }
        scene.client.expect(&short).await;
    });
}

#[test]
fn a_side_that_does_not_read_holds_the_other_back_and_loses_nothing() {
    run(async || {
        let scene = Scene::tiny(rules()).await;
        let Scene { client: Far(mut client), upstream: Far(mut upstream), .. } = scene;
        let (mut reads, mut writes) = client.split();
        let message = frame(Side::Upstream, 0x82, &vec![9; 300_000]);
        let stream = async {
            for _ in 0..20 {
                upstream.write_all(&message).await.unwrap();
            }
        };
        let receive = async {
            let mut buffer = vec![0; 1000];
            for count in 0..message.len() * 20 / 1000 {
                reads.read_exact(&mut buffer).await.unwrap();
                if count % 100 == 0 {
                    writes.write_all(&text(Side::Client, "still here")).await.unwrap();
                }
            }
        };
        tokio::join!(stream, receive);
    });
}

#[test]
fn a_drain_under_load_loses_nothing_the_client_said_before_its_close() {
    run(async || {
        let patient = Rules { close_timeout: PATIENCE, ..rules() };
        let scene = Scene::tiny(patient).await;
        let Scene { client: Far(mut client), upstream: Far(mut upstream), outcome, .. } = scene;
        let told = Cell::new(false);
        let sent = Cell::new(0_u32);
        let (mut client_reads, mut client_writes) = client.split();
        let (mut upstream_reads, mut upstream_writes) = upstream.split();
        let talk = async {
            while !told.get() {
                let number = sent.replace(sent.get() + 1);
                let message = frame(Side::Client, 0x82, &number.to_be_bytes());
                client_writes.write_all(&message).await.unwrap();
            }
            client_writes.write_all(&close(Side::Client, 1012, "")).await.unwrap();
        };
        // Whole frames, the last a Close, then the end: no byte of ours is inside another frame.
        let listen = async {
            let mut stream = Vec::new();
            let mut part = vec![0; 10_000];
            loop {
                let read = client_reads.read(&mut part).await.unwrap();
                stream.extend(&part[..read]);
                while stream.len() >= 4 && stream[0] == 0x82 && stream.len() >= 4 + BIG {
                    assert_eq!(stream[1..4], [126, 0xea, 0x60]);
                    stream.drain(..4 + BIG);
                }
                told.set(told.get() || stream.starts_with(&[0x88]));
                if read == 0 {
                    return assert_eq!(stream, close(Side::Upstream, 1012, "drain"));
                }
            }
        };
        let flood = async {
            let big = frame(Side::Upstream, 0x82, &[1; BIG]);
            while upstream_writes.write_all(&big).await.is_ok() && !told.get() {}
        };
        let count = async {
            let (mut stream, mut at) = (Vec::new(), 0);
            let mut part = vec![0; 10_000];
            while stream.get(at) != Some(&0x88) {
                let read = upstream_reads.read(&mut part).await.unwrap();
                assert!(read > 0, "a Close comes before the end");
                stream.extend(&part[..read]);
                while stream.get(at) == Some(&0x82) && stream.len() >= at + SMALL {
                    at += SMALL;
                }
            }
            stream
        };
        let drain = async {
            while sent.get() < 100 {
                tokio::task::yield_now().await;
            }
            let drain = at_once(Selector::All, Reason::Command);
            assert_eq!(registry::drain(&drain, clock::now(), ALONE), 1);
        };
        let ((), (), (), (), stream) = tokio::join!(talk, listen, flood, drain, count);
        let messages = (0..sent.get()).flat_map(|n| frame(Side::Client, 0x82, &n.to_be_bytes()));
        let messages: Vec<u8> = messages.collect();
        assert!(stream.starts_with(&messages), "all of {} messages", sent.get());
        drop((client, upstream));
        assert_eq!(ended(outcome).await.0, End::Drained(Reason::Command));
    });
}
