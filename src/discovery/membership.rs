//! Who the members are, by a row of answers of which each may be wrong. Pure: the moment is an
//! argument.

use std::collections::BTreeMap;
use std::time::Duration;

use super::source_answer::MEMBERS_MAX;
use crate::base::clock::Moment;
use crate::config::plan::{BackendAddress, Discovery, FoundMember};

/// Answers without a member before it is gone.
const ANSWERS_WITHOUT: u32 = 2;

/// Members of one source at most, those included that answers lack: all may be replaced at once,
/// and a source that names others each time does not add to them without end.
const KNOWN_MAX: usize = 2 * MEMBERS_MAX;

/// The members of one source.
#[derive(Debug, Default)]
pub(super) struct Membership {
    rows: BTreeMap<BackendAddress, MemberRow>,
    /// Since when too many are missing to be believed.
    too_many: Option<Moment>,
    /// Members of the last answer beyond [`MEMBERS_MAX`], or for which [`KNOWN_MAX`] has no room.
    beyond: usize,
}

#[derive(Clone, Debug)]
struct MemberRow {
    member: FoundMember,
    /// When an answer had it last.
    seen: Moment,
    /// Answers without it since.
    missed: u32,
}

/// What an answer changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct MembershipChange {
    /// Who came.
    pub(super) added: Vec<FoundMember>,
    /// Who is gone.
    pub(super) removed: Vec<FoundMember>,
}

impl Membership {
    /// Those known already.
    pub(super) fn of(members: &[FoundMember], now: Moment) -> Membership {
        let row = |member: &FoundMember| {
            (member.address.clone(), MemberRow { member: member.clone(), seen: now, missed: 0 })
        };
        Membership { rows: members.iter().map(row).collect(), ..Membership::default() }
    }

    /// The members, sorted. One that is missing in several answers is there yet, as a backup: new
    /// work goes to others. Where none but backups are left, those are what is there for it.
    pub(super) fn members(&self) -> Vec<FoundMember> {
        let is_missing = |row: &MemberRow| row.missed >= ANSWERS_WITHOUT;
        let has_first = self.rows.values().any(|row| !is_missing(row) && !row.member.backup);
        let has_missing = self.rows.values().any(is_missing);
        let member = |row: &MemberRow| {
            let is_backup = row.member.backup && (has_first || !has_missing);
            FoundMember { backup: is_backup || is_missing(row), ..row.member.clone() }
        };
        // All of them missing is an accident of the source: it is as if none were.
        match self.rows.values().all(is_missing) {
            true => self.rows.values().map(|row| row.member.clone()).collect(),
            false => self.rows.values().map(member).collect(),
        }
    }

    /// Those that the last answer did not have.
    pub(super) fn missing(&self) -> usize {
        self.rows.values().filter(|row| row.missed > 0).count()
    }

    /// How many they are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether the next answer may change who they are, though it be the same as the last.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.rows.is_empty() || self.missing() > 0
    }

    /// Why the last answer is not believed, if it is not, and how long those that it lacks stay.
    pub(super) fn doubt(&self, now: Moment, rules: &Discovery) -> Option<String> {
        let (missing, all) = (self.missing(), self.rows.len());
        if all == 0 {
            return Some("the answer has no backend".to_owned());
        }
        let stay = || self.stay(now, rules);
        if missing == all {
            return Some(format!("the answer has no backend; they stay {}", stay()));
        }
        if self.too_many.is_some() {
            let lacks = format!("the answer lacks {missing} of {all}");
            let percent = rules.gone_max_percent;
            return Some(format!("{lacks}, {percent}% (`gone_max`) or more; they stay {}", stay()));
        }
        let beyond = || match all {
            KNOWN_MAX => format!("{all} backends are known already: {} are left out", self.beyond),
            _ => format!("the answer has {} backends more than {MEMBERS_MAX}", self.beyond),
        };
        (self.beyond > 0).then(beyond)
    }

    /// How long members stay whose absence is not believed.
    fn stay(&self, now: Moment, rules: &Discovery) -> String {
        let Some(empty_after) = rules.empty_after else {
            return "as long as that is so (`empty_after`)".to_owned();
        };
        let waited = self.too_many.map_or(Duration::ZERO, |since| now.since(since));
        match empty_after.saturating_sub(waited).as_millis().div_ceil(1000) {
            seconds @ ..120 => format!("for {seconds}s more (`empty_after`)"),
            seconds => format!("for {}m more (`empty_after`)", seconds.div_ceil(60)),
        }
    }

    /// Takes an answer.
    pub(super) fn take(
        &mut self,
        mut answer: Vec<FoundMember>,
        now: Moment,
        rules: &Discovery,
    ) -> MembershipChange {
        answer.sort_unstable();
        answer.dedup_by(|one, other| one.address == other.address);
        self.beyond = answer.len().saturating_sub(MEMBERS_MAX);
        answer.truncate(MEMBERS_MAX);
        let mut change = MembershipChange::default();
        for row in self.rows.values_mut() {
            row.missed = row.missed.saturating_add(1);
        }
        for member in answer {
            if !self.rows.contains_key(&member.address) {
                if self.rows.len() == KNOWN_MAX {
                    self.beyond += 1;
                    continue;
                }
                change.added.push(member.clone());
            }
            self.rows.insert(member.address.clone(), MemberRow { member, seen: now, missed: 0 });
        }
        let patience = self.patience(now, rules);
        let is_gone = |row: &MemberRow| {
            row.missed >= ANSWERS_WITHOUT
                && patience.is_some_and(|patience| now.since(row.seen) >= patience)
        };
        let gone = self.rows.extract_if(.., |_, row| is_gone(row));
        change.removed = gone.map(|(_, row)| row.member).collect();
        if !change.removed.is_empty() {
            self.too_many = None;
        }
        change
    }

    /// How long a member must have been missing; `None` for ever.
    fn patience(&mut self, now: Moment, rules: &Discovery) -> Option<Duration> {
        let (missing, all) = (self.missing() as u64, self.rows.len() as u64);
        let is_too_many = missing * 100 >= all * u64::from(rules.gone_max_percent);
        if missing == 0 || !is_too_many {
            self.too_many = None;
            return Some(rules.gone_after);
        }
        let since = *self.too_many.get_or_insert(now);
        // Whoever went before the others did need not wait for them.
        let so_long = now.since(since);
        let empty_after = rules.empty_after?;
        (so_long >= empty_after).then_some(rules.gone_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan::BackendAddress;

    fn member(last: usize) -> FoundMember {
        let host = format!("10.0.{}.{}", last / 256, last % 256).into();
        FoundMember { address: BackendAddress::Inet { host, port: 80 }, weight: 1, backup: false }
    }

    fn all(lasts: impl IntoIterator<Item = usize>) -> Vec<FoundMember> {
        lasts.into_iter().map(member).collect()
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1000)
    }

    /// How many are members, and how many of them get new work.
    fn counts(membership: &Membership) -> (usize, usize) {
        let members = membership.members();
        (members.len(), members.iter().filter(|one| !one.backup).count())
    }

    #[test]
    fn one_comes_at_once_and_goes_after_its_time_and_two_answers() {
        let rules = Discovery::default();
        let mut membership = Membership::default();
        assert_eq!(membership.take(all([1, 2, 3]), at(0), &rules).added, all([1, 2, 3]));
        // One answer without it, however late, is not enough; nor are two within its time.
        assert_eq!(membership.take(all([1, 2]), at(100), &rules), MembershipChange::default());
        assert_eq!(counts(&membership), (3, 3));
        assert_eq!(membership.take(all([3, 1, 2]), at(101), &rules), MembershipChange::default());
        membership.take(all([1, 2]), at(102), &rules);
        membership.take(all([1, 2]), at(104), &rules);
        assert_eq!((counts(&membership), membership.missing()), ((3, 2), 1));
        let gone = membership.take(all([1, 2]), at(111), &rules);
        assert_eq!((gone.removed, counts(&membership)), (all([3]), (2, 2)));
    }

    #[test]
    fn work_goes_to_the_backups_that_are_there_and_not_to_the_first_ones_that_are_missing() {
        let rules = Discovery::default();
        let backup = |last| FoundMember { backup: true, ..member(last) };
        let mut membership = Membership::default();
        membership.take(vec![member(1), backup(2), backup(3)], at(0), &rules);
        let backups = |membership: &Membership| {
            membership.members().iter().map(|one| one.backup).collect::<Vec<_>>()
        };
        assert_eq!(backups(&membership), [false, true, true]);
        (1..=2).for_each(|second| {
            membership.take(vec![backup(2), backup(3)], at(second), &rules);
        });
        assert_eq!(backups(&membership), [true, false, false]);
        membership.take(vec![member(1), backup(2), backup(3)], at(3), &rules);
        assert_eq!(backups(&membership), [false, true, true]);
    }

    #[test]
    fn half_at_once_is_not_believed_for_long() {
        let rules = Discovery::default();
        for left in [1, 2] {
            let mut membership = Membership::default();
            membership.take(all(0..4), at(0), &rules);
            for second in 1..=60 {
                let change = membership.take(all(0..left), at(second), &rules);
                assert_eq!(change.removed, [], "{second}");
                let doubt = membership.doubt(at(second), &rules).unwrap();
                let lacks = format!("the answer lacks {} of 4, 50% (`gone_max`) or more", 4 - left);
                let stay = format!("they stay for {}s more (`empty_after`)", 61 - second);
                assert_eq!(doubt, format!("{lacks}; {stay}"));
            }
            assert_eq!(counts(&membership), (4, left));
            let removed = membership.take(all(0..left), at(61), &rules).removed;
            assert_eq!(removed, all(left..4));
            assert_eq!(counts(&membership), (left, left));
            assert_eq!(membership.doubt(at(61), &rules), None);
        }
    }

    #[test]
    fn one_of_two_is_half_and_is_believed_sooner_where_gone_max_says_so() {
        for (percent, gone) in [(50, 61), (51, 10)] {
            let rules = Discovery { gone_max_percent: percent, ..Discovery::default() };
            let mut membership = Membership::default();
            membership.take(all([1, 2]), at(0), &rules);
            for second in 1..gone {
                let change = membership.take(all([1]), at(second), &rules);
                assert_eq!(change.removed, [], "{percent} {second}");
            }
            assert_eq!(membership.take(all([1]), at(gone), &rules).removed, all([2]));
        }
    }

    #[test]
    fn less_than_half_is_believed() {
        let rules = Discovery::default();
        let mut membership = Membership::default();
        membership.take(all(0..5), at(0), &rules);
        membership.take(all(0..3), at(5), &rules);
        assert_eq!(membership.take(all(0..3), at(10), &rules).removed, all([3, 4]));
    }

    #[test]
    fn an_answer_that_is_whole_again_ends_the_doubt() {
        let rules = Discovery::default();
        let mut membership = Membership::default();
        for round in 0..10 {
            membership.take(all(0..4), at(round * 60), &rules);
            assert_eq!(membership.doubt(at(round * 60), &rules), None);
            assert!(!membership.is_in_doubt());
            membership.take(all([0]), at(round * 60 + 1), &rules);
            let removed = membership.take(all([0]), at(round * 60 + 59), &rules).removed;
            assert_eq!(removed, [], "{round}");
        }
    }

    #[test]
    fn nothing_at_all_is_not_believed_for_long_or_ever() {
        let mut rules = Discovery::default();
        for believed in [true, false] {
            rules.empty_after = believed.then_some(Duration::from_secs(60));
            let mut membership = Membership::default();
            membership.take(all(0..2), at(0), &rules);
            for second in [1, 20, 60] {
                membership.take(Vec::new(), at(second), &rules);
                assert_eq!(counts(&membership), (2, 2), "as if none were missing");
            }
            let stay = if believed { "for 1s more" } else { "as long as that is so" };
            let said = format!("the answer has no backend; they stay {stay} (`empty_after`)");
            assert_eq!(membership.doubt(at(60), &rules).unwrap(), said);
            membership.take(Vec::new(), at(61), &rules);
            assert_eq!(counts(&membership).0 == 0, believed);
            assert_eq!(membership.take(all([7]), at(62), &rules).added, all([7]));
        }
    }

    #[test]
    fn a_source_that_names_others_each_time_has_so_many_members_and_no_more() {
        for empty_after in [Some(Duration::from_secs(60)), None] {
            let rules = Discovery { empty_after, ..Discovery::default() };
            let mut membership = Membership::default();
            for round in 0..50 {
                let others = round * MEMBERS_MAX..(round + 1) * MEMBERS_MAX;
                membership.take(all(others), at(2 * round as u64), &rules);
                assert!(membership.len() <= KNOWN_MAX, "{}", membership.len());
            }
            // It comes to its senses.
            membership.take(all([7, 8]), at(200), &rules);
            membership.take(all([7, 8]), at(290), &rules);
            membership.take(all([7, 8]), at(380), &rules);
            let (known, doubt) = (membership.len(), membership.doubt(at(380), &rules));
            match empty_after {
                Some(_) => assert_eq!((known, doubt), (2, None)),
                None => assert!(doubt.is_some_and(|doubt| doubt.contains("the answer lacks"))),
            }
        }
    }

    #[test]
    fn an_answer_has_so_many_members_and_no_more() {
        let rules = Discovery::default();
        let mut membership = Membership::default();
        let twice = (0..MEMBERS_MAX + 5).chain(0..3);
        assert_eq!(membership.take(all(twice), at(0), &rules).added.len(), MEMBERS_MAX);
        assert!(membership.doubt(at(0), &rules).unwrap().contains("5 backends more"));
    }
}
