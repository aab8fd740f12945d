//! Sessions that outlive their upstream, over real sockets.

use std::sync::Arc;
use std::time::Duration;

use super::super::{Absence, Away, HoldBudget, HoldTerms, Want};
use super::scene::{PATIENCE, Scene, close, frame, rules, run, text};
use crate::base::clock;
use crate::base::side::Side;
use crate::config::plan::Hold;
use crate::end::{End, Loss};
use crate::registry::{self, First, Moving, Who};

/// How tests hold, within a budget of so many bytes.
fn held(budget: u64) -> HoldTerms {
    let hold = Hold {
        timeout: PATIENCE,
        buffer_bytes_max: 100_000,
        full_timeout: PATIENCE,
        message_age_max: PATIENCE,
        lost_codes: vec![1001, 1012, 1013],
        replay_first: 0,
        replay_bytes_max: 1_000,
        swallow_first: 0,
        swallow_timeout: PATIENCE,
    };
    HoldTerms { hold: Arc::new(hold), budget: Arc::new(HoldBudget::new(budget)) }
}

async fn away(scene: &mut Scene) -> Away {
    match scene.wanted(|want| matches!(want, Some(Want::Upstream(_)))).await {
        Some(Want::Upstream(away)) => away,
        other => panic!("{other:?}"),
    }
}

/// A message goes each way.
async fn talk(scene: &mut Scene) {
    let (up, down) = (text(Side::Client, "up"), text(Side::Upstream, "down"));
    scene.client.send(&up).await;
    scene.upstream.expect(&up).await;
    scene.upstream.send(&down).await;
    scene.client.expect(&down).await;
}

/// The relay has read all that the client sent: it has answered a ping behind it.
async fn all_read(scene: &mut Scene) {
    scene.client.send(&frame(Side::Client, 0x89, b"all read?")).await;
    scene.client.expect(&frame(Side::Upstream, 0x8a, b"all read?")).await;
}

/// The client closes, and its upstream answers.
async fn goodbye(mut scene: Scene) {
    talk(&mut scene).await;
    let bye = close(Side::Client, 1000, "");
    scene.client.send(&bye).await;
    scene.upstream.expect(&bye).await;
    scene.upstream.send(&close(Side::Upstream, 1000, "")).await;
    scene.client.expect_close(1000).await;
    scene.client.expect_end().await;
    scene.hang_up(Side::Client).await;
    scene.hang_up(Side::Upstream).await;
    assert_eq!(scene.ended().await.0, End::Closed { by: Side::Client, code: 1000 });
}

#[test]
fn a_client_stays_while_its_upstream_is_lost_and_another_comes() {
    for how in [Loss::Eof, Loss::Reset] {
        run(async || {
            let terms = held(1 << 20);
            let budget = Arc::clone(&terms.budget);
            let mut scene = Scene::held(rules(), terms).await;
            talk(&mut scene).await;
            if how == Loss::Reset {
                scene.upstream.0.set_zero_linger().unwrap();
            }
            scene.lose_upstream().await;
            let first = away(&mut scene).await;
            assert_eq!((first.why, first.attempt), (Absence::Lost, 1));
            let kept =
                [text(Side::Client, "one"), frame(Side::Client, 0x82, &[2; 70_000])].concat();
            scene.client.send(&kept).await;
            all_read(&mut scene).await;
            assert_eq!(budget.used(), kept.len() as u64);
            scene.attach().await;
            scene.upstream.expect(&kept).await;
            talk(&mut scene).await;
            assert_eq!(budget.used(), 0);
            assert_eq!((scene.cells.held(), scene.cells.holds_ended.get("resumed")), (0, 1));
            goodbye(scene).await;
        });
    }
}

fn moving() -> Moving {
    let (age_min, window) = (Duration::ZERO, Duration::ZERO);
    Moving { who: Who::All, most: usize::MAX, age_min, first: First::Oldest, window }
}

#[test]
fn a_session_moves_between_two_messages_and_nobody_loses_any() {
    run(async || {
        let mut scene = Scene::held(rules(), held(1 << 20)).await;
        talk(&mut scene).await;
        let first = frame(Side::Client, 0x01, b"first half, ");
        scene.client.send(&first).await;
        scene.upstream.expect(&first).await;
        assert_eq!(registry::move_away(&moving(), clock::now()), 1);
        scene.wanted(|want| *want == Some(Want::Target)).await;
        scene.order(|relay| relay.leave(clock::now()));
        // The message is finished there; what follows waits for the next.
        let second = frame(Side::Client, 0x80, b"second half");
        let third = text(Side::Client, "for whoever is next");
        scene.client.send(&[second.clone(), third.clone()].concat()).await;
        scene.upstream.expect(&second).await;
        scene.upstream.expect_close(1001).await;
        let last = text(Side::Upstream, "said before I read your Close");
        scene.upstream.send(&last).await;
        scene.client.expect(&last).await;
        scene.upstream.send(&close(Side::Upstream, 1001, "")).await;
        let away = away(&mut scene).await;
        assert_eq!((away.why, away.attempt), (Absence::Moved, 1));
        scene.upstream.expect_end().await;
        scene.attach().await;
        scene.upstream.expect(&third).await;
        goodbye(scene).await;
    });
}
