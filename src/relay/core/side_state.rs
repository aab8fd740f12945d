//! All that is known of one side of a session.

use std::time::Duration;

use super::lane::Lane;
use super::liveness::Liveness;
use super::order::Finish;
use super::outbox::Outbox;
use super::stats::SideStats;
use super::step_wait::{Patience, StepWait};
use crate::base::clock::Moment;
use crate::base::side::Side;
use crate::config::plan::Rules;
use crate::wire::frame::{Allowed, Tracker};

/// The longest pause of a reader that was sent a Close and has not got it: sessions that have ended
/// must not pile up behind those that read nothing.
const PAUSE_MAX: Duration = Duration::from_secs(12);

/// What comes from a side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RecvState {
    /// Frames.
    Open,
    /// Its Close came; what follows means nothing (RFC 6455 §5.5.1).
    Closed,
    /// It broke a rule; what follows cannot be trusted.
    Faulted,
}

/// How far a side is on its way out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CloseState {
    /// Frames go to it.
    Open,
    /// A Close of ours goes to it at the next frame boundary.
    Pending,
    /// A Close went to it, ours or the other side's: nothing may follow.
    Sent,
    /// What is left goes to it, then its stream is ended so; ordered or not yet.
    Finishing(Finish, bool),
    /// What we send has ended: its own end is waited for.
    Finished,
    /// Its transport is to be dropped.
    Dropping {
        /// With a reset.
        reset: bool,
    },
    /// Its transport was dropped.
    Dropped,
}

/// One side.
#[derive(Debug)]
pub(super) struct SideState {
    /// Follows what comes from it.
    pub(super) tracker: Tracker,
    pub(super) recv: RecvState,
    /// Its stream has ended.
    pub(super) ended: bool,
    pub(super) write_failed: bool,
    pub(super) close: CloseState,
    /// A Close from across could not go to it: it is owed one of ours.
    pub(super) owes_close: bool,
    /// A frame to it was cut in the middle.
    pub(super) cut: bool,
    /// What becomes of its frames.
    pub(super) lane: Lane,
    pub(super) outbox: Outbox,
    pub(super) liveness: Liveness,
    /// While its next step on the way out is waited for. Boxed: few sides are on it.
    pub(super) wait: Option<Box<StepWait>>,
    pub(super) stats: SideStats,
}

impl SideState {
    pub(super) fn new(side: Side, allowed: Allowed) -> SideState {
        SideState {
            tracker: Tracker::new(side, allowed),
            recv: RecvState::Open,
            ended: false,
            write_failed: false,
            close: CloseState::Open,
            owes_close: false,
            cut: false,
            lane: Lane::default(),
            outbox: Outbox::default(),
            liveness: Liveness::new(0),
            wait: None,
            stats: SideStats::default(),
        }
    }

    /// A new transport takes this one's place: all begins anew but what is counted. The Closes were
    /// the old one's.
    pub(super) fn replace(&mut self, side: Side, allowed: Allowed) {
        let stats = self.stats.without_closes();
        let liveness = Liveness::new(self.liveness.pings());
        *self = SideState { liveness, stats, cut: self.cut, ..SideState::new(side, allowed) };
    }

    /// When something of its own is due.
    pub(super) fn timeout(&self) -> Moment {
        self.liveness.timeout().min(self.step_timeout())
    }

    /// When the wait for its next step is to be looked at, or over.
    pub(super) fn step_timeout(&self) -> Moment {
        self.wait.as_ref().map_or(Moment::NEVER, |wait| wait.timeout())
    }

    /// How long its next step is waited for.
    pub(super) fn patience(&self, rules: &Rules) -> Patience {
        let answer = rules.close_timeout;
        let stuck = match self.close {
            // It may pause as one may that was not told: that is called silent after this time.
            CloseState::Sent => answer.max(rules.pong_timeout.min(PAUSE_MAX)),
            // It is owed no Close, or has had the last word.
            _ => answer,
        };
        Patience { answer, stuck }
    }

    /// The process did not run: what it owes has its time once more.
    pub(super) fn on_overslept(&mut self, rules: &Rules, now: Moment) {
        self.liveness.on_overslept(now);
        if let Some(wait) = &mut self.wait {
            wait.on_overslept(rules.close_timeout, now);
        }
    }

    /// Begins to ping it anew, first after a random part of the interval, so that the sessions of a
    /// process never ping in waves; not at all without one.
    pub(super) fn begin_pings(
        &mut self,
        interval: Option<Duration>,
        rng: &mut fastrand::Rng,
        now: Moment,
    ) {
        let first = match interval {
            Some(interval) if self.close == CloseState::Open => {
                now.after(interval.mul_f64(rng.f64()))
            }
            _ => Moment::NEVER,
        };
        self.liveness.begin(first);
        self.outbox.cancel_ping();
    }

    /// The session ends: whether it lives is of no interest any more.
    pub(super) fn on_end(&mut self) {
        self.liveness.begin(Moment::NEVER);
        self.outbox.cancel_ping();
        self.outbox.cancel_move();
        self.wait = None;
    }

    /// Its next step is waited for so.
    pub(super) fn begin_wait(&mut self, wait: StepWait) {
        match &mut self.wait {
            Some(known) => **known = wait,
            none => *none = Some(Box::new(wait)),
        }
    }

    /// A look is due whether its next step comes.
    pub(super) fn on_step_due(&mut self) {
        if let Some(wait) = &mut self.wait {
            wait.on_timeout();
        }
    }

    /// Whether a look at it is due; it is by being asked.
    pub(super) fn poll_look(&mut self) -> bool {
        self.liveness.poll_look() || self.wait.as_mut().is_some_and(|wait| wait.poll_look())
    }

    /// Whether frames from across still go to it: until a Close did.
    pub(super) fn takes_frames(&self) -> bool {
        matches!(self.close, CloseState::Open | CloseState::Pending) && !self.write_failed
    }

    /// Whether frames may still come from it.
    pub(super) fn speaks(&self) -> bool {
        self.recv == RecvState::Open
            && !self.ended
            && !matches!(self.close, CloseState::Dropping { .. } | CloseState::Dropped)
    }

    /// Whether it may still be spoken to by another upstream than the one it has.
    pub(super) fn listens(&self) -> bool {
        self.recv == RecvState::Open && !self.ended && !self.write_failed
    }

    /// Whether no message from it is cut.
    pub(super) fn is_whole(&self) -> bool {
        let at_close = self.recv == RecvState::Closed && !self.tracker.is_inside_message();
        self.tracker.at_message_boundary() || at_close
    }

    /// It is gone, or turned away: its transport is dropped, and nothing more is heard of it.
    pub(super) fn drop_now(&mut self, reset: bool) {
        self.ended = true;
        self.liveness.begin(Moment::NEVER);
        self.outbox.clear();
        (self.close, self.wait) = (CloseState::Dropping { reset }, None);
    }

    /// Its time is over: its transport is dropped, which cuts a frame to it unless what went to it
    /// is `whole`.
    pub(super) fn drop_late(&mut self, whole: bool) {
        let open = matches!(self.close, CloseState::Open | CloseState::Pending);
        self.cut |= open && !whole && !self.ended;
        if self.close != CloseState::Dropped {
            self.close = CloseState::Dropping { reset: false };
            self.outbox.clear();
        }
    }
}
