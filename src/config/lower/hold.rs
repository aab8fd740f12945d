//! A route's `hold`.

use crate::report::{Diagnostic, Span};

use super::super::fault::Fault;
use super::super::plan::{Hold, Queue, Resumption};
use super::super::tables::{self, HoldParts, Spanned, TakesWebSockets};
use super::{Lower, count, known, number, relay, time};

/// How a route's sessions are held, and how its handshakes wait for a backend.
pub fn hold(
    cx: &mut Lower<'_>,
    file: &tables::FileTable,
    route: &tables::RouteTable,
) -> Option<(Hold, Option<Queue>)> {
    let raw = route.hold.get()?;
    if let (Some(TakesWebSockets::No), true) = (route.websocket.get(), route.hold.is_written()) {
        let said = "`hold` means nothing where no WebSocket is taken";
        let finding = Diagnostic::error("conflict", said).at(route.hold.span());
        cx.report(finding.also(route.websocket.span(), "here they are refused"));
    }
    let lost_codes = cx.take_each("lost_codes", &raw.lost_codes, |code| {
        relay::may_be_sent(code.0)?;
        u16::try_from(code.0).map_err(|_| Fault::new("is no code"))
    });
    in_vain(cx, file, raw);
    unfit(cx, route, raw);
    let replays = number(&raw.replay_first).is_some_and(|first| first > 0);
    let resume = match raw.resume.written() {
        Some((resume, _)) => Some(*resume),
        None if replays => Some(Resumption::Always),
        None => raw.resume.get().copied(),
    };
    let message_age_max = match raw.message_age_max.is_written() {
        true => time(&raw.message_age_max),
        false => time(&raw.timeout),
    };
    let parts = HoldParts { lost_codes, resume, message_age_max };
    let hold = raw.lower(cx.report, parts)?;
    let queue =
        Queue { handshakes_max: count(&raw.queue_max)?, timeout: time(&raw.queue_timeout)? };
    Some((hold, (queue.handshakes_max > 0).then_some(queue)))
}

/// Reports what contradicts itself, and warns of what was written in vain.
fn in_vain(cx: &mut Lower<'_>, file: &tables::FileTable, raw: &tables::HoldTable) {
    let replays = number(&raw.replay_first).is_none_or(|first| first > 0);
    let swallows = number(&raw.swallow_first).is_none_or(|first| first > 0);
    let queues = number(&raw.queue_max).is_none_or(|most| most > 0);
    if swallows && !replays && raw.swallow_first.is_written() {
        let said = "`swallow_first` needs `replay_first`";
        let hint = "the answers to messages that are not sent again cannot come".to_owned();
        cx.report(Diagnostic::error("conflict", said).at(raw.swallow_first.span()).hint(hint));
    }
    let mut idle = |written: Option<Span>, works: bool, key: &str, without: &str| {
        if let (Some(span), false) = (written, works) {
            let said = format!("`{key}` does nothing {without}");
            cx.report(Diagnostic::warning("unused", said).at(span));
        }
    };
    idle(raw.replay_bytes_max.span(), replays, "replay_bytes_max", "without `replay_first`");
    idle(raw.swallow_timeout.span(), swallows, "swallow_timeout", "without `swallow_first`");
    idle(raw.queue_timeout.span(), queues, "queue_timeout", "where `queue_max` is 0");
    never(cx, ("message_age_max", &raw.message_age_max), ("timeout", &raw.timeout));
    let age = match raw.message_age_max.is_written() {
        true => ("message_age_max", &raw.message_age_max),
        false => ("timeout", &raw.timeout),
    };
    never(cx, ("full_timeout", &raw.full_timeout), age);
    if let (Some((age, span)), Some(timeout)) = (raw.message_age_max.written(), raw.timeout.get())
        && age.0 < timeout.0
    {
        let said = format!("`message_age_max` is less than `timeout`: `{age}`");
        let hint = format!(
            "a session whose client speaks, if only by a library's heartbeat, ends after `{age}`, \
             and not after `{timeout}`; that is for orders and games"
        );
        cx.report(Diagnostic::warning("value", said).at(span).hint(hint));
    }
    let all = file.limits.get().and_then(|limits| limits.hold_bytes_max.get());
    if let (Some((buffer, span)), Some(all)) = (raw.buffer_bytes_max.written(), all)
        && buffer.0 > all.0
    {
        let said = format!("`buffer_bytes_max` is more than `limits.hold_bytes_max`: `{buffer}`");
        let hint = format!("all sessions together keep at most `{all}`");
        cx.report(Diagnostic::warning("value", said).at(span).hint(hint));
    }
}

/// Warns of a route whose path is that of a library which cannot go on with this `hold`. Who writes
/// that its backend confirms knows better.
fn unfit(cx: &mut Lower<'_>, route: &tables::RouteTable, raw: &tables::HoldTable) {
    let Some(known) = route.path.get().and_then(|path| known::of_path(path)) else { return };
    let replays = number(&raw.replay_first).is_none_or(|first| first > 0);
    let fits = match raw.resume.written() {
        Some((Resumption::Confirmed, _)) => true,
        Some((Resumption::Always, _)) => replays || known.needs_nothing,
        None => replays,
    };
    if !fits {
        let library = known.name;
        let said = format!("sessions of {library} cannot go on at a new backend with this `hold`");
        let finding = Diagnostic::warning("hold", said).at(route.hold.span());
        let finding = finding.also(route.path.span(), format!("the path of {library}"));
        cx.report(finding.hint(known.hint.to_owned()));
    }
}

/// Warns of a time that is written, and longer than another that ends the session before it.
fn never(
    cx: &mut Lower<'_>,
    (key, written): (&str, &Spanned<tables::Time>),
    (first, before): (&str, &Spanned<tables::Time>),
) {
    if let (Some((time, span)), Some(earlier)) = (written.written(), before.get())
        && time.0 > earlier.0
    {
        let said = format!("`{key}` is more than `{first}`: `{time}`");
        let hint = format!("it is never reached: `{first}` is `{earlier}`");
        cx.report(Diagnostic::warning("value", said).at(span).hint(hint));
    }
}
