//! Sessions that outlive their upstream, over real sockets.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::super::{Demand, HoldCause, HoldState};
use super::scene::{Far, MASK, PATIENCE, Scene, close, frame, held, rules, run, text};
use crate::base::clock;
use crate::base::side::Side;
use crate::config::plan::Rules;
use crate::end::{End, Loss};
use crate::registry::tests::{ALONE, moving};
use crate::registry::{self, Selector};
use crate::wire::frame::unmask;

/// Rules of a session whose upstream may answer a Close as late as it likes.
fn patient() -> Rules {
    Rules { close_timeout: PATIENCE, ..rules() }
}

async fn away(scene: &mut Scene) -> HoldState {
    match scene.wanted(|want| matches!(want, Some(Demand::Upstream(_)))).await {
        Some(Demand::Upstream(away)) => away,
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
            let terms = held(|_| {});
            let budget = Arc::clone(&terms.budget);
            let mut scene = Scene::held(rules(), terms).await;
            talk(&mut scene).await;
            if how == Loss::Reset {
                scene.upstream.0.set_zero_linger().unwrap();
            }
            scene.lose_upstream().await;
            let first = away(&mut scene).await;
            assert_eq!((first.why, first.attempt), (HoldCause::Lost, 1));
            let kept =
                [text(Side::Client, "one"), frame(Side::Client, 0x82, &[2; 70_000])].concat();
            scene.client.send(&kept).await;
            all_read(&mut scene).await;
            assert_eq!(budget.used(), kept.len() as u64);
            scene.attach().await;
            scene.upstream.expect(&kept).await;
            talk(&mut scene).await;
            assert_eq!(budget.used(), 0);
            assert_eq!((scene.cells.held(), scene.cells.totals.holds_ended.get("resumed")), (0, 1));
            goodbye(scene).await;
        });
    }
}

#[test]
fn a_session_moves_between_two_messages_and_nobody_loses_any() {
    run(async || {
        let mut scene = Scene::held(patient(), held(|_| {})).await;
        talk(&mut scene).await;
        let first = frame(Side::Client, 0x01, b"first half, ");
        scene.client.send(&first).await;
        scene.upstream.expect(&first).await;
        assert_eq!(registry::drain(&moving(Selector::All), clock::now(), ALONE), 1);
        scene.wanted(|want| *want == Some(Demand::Target)).await;
        scene.orders.leave();
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
        assert_eq!((away.why, away.attempt), (HoldCause::Moved, 1));
        scene.upstream.expect_end().await;
        scene.attach().await;
        scene.upstream.expect(&third).await;
        goodbye(scene).await;
    });
}

/// A client's message that carries its number, 1,000 bytes long in all.
fn numbered(number: u32) -> Vec<u8> {
    let mut payload = number.to_be_bytes().to_vec();
    payload.resize(1_000 - 8, b'.');
    frame(Side::Client, 0x82, &payload)
}

/// The numbers of the messages that come to an upstream, until one that has none.
async fn numbers(upstream: &mut Far) -> Vec<u32> {
    let mut numbers = Vec::new();
    let mut message = vec![0; 1_000];
    loop {
        upstream.0.read_exact(&mut message[..8]).await.unwrap();
        if message[1] & 0x7f < 126 {
            return numbers;
        }
        upstream.0.read_exact(&mut message[8..]).await.unwrap();
        assert_eq!(message[..4], numbered(0)[..4], "a whole message");
        unmask(&mut message[8..12], MASK, 0);
        numbers.push(u32::from_be_bytes(message[8..12].try_into().unwrap()));
    }
}

/// The same, of messages that are sent back; a Close, which is answered, ends them too.
async fn numbers_echoed(upstream: &mut Far) -> Vec<u32> {
    let mut numbers = Vec::new();
    let mut message = vec![0; 1_000];
    loop {
        upstream.0.read_exact(&mut message[..8]).await.unwrap();
        if message[0] == 0x88 {
            // The rest of it does not matter: the answer ends the connection.
            upstream.0.write_all(&close(Side::Upstream, 1001, "")).await.unwrap();
            return numbers;
        }
        if message[1] & 0x7f < 126 {
            return numbers;
        }
        upstream.0.read_exact(&mut message[8..]).await.unwrap();
        unmask(&mut message[8..], MASK, 0);
        numbers.push(u32::from_be_bytes(message[8..12].try_into().unwrap()));
        let echo = frame(Side::Upstream, 0x82, &message[8..]);
        upstream.0.write_all(&echo).await.unwrap();
    }
}

#[test]
fn what_an_upstream_did_not_take_before_it_died_reaches_the_next() {
    run(async || {
        let mut scene = Scene::tiny_held(rules(), held(|_| {})).await;
        // It reads nothing. All that is between it and the client fills up; where that is said too
        // early there is only less to see.
        let (mut sent, mut at, mut stuck) = (0, 0, 0);
        while stuck < 100 {
            match scene.client.0.try_write(&numbered(sent)[at..]) {
                Ok(bytes) => (at, stuck) = (at + bytes, 0),
                Err(_) => {
                    stuck += 1;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
            if at == 1_000 {
                (sent, at) = (sent + 1, 0);
            }
        }
        scene.upstream.0.set_zero_linger().unwrap();
        scene.lose_upstream().await;
        away(&mut scene).await;
        scene.attach().await;
        let rest = [&numbered(sent)[at..], &frame(Side::Client, 0x82, b"the end")].concat();
        let Scene { client, upstream, .. } = &mut scene;
        let read = tokio::time::timeout(PATIENCE, numbers(upstream));
        let ((), numbers) = tokio::join!(client.send(&rest), read);
        let numbers = numbers.expect("in time");
        let first = *numbers.first().expect("what was in our hands is not lost");
        assert!(first > 0, "what it was sent is not sent again");
        assert!(numbers.iter().copied().eq(first..=sent), "{numbers:?} of {sent}");
    });
}

#[test]
fn a_silent_upstream_is_a_lost_one() {
    run(async || {
        let interval = Some(Duration::from_millis(200));
        let mut scene =
            Scene::held(Rules { ping_interval: interval, ..rules() }, held(|_| {})).await;
        // The client answers; the upstream reads nothing and says nothing.
        let (read, write) = scene.client.0.split();
        let answers = async |mut read: ReadHalf<'_>, mut write: WriteHalf<'_>| {
            let mut ping = [0; 10];
            loop {
                read.read_exact(&mut ping).await.unwrap();
                let pong = frame(Side::Client, 0x8a, &ping[2..]);
                write.write_all(&pong).await.unwrap();
            }
        };
        let away = scene.wants.wait_for(|want| matches!(want, Some(Demand::Upstream(_))));
        tokio::select! {
            () = answers(read, write) => {}
            away = tokio::time::timeout(PATIENCE, away) => drop(away.expect("in time").unwrap()),
        }
        assert_eq!(scene.cells.totals.holds.get("lost"), 1);
    });
}

#[test]
fn a_client_that_sends_more_than_can_be_kept_waits_and_loses_nothing() {
    run(async || {
        let terms = held(|_| {});
        let budget = Arc::clone(&terms.budget);
        let mut scene = Scene::held(rules(), terms).await;
        talk(&mut scene).await;
        scene.lose_upstream().await;
        away(&mut scene).await;
        let mut all: Vec<u8> = (0..1_000).flat_map(numbered).collect();
        all.extend(frame(Side::Client, 0x82, b"the end"));
        let Scene { client, upstream, orders, .. } = &mut scene;
        let write = client.send(&all);
        let attach = async {
            while budget.used() < 100_000 {
                tokio::task::yield_now().await;
            }
            assert_eq!(budget.used(), 100_000);
            *upstream = orders.attach().await;
            numbers(upstream).await
        };
        let both = async { tokio::join!(write, attach) };
        let ((), numbers) = tokio::time::timeout(PATIENCE, both).await.expect("in time");
        assert!(numbers.into_iter().eq(0..1_000));
        assert_eq!(budget.used(), 0);
    });
}

#[test]
fn a_session_that_moves_under_load_loses_and_doubles_nothing_either_way() {
    run(async || {
        let mut scene = Scene::held(patient(), held(|_| {})).await;
        let (done, sent) = (Cell::new(false), Cell::new(0_u32));
        let Scene { client, upstream, orders, wants, cells, .. } = &mut scene;
        let mut targets = wants.clone();
        let (mut client_reads, mut client_writes) = client.0.split();
        let talk = async {
            while !done.get() {
                client_writes.write_all(&numbered(sent.get())).await.unwrap();
                sent.set(sent.get() + 1);
            }
            client_writes.write_all(&frame(Side::Client, 0x82, b"the end")).await.unwrap();
        };
        // Each upstream sends back what it got, and a Close for a Close.
        let serve = async {
            let mut got = Vec::new();
            for moves in 0..4 {
                let mine = numbers_echoed(upstream).await;
                assert!(!mine.is_empty());
                got.extend(mine);
                if moves < 3 {
                    let wanted = wants.wait_for(|want| matches!(want, Some(Demand::Upstream(_))));
                    drop(wanted.await.unwrap());
                    *upstream = orders.attach().await;
                }
            }
            got
        };
        let hear = async {
            let mut echo = vec![0; 996];
            let mut heard = Vec::new();
            while sent.get() == 0 || !done.get() || heard.len() < sent.get() as usize {
                client_reads.read_exact(&mut echo).await.unwrap();
                heard.push(u32::from_be_bytes(echo[4..8].try_into().unwrap()));
            }
            heard
        };
        let operate = async {
            for moves in 1..4 {
                let before = sent.get();
                while sent.get() < before + 50 {
                    tokio::task::yield_now().await;
                }
                assert_eq!(registry::drain(&moving(Selector::All), clock::now(), ALONE), 1);
                let asked = targets.wait_for(|want| *want == Some(Demand::Target));
                drop(asked.await.unwrap());
                orders.leave();
                while cells.totals.holds_ended.get("resumed") < moves {
                    tokio::task::yield_now().await;
                }
            }
            done.set(true);
        };
        let all = async { tokio::join!(talk, serve, hear, operate) };
        let ((), got, heard, ()) = tokio::time::timeout(PATIENCE, all).await.expect("in time");
        assert!(got.into_iter().eq(0..sent.get()));
        assert!(heard.into_iter().eq(0..sent.get()));
        assert_eq!(scene.cells.totals.holds.get("moved"), 3);
    });
}
