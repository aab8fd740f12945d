//! Asking one source again and again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::found::{FoundMembers, SourceState};
use super::membership::{Membership, MembershipChange};
use super::question::SourceClient;
use super::source_answer::SourceAnswer;
use crate::base::clock::{self, Moment};
use crate::config::plan::{Discovery, FoundMember, SourceKey};

/// Addresses that a line of the log names at most.
const NAMED_MAX: usize = 16;

/// Asks a source again and again, and puts how it stands.
pub(super) async fn keep_asking(key: SourceKey, rules: Discovery, found: Arc<FoundMembers>) {
    let mut asker = SourceClient::new(&key.source, &rules);
    let known = found.state(&key);
    let mut source = AskedSource::new(key, rules, known);
    loop {
        let heard = asker.ask().await;
        let wait = source.take(heard, clock::now());
        found.put(&source.key, source.state.clone());
        sleep(wait).await;
    }
}

/// A source and what is known of it.
struct AskedSource {
    key: SourceKey,
    rules: Discovery,
    membership: Membership,
    state: SourceState,
    /// Questions without an answer, in a row.
    failures: u32,
    /// Whether the log says since the last time all was well that an answer is not believed.
    doubt_is_logged: bool,
}

impl AskedSource {
    fn new(key: SourceKey, rules: Discovery, state: SourceState) -> AskedSource {
        let membership = Membership::of(&state.members, clock::now());
        AskedSource { key, rules, membership, state, failures: 0, doubt_is_logged: false }
    }

    /// Takes what was heard; how long to wait before the next question.
    fn take(&mut self, heard: SourceAnswer, now: Moment) -> Duration {
        let rules = &self.rules;
        let (wait, error, is_doubt) = match heard {
            SourceAnswer::Members { members, ttl } => {
                self.failures = 0;
                self.state.answered = Some(now);
                let change = self.membership.take(members, now, rules);
                self.tell(&change);
                let wait = match self.membership.is_in_doubt() {
                    // Whether it stays so is to be known soon.
                    true => rules.refresh_min,
                    false => ttl.clamp(rules.refresh_min, rules.refresh_max),
                };
                (wait, self.membership.doubt(now, rules), true)
            }
            SourceAnswer::Failed(why) => {
                self.failures = self.failures.saturating_add(1);
                (back_off(self.failures, rules), Some(why), false)
            }
        };
        self.tell_error(error.as_deref(), is_doubt);
        self.doubt_is_logged = error.is_some() && (is_doubt || self.doubt_is_logged);
        self.state.error = error.map(Into::into);
        self.state.missing = self.membership.missing();
        self.state.members = self.membership.members().into();
        wait
    }

    /// Says who came and who went.
    fn tell(&self, change: &MembershipChange) {
        let SourceKey { pool, source } = &self.key;
        let MembershipChange { added, removed } = change;
        if added.is_empty() && removed.is_empty() {
            return;
        }
        let members = self.membership.len();
        let (added, removed) = (names(added), names(removed));
        tracing::info!(%pool, %source, members, added, removed, "discovery: members changed");
    }

    /// Says when it begins not to answer, or not to be believed, and when that ends.
    fn tell_error(&self, error: Option<&str>, is_doubt: bool) {
        let SourceKey { pool, source } = &self.key;
        let members = self.membership.len();
        let was_well = self.state.error.is_none();
        match error {
            // Who reads that there is no answer does not know that one came which lacks members.
            Some(error) if was_well || (is_doubt && !self.doubt_is_logged) => {
                tracing::warn!(%pool, %source, members, error, "discovery: members kept");
            }
            None if !was_well => {
                tracing::info!(%pool, %source, members, "discovery: recovered");
            }
            _ => {}
        }
    }
}

/// A source that fails is asked less and less often, up to `refresh_max`.
fn back_off(failures: u32, rules: &Discovery) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1).min(16));
    rules.refresh_min.saturating_mul(doubled).min(rules.refresh_max)
}

/// The addresses of these, of the first of many.
fn names(members: &[FoundMember]) -> String {
    let named = members.iter().take(NAMED_MAX).map(|member| member.address.to_string());
    let named = named.collect::<Vec<_>>().join(", ");
    match members.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan::{BackendAddress, MemberSource};

    fn member(last: usize) -> FoundMember {
        let host = format!("10.0.0.{last}").into();
        FoundMember { address: BackendAddress::Inet { host, port: 80 }, weight: 1, backup: false }
    }

    fn answer(lasts: &[usize], seconds: u64) -> SourceAnswer {
        let members = lasts.iter().map(|last| member(*last)).collect();
        SourceAnswer::Members { members, ttl: Duration::from_secs(seconds) }
    }

    fn source() -> AskedSource {
        let source = MemberSource::Dns { name: "chat".into(), port: 80 };
        let key = SourceKey { pool: "chat".into(), source };
        AskedSource::new(key, Discovery::default(), SourceState::default())
    }

    #[test]
    fn the_next_question_comes_by_the_ttl_within_bounds_and_sooner_in_doubt() {
        let (mut source, now) = (source(), Moment::from_millis(1000));
        let waits = [(&[1, 2][..], 0, 2), (&[1, 2], 7, 7), (&[1, 2], 3600, 30), (&[1], 3600, 2)];
        for (lasts, ttl, seconds) in waits {
            let wait = source.take(answer(lasts, ttl), now);
            assert_eq!(wait, Duration::from_secs(seconds), "{lasts:?} {ttl}");
        }
    }

    #[test]
    fn one_that_fails_is_asked_less_often_and_its_members_stay() {
        let (mut source, now) = (source(), Moment::from_millis(1000));
        source.take(answer(&[1], 2), now);
        let mut fail =
            || source.take(SourceAnswer::Failed("silence".into()), Moment::from_millis(9000));
        let waits: Vec<u64> = (0..6).map(|_| fail().as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 16, 30, 30]);
        let state = &source.state;
        assert_eq!((&*state.members, state.answered), (&[member(1)][..], Some(now)));
        assert_eq!(state.error.as_deref(), Some("silence"));
        source.take(answer(&[1], 2), now);
        assert_eq!(source.state.error, None);
    }

    #[test]
    fn a_line_of_the_log_names_the_first_of_many() {
        let many: Vec<_> = (0..NAMED_MAX + 3).map(member).collect();
        assert!(names(&many).ends_with("10.0.0.15:80 and 3 more"));
        assert_eq!(names(&many[..2]), "10.0.0.0:80, 10.0.0.1:80");
    }
}
