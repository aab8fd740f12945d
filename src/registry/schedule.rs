//! When the sessions of one order are due: parts of them all, by time. Pure.

use std::sync::Arc;
use std::time::Duration;

/// When the sessions of one order are due, counted from the order. They come evenly within each of
/// its pieces.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Schedule(Arc<[Stretch]>);

/// A piece of time, and how many sessions are due in it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Stretch {
    /// How long it is; of no length, all of them are due at once.
    pub length: Duration,
    /// How many sessions, in any unit that all pieces share.
    pub sessions: f64,
}

impl Schedule {
    /// All at once.
    pub fn at_once() -> Schedule {
        Schedule::default()
    }

    /// Evenly over this time.
    pub fn even(length: Duration) -> Schedule {
        Schedule::of([Stretch { length, sessions: 1.0 }])
    }

    /// These pieces, one after the other.
    pub fn of(pieces: impl IntoIterator<Item = Stretch>) -> Schedule {
        Schedule(pieces.into_iter().collect())
    }

    /// Its parts, in their order.
    pub fn stretches(&self) -> &[Stretch] {
        &self.0
    }

    /// From the order until the last session is due.
    pub fn length(&self) -> Duration {
        self.0.iter().map(|piece| piece.length).sum()
    }

    /// When this part of the sessions is due, from 0 for the first to 1 for the last.
    pub(super) fn at(&self, part: f64) -> Duration {
        let all: f64 = self.0.iter().map(|piece| piece.sessions).sum();
        let mut left = part * all;
        let mut start = Duration::ZERO;
        for piece in self.stretches() {
            if left <= piece.sessions && piece.sessions > 0.0 {
                return start + piece.length.mul_f64((left / piece.sessions).clamp(0.0, 1.0));
            }
            left -= piece.sessions;
            start += piece.length;
        }
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_piece_has_its_part_of_the_sessions() {
        let piece = |seconds, sessions| Stretch { length: Duration::from_secs(seconds), sessions };
        let schedule = Schedule::of([piece(0, 1.0), piece(10, 0.0), piece(4, 3.0)]);
        assert_eq!(schedule.length(), Duration::from_secs(14));
        let at = [0.0, 0.25, 0.5, 0.75, 1.0].map(|part| schedule.at(part).as_secs_f64());
        assert!((at[2] - 11.333).abs() < 0.01, "{at:?}");
        assert_eq!((at[0], at[1], at[4]), (0.0, 0.0, 14.0));
        assert_eq!(Schedule::at_once().at(0.7), Duration::ZERO);
        assert_eq!(Schedule::even(Duration::from_secs(10)).at(0.5), Duration::from_secs(5));
    }
}
