//! How much a side may send: how large a frame and a message may be, and how many messages and
//! bytes in a second are the client's; and how long the client may take nothing.

use std::time::Duration;

use crate::base::clock::Moment;
use crate::config::plan::{RelayExcess, Rules};
use crate::end::SizeLimit;
use crate::limit::SharedAllowance;
use crate::wire::frame::{FrameHeader, Opcode};

use super::meter::{SendMeter, SharedMeter};

/// Of the time by which a pause lasted too long, so much counts: a longer one is a process that did
/// not run.
const LATE_MAX: Duration = Duration::from_secs(1);

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
    messages: SendMeter,
    bytes: SendMeter,
    /// Until when they are drained.
    drained: Moment,
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

/// What becomes of a frame, or of a part of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Admission {
    /// It passes.
    Pass,
    /// It waits, unread; of payload, what comes behind it.
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
        let old = self.0.take().map(|old| *old).unwrap_or_default();
        let meter = |rate: Option<u64>, burst: Option<u64>, old: SendMeter| {
            rate.map(|rate| SendMeter::new(rate, burst.unwrap_or(rate), old))
        };
        let (messages, burst) = (rules.messages_max, rules.messages_burst);
        let messages = meter(messages.map(u64::from), burst.map(u64::from), old.messages);
        let bytes = meter(rules.bytes_max, rules.bytes_burst, old.bytes);
        let slow_timeout = rules.slow_timeout;
        let is_metered = messages.is_some() || bytes.is_some() || old.shared.is_some();
        if is_metered || slow_timeout.is_some() {
            let (messages, bytes) = (messages.unwrap_or_default(), bytes.unwrap_or_default());
            let paused_until = None;
            self.0 = Some(Box::new(Meters { messages, bytes, paused_until, slow_timeout, ..old }));
        }
    }

    /// Counts the client's messages with those of all others of its key.
    pub(in crate::relay) fn share(&mut self, allowance: SharedAllowance) {
        let meters = self.0.get_or_insert_default();
        meters.shared = Some(SharedMeter::new(allowance));
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
        let Some(meters) = &mut self.0 else { return };
        meters.waits_from = now;
        meters.waits_since = meters.waits_since.map(|_| now);
    }

    /// The session ends: its close has times of its own.
    pub(super) fn on_end(&mut self) {
        let Some(meters) = &mut self.0 else { return };
        (meters.slow_timeout, meters.waits_since) = (None, None);
    }

    /// When it is read again; `None` while it is read.
    pub(in crate::relay) fn paused_until(&self) -> Option<Moment> {
        self.0.as_ref()?.paused_until
    }

    /// When it is read again, or has taken nothing for too long; `NEVER` while neither is to be.
    pub(super) fn timeout(&self) -> Moment {
        let Some(meters) = &self.0 else { return Moment::NEVER };
        meters.paused_until.unwrap_or(Moment::NEVER).min(meters.slow_at())
    }

    /// Reads it again, when it is time; whether it has taken nothing for too long.
    pub(super) fn on_timeout(&mut self, now: Moment) -> bool {
        let Some(meters) = &mut self.0 else { return false };
        if let Some(until) = meters.paused_until.take_if(|until| *until <= now) {
            meters.drain_late(now, now.since(until).min(LATE_MAX));
        }
        meters.slow_at() <= now
    }

    /// A data frame begins, whose header is so long.
    pub(super) fn admit(
        &mut self,
        header: &FrameHeader,
        head: usize,
        rules: &Rules,
        now: Moment,
    ) -> Admission {
        let Some(meters) = &mut self.0 else { return Admission::Pass };
        meters.drain(now);
        let begins = header.opcode != Opcode::Continuation;
        if let Some(wait) = meters.wait(begins, now) {
            return meters.pause(wait, rules, now);
        }
        meters.fill(begins, head);
        // What ends the session need not come to be too much.
        match rules.excess == RelayExcess::Close && !meters.bytes.has_room(header.length) {
            true => Admission::TooFast,
            false => Admission::Pass,
        }
    }

    /// A ping or a pong has come, so many bytes with its header. It passes, and counts: where there
    /// are too many, the client is not read for a while.
    pub(super) fn on_control(&mut self, bytes: usize, rules: &Rules, now: Moment) -> Admission {
        let Some(meters) = &mut self.0 else { return Admission::Pass };
        meters.drain(now);
        meters.fill(true, bytes);
        meters.judge(rules, now)
    }

    /// So many bytes of a data frame's payload have come. They pass; where they are too many, the
    /// client is not read for a while, in the midst of a message too.
    pub(super) fn on_payload(&mut self, bytes: usize, rules: &Rules, now: Moment) -> Admission {
        let Some(meters) = &mut self.0 else { return Admission::Pass };
        meters.drain(now);
        meters.fill(false, bytes);
        meters.judge(rules, now)
    }
}

impl Meters {
    /// When the client has taken nothing for too long.
    fn slow_at(&self) -> Moment {
        let waits = self.slow_timeout.zip(self.waits_since);
        waits.map_or(Moment::NEVER, |(timeout, since)| since.after(timeout))
    }

    /// The meters, up to this moment: of the messages in one of the clock's steps the first pays.
    fn drain(&mut self, now: Moment) {
        if self.drained != now {
            self.drain_late(now, Duration::ZERO);
        }
    }

    /// The meters, up to this moment; the client was paused so much too long.
    fn drain_late(&mut self, now: Moment, late: Duration) {
        let passed = now.as_millis().saturating_sub(self.drained.as_millis());
        if passed > 0 {
            self.drained = now;
            let late = u64::try_from(late.as_millis()).unwrap_or(u64::MAX);
            self.messages.drain(passed, late);
            self.bytes.drain(passed, late);
        }
    }

    /// Whether no byte too many was sent, and there is room for a message where one begins.
    fn have_room(&self, begins: bool) -> bool {
        self.bytes.has_room(0) && self.messages.has_room(begins.into())
    }

    /// How long until a frame may begin: there must be no byte too many, and room for a message
    /// that begins with it.
    fn wait(&mut self, begins: bool, now: Moment) -> Option<Duration> {
        if self.have_room(begins) {
            // What others lack then is drawn only for a message that may be sent.
            return self.shared.as_mut().filter(|_| begins)?.wait(now);
        }
        self.bytes.wait(0).max(self.messages.wait(begins.into()))
    }

    /// What becomes of the client after what has come.
    fn judge(&mut self, rules: &Rules, now: Moment) -> Admission {
        let wait = match self.have_room(false) {
            true => None,
            false => self.bytes.wait(0).max(self.messages.wait(0)),
        };
        wait.map_or(Admission::Pass, |wait| self.pause(wait, rules, now))
    }

    /// The client has to wait so long.
    fn pause(&mut self, wait: Duration, rules: &Rules, now: Moment) -> Admission {
        if rules.excess == RelayExcess::Close || wait > rules.pause_max {
            return Admission::TooFast;
        }
        self.paused_until = Some(now.after(wait));
        Admission::Pause
    }

    fn fill(&mut self, begins: bool, bytes: usize) {
        if begins {
            if let Some(shared) = &mut self.shared {
                shared.spend();
            }
            self.messages.fill(1);
        }
        self.bytes.fill(bytes as u64);
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

    /// A whole message, header included.
    fn admit(throttle: &mut Throttle, bytes: u64, rules: &Rules, now: Moment) -> Admission {
        match throttle.admit(&frame(Opcode::Text, bytes), 1, rules, now) {
            Admission::Pass => match throttle.on_payload(bytes as usize - 1, rules, now) {
                Admission::TooFast => Admission::TooFast,
                Admission::Pass | Admission::Pause => Admission::Pass,
            },
            refused => refused,
        }
    }

    /// How many of the messages offered each millisecond pass in ten seconds.
    fn passed(rules: &Rules, bytes: u64) -> usize {
        let mut throttle = Throttle::new(rules);
        let mut passes = |at: &u64| {
            let now = Moment::from_millis(*at);
            throttle.on_timeout(now);
            throttle.paused_until().is_none()
                && admit(&mut throttle, bytes, rules, now) == Admission::Pass
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
    fn a_client_that_waits_has_its_rate_however_small_its_burst() {
        for burst in [1, 5, 100] {
            let (messages_max, messages_burst) = (Some(100), Some(burst));
            let rules = Rules { messages_max, messages_burst, ..Rules::default() };
            let mut throttle = Throttle::new(&rules);
            // It is looked at ten times a second, and has always more to send.
            let mut sent = 0;
            for at in (0..10_000).step_by(100) {
                let now = Moment::from_millis(at);
                throttle.on_timeout(now);
                while throttle.paused_until().is_none()
                    && admit(&mut throttle, 1, &rules, now) == Admission::Pass
                {
                    sent += 1;
                }
            }
            assert!((980..=1000 + burst).contains(&sent), "{sent} with {burst} at once");
        }
    }

    #[test]
    fn bytes_count_as_they_come_in_the_midst_of_a_message_too() {
        let rules = Rules { bytes_max: Some(1000), ..Rules::default() };
        let passed = passed(&rules, 500);
        assert!((19..=23).contains(&passed), "{passed}");
        let mut throttle = Throttle::new(&rules);
        let now = Moment::from_millis(7);
        let large = frame(Opcode::Binary, 1 << 40);
        assert_eq!(throttle.admit(&large, 1, &rules, now), Admission::Pass);
        assert_eq!(throttle.on_payload(999, &rules, now), Admission::Pass);
        assert_eq!(throttle.on_payload(4000, &rules, now), Admission::Pause);
        let then = now.after(Duration::from_secs(4));
        assert!(throttle.paused_until().is_some() && throttle.timeout() == then);
        throttle.on_timeout(then);
        assert_eq!(throttle.on_payload(1, &rules, then), Admission::Pause);
        // So do the parts of a message.
        let rest = frame(Opcode::Continuation, 500);
        assert_eq!(throttle.admit(&rest, 1, &rules, then), Admission::Pause);
        let last = then.after(Duration::from_millis(1));
        throttle.on_timeout(last);
        assert_eq!(throttle.admit(&rest, 1, &rules, last), Admission::Pass);
        // What would take too long ends the session.
        let rules = Rules { pause_max: Duration::from_secs(1), ..rules };
        assert_eq!(throttle.on_payload(1001, &rules, last), Admission::TooFast);
    }

    #[test]
    fn pings_count_and_do_not_wait() {
        let (messages_max, messages_burst) = (Some(10), Some(2));
        let rules = Rules { messages_max, messages_burst, ..Rules::default() };
        let mut throttle = Throttle::new(&rules);
        let now = Moment::from_millis(7);
        let ping = |throttle: &mut Throttle| throttle.on_control(6, &rules, now);
        assert_eq!([1, 2].map(|_| ping(&mut throttle)), [Admission::Pass; 2]);
        assert_eq!(admit(&mut throttle, 1, &rules, now), Admission::Pause);
        assert_eq!(ping(&mut throttle), Admission::Pause);
        assert_eq!(throttle.timeout(), now.after(Duration::from_millis(100)));
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
        let rules = Rules { slow_timeout: Some(Duration::from_secs(1)), ..Rules::default() };
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
