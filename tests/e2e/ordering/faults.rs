//! Authorities and directories of state that go wrong: what runs serves on, the name's state says
//! what is wrong, nobody is asked again too early, and it heals by itself.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::authority::{Authority, Fault, Given, Step};
use super::ordered_site::OrderedSite;
use crate::actors::{Table, within};

/// Looks at what has come of it: for longer than an order waits after its first failure.
const TRIES_MAX: usize = 360;
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

/// The pause after the first failure, in seconds.
const FIRST_PAUSE: f64 = 60.0;

/// An authority that goes wrong.
struct Row {
    name: &'static str,
    faults: fn(&Authority),
    /// What the name's state says then.
    says: &'static str,
    /// It is asked for nothing for so many seconds after its answer.
    left_alone: f64,
    more: &'static str,
}

const fn row(name: &'static str, faults: fn(&Authority), says: &'static str) -> Row {
    Row { name, faults, says, left_alone: FIRST_PAUSE, more: "" }
}

fn problem(authority: &Authority, step: Step, status: u16, word: &'static str) {
    authority.fault(step, Fault::Problem(status, word, Vec::new()));
}

fn retry_after(seconds: &str) -> Vec<(&'static str, String)> {
    vec![("Retry-After", seconds.to_owned())]
}

/// A time of the past or the future, as in `Date`.
fn date(hours: i64) -> Fault {
    let by = Duration::from_secs(hours.unsigned_abs() * 3600);
    let now = std::time::SystemTime::now();
    let then = if hours < 0 { now - by } else { now + by };
    Fault::With(vec![("Date", httpdate::fmt_http_date(then))])
}

const ROWS: &[Row] = &[
    row("a request that it does not take", |a| problem(a, Step::Finalize, 400, "badCSR"), "badCSR"),
    row("an account without rights", |a| problem(a, Step::Order, 403, "unauthorized"), "refuses: "),
    row(
        "a name that it gives nothing for",
        |a| problem(a, Step::Order, 400, "rejectedIdentifier"),
        "told to (urn:ietf:params:acme:error:rejectedIdentifier)",
    ),
    row("a server's error", |a| problem(a, Step::Order, 500, "serverInternal"), "serverInternal"),
    Row {
        left_alone: 80.0,
        ..row(
            "too many orders",
            |a| a.fault(Step::Order, Fault::Problem(429, "rateLimited", retry_after("80"))),
            "the authority limits orders",
        )
    },
    Row {
        left_alone: 75.0,
        ..row(
            "too many requests, as a proxy says it",
            |a| a.fault(Step::Finalize, Fault::Page(429, retry_after("75"))),
            "the authority limits orders",
        )
    },
    Row {
        left_alone: 70.0,
        ..row(
            "away, and it says how long",
            |a| a.fault(Step::Directory, Fault::Page(503, retry_after("70"))),
            "the answer's status is 503",
        )
    },
    row(
        "no whole JSON",
        |a| a.fault(Step::Order, Fault::Raw(201, "{\"status\":".to_owned())),
        "cannot be asked: failed to (de)serialize JSON",
    ),
    row(
        "an answer without end",
        |a| a.fault(Step::Directory, Fault::Raw(200, " ".repeat(1 << 20))),
        "more than 256 KiB",
    ),
    row("no answer", |a| a.fault(Step::Order, Fault::Silent), "no whole answer within 30s"),
    row(
        "a problem of many lines",
        |a| {
            let detail = "line\\n\\u001b[31m".repeat(1000);
            let body = format!("{{\"type\":\"x:malformed\",\"detail\":\"{detail}\"}}");
            a.fault(Step::Order, Fault::Raw(400, body));
        },
        "refuses: line  [31mline",
    ),
    row(
        "a clock that is hours behind",
        |a| [Step::Account, Step::Order].into_iter().for_each(|step| a.fault(step, date(3))),
        "s behind of the authority's",
    ),
    row(
        "a clock that is ahead, found out in an order",
        |a| a.fault(Step::Order, date(-3)),
        "s ahead of the authority's",
    ),
    row(
        "a token that leads elsewhere",
        |a| a.fault(Step::Authorization, Fault::Token("../../certificates/new.test.pem")),
        "the authority's token is none",
    ),
    row(
        "a name that is not shown to be ours",
        |a| {
            a.fault(Step::Authorization, Fault::State("pending", Some("connection")));
            a.fault(Step::Poll, Fault::State("invalid", None));
        },
        "was not answered for the name: told to",
    ),
    row("a certificate for another name", |a| a.give(Given::OtherName), "is for [\"other.test\"]"),
    row(
        "a certificate for another key",
        |a| a.give(Given::OtherKey),
        "the authority's certificate",
    ),
    row("a certificate of the past", |a| a.give(Given::Expired), "certificate has expired"),
    row(
        "a certificate that is none",
        |a| a.give(Given::Text("-----BEGIN nothing")),
        "the authority's certificate",
    ),
    row(
        "an account that it has forgotten",
        |a| problem(a, Step::Order, 400, "accountDoesNotExist"),
        "does not know the account",
    ),
    Row {
        more: "profile = \"shortlived\"",
        ..row(
            "a profile that it does not have",
            |a| a.profiles(json!({ "classic": "c", "tlsserver": "t" })),
            "it has no profile `shortlived`; those that it has: classic, tlsserver",
        )
    },
];

#[tokio::test]
async fn an_authority_that_goes_wrong_is_left_alone_for_a_while_and_what_runs_serves_on() {
    let mut playing = JoinSet::new();
    ROWS.iter().enumerate().for_each(|(at, row)| {
        playing.spawn(async move { (at, play(row).await) });
    });
    let mut played = playing.join_all().await;
    played.sort_by_key(|(at, _)| *at);
    let mut table = Table::new("authorities that go wrong");
    for (row, (_, (outcome, seen, is))) in ROWS.iter().zip(&played) {
        let is: Vec<_> = is.iter().map(|(wanted, came)| (&**wanted, &**came)).collect();
        table.row(row.name, "", outcome, seen, &is);
    }
    table.settle();
}

async fn play(row: &Row) -> (String, String, Vec<(String, String)>) {
    let site = OrderedSite::start(|authority, _| (row.faults)(authority), row.more).await;
    let mut session = site.session().await;
    let mut error = None;
    for _ in 0..TRIES_MAX {
        error = site.proxy.ordered("new.test").error;
        if error.is_some() {
            break;
        }
        session.echo("served meanwhile").await;
        sleep(BETWEEN_TRIES).await;
    }
    let error = error.unwrap_or("nothing".to_owned());
    let mut is = vec![(
        row.says.to_owned(),
        match error.contains(row.says) {
            true => row.says.to_owned(),
            false => error.clone(),
        },
    )];
    is.push((
        "one line".to_owned(),
        match error.contains('\n') || error.len() > 1500 {
            true => format!("{} bytes", error.len()),
            false => "one line".to_owned(),
        },
    ));
    let steps = [Step::Directory, Step::Order, Step::Finalize, Step::Certificate];
    let failed = steps.iter().filter_map(|step| site.authority.moments(*step).pop()).max();
    site.authority.heal();
    site.authority.profiles(json!({ "shortlived": "s" }));
    let mut is_healed = false;
    for _ in 0..TRIES_MAX {
        is_healed = site.is_ordered().await;
        if is_healed {
            break;
        }
        session.echo("served all the time").await;
        sleep(BETWEEN_TRIES).await;
    }
    // An order, since the authority may be asked about the other name's certificate meanwhile.
    let orders = site.authority.moments(Step::Order).into_iter();
    let next = orders.filter(|at| failed.is_some_and(|failed| *at > failed)).min();
    let pause = next.zip(failed).map_or(0.0, |(next, failed)| (next - failed).as_secs_f64());
    let is_left = pause > row.left_alone - 1.5;
    is.push((
        "left alone".to_owned(),
        match is_left {
            true => "left alone".to_owned(),
            false => format!("asked again after {pause:.1} s"),
        },
    ));
    is.push((
        "healed".to_owned(),
        match is_healed {
            true => "healed".to_owned(),
            false => format!("not healed: {:?}", site.proxy.ordered("new.test")),
        },
    ));
    session.echo("and after").await;
    drop(session);
    let outcome = format!("asked again after {pause:.0} s");
    let seen = error.chars().take(70).collect();
    site.proxy.stop().await;
    (outcome, seen, is)
}

#[tokio::test]
async fn a_decision_that_does_not_come_holds_up_nothing_and_is_asked_for_with_patience() {
    let site = OrderedSite::start(
        |authority, _| authority.fault(Step::Poll, Fault::State("processing", None)),
        "",
    )
    .await;
    let mut session = site.session().await;
    within("some questions", async {
        while site.authority.asked(Step::Poll) < 5 {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let asked = site.authority.moments(Step::Poll);
    // 200 ms at first, then twice as long each time.
    let took = asked[4] - asked[0];
    assert!(took > Duration::from_secs(3), "{took:?}");
    session.echo("served meanwhile").await;
    site.authority.heal();
    within("the certificate", site.healed()).await.expect("a certificate");
    assert_eq!(site.authority.asked(Step::Order), 1, "the same order");
    drop(session);
    site.proxy.stop().await;
}

#[tokio::test]
async fn odd_answers_that_are_no_faults_are_taken() {
    type Faults = fn(&Authority);
    let odd: &[(&str, Faults)] = &[
        ("a time that no clock has", |authority| {
            for step in [Step::Order, Step::Authorization, Step::Challenge, Step::Finalize] {
                authority.fault(step, Fault::With(retry_after(&u64::MAX.to_string())));
            }
        }),
        ("the same while it decides", |authority| {
            authority.fault(Step::Poll, Fault::With(retry_after(&u64::MAX.to_string())));
        }),
        ("a time that is none", |authority| {
            authority.fault(Step::Poll, Fault::With(retry_after("soon, perhaps")));
        }),
        ("late answers", |authority| {
            authority.fault(Step::Nonce, Fault::Late(Duration::from_millis(500)));
            authority.fault(Step::Certificate, Fault::Late(Duration::from_secs(3)));
        }),
    ];
    for (name, faults) in odd {
        let site = OrderedSite::start(|authority, _| faults(authority), "").await;
        within(name, site.healed()).await.expect("a certificate");
        assert_eq!(site.proxy.ordered("new.test").failures, 0, "{name}");
        site.proxy.stop().await;
    }
}

#[tokio::test]
async fn a_directory_of_state_that_goes_wrong_is_said_once_and_heals_in_seconds() {
    // What is there in place of a directory, until it is removed.
    for place in ["locks", "challenges", "accounts"] {
        let block = |_: &Authority, state: &Path| {
            fs::write(state.join(place), "no directory").unwrap();
        };
        let site = OrderedSite::start(block, "").await;
        let mut session = site.session().await;
        let error = site.error().await;
        assert!(error.contains("`acme.state` cannot be used"), "{place}: {error}");
        sleep(Duration::from_millis(100)).await;
        assert_eq!(site.authority.asked(Step::Order), 0, "{place}");
        session.echo("served meanwhile").await;
        fs::remove_file(site.state.join(place)).unwrap();
        within(place, site.healed()).await.expect("a certificate");
        drop(session);
        site.proxy.stop().await;
    }
}

#[tokio::test]
async fn corrupt_files_of_state_are_written_anew() {
    // What processes have left that were killed as they wrote an answer: two hours ago, and now.
    let [old, new] = ["challenges/http_x.0123abcd.new", "challenges/tls_x.0123abcd.new"];
    let spoil = |_: &Authority, state: &Path| {
        for (place, text) in [
            ("certificates/new.test.pem", "-----BEGIN nothing"),
            ("accounts/none.json", "{\"id\":"),
            ("failures/new.test", "yesterday"),
            ("challenges/http_x", ""),
        ] {
            fs::create_dir_all(state.join(place).parent().unwrap()).unwrap();
            fs::write(state.join(place), text).unwrap();
        }
        fs::write(state.join(new), "0").unwrap();
        let written = SystemTime::now() - Duration::from_secs(2 * 60 * 60);
        fs::File::create(state.join(old)).unwrap().set_modified(written).unwrap();
    };
    let site = OrderedSite::start(spoil, "").await;
    within("the certificate", site.healed()).await.expect("a certificate");
    assert_eq!(site.authority.asked(Step::Account), 1);
    assert_eq!([old, new].map(|file| site.state.join(file).exists()), [false, true]);
    site.proxy.stop().await;
}
