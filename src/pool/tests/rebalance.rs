//! When a pool is levelled, simulated: backends that come and go, sessions that come and end, an
//! autoscaler that looks on.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::rebalance::{Leave, Level, Look, Rebalance, fair, targets};
use super::at;
use crate::config::plan;

fn level(backend: &str, sessions: usize) -> Level {
    Level { backend: backend.into(), sessions, weight: 1000, sessions_max: None }
}

fn levels(sessions: &[usize]) -> Vec<Level> {
    let names = ["a:1", "b:1", "c:1", "d:1"];
    names.iter().zip(sessions).map(|(name, had)| level(name, *had)).collect()
}

/// Looks once a second from `from` to before `to`; what was asked in all, and the last look.
fn look_on(
    state: &mut Rebalance,
    levels: &[Level],
    rules: &plan::Rebalance,
    seconds: std::ops::Range<u64>,
) -> (usize, Look) {
    let (mut asked, mut last) = (0, Look::default());
    for second in seconds {
        last = state.look(at(second), levels, rules);
        asked += last.leave.iter().map(|leave| leave.sessions).sum::<usize>();
    }
    (asked, last)
}

#[test]
fn nothing_moves_until_the_pool_was_uneven_for_a_while_and_then_at_the_rate() {
    let (mut state, rules) = (Rebalance::default(), plan::Rebalance::default());
    let uneven = levels(&[600, 600, 0]);
    let (asked, last) = look_on(&mut state, &uneven, &rules, 0..60);
    assert_eq!((asked, last.would_move), (0, 400));
    // A tenth of 1,200 in a minute.
    let (asked, _) = look_on(&mut state, &uneven, &rules, 60..121);
    assert!((119..=121).contains(&asked), "{asked}");
}

#[test]
fn what_was_asked_and_is_not_seen_yet_is_not_asked_again() {
    let rules = plan::Rebalance { percent_per_minute_max: 100, ..Default::default() };
    let mut state = Rebalance::default();
    look_on(&mut state, &levels(&[36, 0]), &rules, 0..60);
    // Nobody moves: the eighteen that are too many are asked, and then there is a pause.
    let (asked, _) = look_on(&mut state, &levels(&[36, 0]), &rules, 60..95);
    assert_eq!(asked, 18);
    let (asked, _) = look_on(&mut state, &levels(&[36, 0]), &rules, 95..110);
    assert!(asked > 0, "they are asked again when they have had their time");
}

#[test]
fn another_process_goes_on_with_the_wait_and_with_the_levelling() {
    let (mut state, rules) = (Rebalance::default(), plan::Rebalance::default());
    let uneven = levels(&[600, 600, 0]);
    look_on(&mut state, &uneven, &rules, 0..50);
    // Its clock begins with it, and its sessions come back to it.
    let handed_over = state.state(at(50)).unwrap();
    let mut next = Rebalance::resume(handed_over, at(0));
    look_on(&mut next, &levels(&[0, 0, 0]), &rules, 0..2);
    assert_eq!(look_on(&mut next, &uneven, &rules, 2..10).0, 0);
    assert!(look_on(&mut next, &uneven, &rules, 10..30).0 > 0);
    let handed_over = next.state(at(30)).unwrap();
    assert!(handed_over.is_levelling);
    let mut last = Rebalance::resume(handed_over.clone(), at(0));
    assert!(look_on(&mut last, &uneven, &rules, 0..10).0 > 0, "it does not wait again");
    // Another configuration's backends begin anew, as ever.
    let mut other = Rebalance::resume(handed_over, at(0));
    assert_eq!(look_on(&mut other, &levels(&[600, 0]), &rules, 0..59).0, 0);
    assert_eq!(Rebalance::default().state(at(0)), None);
}

#[test]
fn a_change_of_backends_begins_the_wait_anew() {
    let (mut state, rules) = (Rebalance::default(), plan::Rebalance::default());
    look_on(&mut state, &levels(&[600, 600, 0]), &rules, 0..59);
    let (asked, _) = look_on(&mut state, &levels(&[600, 600, 0, 0]), &rules, 59..119);
    assert_eq!(asked, 0);
    let (asked, _) = look_on(&mut state, &levels(&[600, 600, 0, 0]), &rules, 119..130);
    assert!(asked > 0);
    let (asked, _) = look_on(&mut state, &levels(&[600, 600, 0]), &rules, 130..190);
    assert_eq!(asked, 0);
}

#[test]
fn an_even_pool_and_one_that_cannot_be_more_even_are_left_alone() {
    let (mut state, rules) = (Rebalance::default(), plan::Rebalance::default());
    for even in [[105, 100, 95], [1, 0, 0], [2, 1, 0], [0, 0, 0]] {
        let (asked, last) = look_on(&mut state, &levels(&even), &rules, 0..200);
        assert_eq!((asked, last.would_move), (0, 0), "{even:?}");
    }
    // Full backends have what they may; the others share the rest.
    let mut full = levels(&[50, 475, 475]);
    full[0].sessions_max = Some(50);
    assert_eq!(look_on(&mut state, &full, &rules, 200..400), (0, Look::default()));
}

#[test]
fn one_that_has_too_few_among_many_is_filled_and_a_backup_is_emptied() {
    let (mut state, rules) = (Rebalance::default(), plan::Rebalance::default());
    let name = |index: usize| format!("10.0.0.{index}:80");
    let mut many: Vec<Level> = (0..30).map(|index| level(&name(index), 100)).collect();
    many.push(level(&name(30), 0));
    let (asked, last) = look_on(&mut state, &many, &rules, 0..70);
    assert!(asked > 0 && last.would_move == 96, "{asked}, {last:?}");

    let mut with_backup = levels(&[100, 100, 30]);
    with_backup[2].weight = 0;
    let mut state = Rebalance::default();
    look_on(&mut state, &with_backup, &rules, 0..60);
    let look = state.look(at(61), &with_backup, &rules);
    assert_eq!((look.would_move, &*look.leave), (30, &[][..]));
    let (asked, _) = look_on(&mut state, &with_backup, &rules, 62..300);
    assert!(asked >= 30);
    let weighted = [(300, 3), (100, 1)].map(|(sessions, weight)| Level {
        weight,
        ..level(if weight == 3 { "a:1" } else { "b:1" }, sessions)
    });
    assert_eq!(look_on(&mut state, &weighted, &rules, 300..500), (0, Look::default()));
}

/// A pool in which sessions come and end, under an autoscaler that looks at its fullest backend.
struct World {
    random: fastrand::Rng,
    sessions: BTreeMap<String, usize>,
    /// Moves under way: when they are done, and from where.
    moving: Vec<(u64, String)>,
    /// When each was asked.
    asked: Vec<u64>,
    scaled: Vec<(u64, usize)>,
    state: Rebalance,
    born: usize,
}

/// Sessions that the autoscaler wants on each backend.
const TARGET: usize = 600;

impl World {
    fn new(seed: u64) -> World {
        let mut world = World {
            random: fastrand::Rng::with_seed(seed),
            sessions: BTreeMap::new(),
            moving: Vec::new(),
            asked: Vec::new(),
            scaled: Vec::new(),
            state: Rebalance::default(),
            born: 0,
        };
        (0..2).for_each(|_| world.add());
        world
    }

    fn add(&mut self) {
        self.born += 1;
        self.sessions.insert(format!("b{}:1", self.born), 0);
    }

    fn total(&self) -> usize {
        self.sessions.values().sum()
    }

    /// A session goes where the least_sessions are, but for one place.
    fn put(&mut self, except: Option<&str>) {
        let others = self.sessions.iter_mut().filter(|(name, _)| Some(name.as_str()) != except);
        *others.min_by_key(|(_, had)| **had).unwrap().1 += 1;
    }

    fn end_one(&mut self) {
        let mut drawn = self.random.usize(..self.total());
        for had in self.sessions.values_mut() {
            if drawn < *had {
                *had -= 1;
                return;
            }
            drawn -= *had;
        }
    }

    /// One second; `demand` is how many sessions there should be.
    fn second(&mut self, now: u64, demand: usize, rules: &plan::Rebalance) {
        // Some end by themselves, and others come in their place or because more are wanted.
        if self.total() > 0 && self.random.u32(..8) == 0 {
            self.end_one();
        }
        let more = demand.saturating_sub(self.total()).min(20);
        (0..more).for_each(|_| self.put(None));
        let fewer = self.total().saturating_sub(demand).min(20);
        (0..fewer).for_each(|_| self.end_one());
        let done = |(at, _): &mut (u64, String)| *at <= now;
        for (_, from) in self.moving.extract_if(.., done).collect::<Vec<_>>() {
            if self.sessions.get(&from).is_some_and(|had| *had > 0) {
                *self.sessions.get_mut(&from).unwrap() -= 1;
                self.put(Some(&from));
            }
        }
        let levels: Vec<Level> =
            self.sessions.iter().map(|(name, had)| level(name, *had)).collect();
        let look = self.state.look(at(now), &levels, rules);
        for Leave { backend, sessions } in look.leave {
            for _ in 0..sessions {
                self.asked.push(now);
                self.moving.push((now + self.random.u64(1..4), backend.to_string()));
            }
        }
        if now.is_multiple_of(30) {
            self.scale(now);
        }
    }

    /// By the fullest backend, which is what makes an autoscaler swing with whoever moves sessions:
    /// one more above its target, one fewer when the rest could carry all with room to spare.
    fn scale(&mut self, now: u64) {
        let (count, total) = (self.sessions.len(), self.total());
        let fullest = *self.sessions.values().max().unwrap();
        if fullest > TARGET * 11 / 10 && total > TARGET * count {
            self.add();
        } else if count > 2 && total < TARGET * (count - 1) * 95 / 100 {
            let (_, lost) = self.sessions.pop_last().unwrap();
            (0..lost).for_each(|_| self.put(None));
        } else {
            return;
        }
        self.scaled.push((now, self.sessions.len()));
    }

    /// How far the fullest and the emptiest are from the fair share, in percent.
    fn spread(&self) -> f64 {
        let fair = self.total() as f64 / self.sessions.len() as f64;
        let far = |had: &usize| (*had as f64 - fair).abs() / fair * 100.0;
        self.sessions.values().map(far).fold(0.0, f64::max)
    }
}

#[test]
fn a_new_backend_gets_its_share_of_few_sessions_too() {
    let rules = plan::Rebalance { percent_per_minute_max: 100, ..Default::default() };
    for (had, count) in [(9, 10), (100, 100)] {
        let name = |index: usize| format!("{index}:1");
        let mut sessions = vec![had; count];
        sessions.push(0);
        let mut state = Rebalance::default();
        for second in 0..3_600 {
            let each = sessions.iter().enumerate();
            let levels: Vec<Level> = each.map(|(at, had)| level(&name(at), *had)).collect();
            for Leave { backend, sessions: leave } in state.look(at(second), &levels, &rules).leave
            {
                let from = levels.iter().position(|level| level.backend == backend).unwrap();
                sessions[from] -= leave;
                sessions[count] += leave;
            }
        }
        let (least, most) = (sessions.iter().min().unwrap(), sessions.iter().max().unwrap());
        assert!(most - least <= 1, "{sessions:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_pool_that_is_scaled_is_levelled_in_time_and_then_left_alone(seed in any::<u64>()) {
        let rules = plan::Rebalance::default();
        let mut world = World::new(seed);
        let (mut now, mut moved) = (0, 0);
        // What is wanted makes two backends four, then three, then four.
        for (demand, backends) in [(1150, 2), (2300, 4), (1650, 3), (2300, 4)] {
            // Half an hour: a few minutes to scale, and a tenth of the sessions moved in a minute.
            for _ in 0..1200 {
                world.second(now, demand, &rules);
                now += 1;
            }
            prop_assert_eq!(world.sessions.len(), backends, "{:?}", world.scaled);
            let settled = (world.asked.len(), world.scaled.len());
            let came = backends == 4;
            prop_assert!(!came || settled.0 > moved + 100, "{} moves", settled.0 - moved);
            moved = settled.0;
            for _ in 0..600 {
                world.second(now, demand, &rules);
                prop_assert!(world.spread() <= 10.0, "{} at {now}: {:?}", seed, world.sessions);
                now += 1;
            }
            // Nothing swings: no move and no scaling once it is level.
            prop_assert_eq!(settled, (world.asked.len(), world.scaled.len()), "{:?}", world.scaled);
        }
        // No more was moved than the four backends that came had to be given.
        prop_assert!(world.asked.len() <= 4 * TARGET, "{} moves", world.asked.len());
        prop_assert!(world.scaled.len() <= 5, "{:?}", world.scaled);
        // No minute had more than its tenth.
        for (index, first) in world.asked.iter().enumerate() {
            let minute = world.asked[index..].iter().take_while(|at| **at < first + 60).count();
            prop_assert!(minute <= 2300 / 10 + 10, "{minute} in the minute from {first}");
        }
    }

    #[test]
    fn targets_add_up_to_all_there_are_and_are_level(
        sessions in proptest::collection::vec(0_usize..200, 1..12),
        most in proptest::option::of(1_usize..150),
    ) {
        let name = |index: usize| format!("{index}:1");
        let each = sessions.iter().enumerate();
        let levels: Vec<Level> = each
            .map(|(at, had)| Level { sessions_max: most, ..level(&name(at), *had) })
            .collect();
        let targets = targets(&levels, &fair(&levels));
        prop_assert_eq!(targets.iter().sum::<usize>(), sessions.iter().sum::<usize>());
        let room = most.map_or(usize::MAX, |most| most * sessions.len());
        if sessions.iter().sum::<usize>() <= room {
            let (least, most) = (targets.iter().min().unwrap(), targets.iter().max().unwrap());
            prop_assert!(most - least <= 1, "{:?}", targets);
        }
    }
}
