use super::*;
use crate::actors::frames::{
    CONTINUATION, DATA, END_STREAM, Fate, Frame, GET, GOAWAY, HEADERS, PING, RST_STREAM,
    WINDOW_UPDATE,
};
use crate::observe::metrics::{HttpVersion, ResetBy};

const REFUSED_STREAM: u32 = 7;
const CANCEL: [u8; 4] = 8_u32.to_be_bytes();
const ENHANCE_YOUR_CALM: u32 = 11;

/// A GET of a path that is answered only when the handler is released.
fn waiting() -> Vec<(&'static str, &'static str)> {
    let mut fields = GET.to_vec();
    fields[3].1 = "/wait";
    fields
}

/// Waits until all connections have ended, one of them by this failure.
async fn has_failed(stand: &Stand, why: &str) {
    stand.is_quiet().await;
    assert_eq!(stand.metrics.listener(&Arc::from("a")).http2_failed.get(why), 1, "{why}");
}

#[tokio::test]
async fn streams_over_the_limit_are_refused_and_the_others_go_on() {
    let listener = Listener { http2: Some(Http2 { streams_max: 2, ..http2() }), ..plain("a") };
    let (stand, address) = Stand::with(listener);
    let mut raw = Raw::new(address).await;
    // By acknowledging them a client says that it knows the limits.
    raw.expect(raw::SETTINGS).await;
    raw.send(raw::SETTINGS, 1, 0, &[]).await;
    let first = raw.ask(&waiting(), END_STREAM).await;
    raw.ask(&waiting(), END_STREAM).await;
    let third = raw.ask(&GET, END_STREAM).await;
    assert_eq!(raw.fate(third).await, Fate::Reset(REFUSED_STREAM));
    let cells = stand.metrics.listener(&Arc::from("a"));
    // It is counted when it was written, which its client may notice first.
    until(|| cells.resets[ResetBy::Tidegate].get("refused_stream") == 1).await;
    // A stream is counted when it is served, which a refusal of the third need not wait for.
    until(|| cells.streams.get() == 2).await;
    let http = [HttpVersion::Http1, HttpVersion::Http2].map(|version| cells.http[version].get());
    assert_eq!(http, [0, 1]);
    stand.handler.release.add_permits(2);
    assert_eq!(raw.fate(first).await, Fate::Answer(200));
    drop(raw);
    stand.is_quiet().await;
    assert_eq!((cells.http[HttpVersion::Http2].get(), cells.streams.get()), (0, 0));
}

#[tokio::test]
async fn streams_opened_to_be_reset_end_their_connection_and_no_other() {
    let listener = Listener { http2: Some(Http2 { resets_max: 20, ..http2() }), ..plain("a") };
    let (stand, address) = Stand::with(listener);
    let (mut other, _connection) = client(address).await;
    get(&mut other, "/").await.unwrap();
    // One by one, each seen by the handler before it is reset.
    let mut slow = Raw::new(address).await;
    let ended = loop {
        let stream = slow.ask(&waiting(), END_STREAM).await;
        slow.send(RST_STREAM, 0, stream, &CANCEL).await;
        slow.send(PING, 0, 0, &[7; 8]).await;
        let frame = loop {
            match slow.frame().await.expect("a pong or a goodbye") {
                frame if [PING, GOAWAY].contains(&frame.kind) => break frame,
                _ => {}
            }
        };
        if frame.kind == GOAWAY {
            break frame;
        }
        assert!(stream < 1000, "resets have no limit");
    };
    assert_eq!(ended.code(), ENHANCE_YOUR_CALM);
    // All in one breath, before anyone looks.
    let mut fast = Raw::new(address).await;
    let mut flood = Vec::new();
    for stream in (1..2000).step_by(2) {
        flood.extend(Frame::new(HEADERS, 5, stream, &raw::block(&waiting())).bytes());
        flood.extend(Frame::new(RST_STREAM, 0, stream, &CANCEL).bytes());
    }
    fast.say(&flood).await;
    assert_eq!(fast.expect(GOAWAY).await.code(), ENHANCE_YOUR_CALM);
    get(&mut other, "/").await.unwrap();
    drop((slow, fast, other));
    stand.is_quiet().await;
    let cells = stand.metrics.listener(&Arc::from("a"));
    assert_eq!(cells.http2_failed.get("resets"), 1);
    assert_eq!(cells.http2_failed.get("enhance_your_calm"), 1);
    assert!(cells.resets[ResetBy::Client].get("cancel") > 20);
}

/// As above, but the server is made to reset them (CVE-2025-8671).
#[tokio::test]
async fn streams_opened_to_have_them_reset_end_their_connection() {
    let listener = Listener { http2: Some(Http2 { resets_max: 20, ..http2() }), ..plain("a") };
    let (stand, address) = Stand::with(listener);
    let mut raw = Raw::new(address).await;
    let too_wide = ((1_u32 << 31) - 1).to_be_bytes();
    let ended = loop {
        let stream = raw.ask(&waiting(), END_STREAM).await;
        raw.send(WINDOW_UPDATE, 0, stream, &too_wide).await;
        match raw.fate(stream).await {
            Fate::Reset(_) => assert!(stream < 1000, "such resets have no limit"),
            ended => break ended,
        }
    };
    assert_eq!(ended, Fate::GoAway(ENHANCE_YOUR_CALM));
    drop(raw);
    has_failed(&stand, "resets").await;
}

#[tokio::test]
async fn malformed_requests_without_end_end_their_connection() {
    let (stand, address) = Stand::with(clear());
    let mut raw = Raw::new(address).await;
    let mut malformed = GET.to_vec();
    malformed.push(("connection", "close"));
    let ended = loop {
        let stream = raw.ask(&malformed, END_STREAM).await;
        match raw.fate(stream).await {
            Fate::Reset(_) => assert!(stream < 10_000, "faults have no limit"),
            ended => break ended,
        }
    };
    assert_eq!(ended, Fate::GoAway(ENHANCE_YOUR_CALM));
    drop(raw);
    has_failed(&stand, "enhance_your_calm").await;
}

#[tokio::test]
async fn tiny_frames_that_nobody_takes_end_their_connection() {
    let narrow = Http2 { streams_max: 1, stream_window: 16 * 1024, ..http2() };
    let (stand, address) = Stand::with(Listener { http2: Some(narrow), ..plain("a") });
    let mut raw = Raw::new(address).await;
    let mut fields = waiting();
    fields[0].1 = "POST";
    let stream = raw.ask(&fields, 0).await;
    // One byte each, for none takes none of the window.
    let flood = Frame::new(DATA, 0, stream, b"x").bytes().repeat(16 * 1024);
    raw.say(&flood).await;
    assert_eq!(raw.fate(stream).await, Fate::GoAway(ENHANCE_YOUR_CALM));
    drop(raw);
    stand.handler.release.add_permits(1);
    has_failed(&stand, "enhance_your_calm").await;
}

#[tokio::test]
async fn a_head_that_never_ends_ends_its_connection() {
    let (stand, address) = Stand::with(clear());
    let mut raw = Raw::new(address).await;
    raw.send(HEADERS, END_STREAM, 1, &raw::block(&GET)).await;
    let filler = raw::block(&[("x", "y"); 100]);
    for _ in 0..1000 {
        raw.send(CONTINUATION, 0, 1, &filler).await;
    }
    let mut last = None;
    while let Some(frame) = raw.frame().await {
        last = Some(frame);
    }
    // What was sent behind the goodbye may have destroyed it.
    if let Some(frame) = last.filter(|frame| frame.kind == GOAWAY) {
        assert_eq!(frame.code(), ENHANCE_YOUR_CALM);
    }
    has_failed(&stand, "enhance_your_calm").await;
}

#[tokio::test]
async fn a_head_in_too_many_pieces_ends_its_connection() {
    let (stand, address) = Stand::with(clear());
    let mut raw = Raw::new(address).await;
    let block = raw::block(&GET);
    raw.send(HEADERS, END_STREAM, 1, &block).await;
    let mut pieces = Vec::new();
    for _ in 0..100 {
        pieces.extend(Frame::new(CONTINUATION, 0, 1, &[]).bytes());
    }
    raw.say(&pieces).await;
    assert_eq!(raw.fate(1).await, Fate::GoAway(ENHANCE_YOUR_CALM));
    drop(raw);
    has_failed(&stand, "enhance_your_calm").await;
}

#[tokio::test]
async fn a_head_that_does_not_arrive_holds_its_connection_no_longer_than_silence() {
    let mut brief = clear();
    brief.limits.keep_alive_timeout = Duration::from_millis(100);
    let (stand, address) = Stand::with(brief);
    let mut raw = Raw::new(address).await;
    raw.send(HEADERS, END_STREAM, 1, &raw::block(&GET)).await;
    stand.is_quiet().await;
    let mut brief = clear();
    brief.limits.head_timeout = Duration::from_millis(100);
    let (stand, address) = Stand::with(brief);
    let _silent = TcpStream::connect(address).await.unwrap();
    let _half = Raw::beginning_with(address, &raw::PREFACE[..9]).await;
    until(|| stand.permits.open() == 2).await;
    stand.is_quiet().await;
}

#[tokio::test]
async fn pings_and_settings_are_answered_one_by_one_and_without_end_they_are_a_flood() {
    let (stand, address) = Stand::with(clear());
    let mut raw = Raw::new(address).await;
    let pairs = async |raw: &mut Raw, count: u32| {
        for _ in 0..count {
            raw.send(PING, 0, 0, &[1; 8]).await;
            raw.send(raw::SETTINGS, 0, 0, &[]).await;
        }
    };
    pairs(&mut raw, CONTROL_FRAMES_MAX / 2 - 10).await;
    let stream = raw.ask(&GET, END_STREAM).await;
    assert_eq!(raw.fate(stream).await, Fate::Answer(200));
    pairs(&mut raw, 20).await;
    let stream = raw.ask(&GET, END_STREAM).await;
    assert_eq!(raw.fate(stream).await, Fate::GoAway(ENHANCE_YOUR_CALM));
    drop(raw);
    has_failed(&stand, "control_frames").await;
}
