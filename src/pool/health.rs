//! Passive health of one backend: failures to reach it, in a row, eject it for a while, and one
//! trial decides whether it returns. What went wrong behind the dial, a client may have caused (a
//! path that its application closes on, say): that ejects only when several clients' attempts say
//! so and none succeeds. Pure: the moment is an argument.

use std::time::Duration;

use crate::base::clock::Moment;
use crate::config::plan::Health as Rules;

/// Whether a backend is given work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It is.
    Up,
    /// Its ejection has ended: the next request is its trial.
    Trial,
    /// It is not, before this moment: it failed, or its trial is under way.
    Ejected {
        /// When it is due for a trial, or for another one; in the past where it can be reached and
        /// probes alone speak against it.
        until: Moment,
    },
    /// It is not, before its first probe has passed, however few others there are.
    Unproven,
}

/// The part of its weight, in thousandths, that a backend starts with.
const SHARE_MIN: u64 = 10;

/// A backend that is ejected is tried all the same when somebody waits for one: first after this
/// time, then after twice the time before, up to [`WAITING_TRIAL_MAX`].
pub const WAITING_TRIAL_MIN: Duration = Duration::from_millis(50);

/// The longest time between two such trials.
pub const WAITING_TRIAL_MAX: Duration = Duration::from_secs(1);

/// What an outcome changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// It was ejected.
    Ejected {
        /// Failures in a row.
        failures: u32,
        /// For how long.
        wait: Duration,
    },
    /// It came back.
    Recovered,
}

/// What an attempt tells of its backend's health.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Evidence {
    /// It answered for itself.
    Healthy,
    /// It could not be reached: refused, unreachable, not in time, no TLS.
    Unreachable,
    /// It was reached, and closed without an answer, gave none in time or one that cannot be read,
    /// or answered a handshake 502, 503 or 504.
    Suspect,
    /// Nothing.
    Unknown,
}

/// For how long suspicion is remembered.
pub const SUSPICION_WINDOW: Duration = Duration::from_secs(60);

/// So many clients must have met a backend that does not answer: what one causes is not booked on
/// the backend.
pub const SUSPICION_CLIENTS_MIN: usize = 3;

/// The health of one backend.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PassiveHealth {
    /// Failures to reach it in a row.
    failures: u32,
    suspicion: Suspicion,
    /// Times it was ejected without a good spell between: the exponent of its back-off.
    ejections: u32,
    ejected: Option<Ejection>,
    /// When it was last ejected, a failed trial aside.
    ejected_since: Moment,
    /// When it last came back.
    returned: Moment,
    /// Since when it has been given work: its first request, or its return.
    since: Option<Moment>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Ejection {
    until: Moment,
    on_trial: bool,
    /// The next trial for who waits, and the time from that one to the one after.
    waiting_trial: (Moment, Duration),
    /// It could not be reached. Else it is only given no new work: its sessions show that it lives.
    is_unreachable: bool,
}

/// Attempts that came to nothing since the last that succeeded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Suspicion {
    since: Moment,
    suspect: u32,
    others: u32,
    /// Clients that were met so.
    clients: [Option<u64>; SUSPICION_CLIENTS_MIN],
}

impl Suspicion {
    /// Counts an attempt.
    fn add(&mut self, evidence: Evidence, client: Option<u64>, now: Moment) {
        if now.since(self.since) > SUSPICION_WINDOW {
            *self = Suspicion { since: now, ..Suspicion::default() };
        }
        if evidence != Evidence::Suspect {
            self.others = self.others.saturating_add(1);
            return;
        }
        self.suspect = self.suspect.saturating_add(1);
        // Clients without an address, behind a unix socket, are one.
        let client = Some(client.unwrap_or_default());
        if !self.clients.contains(&client)
            && let Some(free) = self.clients.iter_mut().find(|one| one.is_none())
        {
            *free = client;
        }
    }

    /// Whether it is enough: so many attempts, most of all, of several clients.
    fn is_enough(&self, rules: &Rules) -> bool {
        rules.failures_max > 0
            && self.suspect >= rules.failures_max
            && self.suspect > self.others
            && self.clients.iter().all(Option::is_some)
    }
}

impl PassiveHealth {
    /// Whether it is given work at this moment.
    pub fn standing(&self, now: Moment) -> Standing {
        match self.ejected {
            None => Standing::Up,
            Some(Ejection { until, .. }) if now < until => Standing::Ejected { until },
            Some(_) => Standing::Trial,
        }
    }

    /// Since when it has been ejected, trials that failed included; `None` when it is not.
    pub fn ejected_since(&self) -> Option<Moment> {
        self.ejected.map(|_| self.ejected_since)
    }

    /// Since when it has been unreachable, if that is so long and its last trial, if there was any,
    /// has failed; not while the next is due or under way.
    pub fn stays_unreachable(&self, now: Moment, after: Duration) -> Option<Moment> {
        let Ejection { until, on_trial, is_unreachable, .. } = self.ejected?;
        let stays = now < until && !on_trial && now.since(self.ejected_since) >= after;
        (stays && is_unreachable).then_some(self.ejected_since)
    }

    /// What part of its weight it is given at this moment, in thousandths: a backend that is new or
    /// has returned starts small and has all after `slow_start`. The first to ask begins its time.
    pub fn share(&mut self, now: Moment, slow_start: Duration) -> u64 {
        let since = *self.since.get_or_insert(now);
        let (had, whole) = (now.since(since).as_millis(), slow_start.as_millis());
        if had >= whole {
            return 1000;
        }
        u64::try_from(had * 1000 / whole).unwrap_or(1000).max(SHARE_MIN)
    }

    /// A request is sent to a backend that is due. Until its outcome is known there is no other;
    /// should it never be told, the next trial may begin after the first back-off time.
    pub fn begin_trial(&mut self, now: Moment, rules: &Rules) {
        if self.standing(now) == Standing::Trial
            && let Some(ejection) = &mut self.ejected
        {
            ejection.until = now.after(rules.eject_time);
            ejection.on_trial = true;
        }
    }

    /// When somebody who waits may try it although it is ejected; `None` when it is not.
    pub fn waiting_trial(&self) -> Option<Moment> {
        self.ejected.map(|ejection| ejection.waiting_trial.0)
    }

    /// Somebody who waits tries it: a trial that no request pays for, at a pace of its own. It
    /// changes nothing but that unless it succeeds.
    pub fn begin_waiting_trial(&mut self, now: Moment) {
        if let Some(ejection) = &mut self.ejected {
            let (_, step) = ejection.waiting_trial;
            ejection.waiting_trial = (now.after(step), (step * 2).min(WAITING_TRIAL_MAX));
        }
    }

    /// Records what an attempt of this client told.
    pub fn record(
        &mut self,
        evidence: Evidence,
        client: Option<u64>,
        now: Moment,
        rules: &Rules,
    ) -> Option<Change> {
        match evidence {
            Evidence::Healthy => {
                self.failures = 0;
                self.suspicion = Suspicion::default();
                self.recover(now)
            }
            Evidence::Unreachable => self.unreachable(now, rules),
            Evidence::Suspect => {
                self.failures = 0;
                self.suspicion.add(evidence, client, now);
                self.suspected(now, rules)
            }
            Evidence::Unknown => {
                self.suspicion.add(evidence, client, now);
                None
            }
        }
    }

    /// Probes have found that it cannot be reached.
    pub fn fall(&mut self, failures: u32, now: Moment, rules: &Rules) -> Option<Change> {
        let is_known = self.ejected.is_some_and(|ejection| ejection.is_unreachable);
        (!is_known).then(|| self.eject(failures, true, now, rules))
    }

    /// A probe has reached it: its trial, if it was ejected for not being reached. Of what else
    /// went wrong with requests a probe knows nothing.
    pub fn rise(&mut self, now: Moment) -> Option<Change> {
        self.ejected.filter(|ejection| ejection.is_unreachable)?;
        self.failures = 0;
        self.recover(now)
    }

    /// It comes back to its whole weight from now on.
    pub fn start_slowly(&mut self, now: Moment) {
        self.since = Some(now);
    }

    fn recover(&mut self, now: Moment) -> Option<Change> {
        self.ejected.take()?;
        self.returned = now;
        self.since = Some(now);
        Some(Change::Recovered)
    }

    /// `failures_max` of zero never ejects it.
    fn unreachable(&mut self, now: Moment, rules: &Rules) -> Option<Change> {
        self.failures = self.failures.saturating_add(1);
        let is_ejected = match self.ejected {
            None => rules.failures_max > 0 && self.failures >= rules.failures_max,
            // What was under way when it was ejected tells nothing new.
            Some(ejection) => ejection.on_trial || now >= ejection.until,
        };
        is_ejected.then(|| self.eject(self.failures, true, now, rules))
    }

    fn suspected(&mut self, now: Moment, rules: &Rules) -> Option<Change> {
        match &mut self.ejected {
            None if self.suspicion.is_enough(rules) => {
                Some(self.eject(self.suspicion.suspect, false, now, rules))
            }
            // It can be reached again.
            Some(Ejection { is_unreachable: true, on_trial: true, .. }) => self.recover(now),
            // One client's trial is no more than that: the next comes as soon as the first did.
            Some(ejection) if ejection.on_trial => {
                ejection.until = now.after(rules.eject_time);
                ejection.on_trial = false;
                None
            }
            _ => None,
        }
    }

    fn eject(&mut self, failures: u32, is_unreachable: bool, now: Moment, rules: &Rules) -> Change {
        // Longer up than it was ejected before: the back-off begins anew.
        if self.ejected.is_none() && now.since(self.returned) > back_off(self.ejections, rules) {
            self.ejections = 0;
        }
        if self.ejected.is_none_or(|ejection| ejection.is_unreachable != is_unreachable) {
            self.ejected_since = now;
        }
        self.ejections = self.ejections.saturating_add(1);
        let wait = back_off(self.ejections, rules);
        let until = now.after(wait);
        let first = (now.after(WAITING_TRIAL_MIN), WAITING_TRIAL_MIN * 2);
        let waiting_trial = self.ejected.map_or(first, |ejection| ejection.waiting_trial);
        self.ejected = Some(Ejection { until, on_trial: false, waiting_trial, is_unreachable });
        Change::Ejected { failures, wait }
    }
}

/// `eject_time` first, then doubled up to `eject_time_max`.
fn back_off(ejections: u32, rules: &Rules) -> Duration {
    let doubled = 2_u32.saturating_pow(ejections.saturating_sub(1));
    rules.eject_time.saturating_mul(doubled).min(rules.eject_time_max)
}

/// Which members are given work: those that are not out, and of those that are so many that no more
/// than half of the pool is kept out, the ones that would return first. At least one always is.
pub fn admitted(standings: &[Standing]) -> Vec<bool> {
    let out = |(index, standing): (usize, &Standing)| match standing {
        Standing::Ejected { until } => Some((*until, index)),
        Standing::Up | Standing::Trial | Standing::Unproven => None,
    };
    let mut kept_out: Vec<(Moment, usize)> = standings.iter().enumerate().filter_map(out).collect();
    kept_out.sort_unstable();
    let too_many = kept_out.len().saturating_sub(standings.len() / 2);
    let mut admitted = vec![true; standings.len()];
    for &(_, index) in &kept_out[too_many..] {
        admitted[index] = false;
    }
    admitted
}

#[cfg(test)]
mod tests;
