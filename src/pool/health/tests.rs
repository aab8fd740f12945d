use super::*;
use crate::config::plan::OutSessions;

const RULES: Rules = Rules {
    probe: None,
    failures_max: 3,
    eject_time: Duration::from_secs(10),
    eject_time_max: Duration::from_secs(60),
    sessions: OutSessions::Move,
    sessions_after: Duration::from_secs(25),
};

fn at(seconds: u64) -> Moment {
    Moment::from_millis(seconds * 1000)
}

fn out(seconds: u64) -> Standing {
    Standing::Ejected { until: at(seconds) }
}

fn ejected() -> PassiveHealth {
    let mut state = PassiveHealth::default();
    for _ in 0..3 {
        state.record(Evidence::Unreachable, None, at(0), &RULES);
    }
    state
}

#[test]
fn only_failures_in_a_row_take_a_backend_out() {
    let mut state = PassiveHealth::default();
    for _ in 0..10 {
        assert_eq!(state.record(Evidence::Unreachable, None, at(0), &RULES), None);
        assert_eq!(state.record(Evidence::Unreachable, None, at(0), &RULES), None);
        assert_eq!(state.record(Evidence::Healthy, None, at(0), &RULES), None);
    }
    state.record(Evidence::Unreachable, None, at(1), &RULES);
    state.record(Evidence::Unreachable, None, at(1), &RULES);
    let wait = Duration::from_secs(10);
    assert_eq!(
        state.record(Evidence::Unreachable, None, at(1), &RULES),
        Some(Change::Ejected { failures: 3, wait })
    );
    assert_eq!(state.standing(at(1)), out(11));
}

#[test]
fn no_failures_max_never_takes_it_out() {
    let rules = Rules { failures_max: 0, ..RULES };
    let mut state = PassiveHealth::default();
    assert!((0..100).all(|_| state.record(Evidence::Unreachable, None, at(0), &rules).is_none()));
}

#[test]
fn one_trial_decides_and_each_failed_one_doubles_the_wait_up_to_the_longest() {
    let mut state = ejected();
    let mut now = 0;
    for wait in [10, 20, 40, 60, 60] {
        assert_eq!(state.standing(at(now)), out(now + wait));
        now += wait;
        assert_eq!(state.standing(at(now)), Standing::Trial);
        state.begin_trial(at(now), &RULES);
        assert_eq!(state.standing(at(now)), out(now + 10));
        state.record(Evidence::Unreachable, None, at(now), &RULES);
    }
    state.begin_trial(at(now + 60), &RULES);
    assert_eq!(
        state.record(Evidence::Healthy, None, at(now + 60), &RULES),
        Some(Change::Recovered)
    );
    assert_eq!(state.standing(at(now + 60)), Standing::Up);
}

#[test]
fn the_share_grows_from_the_first_request_and_again_from_each_return() {
    let slow_start = Duration::from_secs(20);
    let mut state = PassiveHealth::default();
    let share = |state: &mut PassiveHealth, seconds| state.share(at(seconds), slow_start);
    let grown: Vec<_> = [5, 6, 15, 24, 25, 99].map(|at| share(&mut state, at)).into();
    assert_eq!(grown, [10, 50, 500, 950, 1000, 1000]);
    assert!(
        (0..3).filter_map(|_| state.record(Evidence::Unreachable, None, at(100), &RULES)).count()
            == 1
    );
    state.record(Evidence::Healthy, None, at(110), &RULES);
    assert_eq!([110, 120, 130].map(|at| share(&mut state, at)), [10, 500, 1000]);
    assert_eq!(PassiveHealth::default().share(at(0), Duration::ZERO), 1000);
}

#[test]
fn what_was_under_way_when_it_was_taken_out_does_not_double_the_wait() {
    let mut state = ejected();
    assert_eq!(state.record(Evidence::Unreachable, None, at(5), &RULES), None);
    assert_eq!(state.standing(at(5)), out(10));
}

#[test]
fn a_trial_whose_outcome_is_never_told_makes_room_for_another() {
    let mut state = ejected();
    state.begin_trial(at(10), &RULES);
    assert_eq!(state.standing(at(19)), out(20));
    assert_eq!(state.standing(at(20)), Standing::Trial);
}

#[test]
fn the_wait_begins_anew_only_after_a_good_spell() {
    let again = |returned: u64, failed: u64| {
        let mut state = ejected();
        state.record(Evidence::Healthy, None, at(returned), &RULES);
        let failures =
            (0..3).filter_map(|_| state.record(Evidence::Unreachable, None, at(failed), &RULES));
        failures.last().unwrap()
    };
    let waits = |seconds| Change::Ejected { failures: 3, wait: Duration::from_secs(seconds) };
    assert_eq!(again(10, 15), waits(20));
    assert_eq!(again(10, 21), waits(10));
}

#[test]
fn it_stays_out_when_a_trial_has_failed_after_so_long() {
    let mut state = ejected();
    let stays =
        |state: &PassiveHealth, seconds| state.stays_unreachable(at(seconds), RULES.sessions_after);
    assert_eq!(stays(&state, 9), None, "too short");
    assert_eq!(stays(&state, 30), None, "nobody has tried since");
    state.begin_trial(at(30), &RULES);
    assert_eq!(stays(&state, 31), None, "nobody knows yet");
    state.record(Evidence::Unreachable, None, at(32), &RULES);
    assert_eq!((stays(&state, 32), state.ejected_since()), (Some(at(0)), Some(at(0))));
    assert_eq!(stays(&state, 52), None, "it is due");
    state.begin_trial(at(52), &RULES);
    state.record(Evidence::Healthy, None, at(53), &RULES);
    assert_eq!((stays(&state, 53), state.ejected_since()), (None, None));
}

fn suspect(state: &mut PassiveHealth, client: u64, seconds: u64) -> Option<Change> {
    state.record(Evidence::Suspect, Some(client), at(seconds), &RULES)
}

#[test]
fn what_one_client_or_two_cause_ejects_nothing() {
    let mut state = PassiveHealth::default();
    for attempt in 0..100 {
        assert_eq!(suspect(&mut state, attempt % 2, attempt / 10), None);
    }
    assert_eq!(state.standing(at(10)), Standing::Up);
    for _ in 0..100 {
        assert_eq!(state.record(Evidence::Suspect, None, at(200), &RULES), None);
    }
}

#[test]
fn what_several_clients_meet_ejects_while_none_succeeds_and_touches_no_session() {
    let mut state = PassiveHealth::default();
    assert_eq!((suspect(&mut state, 1, 0), suspect(&mut state, 2, 1)), (None, None));
    let wait = Duration::from_secs(10);
    assert_eq!(suspect(&mut state, 3, 2), Some(Change::Ejected { failures: 3, wait }));
    assert_eq!(state.standing(at(2)), out(12));
    for trial in [12, 22, 32, 42] {
        state.begin_trial(at(trial), &RULES);
        // One client's trial does not make the wait longer.
        assert_eq!(suspect(&mut state, 1, trial), None);
        assert_eq!(state.standing(at(trial)), out(trial + 10));
        assert_eq!(state.stays_unreachable(at(trial), RULES.sessions_after), None);
    }
    state.begin_trial(at(52), &RULES);
    let answered = state.record(Evidence::Healthy, Some(9), at(52), &RULES);
    assert_eq!(answered, Some(Change::Recovered));
    assert_eq!(suspect(&mut state, 3, 53), None);
}

#[test]
fn one_success_or_as_many_others_clear_a_backend() {
    let mut state = PassiveHealth::default();
    for client in 0..9 {
        assert_eq!(suspect(&mut state, client, 0), None);
        if client % 2 == 1 {
            state.record(Evidence::Healthy, None, at(0), &RULES);
        }
    }
    let mut state = PassiveHealth::default();
    for client in 0..9 {
        state.record(Evidence::Unknown, None, at(0), &RULES);
        assert_eq!(suspect(&mut state, client, 0), None);
    }
    let mut state = PassiveHealth::default();
    for client in 0..9 {
        assert_eq!(suspect(&mut state, client, client * 61), None, "too long ago");
    }
}

#[test]
fn a_trial_that_reaches_it_ends_the_ejection_of_one_that_could_not_be_reached() {
    let mut state = ejected();
    state.begin_trial(at(10), &RULES);
    assert_eq!(suspect(&mut state, 1, 10), Some(Change::Recovered));
}

#[test]
fn never_more_than_half_is_kept_out_and_the_first_to_return_are_let_in() {
    let (standing, due) = (Standing::Up, Standing::Trial);
    assert_eq!(admitted(&[out(9)]), [true]);
    assert_eq!(admitted(&[out(9), standing]), [false, true]);
    assert_eq!(admitted(&[out(9), out(5)]), [false, true]);
    assert_eq!(admitted(&[out(9), due]), [false, true]);
    assert_eq!(admitted(&[out(5), out(5), out(5)]), [true, true, false]);
    assert_eq!(admitted(&[out(3), standing, out(1), out(2)]), [false, true, true, false]);
}
