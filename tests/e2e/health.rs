//! What may happen to a backend, and what that does to new work, to live sessions and to those that
//! can be held. The table is data: each row is played on a pool of two backends, and the page of
//! the manual is printed from it.

mod stage;

use stage::Stage;

/// What happens to one backend of two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Event {
    Refuses,
    IsUnreachable,
    FailsInTls,
    Answers(u16),
    ClosesUnanswered,
    AcceptsWrongly,
    AgreesUnasked,
    NeverAnswers,
    IsLost,
    Resets,
    ClosesWith(u16),
    IsDrained,
    IsRemoved,
    StaysAway,
    Returns,
}

/// What becomes of a handshake that would go to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum NewWork {
    /// Another backend is tried, and the client does not notice.
    TriedElsewhere,
    /// The client reads this status, and no other backend is tried.
    Answered(u16),
    /// This backend is not tried at all.
    Others,
    /// It comes here as before.
    Here,
}

/// Whether the backend is given no new work for that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ejected {
    /// From the third in a row on, whoever asked.
    AtThird,
    /// When three clients or more met it, and nothing else.
    ByClients,
    /// No.
    Never,
    /// It is kept from it already.
    Already,
}

/// What becomes of a session that is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// Nothing.
    Stays,
    /// It goes on with another upstream, and its client does not notice.
    GoesOn,
    /// Its client reads a Close with this code.
    Closed(u16),
}

struct Row {
    event: Event,
    /// In the manual's words.
    text: &'static str,
    new_work: NewWork,
    ejected: Ejected,
    live: Fate,
    held: Fate,
}

const fn row(
    event: Event,
    text: &'static str,
    (new_work, ejected): (NewWork, Ejected),
    (live, held): (Fate, Fate),
) -> Row {
    Row { event, text, new_work, ejected, live, held }
}

const UNTOUCHED: (Fate, Fate) = (Fate::Stays, Fate::Stays);
const DIALS: (NewWork, Ejected) = (NewWork::TriedElsewhere, Ejected::AtThird);
const SUSPECT: (NewWork, Ejected) = (NewWork::TriedElsewhere, Ejected::ByClients);
const WRONG: (NewWork, Ejected) = (NewWork::Answered(502), Ejected::ByClients);
const AS_EVER: (NewWork, Ejected) = (NewWork::Here, Ejected::Never);
const TAKEN_OUT: (NewWork, Ejected) = (NewWork::Others, Ejected::Already);

const fn closed(code: u16) -> (Fate, Fate) {
    (Fate::Closed(code), Fate::GoesOn)
}

const ROWS: &[Row] = &[
    row(Event::Refuses, "it refuses connections", DIALS, UNTOUCHED),
    row(Event::IsUnreachable, "it is not reached within `connect_timeout`", DIALS, UNTOUCHED),
    row(Event::FailsInTls, "its TLS handshake fails", DIALS, UNTOUCHED),
    row(Event::Answers(502), "it answers a handshake with 502", SUSPECT, UNTOUCHED),
    row(Event::Answers(503), "… with 503", SUSPECT, UNTOUCHED),
    row(Event::Answers(504), "… with 504", SUSPECT, UNTOUCHED),
    row(
        Event::Answers(404),
        "… with any other status",
        (NewWork::Answered(404), Ejected::Never),
        UNTOUCHED,
    ),
    row(Event::ClosesUnanswered, "it closes before it answers", SUSPECT, UNTOUCHED),
    row(Event::AcceptsWrongly, "its 101 has a wrong `Sec-WebSocket-Accept`", WRONG, UNTOUCHED),
    row(Event::AgreesUnasked, "its 101 has a subprotocol that nobody offered", WRONG, UNTOUCHED),
    row(
        Event::NeverAnswers,
        "it does not answer within `handshake_timeout`",
        (NewWork::Answered(504), Ejected::ByClients),
        UNTOUCHED,
    ),
    row(Event::IsLost, "its connections end without a Close (it died)", AS_EVER, closed(1012)),
    row(Event::Resets, "its connections are reset", AS_EVER, closed(1012)),
    row(Event::ClosesWith(1012), "it closes sessions with 1012", AS_EVER, closed(1012)),
    row(Event::ClosesWith(1013), "… with 1013", AS_EVER, closed(1013)),
    row(
        Event::ClosesWith(4000),
        "… with another code",
        AS_EVER,
        (Fate::Closed(4000), Fate::Closed(4000)),
    ),
    row(Event::IsDrained, "an operator drains it", TAKEN_OUT, closed(1012)),
    row(Event::IsRemoved, "a reload removes it", TAKEN_OUT, closed(1012)),
    row(
        Event::StaysAway,
        "it stays ejected for `health.sessions_after`, not to be reached",
        TAKEN_OUT,
        (Fate::Stays, Fate::GoesOn),
    ),
    row(Event::Returns, "it is back", AS_EVER, UNTOUCHED),
];

/// Plays the rows that `of` picks.
async fn play(of: impl Fn(Event) -> bool) {
    for row in ROWS.iter().filter(|row| of(row.event)) {
        let mut stage = Stage::set(row.event).await;
        stage.happens(row.event).await;
        stage.expect_new_work(row).await;
        stage.expect_fates(row).await;
        stage.clear().await;
    }
}

#[tokio::test]
async fn a_backend_that_cannot_be_reached_is_ejected_and_keeps_its_sessions() {
    play(|event| {
        matches!(event, Event::Refuses | Event::IsUnreachable | Event::FailsInTls | Event::Returns)
    })
    .await;
}

#[tokio::test]
async fn what_a_backend_answers_one_client_is_not_its_health() {
    play(|event| {
        matches!(
            event,
            Event::Answers(_)
                | Event::ClosesUnanswered
                | Event::AcceptsWrongly
                | Event::AgreesUnasked
                | Event::NeverAnswers
        )
    })
    .await;
}

#[tokio::test]
async fn a_session_ends_or_goes_on_as_its_backend_ends_it() {
    play(|event| matches!(event, Event::IsLost | Event::Resets | Event::ClosesWith(_))).await;
}

#[tokio::test]
async fn a_backend_that_is_taken_out_gives_its_sessions_up() {
    play(|event| matches!(event, Event::IsDrained | Event::IsRemoved | Event::StaysAway)).await;
}

/// The page of the manual.
fn guide() -> String {
    const HEAD: &str = "# A backend's health

Health is passive: it is learned from what happens to real handshakes and requests; beside that
backends can be asked (*probes*, below). This is what each thing that may happen to **one** of a
pool's backends does. A *held* session is one of a route
with `hold` whose backends take sessions up (`hold.resume`). Each cell is a test; the table is
printed from it.

| event | new work | the backend | live sessions | held sessions |
|---|---|---|---|---|
";
    const TAIL: &str = "
- A handshake is *tried elsewhere* within `retry`: while nothing was promised to its client. A plain
  request is tried elsewhere when it could not be sent, and else gets the backend's answer: 502 to
  504 of one path say nothing of a backend.
- *Ejected* is given no new work for `health.eject_time`, twice as long each time, up to
  `eject_time_max`. Then one handshake or request is its trial. A session or handshake that waits
  for a backend tries it sooner.
- What a client may cause does not eject a backend by itself: it counts when at least
  `health.failures_max` attempts, of three clients or more, came to it within a minute, more than
  came to anything else, and none succeeded.
- No event touches sessions of other backends.
- Without any backend left new work is answered 503 with `Retry-After`, or waits where the route has
  `hold`.

## Probes

A backend that is idle tells nothing, and one whose process is up may still be unable to open a
WebSocket. `health.probe` asks:

```toml
[pools.chat.health.probe]
websocket = \"/healthz/ws\"     # a handshake; or http = \"/healthz\", or tcp = true
pong = true                     # and a ping must be answered
every = \"5s\"
```

- After `fall` probes that failed in a row a backend gets no new work, after `rise` that passed it
  is back. It is given work while both say yes, requests and probes; half of the pool serves
  whatever probes say.
- One that was ejected because it could not be reached is back with the first probe it passes: in
  `every`, not after a back-off. What went wrong behind the connection (502 to 504, wrong answers)
  a probe does not forgive: a request is the trial, as ever.
- One that failed because it could not be reached is back, too, when it answers somebody who waits.
- `health.sessions` says what becomes of the sessions of one that has failed for `sessions_after`.
- With `before_use = true` a backend that is new gets no work before its first probe has passed.
- A probe counts nowhere: not in `sessions_max`, not in the pool's limits, not in metrics of
  sessions. `tidegate_backend_probes_total` counts what came of probes, `tidegate_backend_probe_up`
  says what is believed, and `tidegate status` shows the last error of each backend.
- After an upgrade both processes ask; the old one stops when none of its sessions could move.
";
    let mut page = HEAD.to_owned();
    for Row { text, new_work, ejected, live, held, .. } in ROWS {
        let new_work = match new_work {
            NewWork::TriedElsewhere => "tried elsewhere".to_owned(),
            NewWork::Answered(status @ (502 | 504)) => format!("answered {status}"),
            NewWork::Answered(_) => "gets that answer".to_owned(),
            NewWork::Others => "goes to the others".to_owned(),
            NewWork::Here => "comes here".to_owned(),
        };
        let ejected = match ejected {
            Ejected::AtThird => "ejected, from the third in a row on",
            Ejected::ByClients => "ejected, when three clients met it and none succeeded",
            Ejected::Never => "up",
            Ejected::Already => "given no new work",
        };
        let fate = |fate: &Fate| match fate {
            Fate::Stays => "stay".to_owned(),
            Fate::GoesOn => "go on with another backend".to_owned(),
            Fate::Closed(4000..) => "closed with that code".to_owned(),
            Fate::Closed(code) => format!("closed with {code}"),
        };
        page += &format!("| {text} | {new_work} | {ejected} | {} | {} |\n", fate(live), fate(held));
    }
    page + TAIL
}

#[test]
fn the_manual_has_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/guides/health.md");
    if std::env::var_os("TIDEGATE_BLESS").is_some() {
        std::fs::write(path, guide()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == guide(), "{path} is not the table of this test: TIDEGATE_BLESS=1 prints it");
}
