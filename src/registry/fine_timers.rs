//! Wake-ups nearer than the wheel's tick: a client that is not read because of its rate goes on in
//! time. By the wheel it would go on up to a [`TICK`] late, and then with all that it may have sent
//! by then: a burst that others wait for.
//!
//! While there are any, one task of the worker looks [`FINE_TICK`] by [`FINE_TICK`] what is due.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::base::clock::{self, Moment};
use crate::base::id::SessionId;
use crate::base::task;

use super::wheel::TICK;

/// How coarse these are: one is late by at most this, never early.
pub(super) const FINE_TICK: Duration = Duration::from_millis(20);

/// Looks in a row that found none, after which the task ends: a client that is at its rate has
/// another at once.
const EMPTY_LOOKS_MAX: u32 = 5;

thread_local! {
    static HERE: RefCell<FineTimers> = RefCell::default();
}

/// Those of one worker: at most one of each session, since none is farther than a [`TICK`], and
/// whoever asks for another was woken by the one before.
#[derive(Default)]
struct FineTimers {
    due: BinaryHeap<Reverse<(Moment, SessionId)>>,
    /// Whether the task lives that looks.
    looks: bool,
}

impl FineTimers {
    /// A session whose moment has come; `None` when there are no more.
    fn pop(&mut self, now: Moment) -> Option<SessionId> {
        let Reverse((at, _)) = self.due.peek()?;
        if *at > now {
            return None;
        }
        let Reverse((_, id)) = self.due.pop()?;
        if self.due.is_empty() {
            self.due.shrink_to(Self::KEPT);
        }
        Some(id)
    }

    /// Room for so many stays.
    const KEPT: usize = 64;
}

/// Wakes a session of this worker at this moment, when it is within a [`TICK`]; whether it is.
pub(super) fn arm(id: SessionId, at: Moment, now: Moment, wake: fn(SessionId)) -> bool {
    if at.since(now) >= TICK {
        return false;
    }
    let looks = HERE.with_borrow_mut(|here| {
        here.due.push(Reverse((at, id)));
        std::mem::replace(&mut here.looks, true)
    });
    if !looks {
        task::spawn("fine timers", look(wake));
    }
    true
}

async fn look(wake: fn(SessionId)) {
    let _looking = Looking;
    let mut empty = 0;
    while empty < EMPTY_LOOKS_MAX {
        tokio::time::sleep(FINE_TICK).await;
        let now = clock::now();
        empty = if HERE.with_borrow(|here| here.due.is_empty()) { empty + 1 } else { 0 };
        // One at a time: what a waker runs may ask for another.
        while let Some(id) = HERE.with_borrow_mut(|here| here.pop(now)) {
            wake(id);
        }
    }
}

/// However the task ends, with its runtime too, the next timer starts another.
struct Looking;

impl Drop for Looking {
    fn drop(&mut self) {
        let _ = HERE.try_with(|here| here.borrow_mut().looks = false);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use super::super::tests::facts;
    use super::*;
    use crate::base::worker::Workers;
    use crate::registry;

    #[tokio::test]
    async fn a_session_is_woken_for_a_moment_within_a_tick_again_and_again() {
        let workers = Workers::start(1).unwrap();
        let (told, heard) = tokio::sync::oneshot::channel();
        let start = move || {
            task::spawn("session", async move {
                let seat = registry::enter(facts("/chat", "b", 0)).unwrap();
                for _ in 0..3 {
                    let now = clock::now();
                    let due = now.after(TICK / 10);
                    seat.wake_near(due, now);
                    poll_fn(|cx| {
                        assert!(seat.poll_note(cx).is_pending());
                        if clock::now() >= due { Poll::Ready(()) } else { Poll::Pending }
                    })
                    .await;
                }
                told.send(()).unwrap();
            });
        };
        workers.queues().try_run_on(0, start).unwrap();
        heard.await.unwrap();
        while workers.tasks() > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn what_is_due_comes_in_its_order_and_nothing_early() {
        let id = |slot| SessionId::new(0, slot, 0);
        let mut timers = FineTimers::default();
        for (at, slot) in [(30, 1), (10, 2), (20, 3)] {
            timers.due.push(Reverse((Moment::from_millis(at), id(slot))));
        }
        let mut due = |now| std::iter::from_fn(|| timers.pop(Moment::from_millis(now))).collect();
        let at: [Vec<SessionId>; 3] = [9, 20, 100].map(&mut due);
        assert_eq!(at, [vec![], vec![id(2), id(3)], vec![id(1)]]);
    }
}
