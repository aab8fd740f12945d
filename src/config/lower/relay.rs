//! What the relay holds a session to: `[relay]`, and over it the route's own.

use crate::end::{CODE_WORDS, CloseCodes};
use crate::report::Diagnostic;

use super::super::fault::Fault;
use super::super::hint::{did_you_mean, listed};
use super::super::plan::{RateRule, Rules};
use super::super::tables::{OrOff, RelayParts, RelayTable};
use super::{Lower, entries, limit, number};

/// The rules of a route: each key its own where it was written, else that of `[relay]`.
pub fn rules(cx: &mut Lower<'_>, own: &RelayTable, all: &RelayTable) -> Option<Rules> {
    let mut close_codes: Vec<_> = codes(own).collect();
    for code in codes(all) {
        if !close_codes.iter().any(|(word, _)| *word == code.0) {
            close_codes.push(code);
        }
    }
    let parts = RelayParts { close_codes: CloseCodes::new(close_codes).ok() };
    own.over(all).lower(cx.report, parts)
}

fn codes(relay: &RelayTable) -> impl Iterator<Item = (&str, u16)> {
    entries(&relay.close_codes).iter().filter_map(move |entry| {
        let (word, code) = entry;
        Some((word.get()?.as_str(), u16::try_from(number(code)?).ok()?))
    })
}

/// What all sessions of one key may send together, where that is limited.
pub type MessagesBy = Option<RateRule>;

/// Reports what is wrong inside one table, whether or not a route is held to it; its `messages_by`.
pub fn check(cx: &mut Lower<'_>, relay: &RelayTable) -> Option<MessagesBy> {
    for (word, code) in entries(&relay.close_codes) {
        if let Some((text, span)) = word.written()
            && !CODE_WORDS.contains(&text.as_str())
        {
            let hint = did_you_mean(text, CODE_WORDS)
                .unwrap_or_else(|| format!("the reasons are {}", listed(CODE_WORDS, "and")));
            let said = format!("no reason for a close code has this word: `{text}`");
            cx.report(Diagnostic::error("undefined", said).at(span).hint(hint));
        }
        let key = word.get().map_or("close_codes", String::as_str);
        cx.take(key, code, |code| may_be_sent(code.0));
    }
    let bursts = [
        (
            "messages_burst",
            relay.messages_burst.span(),
            relay.messages_max.get() == Some(&OrOff::Off),
        ),
        ("bytes_burst", relay.bytes_burst.span(), relay.bytes_max.get() == Some(&OrOff::Off)),
    ];
    for (key, span, is_off) in bursts {
        if span.is_some() && is_off {
            let rate = key.replace("burst", "max");
            let fault = Fault::new(format!("means nothing without `{rate}`"));
            cx.fault(key, span, fault.hint("write that too, or remove this".to_owned()));
        }
    }
    let frame = relay.frame_bytes_max.written().and_then(|(size, span)| Some((size.on()?, span)));
    let message = relay.message_bytes_max.get().and_then(|size| size.on());
    if let (Some((frame, span)), Some(message)) = (frame, message)
        && frame.0 > message.0
    {
        let said = format!("`frame_bytes_max` is more than `message_bytes_max`: `{frame}`");
        let hint = "a frame is part of a message: this limit is never reached".to_owned();
        let also = relay.message_bytes_max.span();
        let finding = Diagnostic::warning("value", said).at(span).hint(hint);
        cx.report(finding.also(also, "the limit of a message"));
    }
    match relay.messages_by.written() {
        Some((raw, at)) => {
            let keys = (&raw.key, &raw.rate, &raw.burst);
            limit::rate(cx, "`messages_by`", keys, at).map(Some)
        }
        None => relay.messages_by.is_absent().then_some(None),
    }
}

/// Codes an endpoint may put into a Close (RFC 6455 §7.4, and the registry it opened).
pub fn may_be_sent(code: u32) -> Result<(), Fault> {
    match code {
        1000..=1003 | 1007..=1014 | 3000..=4999 => Ok(()),
        _ => {
            let said = format!("must be a code that may be sent, not: {code}");
            let hint = "1000 to 1003, 1007 to 1014, or an application's own, 3000 to 4999";
            Err(Fault::new(said).hint(hint.to_owned()))
        }
    }
}
