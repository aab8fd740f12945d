//! How much a side may send: how large a frame and a message may be, and how many messages and
//! bytes in a second are the client's.

use std::time::Duration;

use crate::base::clock::Moment;
use crate::config::plan::{RelayExcess, Rules};
use crate::end::SizeLimit;
use crate::limit::{Allowance, WholeAt};
use crate::wire::frame::{FrameHeader, Opcode};

const SECOND: Duration = Duration::from_secs(1);

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
pub(super) struct Throttle(Option<Box<Meters>>);

#[derive(Debug, Default)]
struct Meters {
    messages: Option<SendMeter>,
    bytes: Option<SendMeter>,
    /// Until when the client is not read.
    paused_until: Option<Moment>,
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
        if messages.is_some() || bytes.is_some() {
            self.0 = Some(Box::new(Meters { messages, bytes, paused_until: None }));
        }
    }

    /// Whether the client is not read.
    pub(super) fn is_paused(&self) -> bool {
        self.0.as_ref().is_some_and(|meters| meters.paused_until.is_some())
    }

    /// When it is read again; `NEVER` while it is.
    pub(super) fn timeout(&self) -> Moment {
        let until = self.0.as_ref().and_then(|meters| meters.paused_until);
        until.unwrap_or(Moment::NEVER)
    }

    /// Reads it again, when it is time.
    pub(super) fn on_timeout(&mut self, now: Moment) {
        if let Some(meters) = &mut self.0 {
            meters.paused_until.take_if(|until| *until <= now);
        }
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
    /// How long until another message may begin: one must be there, and no byte be owed.
    fn wait(&self, now: Moment) -> Option<Duration> {
        let message = self.messages.as_ref();
        let message = message.and_then(|one| one.allowance.take(one.bucket, now).err());
        message.max(self.bytes.as_ref().and_then(|meter| meter.owes(now)))
    }

    fn charge(&mut self, begins: bool, bytes: u64, now: Moment) {
        if let Some(meter) = &mut self.messages {
            meter.bucket = meter.allowance.owe(meter.bucket, begins.into(), now);
        }
        if let Some(meter) = &mut self.bytes {
            meter.bucket = meter.allowance.owe(meter.bucket, bytes, now);
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
