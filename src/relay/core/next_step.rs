//! The way out as a table: a side's next step, and what it is told.

use super::order::Finish;
use super::side_state::{CloseState, RecvState, SideState};
use crate::base::label::Label;
use crate::base::side::Side;
use crate::config::plan::Rules;
use crate::end::{End, Farewell};
use crate::wire::control::{NO_CODE, close_code_is_valid};

/// What we close the upstream with that a session is moved away from.
pub(super) const MOVED: u16 = 1001;

/// The next step of `side`, the other one being so; `None` while it waits. `boundary` where what
/// went to it ends with a frame.
pub(super) fn next_step(
    end: End,
    side: Side,
    state: &SideState,
    other: &SideState,
    boundary: bool,
) -> Option<CloseState> {
    const HALF: CloseState = CloseState::Finishing(Finish::Half, false);
    const BOTH: CloseState = CloseState::Finishing(Finish::Both, false);
    const DROP: CloseState = CloseState::Dropping { reset: false };
    let open = matches!(state.close, CloseState::Open | CloseState::Pending | CloseState::Sent);
    // Ended without a Close: it is lost, whatever we would still have said.
    if open && state.ended && state.recv != RecvState::Closed {
        return Some(DROP);
    }
    if open && state.write_failed {
        return Some(CloseState::Finished);
    }
    match state.close {
        CloseState::Open => first_step(end, side, state, other),
        // Its last frame will never be whole.
        CloseState::Pending if !boundary && !other.speaks() => Some(HALF),
        // Both Closes went, and it is for us to end the connection; or it has ended its part.
        CloseState::Sent if state.ended => Some(BOTH),
        CloseState::Sent if side == Side::Client && state.recv == RecvState::Closed => Some(BOTH),
        CloseState::Sent if state.recv == RecvState::Faulted => Some(HALF),
        CloseState::Finishing(..) if state.write_failed => Some(CloseState::Finished),
        CloseState::Finished if state.ended => Some(DROP),
        _ => None,
    }
}

fn first_step(end: End, side: Side, state: &SideState, other: &SideState) -> Option<CloseState> {
    let due = match end.farewell(side) {
        Farewell::Gone => return Some(CloseState::Dropping { reset: false }),
        Farewell::Cut => {
            return Some(match end {
                End::Silent { side: dead } if dead == side => CloseState::Dropping { reset: true },
                _ => CloseState::Finishing(Finish::Half, false),
            });
        }
        // The client first; then, when it has nothing more to say, the upstream. At fault, it has
        // said all, and is owed what the upstream still answers to that.
        Farewell::Close(_) => {
            let first = match side {
                Side::Client => state.recv != RecvState::Faulted,
                Side::Upstream => !state.speaks(),
            };
            first || !other.speaks()
        }
        // The answer of the side across passes by itself, if it can still come.
        Farewell::Echo => !other.speaks(),
        Farewell::PassOn => state.owes_close,
    };
    due.then_some(CloseState::Pending)
}

/// Code and reason of our own Close to a side.
pub(super) fn words(end: End, side: Side, rules: &Rules) -> (u16, &'static str) {
    match (end, end.farewell(side)) {
        (End::Closed { code, .. }, _) if close_code_is_valid(code) => (code, ""),
        (_, Farewell::Close(code)) => {
            // An operator's own word stands above the route's.
            let own = matches!(end, End::DrainedWith { .. });
            let chosen = rules.close_codes.get(end.label());
            let chosen = chosen.filter(|_| side == Side::Client && !own);
            (chosen.unwrap_or(code), end.label())
        }
        _ => (NO_CODE, ""),
    }
}
