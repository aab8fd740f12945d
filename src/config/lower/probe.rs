//! Probes of a pool's backends.

use http::uri::PathAndQuery;
use regex::bytes::{Regex, RegexBuilder};

use crate::report::{Diagnostic, Span};

use super::super::fault::Fault;
use super::super::hint::listed;
use super::super::plan::{Probe, ProbeCheck, ProbeRequest, TextMatch};
use super::super::tables::{self, ProbeParts, Spanned};
use super::condition::field_value;
use super::{Lower, opt};

/// Bytes of a regex's program at most.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// The probes of a pool.
pub fn probe(cx: &mut Lower<'_>, written: &Spanned<tables::ProbeTable>) -> Option<Probe> {
    let raw = written.get()?;
    let check = check(cx, raw, written.span());
    let probe = raw.lower(cx.report, ProbeParts { check })?;
    if probe.timeout > probe.every {
        // Two of one backend would be under way at once.
        let span = raw.timeout.span().or(raw.every.span());
        cx.fault("timeout", span, Fault::new("must be at most `every`"));
    }
    Some(probe)
}

/// Which of the three it is, with what belongs to it.
fn check(cx: &mut Lower<'_>, raw: &tables::ProbeTable, place: Option<Span>) -> Option<ProbeCheck> {
    let tcp = raw.tcp.get().copied().unwrap_or(false);
    let kinds =
        [("websocket", raw.websocket.is_written()), ("http", raw.http.is_written()), ("tcp", tcp)];
    let written: Vec<&str> =
        kinds.iter().filter(|(_, is_written)| *is_written).map(|(kind, _)| *kind).collect();
    let [kind] = written[..] else {
        let said = match written.is_empty() {
            true => "a probe asks for nothing".to_owned(),
            false => format!("a probe has {}", listed(written.iter().copied(), "and")),
        };
        let hint = "write one of `websocket = \"/PATH\"`, `http = \"/PATH\"` and `tcp = true`";
        cx.report(Diagnostic::error("value", said).at(place).hint(hint.to_owned()));
        return None;
    };
    foreign(cx, raw, kind);
    let host =
        opt(raw.host.is_written().then(|| cx.take("host", &raw.host, |host| field_value(host))));
    match kind {
        "http" => {
            let target = cx.take("http", &raw.http, |path| target(path));
            let status = cx.take_each("status", &raw.status, |status| Ok(status.0 as u16));
            let body = text(cx, "body", &raw.body);
            let request = ProbeRequest { target: target?, host: host? };
            let status = Some(status?).filter(|some| !some.is_empty()).unwrap_or(vec![200]);
            Some(ProbeCheck::Http { request, status, body: body? })
        }
        "websocket" => {
            let target = cx.take("websocket", &raw.websocket, |path| target(path));
            let message = text(cx, "message", &raw.message);
            let request = ProbeRequest { target: target?, host: host? };
            let pong = *raw.pong.get()?;
            Some(ProbeCheck::WebSocket { request, pong, message: message? })
        }
        _ => Some(ProbeCheck::Tcp),
    }
}

/// Keys that another kind of probe has.
fn foreign(cx: &mut Lower<'_>, raw: &tables::ProbeTable, kind: &str) {
    let keys = [
        ("host", raw.host.span(), ["http", "websocket"]),
        ("status", raw.status.span(), ["http", "http"]),
        ("body", raw.body.span(), ["http", "http"]),
        ("pong", raw.pong.span(), ["websocket", "websocket"]),
        ("message", raw.message.span(), ["websocket", "websocket"]),
    ];
    for (key, span, of) in keys {
        if span.is_some() && !of.contains(&kind) {
            let fault = Fault::new(format!("is not for a probe by `{kind}`"));
            cx.fault(key, span, fault.hint(format!("it is for `{}`", of[0])));
        }
    }
}

fn target(path: &str) -> Result<PathAndQuery, Fault> {
    match PathAndQuery::try_from(path) {
        Ok(target) if path.starts_with('/') => Ok(target),
        _ => Err(Fault::new(format!("must be a path, and begin with `/`: `{path}`"))),
    }
}

fn text(cx: &mut Lower<'_>, key: &str, written: &Spanned<String>) -> Option<Option<TextMatch>> {
    opt(written.is_written().then(|| cx.take(key, written, |text| text_match(text))))
}

fn text_match(text: &str) -> Result<TextMatch, Fault> {
    match text.strip_prefix('~') {
        None if text.is_empty() => Err(Fault::new("is empty, and would be in everything")),
        None => Ok(TextMatch::Part(text.into())),
        Some(source) => regex(source.trim_start()).map(TextMatch::Regex),
    }
}

fn regex(source: &str) -> Result<Regex, Fault> {
    let built = RegexBuilder::new(source).size_limit(REGEX_BYTES_MAX).build();
    built.map_err(|error| {
        // The crate draws the place over several lines; its last says what is wrong.
        let said = error.to_string();
        let why = said.lines().last().unwrap_or("").trim().trim_start_matches("error: ");
        Fault::new(format!("must be a regular expression: {why}: `{source}`"))
    })
}
