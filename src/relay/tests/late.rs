//! What is said last is read late: slow readers, and connections that go while bytes are unread.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use super::super::Demand;
use super::scene::{Far, PATIENCE, Scene, close, ended, frame, held, rules, run, text};
use crate::base::clock;
use crate::base::side::Side;
use crate::base::task;
use crate::config::plan::Rules;
use crate::end::End;
use crate::registry::tests::{ALONE, moving};
use crate::registry::{self, Selector};

const MESSAGES: u32 = 200;
const MESSAGE_BYTES: usize = 16_000;

/// Reads this slowly, so that all takes several times `close_timeout`.
const SIP_BYTES: usize = 128_000;
const PAUSE: Duration = Duration::from_millis(100);

/// A binary message that carries its number.
fn numbered(from: Side, number: u32) -> Vec<u8> {
    let mut payload = vec![7; MESSAGE_BYTES];
    payload[..4].copy_from_slice(&number.to_be_bytes());
    frame(from, 0x82, &payload)
}

fn all(from: Side) -> Vec<u8> {
    (0..MESSAGES).flat_map(|number| numbered(from, number)).collect()
}

/// Reads `bytes` slowly, speaking now and then. Its kernel keeps no more than a sip: what it has
/// acknowledged is nearly what was read.
async fn sip(far: &mut Far, bytes: usize, speak: &[u8]) -> Vec<u8> {
    let mut got = vec![0; bytes];
    for (sips, piece) in got.chunks_mut(SIP_BYTES).enumerate() {
        let read = timeout(PATIENCE, far.0.read_exact(piece)).await;
        if let Err(error) = read.expect("in time") {
            panic!("{error} after {} of {bytes} bytes", sips * SIP_BYTES);
        }
        sleep(PAUSE).await;
        if !speak.is_empty() {
            far.send(speak).await;
        }
    }
    got
}

#[test]
fn a_slow_client_that_speaks_reads_all_that_its_backend_said_before_its_close() {
    for leaves in [false, true] {
        run(async || {
            let mut scene = Scene::new(rules()).await;
            scene.client.keeps(SIP_BYTES / 2);
            let said = all(Side::Upstream);
            let bye = close(Side::Upstream, 1000, "all said");
            let Scene { client, upstream, .. } = &mut scene;
            let say = async {
                upstream.send(&said).await;
                upstream.send(&bye).await;
                if leaves {
                    // It does not wait for the client's answer.
                    upstream.0.shutdown().await.unwrap();
                }
            };
            let speak = text(Side::Client, "still here");
            let ((), got) = tokio::join!(say, sip(client, said.len(), &speak));
            assert!(got == said, "what came is not what was said");
            scene.client.expect(&bye).await;
            scene.client.send(&close(Side::Client, 1000, "")).await;
            scene.client.expect_end().await;
            drop(scene.upstream);
            let end = ended(scene.outcome).await.0;
            assert_eq!(end, End::Closed { by: Side::Upstream, code: 1000 });
        });
    }
}

#[test]
fn a_slow_backend_reads_all_that_its_client_said_before_its_close_and_answers_itself() {
    run(async || {
        let mut scene = Scene::new(rules()).await;
        scene.upstream.keeps(SIP_BYTES / 2);
        let said = all(Side::Client);
        let bye = close(Side::Client, 1000, "");
        let Scene { client, upstream, .. } = &mut scene;
        let say = async {
            client.send(&said).await;
            client.send(&bye).await;
        };
        let ((), got) = tokio::join!(say, sip(upstream, said.len(), b""));
        assert!(got == said, "what came is not what was said");
        scene.upstream.expect(&bye).await;
        let answer = close(Side::Upstream, 1000, "read it all");
        scene.upstream.send(&answer).await;
        scene.client.expect(&answer).await;
        scene.client.expect_end().await;
        drop(scene.upstream);
        let end = ended(scene.outcome).await.0;
        assert_eq!(end, End::Closed { by: Side::Client, code: 1000 });
    });
}

#[test]
fn a_client_that_reads_its_close_late_still_reads_it() {
    for round in 0..20 {
        run(async || {
            let scene = Scene::new(rules()).await;
            let Scene { mut client, mut upstream, outcome, .. } = scene;
            let bye = close(Side::Client, 1000, "");
            client.send(&bye).await;
            if round % 2 == 1 {
                // Against RFC 6455 §5.5.1, and no reason to take its Close from it.
                client.send(&text(Side::Client, "and another thing")).await;
            }
            upstream.expect(&bye).await;
            upstream.send(&close(Side::Upstream, 1000, "")).await;
            upstream.0.shutdown().await.unwrap();
            // The relay is done with both, and the client was not asked to do anything.
            let end = ended(outcome).await.0;
            assert_eq!(end, End::Closed { by: Side::Client, code: 1000 });
            sleep(Duration::from_millis(20)).await;
            client.expect_close(1000).await;
            client.expect_end().await;
        });
    }
}

async fn away(scene: &mut Scene) {
    scene.wanted(|demand| matches!(demand, Some(Demand::Upstream(_)))).await;
}

#[test]
fn a_session_that_moves_takes_along_what_its_slow_client_has_not_read() {
    run(async || {
        let mut scene = Scene::tiny_held(rules(), held(|_| {})).await;
        // What its backend says in answer to the move's Close, and that Close, wait behind.
        let said: Vec<u8> = (0..40).flat_map(|one| numbered(Side::Upstream, one)).collect();
        let nowhere = Scene::nowhere().await;
        let Far(mut upstream) = std::mem::replace(&mut scene.upstream, nowhere);
        let mut rest = said.clone();
        rest.extend(close(Side::Upstream, 1001, ""));
        task::spawn("backend", async move {
            let mut heard = [0; 8];
            upstream.read_exact(&mut heard).await.unwrap();
            upstream.write_all(&rest).await.unwrap();
            upstream.shutdown().await.unwrap();
            // It is still there when the last of it is read.
            let _ = upstream.read(&mut heard).await;
        });
        assert_eq!(registry::drain(&moving(Selector::All), clock::now(), ALONE), 1);
        scene.wanted(|demand| *demand == Some(Demand::Target)).await;
        scene.orders.leave();
        // For several times `close_timeout` it reads nothing at all.
        sleep(4 * rules().close_timeout).await;
        let mut got = vec![0; said.len()];
        timeout(PATIENCE, scene.client.0.read_exact(&mut got)).await.expect("in time").unwrap();
        assert!(got == said, "what came is not what was said");
        away(&mut scene).await;
        scene.attach().await;
        let on = text(Side::Upstream, "and on it goes");
        scene.upstream.send(&on).await;
        scene.client.expect(&on).await;
        drop((scene.client, scene.upstream));
        ended(scene.outcome).await;
    });
}

#[test]
fn a_message_that_meets_a_closed_door_is_not_lost() {
    run(async || {
        let mut scene = Scene::held(rules(), held(|_| {})).await;
        let up = text(Side::Client, "are you there?");
        scene.client.send(&text(Side::Client, "first")).await;
        scene.upstream.expect(&text(Side::Client, "first")).await;
        // The relay finds both at once, and reads its client first.
        assert_eq!(scene.client.0.try_write(&up).unwrap(), up.len());
        scene.upstream.0.set_zero_linger().unwrap();
        drop(std::mem::replace(&mut scene.upstream, Scene::nowhere().await));
        away(&mut scene).await;
        scene.attach().await;
        scene.upstream.expect(&up).await;
        drop((scene.client, scene.upstream));
        ended(scene.outcome).await;
    });
}

#[test]
fn a_full_client_is_read_as_soon_as_its_new_upstream_is_there() {
    run(async || {
        let hold = held(|hold| (hold.buffer_bytes_max, hold.swallow_first) = (1_000, 1));
        let budget = Arc::clone(&hold.budget);
        let mut scene = Scene::held(rules(), hold).await;
        let ready = text(Side::Upstream, "ready");
        scene.upstream.send(&ready).await;
        scene.client.expect(&ready).await;
        scene.lose_upstream().await;
        away(&mut scene).await;
        let all = frame(Side::Client, 0x82, &[3; 3_000]);
        scene.client.send(&all).await;
        let full = async {
            while budget.used() < 1_000 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, full).await.expect("in time");
        scene.attach().await;
        scene.upstream.send(&ready).await;
        // Nothing else happens that could wake the session.
        let read = timeout(Duration::from_secs(3), scene.upstream.expect(&all)).await;
        read.expect("the client is read at once");
        drop((scene.client, scene.upstream));
        ended(scene.outcome).await;
    });
}

#[test]
fn answers_are_swallowed_while_the_client_reads_nothing() {
    run(async || {
        let hold = held(|hold| {
            (hold.swallow_first, hold.swallow_timeout) = (1, Duration::from_secs(2));
        });
        let mut scene = Scene::with(
            Rules { pong_timeout: PATIENCE, ..rules() },
            crate::wire::frame::Allowed::NOTHING,
            [Some(4096); 2],
            Some(hold),
        )
        .await;
        let ready = text(Side::Upstream, "ready");
        scene.upstream.send(&ready).await;
        scene.client.expect(&ready).await;
        scene.lose_upstream().await;
        away(&mut scene).await;
        // It pings without end and reads no answer, until we read no ping.
        let ping = frame(Side::Client, 0x89, &[b'?'; 125]);
        let mut stuck = 0;
        while stuck < 100 {
            match scene.client.0.try_write(&ping) {
                Ok(bytes) if bytes == ping.len() => stuck = 0,
                Ok(_) => break,
                Err(_) => {
                    stuck += 1;
                    sleep(Duration::from_millis(2)).await;
                }
            }
        }
        scene.attach().await;
        scene.upstream.send(&ready).await;
        let resumed = async {
            while scene.cells.totals.holds_ended.get("resumed") == 0 {
                assert_eq!(
                    scene.cells.totals.holds_ended.get("in_vain"),
                    0,
                    "it was waited for in vain"
                );
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, resumed).await.expect("in time");
        scene.client.0.set_zero_linger().unwrap();
        drop((scene.client, scene.upstream));
        ended(scene.outcome).await;
    });
}
