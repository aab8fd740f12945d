//! One stream's fault never takes its neighbours: a WebSocket goes on while streams beside it are
//! refused, reset and broken off, again and again, on one connection.

use crate::actors::frame as websocket;
use crate::actors::frames::*;
use crate::case::start;
use crate::said::*;

/// What is said on a stream.
type Fault = fn(u32) -> Vec<u8>;

const FAULTS: [(&str, Fault); 8] = [
    ("a field of the connection", |stream| {
        head(END_STREAM, stream, &[&GET[..], &[("connection", "close")]].concat())
    }),
    ("a value with a space at its end", |stream| {
        head(END_STREAM, stream, &[&GET[..], &[("x", "y ")]].concat())
    }),
    ("no path", |stream| head(END_STREAM, stream, &GET[..3])),
    ("CONNECT to nowhere", |stream| head(END_STREAM, stream, &[(":method", "CONNECT")])),
    ("a host that says otherwise", |stream| {
        head(END_STREAM, stream, &[&GET[..], &[("host", "b")]].concat())
    }),
    ("a body over its length", |stream| {
        let length = [("content-length", "1")];
        let begun = head(0, stream, &[&with_method("POST")[..], &length].concat());
        all(&[begun, data(END_STREAM, stream, b"test")])
    }),
    ("a window over 2^31 - 1", |stream| {
        const MOST: u32 = (1 << 31) - 1;
        all(&[post(stream), window(stream, MOST), window(stream, MOST)])
    }),
    ("a head that depends on itself", |stream| {
        let itself = [&stream.to_be_bytes()[..], &[255], &block(&GET)].concat();
        frame(HEADERS, END_STREAM | END_HEADERS | PRIORITIZED, stream, &itself)
    }),
];

#[tokio::test]
async fn a_websocket_goes_on_beside_streams_that_fail() {
    let (proxy, _backend) = start().await;
    let mut raw = Raw::new(proxy.client().address()).await;
    let [_, scheme, authority, path] = GET;
    let connect = [(":method", "CONNECT"), (":protocol", "websocket"), scheme, authority, path];
    let handshake = [&connect[..], &[("sec-websocket-version", "13")]].concat();
    let session = raw.ask(&handshake, 0).await;
    assert_eq!(raw.fate(session).await, Fate::Answer(200));
    let mut stream = session + 2;
    for (name, fault) in FAULTS {
        raw.say(&fault(stream)).await;
        let fate = loop {
            match raw.fate(stream).await {
                // Its answer may have been under way.
                Fate::Answer(_) => {}
                fate => break fate,
            }
        };
        assert!(matches!(fate, Fate::Reset(_)), "{name}: {fate:?}");
        let message = websocket(0x81, name.as_bytes(), Some([1, 2, 3, 4]));
        raw.send(DATA, 0, session, &message).await;
        let echo = loop {
            let frame = raw.expect(DATA).await;
            if frame.stream == session {
                break frame.payload;
            }
        };
        assert_eq!(echo, websocket(0x81, name.as_bytes(), None), "{name}");
        stream += 2;
    }
    drop(raw);
    proxy.stop().await;
}
