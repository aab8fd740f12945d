//! Whose turn it is among a pool's members. Pure.

/// One member that may be chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// What it has: sessions, or requests.
    pub load: usize,
    /// Its share, more than none; by what all members' shares are measured does not matter.
    pub weight: u64,
}

/// The turns of a pool's members; it remembers whose was last.
#[derive(Debug)]
pub struct Balancer {
    /// Each member's credit, for the smooth weighted turn.
    credits: Vec<i64>,
    /// The member that equals are tried from.
    start: usize,
}

impl Balancer {
    /// Turns of so many members; several processes that begin at different members do not all send
    /// their first sessions to the same one.
    pub fn new(members: usize, start: usize) -> Balancer {
        Balancer { credits: vec![0; members], start: start % members.max(1) }
    }

    /// In turn, by weight, the heavy ones spread among the light ones: each candidate earns its
    /// weight, the richest is chosen and pays for all (nginx's smooth round robin).
    pub fn round_robin(&mut self, candidate: impl Fn(usize) -> Option<Candidate>) -> Option<usize> {
        let mut earned = 0;
        let mut richest: Option<usize> = None;
        for index in self.order() {
            let Some(Candidate { weight, .. }) = candidate(index) else { continue };
            let weight = i64::try_from(weight).unwrap_or(i64::MAX);
            earned += weight;
            self.credits[index] += weight;
            if richest.is_none_or(|rich| self.credits[index] > self.credits[rich]) {
                richest = Some(index);
            }
        }
        let chosen = richest?;
        self.credits[chosen] -= earned;
        Some(chosen)
    }

    /// The candidate with the least load for its weight; equals in turn.
    pub fn least_sessions(
        &mut self,
        candidate: impl Fn(usize) -> Option<Candidate>,
    ) -> Option<usize> {
        let mut best: Option<(usize, Candidate)> = None;
        for index in self.order() {
            let Some(one) = candidate(index) else { continue };
            if best.is_none_or(|(_, best)| has_fewer(one, best)) {
                best = Some((index, one));
            }
        }
        let (chosen, _) = best?;
        self.start = (chosen + 1) % self.credits.len();
        Some(chosen)
    }

    fn order(&self) -> impl Iterator<Item = usize> + use<> {
        (self.start..self.credits.len()).chain(0..self.start)
    }
}

/// The one with less load of two that are drawn by weight (the power of two choices, Mitzenmacher
/// 2001). `draw` gives a random number below its argument.
pub fn random_two(
    members: usize,
    candidate: impl Fn(usize) -> Option<Candidate>,
    mut draw: impl FnMut(u64) -> u64,
) -> Option<usize> {
    let mut one = |except: Option<usize>| {
        let drawn = |index| candidate(index).filter(|_| Some(index) != except);
        let each = || (0..members).filter_map(|index| Some((index, drawn(index)?)));
        let weights: u64 = each().map(|(_, one)| one.weight).sum();
        let mut at = if weights > 0 { draw(weights) } else { return None };
        each().find(|(_, one)| at.checked_sub(one.weight).map(|left| at = left).is_none())
    };
    let (first, one_load) = one(None)?;
    match one(Some(first)) {
        Some((second, other_load)) if has_fewer(other_load, one_load) => Some(second),
        _ => Some(first),
    }
}

/// Compares where the next session is owed: by `(load + ½) / weight`. So Sainte-Laguë shares
/// out seats: members of equal weight stay within one session of each other, and neither the heavy
/// nor the light are favoured.
fn has_fewer(one: Candidate, other: Candidate) -> bool {
    let owed =
        |of: Candidate, against: Candidate| (2 * of.load as u128 + 1) * u128::from(against.weight);
    owed(one, other) < owed(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn picks(weights: &[u32], start: usize, times: usize) -> Vec<usize> {
        let mut balancer = Balancer::new(weights.len(), start);
        let candidate = |index: usize| Some(Candidate { load: 0, weight: weights[index].into() });
        (0..times).map(|_| balancer.round_robin(candidate).unwrap()).collect()
    }

    #[test]
    fn the_turn_is_smooth_and_begins_where_it_is_told() {
        assert_eq!(picks(&[5, 1, 1], 0, 7), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(picks(&[1, 1, 1], 1, 6), [1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn equals_with_no_sessions_are_chosen_in_turn() {
        let mut balancer = Balancer::new(3, 2);
        let idle = |_| Some(Candidate { load: 0, weight: 1 });
        let chosen: Vec<_> = (0..4).map(|_| balancer.least_sessions(idle).unwrap()).collect();
        assert_eq!(chosen, [2, 0, 1, 2]);
    }

    #[test]
    fn without_candidates_nobody_is_chosen() {
        assert_eq!(Balancer::new(2, 0).round_robin(|_| None), None);
        assert_eq!(Balancer::new(2, 0).least_sessions(|_| None), None);
    }

    #[test]
    fn of_two_the_less_laden_for_its_weight_is_chosen() {
        let loads = [(10, 1), (9, 1), (0, 0), (100, 20)];
        let one = |at: usize| {
            let (load, weight) = loads[at];
            (weight > 0).then_some(Candidate { load, weight })
        };
        // Drawn by weight: the first of 22 shares, the second, and the twenty after those.
        let two = |first: u64, second: u64| {
            let mut draws = [first, second].into_iter();
            random_two(4, one, |_| draws.next().unwrap())
        };
        assert_eq!(two(0, 0), Some(1));
        assert_eq!(two(1, 0), Some(1));
        assert_eq!(two(21, 1), Some(3));
        assert_eq!(random_two(4, |at| one(at).filter(|_| at == 3), |_| 0), Some(3));
        assert_eq!(random_two(4, |_| None, |_| 0), None);
    }

    proptest! {
        #[test]
        fn random_two_keeps_weighted_members_near_their_shares(
            weights in prop::collection::vec(1..10_u64, 2..9), seed in any::<u64>(),
        ) {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut loads = vec![0_usize; weights.len()];
            for _ in 0..2000 {
                let one = |at: usize| Some(Candidate { load: loads[at], weight: weights[at] });
                let chosen = random_two(weights.len(), one, |below| random.u64(..below)).unwrap();
                loads[chosen] += 1;
            }
            let total: u64 = weights.iter().sum();
            for (had, weight) in loads.iter().zip(&weights) {
                let share = 2000.0 * *weight as f64 / total as f64;
                prop_assert!((*had as f64 - share).abs() < 20.0, "{loads:?} of {weights:?}");
            }
        }

        #[test]
        fn one_round_of_the_turn_keeps_the_weights_exactly(
            weights in prop::collection::vec(1..20_u32, 1..12), start in 0..12_usize,
        ) {
            let total: u32 = weights.iter().sum();
            let picked = picks(&weights, start, total as usize);
            for (index, weight) in weights.iter().enumerate() {
                let count = picked.iter().filter(|&&pick| pick == index).count();
                prop_assert_eq!(count, *weight as usize);
            }
        }

        #[test]
        fn fewest_keeps_equal_members_within_one_session_however_sessions_end(
            members in 1..9_usize,
            start in 0..9_usize,
            ends in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
            opened in 1..200_usize,
        ) {
            let mut balancer = Balancer::new(members, start);
            let mut sessions = vec![0_usize; members];
            let open = |balancer: &mut Balancer, sessions: &mut Vec<usize>| {
                let one = |index: usize| Some(Candidate { load: sessions[index], weight: 1 });
                let chosen = balancer.least_sessions(one).unwrap();
                sessions[chosen] += 1;
            };
            (0..opened).for_each(|_| open(&mut balancer, &mut sessions));
            for end in &ends {
                let index = end.index(members);
                sessions[index] = sessions[index].saturating_sub(1);
            }
            // As many again level what the ends have made uneven.
            (0..ends.len() + members).for_each(|_| open(&mut balancer, &mut sessions));
            let (least, most) = (sessions.iter().min().unwrap(), sessions.iter().max().unwrap());
            prop_assert!(most - least <= 1, "{sessions:?}");
        }

        #[test]
        fn fewest_keeps_weighted_members_near_their_shares(
            weights in prop::collection::vec(1..20_u32, 1..9), opened in 1..500_usize,
        ) {
            let mut balancer = Balancer::new(weights.len(), 0);
            let mut sessions = vec![0_usize; weights.len()];
            for _ in 0..opened {
                let one = |at: usize| {
                    Some(Candidate { load: sessions[at], weight: weights[at].into() })
                };
                let chosen = balancer.least_sessions(one).unwrap();
                sessions[chosen] += 1;
            }
            let total: u32 = weights.iter().sum();
            for (had, weight) in sessions.iter().zip(&weights) {
                let share = opened as f64 * f64::from(*weight) / f64::from(total);
                prop_assert!((*had as f64 - share).abs() < 1.5, "{sessions:?} of {weights:?}");
            }
        }
    }
}
