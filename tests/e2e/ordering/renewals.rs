//! When certificates are renewed: by the authority's window, else after two thirds of their life,
//! however long that is.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::time::sleep;

use super::authority::{Authority, Fault, Given, Step};
use super::ordered_site::OrderedSite;
use crate::actors::{until, within};

const DAY: i64 = 86_400;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// As RFC 3339 has it.
fn written(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (mut year, mut left) = (1970, days);
    let days_of = |year: i64| match (year % 4, year % 100, year % 400) {
        (0, 0, 0) => 366,
        (0, 0, _) => 365,
        (0, ..) => 366,
        _ => 365,
    };
    while left >= days_of(year) {
        left -= days_of(year);
        year += 1;
    }
    let february = if days_of(year) == 366 { 29 } else { 28 };
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < days {
            break;
        }
        left -= days;
        month += 1;
    }
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year}-{month:02}-{:02}T{hour:02}:{minute:02}:{:02}Z", left + 1, second % 60)
}

#[tokio::test]
async fn a_profile_is_asked_for_and_its_certificates_are_renewed_after_two_thirds_of_their_life() {
    for days in [6, 45, 90] {
        let prepare = |authority: &Authority, _: &Path| {
            authority.profiles(json!({ "classic": "c", "shortlived": "s" }));
            authority.give(Given::For(Duration::from_secs(days * 86_400)));
        };
        let site = OrderedSite::start(prepare, "profile = \"shortlived\"").await;
        let before = now();
        within("a certificate", site.healed()).await.expect("a certificate");
        assert_eq!(site.authority.wishes()[0]["profile"], "shortlived");
        // Clients are shown it a moment before it is said of the name.
        until("its state", || site.proxy.ordered("new.test").not_after.is_some()).await;
        let stands = site.proxy.ordered("new.test");
        let life = days as i64 * DAY;
        let left = stands.not_after.expect("it is shown") - before;
        assert!((life - 2 * 3600..=life).contains(&left), "{days}: {left}");
        let due = stands.due - before;
        let two_thirds = life / 3 * 2;
        let earliest = two_thirds - life / 30 - 2 * 3600;
        assert!((earliest..=two_thirds).contains(&due), "{days}: {due}");
        site.proxy.stop().await;
    }
}

#[tokio::test]
async fn a_window_of_the_authority_goes_before() {
    let (start, end) = (now() + DAY, now() + 2 * DAY);
    let prepare =
        |authority: &Authority, _: &Path| authority.window(&written(start), &written(end));
    let site = OrderedSite::start(prepare, "").await;
    within("a certificate", site.healed()).await.expect("a certificate");
    let due = || site.proxy.ordered("new.test").due;
    until("the window", || (start..=end).contains(&due())).await;
    site.proxy.stop().await;
}

#[tokio::test]
async fn an_authority_that_forgets_what_is_replaced_is_asked_for_a_certificate_like_any_other() {
    let prepare = |authority: &Authority, _: &Path| {
        authority.window(&written(0), &written(DAY));
        authority.fault(Step::Order, Fault::Forgets);
    };
    let site = OrderedSite::start(prepare, "").await;
    until("a renewal", || site.authority.issued() == 2).await;
    let wishes = site.authority.wishes();
    assert!(wishes[1]["replaces"].is_string(), "{wishes:?}");
    assert!(wishes[2].get("replaces").is_none(), "{wishes:?}");
    site.proxy.stop().await;
}

#[tokio::test]
async fn a_window_of_the_past_renews_at_once_and_one_that_always_is_has_no_orders_without_end() {
    let prepare = |authority: &Authority, _: &Path| authority.window(&written(0), &written(DAY));
    let site = OrderedSite::start(prepare, "").await;
    let mut session = site.session().await;
    until("a renewal", || site.authority.issued() == 2).await;
    let wishes = site.authority.wishes();
    assert!(wishes[0].get("replaces").is_none() && wishes[1]["replaces"].is_string(), "{wishes:?}");
    // Both were asked about: the one before, and its successor.
    until("another question", || site.authority.asked(Step::RenewalInfo) >= 2).await;
    sleep(Duration::from_secs(3)).await;
    assert_eq!(site.authority.issued(), 2);
    let wait = site.proxy.ordered("new.test").due - now();
    assert!((50..=70).contains(&wait), "{wait}");
    session.echo("undisturbed").await;
    drop(session);
    site.proxy.stop().await;
}
