//! The end table, row by row, over real sockets.

use std::sync::Arc;
use std::time::Duration;

use super::scene::{Scene, close, frame, rules, run, text};
use crate::base::clock;
use crate::base::side::Side;
use crate::config::plan::{Rules, Validation};
use crate::end::{CloseCodes, End, Loss, Reason, SizeLimit};
use crate::registry::tests::{ALONE, at_once, only};
use crate::registry::{self, Drain, RuleChanges, Selector};
use crate::wire::frame::Violation;

const SOON: Duration = Duration::from_millis(200);

/// Both sides answer a Close from us with `code` to the client, `upstream_code` upstream: the
/// client first, and what it still sends reaches the upstream.
async fn closed_by_us(mut scene: Scene, code: u16, upstream_code: u16) -> End {
    scene.client.expect_close(code).await;
    let last = text(Side::Client, "sent before I read your Close");
    scene.client.send(&last).await;
    scene.upstream.send(&text(Side::Upstream, "too late")).await;
    scene.client.send(&close(Side::Client, code, "")).await;
    scene.client.expect_end().await;
    scene.upstream.expect(&last).await;
    scene.upstream.expect_close(upstream_code).await;
    scene.upstream.send(&close(Side::Upstream, upstream_code, "")).await;
    scene.hang_up(Side::Upstream).await;
    scene.hang_up(Side::Client).await;
    scene.upstream.expect_end().await;
    let (end, stats) = scene.ended().await;
    assert!(!stats.cut);
    end
}

#[test]
fn an_upstream_that_does_not_answer_a_close_is_answered_for() {
    run(async || {
        let mut scene = Scene::new(rules()).await;
        let bye = close(Side::Client, 1000, "bye");
        scene.client.send(&bye).await;
        scene.upstream.expect(&bye).await;
        scene.client.expect_close(1000).await;
        scene.client.expect_end().await;
        scene.upstream.expect_end().await;
        scene.hang_up(Side::Client).await;
        assert_eq!(scene.ended().await.0, End::Closed { by: Side::Client, code: 1000 });
    });
}

#[test]
fn an_upstream_that_just_leaves_after_a_close_is_answered_for_at_once() {
    run(async || {
        let slow = Duration::from_secs(60);
        let mut scene = Scene::new(Rules { close_timeout: slow, ..rules() }).await;
        scene.client.send(&frame(Side::Client, 0x88, b"")).await;
        scene.upstream.expect(&frame(Side::Client, 0x88, b"")).await;
        scene.hang_up(Side::Upstream).await;
        scene.client.expect(&[0x88, 0]).await;
        scene.client.expect_end().await;
        scene.hang_up(Side::Client).await;
        let (end, stats) = scene.ended().await;
        assert_eq!(end, End::Closed { by: Side::Client, code: 1005 });
        assert_eq!((stats.client.close.get(), stats.upstream.close.get()), (Some(1005), None));
    });
}

#[test]
fn a_client_that_does_not_answer_a_close_is_answered_for() {
    run(async || {
        let mut scene = Scene::new(rules()).await;
        let bye = close(Side::Upstream, 4000, "go");
        scene.upstream.send(&bye).await;
        scene.client.expect(&bye).await;
        scene.client.send(&text(Side::Client, "one more")).await;
        scene.upstream.expect(&text(Side::Client, "one more")).await;
        scene.upstream.expect_close(4000).await;
        scene.hang_up(Side::Upstream).await;
        scene.client.expect_end().await;
        assert_eq!(scene.ended().await.0, End::Closed { by: Side::Upstream, code: 4000 });
    });
}

#[test]
fn a_lost_client_closes_the_upstream_without_a_close() {
    for how in [Loss::Eof, Loss::Reset] {
        run(async || {
            let mut scene = Scene::new(rules()).await;
            let last = text(Side::Client, "last words");
            scene.client.send(&last).await;
            scene.upstream.expect(&last).await;
            if how == Loss::Reset {
                scene.client.0.set_zero_linger().unwrap();
            }
            drop(scene.client);
            scene.upstream.expect_end().await;
            drop(scene.upstream);
            let end = super::scene::ended(scene.outcome).await.0;
            assert_eq!(end, End::Lost { side: Side::Client, how });
        });
    }
}

#[test]
fn a_lost_upstream_is_told_to_the_client_at_a_frame_boundary() {
    for how in [Loss::Eof, Loss::Reset] {
        run(async || {
            let mut scene = Scene::new(rules()).await;
            // In the middle of a message, between two of its frames (RFC 6455 §5.4).
            let half = frame(Side::Upstream, 0x01, b"half a mess");
            scene.upstream.send(&half).await;
            scene.client.expect(&half).await;
            if how == Loss::Reset {
                scene.upstream.0.set_zero_linger().unwrap();
            }
            drop(scene.upstream);
            scene.client.expect_close(1012).await;
            scene.client.send(&close(Side::Client, 1012, "")).await;
            scene.client.expect_end().await;
            drop(scene.client);
            let (end, stats) = super::scene::ended(scene.outcome).await;
            assert_eq!(end, End::Lost { side: Side::Upstream, how });
            assert!(!stats.cut);
        });
    }
}

#[test]
fn no_close_is_put_inside_a_frame_that_was_cut() {
    run(async || {
        let mut scene = Scene::new(rules()).await;
        let whole = frame(Side::Upstream, 0x82, &[5; 1000]);
        scene.upstream.send(&whole[..500]).await;
        scene.client.expect(&whole[..500]).await;
        scene.hang_up(Side::Upstream).await;
        scene.client.expect_end().await;
        drop(scene.client);
        let (end, stats) = super::scene::ended(scene.outcome).await;
        assert_eq!(end, End::Lost { side: Side::Upstream, how: Loss::Eof });
        assert!(stats.cut);
    });
}

#[test]
fn an_idle_session_ends_though_pings_pass() {
    run(async || {
        let mut scene = Scene::new(Rules { idle_timeout: Some(SOON), ..rules() }).await;
        let ping = frame(Side::Upstream, 0x89, b"foreign");
        scene.upstream.send(&ping).await;
        scene.client.expect(&ping).await;
        assert_eq!(closed_by_us(scene, 1001, 1001).await, End::Idle);
    });
}

#[test]
fn a_life_has_its_limit() {
    run(async || {
        let scene = Scene::new(Rules { max_lifetime: Some(SOON), ..rules() }).await;
        assert_eq!(closed_by_us(scene, 1012, 1001).await, End::Lifetime);
    });
}

#[test]
fn a_drained_session_reads_why_with_the_routes_own_code() {
    run(async || {
        let close_codes = CloseCodes::new([("stop", 4999)]).unwrap();
        let scene = Scene::new(Rules { close_codes, ..rules() }).await;
        let drain = at_once(only(scene.id), Reason::Stop);
        assert_eq!(registry::drain(&drain, clock::now(), ALONE), 1);
        assert_eq!(closed_by_us(scene, 4999, 1001).await, End::Drained(Reason::Stop));
    });
}

#[test]
fn a_kick_has_its_own_code() {
    run(async || {
        let scene = Scene::new(rules()).await;
        let drain = at_once(Selector::Route("/chat".into()), Reason::Command);
        let kick = Drain { code: Some(4100), ..drain };
        registry::drain(&kick, clock::now(), ALONE);
        assert_eq!(
            closed_by_us(scene, 4100, 1001).await,
            End::DrainedWith { reason: Reason::Command, code: 4100 }
        );
    });
}

#[test]
fn new_rules_hold_at_once() {
    run(async || {
        let scene = Scene::new(rules()).await;
        let idle = Arc::new(Rules { idle_timeout: Some(SOON), ..rules() });
        let changes = Arc::new(RuleChanges::from([("/chat".into(), idle)]));
        assert_eq!(registry::update_rules(&changes, clock::now()), 1);
        assert_eq!(closed_by_us(scene, 1001, 1001).await, End::Idle);
    });
}

#[test]
fn a_clients_violation_ends_with_1002_and_goes_no_further() {
    run(async || {
        let slow = Duration::from_secs(60);
        let mut scene = Scene::new(Rules { close_timeout: slow, ..rules() }).await;
        let good = text(Side::Client, "good");
        // A frame without a mask, behind a good one and in one segment with it.
        let bad = [good.clone(), text(Side::Upstream, "bad")].concat();
        scene.client.send(&bad).await;
        scene.upstream.expect(&good).await;
        scene.upstream.expect_close(1001).await;
        // What was right is answered before what was wrong.
        let answer = text(Side::Upstream, "good, too");
        scene.upstream.send(&[answer.clone(), close(Side::Upstream, 1001, "")].concat()).await;
        scene.client.expect(&answer).await;
        scene.client.expect_close(1002).await;
        scene.client.expect_end().await;
        scene.hang_up(Side::Upstream).await;
        scene.upstream.expect_end().await;
        scene.hang_up(Side::Client).await;
        let cells = scene.cells.clone();
        let (end, stats) = scene.ended().await;
        assert_eq!(end, End::Violation { by: Side::Client, what: Violation::NotMasked });
        assert_eq!((stats.client.messages, stats.client.violations), (1, 1));
        assert_eq!(cells.sum(|cells| &cells.violations[Side::Client]), 1);
    });
}

#[test]
fn a_client_at_fault_is_told_though_its_upstream_goes_on() {
    run(async || {
        let mut scene = Scene::new(rules()).await;
        scene.client.send(&text(Side::Upstream, "bad")).await;
        scene.upstream.expect_close(1001).await;
        // It never answers: `close_timeout` does.
        let whole = text(Side::Upstream, "going on");
        scene.upstream.send(&whole).await;
        scene.client.expect(&whole).await;
        scene.client.expect_close(1002).await;
        scene.client.expect_end().await;
        drop((scene.client, scene.upstream));
        let (end, stats) = super::scene::ended(scene.outcome).await;
        assert_eq!(end, End::Violation { by: Side::Client, what: Violation::NotMasked });
        assert!(!stats.cut);
    });
}

#[test]
fn an_upstreams_violation_ends_with_1002_to_it_and_1001_to_the_client() {
    run(async || {
        let mut scene = Scene::new(rules()).await;
        scene.upstream.send(&[0xf1, 0x00]).await;
        scene.client.expect_close(1001).await;
        scene.upstream.expect_close(1002).await;
        scene.upstream.expect_end().await;
        scene.client.send(&close(Side::Client, 1001, "")).await;
        scene.client.expect_end().await;
        drop(scene.client);
        drop(scene.upstream);
        let end = super::scene::ended(scene.outcome).await.0;
        assert_eq!(end, End::Violation { by: Side::Upstream, what: Violation::ReservedBit });
    });
}

#[test]
fn an_observed_violation_passes_and_is_counted() {
    run(async || {
        let observe = Rules { validation: Validation::Observe, ..rules() };
        let mut scene = Scene::new(observe).await;
        let bad = [0xf1, 0x00, 0xc1, 0x00];
        scene.upstream.send(&bad).await;
        scene.client.expect(&bad).await;
        drop(scene.client);
        drop(scene.upstream);
        let stats = super::scene::ended(scene.outcome).await.1;
        assert_eq!(stats.upstream.violations, 2);
        assert_eq!(stats.upstream.violation, Some(Violation::ReservedBit));
    });
}

#[test]
fn a_message_too_big_is_refused_at_its_header() {
    run(async || {
        let most = Rules { message_bytes_max: Some(10), ..rules() };
        let mut scene = Scene::new(most).await;
        let first = frame(Side::Client, 0x01, b"01234");
        let second = frame(Side::Client, 0x80, b"567890");
        scene.client.send(&[&first[..], &second[..3]].concat()).await;
        scene.upstream.expect(&first).await;
        scene.client.send(&second[3..]).await;
        scene.client.expect_close(1009).await;
        scene.client.expect_end().await;
        scene.upstream.expect_close(1001).await;
        drop(scene.client);
        drop(scene.upstream);
        let end = super::scene::ended(scene.outcome).await.0;
        assert_eq!(end, End::TooBig { by: Side::Client, limit: SizeLimit::Message });
    });
}

#[test]
fn a_client_that_never_reads_is_gone_by_the_deadline() {
    run(async || {
        let mut scene = Scene::tiny(rules()).await;
        let big = frame(Side::Upstream, 0x82, &vec![1; 60_000]);
        let flood = async {
            while tokio::io::AsyncWriteExt::write_all(&mut scene.upstream.0, &big).await.is_ok() {}
        };
        tokio::select! {
            () = flood => panic!("the upstream was cut off"),
            () = tokio::time::sleep(SOON) => {}
        }
        let drain = at_once(Selector::All, Reason::Stop);
        let drain = Drain { deadline: 2 * SOON, ..drain };
        registry::drain(&drain, clock::now(), ALONE);
        let (end, _) = scene.ended().await;
        assert_eq!(end, End::Drained(Reason::Stop));
    });
}

#[test]
fn silent_sides_are_found_and_living_ones_are_not() {
    for silent in Side::BOTH {
        run(async || {
            let interval = Some(Duration::from_millis(300));
            let scene = Scene::new(Rules { ping_interval: interval, ..rules() }).await;
            let (mut client, mut upstream) = (scene.client, scene.upstream);
            // The other answers every ping; what comes then is a Close, or the end.
            let living = if silent == Side::Client { &mut upstream } else { &mut client };
            let mut answered = 0;
            let last = loop {
                let Some((first, payload)) = living.try_frame().await else { break None };
                if first != 0x89 {
                    break Some(u16::from_be_bytes([payload[0], payload[1]]));
                }
                living.send(&frame(silent.other(), 0x8a, &payload)).await;
                answered += 1;
            };
            let told = if silent == Side::Client { None } else { Some(1012) };
            assert_eq!(last, told);
            assert!(answered > 0);
            drop((client, upstream));
            let (end, stats) = super::scene::ended(scene.outcome).await;
            assert_eq!(end, End::Silent { side: silent });
            // Our pings and their answers are no part of what passed.
            assert_eq!((stats.client.bytes, stats.upstream.bytes), (0, 0));
            let measured = [stats.client.rtt, stats.upstream.rtt].map(|rtt| rtt.last().is_some());
            assert_eq!(measured, [silent == Side::Upstream, silent == Side::Client]);
        });
    }
}
