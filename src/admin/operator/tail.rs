//! `POST /tail`: the frames that passed in chosen sessions since this was asked last. Who asks
//! again and again misses none, but for those that found no room, which are counted.

use std::time::{Duration, SystemTime};

use clap::{ArgGroup, Args};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::everywhere::{Asker, CommandOutcome, Everywhere};
use super::reply::Reply;
use super::request::OperatorRequest;
use super::selectors::Filters;
use super::sessions::PRINTED;
use crate::admin::process::Process;
use crate::base::clock::{self, Moment};
use crate::base::id::SessionId;
use crate::base::label::Label;
use crate::registry::{TapFrame, TapOrder, TapReading};
use crate::wire::frame::Opcode;

/// Shows the frames that pass in sessions.
#[derive(Args, Serialize, Deserialize, Default, Debug)]
#[command(group = ArgGroup::new("watched").required(true).multiple(true)
    .args(["ids", "sessions", "all", "route", "pool", "backend", "listener", "client",
        "older_than", "labels"]))]
#[serde(default)]
pub struct TailRequest {
    #[command(flatten)]
    who: Filters,
    /// A session by its id, as without `--session`
    #[arg(long = "session", value_name = "ID", help_heading = "Which sessions")]
    sessions: Vec<String>,
    /// Show the first bytes of payloads too, as far as `control.tail_payload` allows
    #[arg(long, help_heading = PRINTED)]
    payload: bool,
    /// By which what is asked again is known: one that none has begins anew.
    #[arg(skip)]
    tap: Option<String>,
    /// Nothing more will be asked.
    #[arg(skip)]
    end: bool,
}

impl OperatorRequest for TailRequest {
    const PATH: &'static str = "/tail";
}

/// What passed, in one process or in all.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(default)]
struct TailFrames {
    /// Whether it begins with this answer.
    begun: bool,
    /// Sessions that are watched.
    sessions: usize,
    /// Sessions that are not, because there are too many.
    left_out: usize,
    frames: Vec<TailRow>,
    /// Frames after those that found no room.
    lost: u64,
}

/// A frame.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(default)]
struct TailRow {
    session: String,
    pid: u32,
    /// Milliseconds since 1970, by the wall clock.
    time_ms: u64,
    /// Since the frame before it in the session, either way.
    after_ms: Option<u64>,
    from: String,
    to: String,
    opcode: String,
    fin: bool,
    rsv1: bool,
    length: u64,
    /// The payload's first bytes, where they are text.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// The same where they are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

impl CommandOutcome for TailFrames {
    fn add(&mut self, older: TailFrames) {
        self.begun |= older.begun;
        self.sessions += older.sessions;
        self.left_out += older.left_out;
        self.lost += older.lost;
        self.frames.extend(older.frames);
    }

    fn sessions(&self) -> usize {
        self.sessions
    }
}

/// Shows what passed.
pub(super) async fn tail(
    process: &impl Process,
    asker: Asker,
    mut request: TailRequest,
) -> Result<Reply, Reply> {
    request.who.ids.append(&mut request.sessions);
    if request.who.is_empty() {
        let text = "say which sessions: ids, `labels`, `route`, `client` …, or `all`";
        return Err(Reply::no(StatusCode::BAD_REQUEST, text));
    }
    let key = match &request.tap {
        Some(key) => u64::from_str_radix(key, 16).map_err(|_| {
            let text = format!("`tap` must be up to 16 hexadecimal digits, not: `{key}`");
            Reply::no(StatusCode::BAD_REQUEST, text)
        })?,
        None => fastrand::u64(..),
    };
    let key_text = format!("{key:016x}");
    request.tap = Some(key_text.clone());
    let here = async |_| tail_here(process, &request, key).await;
    let mut told = Everywhere::run(process, asker, &request, here).await?;
    let names_one = !request.who.ids.is_empty();
    if names_one && told.total.begun && told.total.sessions == 0 && !asker.is_newer() {
        process.sessions().end_tap(key).await;
        return Err(told.refuse(StatusCode::NOT_FOUND, "no live session matches"));
    }
    // In the order they were written; those of a session stay as they are.
    told.total.frames.sort_by_key(|frame| frame.time_ms);
    let mut json = serde_json::json!(told.total);
    json["tap"] = key_text.into();
    let text = format!("{json:#}");
    Ok(told.reply_json(text, json))
}

async fn tail_here(
    process: &impl Process,
    request: &TailRequest,
    key: u64,
) -> Result<TailFrames, Reply> {
    let refused = |why: &dyn ToString| Reply::no(StatusCode::CONFLICT, why.to_string());
    let allowed = process.snapshot().plan.control.as_ref().map_or(0, |plan| plan.tail_payload);
    if request.payload && allowed == 0 {
        let text = "payloads are not shown\nhint: `tail_payload` of `[control]` allows it, and \
                    says how many bytes of each; reload then";
        return Err(refused(&text));
    }
    let selector = request.who.selector(process).await?;
    let payload_bytes = if request.payload { allowed } else { 0 };
    let order = TapOrder { key, selector: selector.clone(), payload_bytes };
    let reading = process.sessions().read_tap(order).await.map_err(|full| refused(&full))?;
    if request.end {
        process.sessions().end_tap(key).await;
    }
    // One that was named is counted before it has heard of it.
    let is_counted = reading.is_new || !request.who.ids.is_empty();
    let matched = match is_counted {
        true => process.sessions().count(&selector).await.matched,
        false => reading.sessions,
    };
    Ok(TailFrames::of(reading, matched))
}

impl TailFrames {
    fn of(reading: TapReading, sessions: usize) -> TailFrames {
        let TapReading { frames, lost, left_out, is_new, .. } = reading;
        let (now, wall) = (clock::now(), clock::wall());
        let since_1970 = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let row = |(id, frame): &(SessionId, TapFrame)| TailRow::of(*id, frame, now, since_1970);
        let frames = frames.iter().map(row).collect();
        TailFrames { begun: is_new, sessions, left_out, frames, lost }
    }
}

impl TailRow {
    fn of(id: SessionId, frame: &TapFrame, now: Moment, since_1970: Duration) -> TailRow {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (text, hex) = shown(&frame.payload, frame.length, frame.rsv1);
        TailRow {
            session: id.to_string(),
            pid: std::process::id(),
            time_ms: millis(since_1970.saturating_sub(now.since(frame.at))),
            after_ms: frame.after.map(millis),
            from: frame.from.label().to_owned(),
            to: frame.to.label().to_owned(),
            opcode: opcode(frame.opcode),
            fin: frame.fin,
            rsv1: frame.rsv1,
            length: frame.length,
            text,
            hex,
        }
    }
}

fn opcode(opcode: Opcode) -> String {
    match opcode {
        Opcode::Continuation => "continuation".to_owned(),
        Opcode::Text => "text".to_owned(),
        Opcode::Binary => "binary".to_owned(),
        Opcode::Close => "close".to_owned(),
        Opcode::Ping => "ping".to_owned(),
        Opcode::Pong => "pong".to_owned(),
        Opcode::Reserved(bits) => format!("reserved_{bits}"),
    }
}

/// A payload's first bytes: as text where they are some, though it may be cut inside of a
/// character; else in hexadecimal digits.
fn shown(payload: &[u8], length: u64, compressed: bool) -> (Option<String>, Option<String>) {
    if payload.is_empty() {
        return (None, None);
    }
    let is_cut = (payload.len() as u64) < length;
    let text = match std::str::from_utf8(payload) {
        Ok(text) => Some(text),
        Err(error) if is_cut && error.error_len().is_none() => {
            std::str::from_utf8(&payload[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    };
    match text.filter(|_| !compressed) {
        Some(text) => (Some(text.to_owned()), None),
        None => (None, Some(payload.iter().map(|byte| format!("{byte:02x}")).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_text_where_it_can_be_and_digits_elsewhere() {
        let text = |bytes: &[u8], length| shown(bytes, length, false);
        assert_eq!(text(b"", 9), (None, None));
        assert_eq!(text(b"hi", 2), (Some("hi".to_owned()), None));
        assert_eq!(text("é€".as_bytes(), 5).0.as_deref(), Some("é€"));
        // Cut inside of a character, or broken there.
        assert_eq!(text(&"é€".as_bytes()[..4], 5).0.as_deref(), Some("é"));
        assert_eq!(text(&"é€".as_bytes()[..4], 4).1.as_deref(), Some("c3a9e282"));
        assert_eq!(text(b"\xff\x00", 2).1.as_deref(), Some("ff00"));
        assert_eq!(shown(b"hi", 2, true).1.as_deref(), Some("6869"));
    }
}
