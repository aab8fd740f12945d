//! When the next handshake may begin, so that they come no faster than a rate. Pure: the moment is
//! an argument.

use std::time::Duration;

use crate::base::clock::Moment;

/// The turns of one backend's handshakes: evenly spaced, so that no second has more than the rate.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HandshakePace {
    /// When the next may begin, in microseconds since the clock's start.
    next: u64,
}

impl HandshakePace {
    /// Takes the next turn at `rate` handshakes per second; gives how long it is until then. `None`
    /// when that is more than `most`: then no turn was taken.
    pub(super) fn turn(&mut self, now: Moment, rate: u32, most: Duration) -> Option<Duration> {
        let now = now.as_millis().saturating_mul(1000);
        let turn = self.next.max(now);
        let wait = Duration::from_micros(turn - now);
        if wait > most {
            return None;
        }
        self.next = turn.saturating_add(1_000_000_u64.div_ceil(rate.max(1).into()));
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_handshake_that_would_wait_too_long_takes_no_turn() {
        let mut pace = HandshakePace::default();
        let now = Moment::from_millis(5000);
        let mut turn = |now| pace.turn(now, 10, Duration::from_millis(250));
        assert_eq!(turn(now), Some(Duration::ZERO));
        assert_eq!(turn(now), Some(Duration::from_millis(100)));
        assert_eq!(turn(now), Some(Duration::from_millis(200)));
        assert_eq!(turn(now), None);
        assert_eq!(turn(now), None);
        assert_eq!(turn(Moment::from_millis(5100)), Some(Duration::from_millis(200)));
        assert_eq!(turn(Moment::from_millis(9000)), Some(Duration::ZERO));
    }

    proptest! {
        #[test]
        fn no_second_has_more_than_the_rate_however_handshakes_come(
            rate in 1..2000_u32, arrivals in prop::collection::vec(0..40_u64, 1..400),
        ) {
            let (mut pace, mut now, mut begun) = (HandshakePace::default(), 0, Vec::new());
            for gap in arrivals {
                now += gap;
                let wait = pace.turn(Moment::from_millis(now), rate, Duration::MAX).unwrap();
                begun.push(u128::from(now) * 1000 + wait.as_micros());
            }
            for (index, first) in begun.iter().enumerate() {
                let within = begun[index..].iter().filter(|at| **at < first + 1_000_000).count();
                prop_assert!(within <= rate as usize, "{within} in a second at {rate}/s");
            }
        }
    }
}
