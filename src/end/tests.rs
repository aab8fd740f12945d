use super::*;
use crate::base::label::Label;
use Farewell::{Close, Cut, Echo, Gone, PassOn};

/// The design's end table, written a second time by hand.
fn table(end: End) -> (Farewell, Farewell) {
    match end {
        End::Closed { by: Side::Client, .. } => (Echo, PassOn),
        End::Closed { by: Side::Upstream, .. } => (PassOn, Echo),
        End::Lost { side: Side::Client, .. } => (Gone, Cut),
        End::Lost { side: Side::Upstream, .. } => (Close(1012), Gone),
        End::Idle => (Close(1001), Close(1001)),
        End::Silent { side: Side::Client } => (Cut, Cut),
        End::Silent { side: Side::Upstream } => (Close(1012), Cut),
        End::Drained(Reason::Kick) => (Close(1008), Close(1001)),
        End::DrainedWith { code, .. } => (Close(code), Close(1001)),
        End::Expired | End::Drained(Reason::Revoked) => (Close(4403), Close(1001)),
        End::Lifetime | End::Drained(_) => (Close(1012), Close(1001)),
        End::Violation { by: Side::Client, .. } => (Close(1002), Close(1001)),
        End::Violation { by: Side::Upstream, .. } => (Close(1001), Close(1002)),
        End::TooBig { by: Side::Client, .. } => (Close(1009), Close(1001)),
        End::TooBig { by: Side::Upstream, .. } => (Close(1001), Close(1009)),
        End::TooFast => (Close(1008), Close(1001)),
        End::TooSlow | End::NoRoom { .. } => (Close(1013), Close(1001)),
        End::Fault => (Close(1012), Close(1011)),
    }
}

#[test]
fn every_end_has_its_row() {
    for end in End::every() {
        let told = (end.farewell(Side::Client), end.farewell(Side::Upstream));
        assert_eq!(told, table(end), "{end:?}");
    }
}

#[test]
fn codes_that_are_only_seen_are_never_sent() {
    for end in End::every() {
        for side in Side::BOTH {
            if let Close(code) = end.farewell(side) {
                assert!(!matches!(code, 1005 | 1006 | 1015), "{end:?} would send {code}");
            }
        }
    }
}

#[test]
fn a_code_can_be_chosen_for_just_the_ends_that_send_one_to_the_client() {
    for end in End::every() {
        let sends = matches!(end.farewell(Side::Client), Close(_));
        assert_eq!(CODE_WORDS.contains(&end.label()), sends, "{end:?}");
    }
}

#[test]
fn chosen_codes_are_equal_in_any_order() {
    let one = CloseCodes::new([("stop", 4000), ("idle", 4001)]);
    assert_eq!(one, CloseCodes::new([("idle", 4001), ("stop", 4000)]));
    assert_eq!(one.unwrap().get("idle"), Some(4001));
    assert_eq!(CloseCodes::new([("sleepy", 4000)]), Err("sleepy"));
}

#[test]
fn the_guide_has_every_word() {
    let guide = include_str!("../../config/guides/logs.md");
    for end in End::every() {
        assert!(guide.contains(&format!("`{}`", end.label())), "{}", end.label());
    }
}
