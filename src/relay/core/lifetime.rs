//! How long a session may be quiet, and live.

use crate::base::clock::Moment;
use crate::config::plan::Rules;
use crate::end::End;

/// When it began, and when it last had something to say.
#[derive(Debug)]
pub(super) struct Lifetime {
    opened: Moment,
    /// When a part of a data message last passed.
    last_data: Moment,
    /// When the right to it ends; `NEVER` where it has no such end.
    expires: Moment,
}

impl Lifetime {
    pub(super) fn new(expires: Moment, now: Moment) -> Lifetime {
        Lifetime { opened: now, last_data: now, expires }
    }

    /// The right to it ends at another moment.
    pub(super) fn expire_at(&mut self, expires: Moment) {
        self.expires = expires;
    }

    /// A backend, or who may, says when it ends: it may end sooner, or later up to `most`. When it
    /// ends then.
    pub(super) fn renew(&mut self, said: Moment, most: Moment) -> Moment {
        self.expires = said.min(self.expires.max(most));
        self.expires
    }

    /// A part of a data message passes: all that a message costs.
    pub(super) fn on_data(&mut self, now: Moment) {
        self.last_data = now;
    }

    /// When a part of a data message last passed; its beginning, where none has.
    pub(super) fn last_data(&self) -> Moment {
        self.last_data
    }

    /// The process did not run: for a message that came meanwhile there is as much time as for a
    /// pong.
    pub(super) fn on_overslept(&mut self, rules: &Rules, now: Moment) {
        if let Some(timeout) = rules.idle_timeout {
            self.last_data = self.last_data.max(now.after(rules.pong_timeout).before(timeout));
        }
    }

    /// When it will have been quiet for `idle_timeout`; `NEVER` without one.
    pub(super) fn idle_at(&self, rules: &Rules) -> Moment {
        rules.idle_timeout.map_or(Moment::NEVER, |timeout| self.last_data.after(timeout))
    }

    /// When its `max_lifetime`, a share of the jitter in 1/255 taken off, is reached, or the right
    /// to it ends; `NEVER` without either.
    pub(super) fn ends_at(&self, rules: &Rules, jitter: u8) -> Moment {
        let Some(most) = rules.max_lifetime else { return self.expires };
        let percent = f64::from(rules.max_lifetime_jitter_percent.min(100)) / 100.0;
        let shorter = percent * f64::from(jitter) / 255.0;
        self.opened.after(most.mul_f64(1.0 - shorter)).min(self.expires)
    }

    /// How it ends at this moment, when it ends of age.
    pub(super) fn end(&self, now: Moment) -> End {
        if self.expires <= now { End::Expired } else { End::Lifetime }
    }
}
