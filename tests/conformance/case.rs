//! A case, how it is played, and what comes of it.

use std::net::SocketAddr;

use crate::actors::frames::{
    ACK, DATA, END_STREAM, Frame, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, Raw, SETTINGS, status,
};
use crate::actors::{Backend, Table};
use crate::proxy::Proxy;
use crate::said;
use crate::site::site;

/// The stream cases are about.
const STREAM: u32 = 1;

/// The stream that shows that the connection can still be used.
const AFTER: u32 = 201;

/// What the last PING of a case carries, told from those of the case itself.
const LAST: [u8; 8] = *b"the last";

const PONG: &str = "PING";
const SETTLED: &str = "SETTINGS";

/// What is waited for before a case goes on.
#[derive(Clone, Copy)]
pub enum Until {
    /// Our settings are acknowledged, those of the preface counted.
    Settled(usize),
    /// The stream's answer has ended.
    Answered,
    /// Some data of it came.
    Data,
}

/// One case.
pub struct Case {
    /// h2spec's part, section and number.
    id: &'static str,
    rfc: &'static str,
    name: &'static str,
    /// Whether it begins with a preface of its own.
    is_bare: bool,
    steps: Vec<(Option<Until>, Vec<u8>)>,
    wanted: &'static str,
    /// What comes instead, and why that is borne.
    instead: Option<(&'static str, &'static str)>,
}

/// A case: bytes that are said in one breath after the preface, and what must come of them.
pub fn case(
    id: &'static str,
    rfc: &'static str,
    name: &'static str,
    bytes: Vec<u8>,
    wanted: &'static str,
) -> Case {
    Case { id, rfc, name, is_bare: false, steps: vec![(None, bytes)], wanted, instead: None }
}

impl Case {
    /// Without a preface but its own.
    pub fn bare(self) -> Case {
        Case { is_bare: true, ..self }
    }

    /// Goes on with more bytes when this has come.
    pub fn then(mut self, until: Until, bytes: Vec<u8>) -> Case {
        self.steps.push((Some(until), bytes));
        self
    }

    /// What comes is something else, which is borne for this reason.
    pub fn but(self, instead: &'static str, because: &'static str) -> Case {
        Case { instead: Some((instead, because)), ..self }
    }
}

/// A proxy that speaks HTTP/2 without TLS, and its backend.
pub async fn start() -> (Proxy, Backend) {
    let backend = Backend::echo("a").await;
    let proxy =
        Proxy::start(&site(&[&backend]).listener("http2 = { h2c = true, streams_max = 100 }"))
            .await;
    (proxy, backend)
}

/// Plays each case on a connection of its own, prints the table, and fails with all that is not as
/// it ought to be. `count` is how many cases h2spec has.
pub async fn play(family: &str, cases: &[Case], count: usize) {
    assert_eq!(cases.len(), count, "each of h2spec's cases has its row");
    let (proxy, _backend) = start().await;
    let address = proxy.client().address();
    let mut table = Table::new(family);
    for case in cases {
        let outcome = outcome(case, address).await;
        let (wanted, because) = case.instead.unwrap_or((case.wanted, ""));
        // A deviation that is gone is no deviation: its row must go as well.
        assert!(case.instead.is_none_or(|(instead, _)| instead != case.wanted), "{}", case.name);
        let name = format!("{:<16} {}", case.id, case.name);
        table.row(&name, case.rfc, &outcome, because, &[(wanted, &outcome)]);
    }
    table.settle();
    proxy.stop().await;
}

/// What came of a case.
async fn outcome(case: &Case, address: SocketAddr) -> String {
    let first: &[u8] = if case.is_bare { b"" } else { PREFACE };
    let mut raw = Raw::beginning_with(address, first).await;
    let mut heard = Heard::default();
    for (until, bytes) in &case.steps {
        if let Some(until) = until
            && let Some(ended) = heard.until(&mut raw, *until).await
        {
            return ended;
        }
        raw.say(bytes).await;
    }
    heard.last(&mut raw, case.instead.map_or(case.wanted, |(instead, _)| instead)).await
}

/// What a client has heard so far.
#[derive(Default)]
struct Heard {
    settled: usize,
    status: Option<u16>,
    data: Option<usize>,
    is_answered: bool,
    is_asked_last: bool,
    is_pong: bool,
}

impl Heard {
    /// Hears one frame; what it ends the case with, if it does.
    async fn frame(&mut self, raw: &mut Raw) -> Option<String> {
        let Some(frame) = raw.frame().await else { return Some("closed".to_owned()) };
        match frame.kind {
            GOAWAY => return Some(gone(raw, &frame).await),
            RST_STREAM if frame.stream == STREAM && frame.code() != 0 => {
                return Some(reset(raw, &frame).await);
            }
            RST_STREAM if frame.code() != 0 => {
                return Some(format!("RST_STREAM {} of another stream", code(&frame)));
            }
            SETTINGS if frame.flags & ACK != 0 => self.settled += 1,
            HEADERS if frame.stream == STREAM => self.status = Some(status(&frame)),
            DATA if frame.stream == STREAM => self.data = Some(frame.payload.len()),
            PING if frame.payload == LAST => self.is_pong = true,
            _ => {}
        }
        self.is_answered |= frame.stream == STREAM
            && [HEADERS, DATA].contains(&frame.kind)
            && frame.flags & END_STREAM != 0;
        None
    }

    async fn until(&mut self, raw: &mut Raw, until: Until) -> Option<String> {
        while !match until {
            Until::Settled(count) => self.settled >= count,
            Until::Answered => self.is_answered,
            Until::Data => self.data.take().is_some(),
        } {
            let ended = self.frame(raw).await;
            if ended.is_some() {
                return ended;
            }
        }
        None
    }

    /// What comes at last. What is wanted tells only what is worth waiting for.
    async fn last(&mut self, raw: &mut Raw, wanted: &str) -> String {
        if wanted == PONG {
            self.ask_last(raw).await;
        }
        loop {
            if let Some(ended) = self.frame(raw).await {
                return ended;
            }
            let is_told = match wanted {
                PONG => self.is_pong,
                // The preface's are the first.
                SETTLED => self.settled > 1,
                _ if wanted.starts_with("DATA") => self.data.is_some(),
                "200" => self.status.is_some(),
                // Errors come before the answer to what was asked after all.
                _ => {
                    if self.is_answered && !self.is_asked_last {
                        self.ask_last(raw).await;
                    }
                    self.is_pong
                }
            };
            if is_told {
                return match (wanted, self.status, self.data) {
                    (PONG | SETTLED, _, _) => wanted.to_owned(),
                    (_, _, Some(length)) if wanted.starts_with("DATA") => format!("DATA {length}"),
                    (_, Some(status), _) => status.to_string(),
                    _ => "nothing".to_owned(),
                };
            }
        }
    }

    async fn ask_last(&mut self, raw: &mut Raw) {
        self.is_asked_last = true;
        raw.send(PING, 0, 0, &LAST).await;
    }
}

/// After GOAWAY for an error the connection must be closed (RFC 9113 §5.4.1).
async fn gone(raw: &mut Raw, frame: &Frame) -> String {
    while let Some(more) = raw.frame().await {
        assert!(more.kind != HEADERS, "an answer after GOAWAY: {more:?}");
    }
    format!("GOAWAY {}, closed", code(frame))
}

/// After the reset of a stream its connection must be as before (RFC 9113 §5.4.2).
async fn reset(raw: &mut Raw, frame: &Frame) -> String {
    raw.say(&said::all(&[said::settings(&[(4, 65_535)]), said::get(AFTER)])).await;
    let after = loop {
        match raw.frame().await {
            None => break "closed".to_owned(),
            Some(more) if more.kind == GOAWAY => break format!("then GOAWAY {}", code(&more)),
            Some(more) if more.kind == HEADERS && more.stream == AFTER => {
                break "kept".to_owned();
            }
            Some(_) => {}
        }
    };
    format!("RST_STREAM {}, {after}", code(frame))
}

fn code(frame: &Frame) -> &'static str {
    const CODES: [&str; 14] = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    CODES.get(frame.code() as usize).unwrap_or(&"an unknown code")
}
