//! When a certificate is renewed, and how long an order that failed waits. Pure: times are seconds
//! since 1970, and chance is an argument.

use std::time::Duration;

use crate::wire::x509::Validity;

/// How long after the first failure an order is tried again; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(60);

/// No order waits longer by itself.
const PAUSE_MAX: Duration = Duration::from_secs(86_400);

/// The part of a certificate's life, in its last third, that passes between two tries at most.
const TRIES_IN_LAST_THIRD: i64 = 10;

/// The window in which an authority wants a certificate renewed (RFC 9773 §4.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct RenewalWindow {
    pub(super) start: i64,
    pub(super) end: i64,
}

/// When a certificate is renewed: in the authority's window, where it names one, else after two
/// thirds of its life, or up to a thirtieth of it earlier. `chance` is below 1 and stays with the
/// certificate, so that asking again gives the same answer.
pub(super) fn renewal(validity: Validity, window: Option<RenewalWindow>, chance: f64) -> i64 {
    let Validity { not_before, not_after } = validity;
    let life = not_after.saturating_sub(not_before).max(0);
    let part = |of: i64| (of as f64 * chance.clamp(0.0, 1.0)) as i64;
    match window {
        // A window that is none, or ends when it is too late, is not the authority's last word.
        Some(RenewalWindow { start, end }) if start <= end && start < not_after => {
            let latest = not_after.saturating_sub(life / 20).max(start);
            (start + part(end.saturating_sub(start))).min(latest)
        }
        _ => not_before.saturating_add(life / 3 * 2).saturating_sub(part(life / 30)),
    }
}

/// Whether a certificate that is replaced now was renewed long before its time: in the first third
/// of its life.
pub(super) fn is_early(validity: Validity, now: i64) -> bool {
    let Validity { not_before, not_after } = validity;
    now.saturating_sub(not_before) < not_after.saturating_sub(not_before) / 3
}

/// How long an order waits that has failed so many times in a row: from a minute, doubled each
/// time, to a day; no longer than a tenth of the last third of the life of the certificate that is
/// shown meanwhile; and as long as the authority has asked for in any case.
pub(super) fn pause(
    failures: u32,
    shown: Option<Validity>,
    retry_after: Option<Duration>,
    chance: f64,
) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1_u32 << failures.saturating_sub(1).min(16));
    let longest = shown.map_or(PAUSE_MAX, |Validity { not_before, not_after }| {
        let tenth = not_after.saturating_sub(not_before) / 3 / TRIES_IN_LAST_THIRD;
        let tenth = Duration::from_secs(u64::try_from(tenth).unwrap_or(0));
        tenth.clamp(FIRST_PAUSE, PAUSE_MAX)
    });
    let own = doubled.min(longest);
    // Up to a tenth longer, so that many who failed together do not come back together.
    let own = own + own.mul_f64(chance.clamp(0.0, 1.0) / 10.0);
    own.max(retry_after.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = 86_400;

    fn of_days(days: i64) -> Validity {
        Validity { not_before: 1_000 * DAY, not_after: (1_000 + days) * DAY }
    }

    #[test]
    fn without_a_window_two_thirds_of_a_life_pass() {
        assert_eq!(renewal(of_days(90), None, 0.0), 1_060 * DAY);
        assert_eq!(renewal(of_days(90), None, 1.0), 1_057 * DAY);
        assert_eq!(renewal(of_days(6), None, 0.0), 1_004 * DAY);
    }

    #[test]
    fn a_window_of_the_authority_goes_before_and_one_of_the_past_means_now() {
        let window = |start, end| Some(RenewalWindow { start: start * DAY, end: end * DAY });
        assert_eq!(renewal(of_days(90), window(1_010, 1_012), 0.5), 1_011 * DAY);
        assert_eq!(renewal(of_days(90), window(900, 901), 0.0), 900 * DAY);
        // Nonsense is not obeyed: it ends before it begins, or begins when it is too late.
        assert_eq!(renewal(of_days(90), window(1_012, 1_010), 0.0), 1_060 * DAY);
        assert_eq!(renewal(of_days(90), window(1_090, 1_095), 0.0), 1_060 * DAY);
    }

    #[test]
    fn failures_wait_from_a_minute_to_a_day() {
        let seconds = |failures, shown| pause(failures, shown, None, 0.0).as_secs();
        assert_eq!([1, 2, 3].map(|failures| seconds(failures, None)), [60, 120, 240]);
        assert_eq!([12, 13, u32::MAX].map(|failures| seconds(failures, None)), [86_400; 3]);
        // Of a certificate of six days that is about to expire, there is no day to lose.
        assert_eq!(seconds(30, Some(of_days(6))), 17_280);
    }

    #[test]
    fn the_authority_is_given_the_time_that_it_asks_for() {
        let asked = |seconds| pause(1, None, Some(Duration::from_secs(seconds)), 0.0).as_secs();
        assert_eq!([10, 3_600, 604_800].map(asked), [60, 3_600, 604_800]);
    }

    proptest! {
        #[test]
        fn a_renewal_is_in_the_life_of_its_certificate(
            days in 1_i64..4_000,
            chance in 0.0..1.0,
            start in -100_i64..5_000,
            length in -100_i64..1_000,
        ) {
            let validity = of_days(days);
            let without = renewal(validity, None, chance);
            prop_assert!(without > validity.not_before && without < validity.not_after);
            let start = (1_000 + start) * DAY;
            let window = RenewalWindow { start, end: start + length * DAY };
            let within = renewal(validity, Some(window), chance);
            prop_assert!(within < validity.not_after, "{}", within);
            let is_sound = window.start <= window.end && window.start < validity.not_after;
            if is_sound {
                prop_assert!(within >= window.start && within <= window.end.max(window.start));
            } else {
                prop_assert_eq!(within, without);
            }
        }

        #[test]
        fn a_pause_grows_with_failures_and_has_bounds(
            failures in 1_u32..100,
            days in 1_i64..400,
            has_shown in any::<bool>(),
            chance in 0.0..1.0,
        ) {
            let shown = has_shown.then(|| of_days(days));
            let one = pause(failures, shown, None, chance);
            prop_assert!(one >= FIRST_PAUSE && one <= PAUSE_MAX + PAUSE_MAX / 10);
            prop_assert!(pause(failures + 1, shown, None, chance) >= one);
        }
    }
}
