//! How much a side may send: how large a frame and a message may be, and how many messages and
//! bytes in a second are the client's; and how long the client may take nothing.

use std::time::Duration;

use crate::base::clock::Moment;
use crate::config::plan::{RelayExcess, Rules};
use crate::end::SizeLimit;
use crate::limit::{Allowance, SharedAllowance, WholeAt};
use crate::wire::frame::{FrameHeader, Opcode};

const SECOND: Duration = Duration::from_secs(1);

/// How long what was drawn of a shared allowance is good: what a session does not use is not kept
/// for it.
const DRAWN_FOR: Duration = SECOND;

/// The limit that a frame breaks, by what it announces.
pub(super) fn too_big(header: &FrameHeader, rules: &Rules) -> Option<SizeLimit> {
    let over = |most: Option<u64>, bytes: u64| most.is_some_and(|most| bytes > most);
    if over(rules.frame_bytes_max, header.length) {
        Some(SizeLimit::Frame)
    } else if over(rules.message_bytes_max, header.message_bytes) {
        Some(SizeLimit::Message)
    } else {
        None
    }
}

/// What a client has sent of what it may; one empty pointer where it may send what it likes.
#[derive(Debug, Default)]
pub(in crate::relay) struct Throttle(Option<Box<Meters>>);

#[derive(Debug, Default)]
struct Meters {
    messages: Option<SendMeter>,
    bytes: Option<SendMeter>,
    /// What it may send with all others of its key.
    shared: Option<SharedMeter>,
    /// Until when the client is not read.
    paused_until: Option<Moment>,
    /// How long it may take nothing.
    slow_timeout: Option<Duration>,
    /// Since when it has, while bytes wait for it.
    waits_since: Option<Moment>,
    /// What was before does not count: the process did not run.
    waits_from: Moment,
}

#[derive(Debug)]
struct SharedMeter {
    allowance: SharedAllowance,
    /// Messages drawn and not sent, and when they were drawn.
    left: u64,
    drawn: Moment,
}

#[derive(Clone, Copy, Debug)]
struct SendMeter {
    allowance: Allowance,
    bucket: WholeAt,
}

/// What becomes of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Admission {
    /// It passes.
    Pass,
    /// It waits, unread.
    Pause,
    /// It is too much.
    TooFast,
}

impl Throttle {
    /// By these rules.
    pub(super) fn new(rules: &Rules) -> Throttle {
        let mut throttle = Throttle::default();
        throttle.renew(rules);
        throttle
    }

    /// By other rules, with what was sent by those before.
    pub(super) fn renew(&mut self, rules: &Rules) {
        let old = self.0.take().unwrap_or_default();
        let meter = |count: Option<u64>, burst: Option<u64>, old: Option<SendMeter>| {
            let count = count?;
            let allowance = Allowance::new(count, SECOND, burst.unwrap_or(count));
            Some(SendMeter { allowance, bucket: old.map(|old| old.bucket).unwrap_or_default() })
        };
        let (messages, burst) = (rules.messages_max, rules.messages_burst);
        let messages = meter(messages.map(u64::from), burst.map(u64::from), old.messages);
        let bytes = meter(rules.bytes_max, rules.bytes_burst, old.bytes);
        let slow_timeout = rules.slow_timeout;
        let is_metered = messages.is_some() || bytes.is_some() || old.shared.is_some();
        if is_metered || slow_timeout.is_some() {
            let paused_until = None;
            self.0 = Some(Box::new(Meters { messages, bytes, paused_until, slow_timeout, ..*old }));
        }
    }

    /// Counts the client's messages with those of all others of its key.
    pub(in crate::relay) fn share(&mut self, allowance: SharedAllowance) {
        let meters = self.0.get_or_insert_default();
        meters.shared = Some(SharedMeter { allowance, left: 0, drawn: Moment::default() });
    }

    /// Bytes wait for the client, of which none went since then; or none wait.
    pub(in crate::relay) fn on_waiting(&mut self, since: Option<Moment>, now: Moment) {
        let Some(meters) = self.0.as_mut().filter(|meters| meters.slow_timeout.is_some()) else {
            return;
        };
        meters.waits_since = match (since, meters.waits_since) {
            // What waits inside TLS has no time of its own.
            (Some(Moment::NEVER), known) => Some(known.unwrap_or(now)),
            (since, _) => since.map(|since| since.max(meters.waits_from)),
        };
    }

    /// The process did not run, and may be why nothing was taken.
    pub(super) fn on_overslept(&mut self, now: Moment) {
        if let Some(meters) = &mut self.0 {
            meters.waits_from = now;
            meters.waits_since = meters.waits_since.map(|_| now);
        }
    }

    /// The session ends: its close has times of its own.
    pub(super) fn on_end(&mut self) {
        if let Some(meters) = &mut self.0 {
            (meters.slow_timeout, meters.waits_since) = (None, None);
        }
    }

    /// Whether the client is not read.
    pub(super) fn is_paused(&self) -> bool {
        self.0.as_ref().is_some_and(|meters| meters.paused_until.is_some())
    }

    /// When it is read again, or has taken nothing for too long; `NEVER` while neither is to be.
    pub(super) fn timeout(&self) -> Moment {
        let Some(meters) = &self.0 else { return Moment::NEVER };
        meters.paused_until.unwrap_or(Moment::NEVER).min(meters.slow_at())
    }

    /// Reads it again, when it is time; whether it has taken nothing for too long.
    pub(super) fn on_timeout(&mut self, now: Moment) -> bool {
        let Some(meters) = &mut self.0 else { return false };
        meters.paused_until.take_if(|until| *until <= now);
        meters.slow_at() <= now
    }

    /// A data frame, whose header is so long. What goes on with a message is let pass: one that has
    /// begun is finished.
    pub(super) fn admit(
        &mut self,
        header: &FrameHeader,
        head: usize,
        rules: &Rules,
        now: Moment,
    ) -> Admission {
        let Some(meters) = &mut self.0 else { return Admission::Pass };
        let begins = header.opcode != Opcode::Continuation;
        if begins && let Some(wait) = meters.wait(now) {
            if rules.excess == RelayExcess::Close || wait > rules.pause_max {
                return Admission::TooFast;
            }
            // The clock counts whole milliseconds.
            meters.paused_until = Some(now.after(wait + Duration::from_millis(1)));
            return Admission::Pause;
        }
        meters.charge(begins, header.length.saturating_add(head as u64), now);
        let is_over = meters.bytes.as_ref().is_some_and(|meter| meter.owes(now).is_some());
        match rules.excess == RelayExcess::Close && is_over {
            true => Admission::TooFast,
            false => Admission::Pass,
        }
    }
}

impl Meters {
    /// When the client has taken nothing for too long.
    fn slow_at(&self) -> Moment {
        let waits = self.slow_timeout.zip(self.waits_since);
        waits.map_or(Moment::NEVER, |(timeout, since)| since.after(timeout))
    }

    /// How long until another message may begin: one must be there, and no byte be owed.
    fn wait(&mut self, now: Moment) -> Option<Duration> {
        let message = self.messages.as_ref();
        let message = message.and_then(|one| one.allowance.take(one.bucket, now).err());
        let own = message.max(self.bytes.as_ref().and_then(|meter| meter.owes(now)));
        // What others lack then is drawn only for a message that may be sent.
        own.or_else(|| self.shared.as_mut()?.wait(now))
    }

    fn charge(&mut self, begins: bool, bytes: u64, now: Moment) {
        if let Some(shared) = &mut self.shared {
            shared.left = shared.left.saturating_sub(begins.into());
        }
        if let Some(meter) = &mut self.messages {
            meter.bucket = meter.allowance.owe(meter.bucket, begins.into(), now);
        }
        if let Some(meter) = &mut self.bytes {
            meter.bucket = meter.allowance.owe(meter.bucket, bytes, now);
        }
    }
}

impl SharedMeter {
    /// How long until there is a message.
    fn wait(&mut self, now: Moment) -> Option<Duration> {
        if self.left > 0 && now < self.drawn.after(DRAWN_FOR) {
            return None;
        }
        match self.allowance.draw(now) {
            Ok(left) => {
                (self.left, self.drawn) = (left, now);
                None
            }
            Err(wait) => {
                self.left = 0;
                Some(wait)
            }
        }
    }
}

impl SendMeter {
    fn owes(&self, now: Moment) -> Option<Duration> {
        self.allowance.wait(self.bucket, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header of a frame that is a whole message, or the rest of one; a byte long.
    fn frame(opcode: Opcode, bytes: u64) -> FrameHeader {
        let length = bytes - 1;
        FrameHeader { fin: true, rsv: 0, opcode, mask: None, length, message_bytes: length }
    }

    fn admit(throttle: &mut Throttle, bytes: u64, rules: &Rules, now: Moment) -> Admission {
        throttle.admit(&frame(Opcode::Text, bytes), 1, rules, now)
    }

    /// How many of the messages offered each millisecond pass in ten seconds.
    fn passed(rules: &Rules, bytes: u64) -> usize {
        let mut throttle = Throttle::new(rules);
        let mut passes = |at: &u64| {
            let now = Moment::from_millis(*at);
            throttle.on_timeout(now);
            !throttle.is_paused() && admit(&mut throttle, bytes, rules, now) == Admission::Pass
        };
        (0..10_000).filter(|at| passes(at)).count()
    }

    #[test]
    fn a_client_has_its_burst_and_then_its_rate() {
        let (messages_max, messages_burst) = (Some(50), Some(100));
        let rules = Rules { messages_max, messages_burst, ..Rules::default() };
        let passed = passed(&rules, 10);
        assert!((560..=600).contains(&passed), "{passed}");
        assert!(Throttle::new(&Rules::default()).0.is_none());
        assert_eq!(size_of::<Throttle>(), 8);
    }

    #[test]
    fn bytes_are_charged_as_they_are_announced_and_owed_by_what_comes_next() {
        let rules = Rules { bytes_max: Some(1000), ..Rules::default() };
        let passed = passed(&rules, 500);
        assert!((19..=23).contains(&passed), "{passed}");
        let mut throttle = Throttle::new(&rules);
        let now = Moment::from_millis(7);
        assert_eq!(admit(&mut throttle, 5000, &rules, now), Admission::Pass);
        let rest = frame(Opcode::Continuation, 500);
        assert_eq!(throttle.admit(&rest, 1, &rules, now), Admission::Pass, "it has begun");
        assert_eq!(admit(&mut throttle, 1, &rules, now), Admission::Pause);
        assert_eq!(throttle.timeout(), now.after(Duration::from_millis(4501)));
        // What would take too long ends the session.
        throttle.on_timeout(Moment::NEVER);
        let rules = Rules { pause_max: SECOND, ..rules };
        assert_eq!(admit(&mut throttle, 1, &rules, now), Admission::TooFast);
    }

    #[test]
    fn where_excess_closes_nothing_waits() {
        let (messages_max, bytes_max) = (Some(2), Some(100));
        let excess = RelayExcess::Close;
        let rules = Rules { messages_max, bytes_max, excess, ..Rules::default() };
        let now = Moment::from_millis(7);
        let mut throttle = Throttle::new(&rules);
        let admitted = [1, 1, 1].map(|bytes| admit(&mut throttle, bytes, &rules, now));
        assert_eq!(admitted, [Admission::Pass, Admission::Pass, Admission::TooFast]);
        let large = admit(&mut Throttle::new(&rules), 101, &rules, now);
        assert_eq!(large, Admission::TooFast);
    }

    #[test]
    fn a_client_that_takes_nothing_for_too_long_is_found_and_one_that_takes_a_byte_is_not() {
        let rules = Rules { slow_timeout: Some(SECOND), ..Rules::default() };
        let mut throttle = Throttle::new(&rules);
        let at = Moment::from_millis;
        throttle.on_waiting(Some(at(100)), at(100));
        assert_eq!(throttle.timeout(), at(1100));
        throttle.on_waiting(Some(at(900)), at(900));
        assert!(!throttle.on_timeout(at(1100)), "a byte went");
        throttle.on_waiting(None, at(1200));
        assert_eq!(throttle.timeout(), Moment::NEVER);
        throttle.on_waiting(Some(Moment::NEVER), at(2000));
        throttle.on_waiting(Some(Moment::NEVER), at(2500));
        assert_eq!(throttle.timeout(), at(3000));
        throttle.on_overslept(at(9000));
        throttle.on_waiting(Some(at(2000)), at(9000));
        assert!(!throttle.on_timeout(at(9000)) && throttle.on_timeout(at(10_000)));
        throttle.on_end();
        throttle.on_waiting(Some(at(10_000)), at(10_000));
        assert_eq!(throttle.timeout(), Moment::NEVER);
    }

    #[test]
    fn other_rules_keep_what_was_sent() {
        let rules = Rules { messages_max: Some(1), ..Rules::default() };
        let mut throttle = Throttle::new(&rules);
        let now = Moment::from_millis(7);
        assert_eq!(admit(&mut throttle, 1, &rules, now), Admission::Pass);
        throttle.renew(&rules);
        assert_eq!(admit(&mut throttle, 1, &rules, now), Admission::Pause);
        throttle.renew(&Rules::default());
        assert_eq!(admit(&mut throttle, 1, &rules, now), Admission::Pass);
    }
}
