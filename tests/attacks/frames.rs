//! Every frame that RFC 6455 §5 forbids, from either side: a Close with 1002 to who sent it, one
//! with 1001 to the other, nothing of the frame to anybody.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::actors::{Backend, Ending, Wire, drain, frame, granted, until, within};
use crate::case::Table;
use crate::proxy::Proxy;
use crate::site::site;

const MASK: Option<[u8; 4]> = Some([1, 2, 3, 4]);

/// What is sent, by the mask its sender must use.
fn forbidden(mask: Option<[u8; 4]>) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let other = if mask.is_some() { None } else { MASK };
    let one = |first: u8, payload: &[u8]| frame(first, payload, mask);
    // A length written in more bytes than it needs, and one that is no length.
    let long = |second: u8, length: &[u8]| {
        let bit = if mask.is_some() { 0x80 } else { 0 };
        [&[0x82, bit | second][..], length, mask.as_ref().map_or(&[][..], |mask| mask)].concat()
    };
    let opened = |next: Vec<u8>| [one(0x01, b"begun"), next].concat();
    vec![
        (
            if mask.is_some() { "a frame without a mask" } else { "a frame with a mask" },
            "§5.1",
            frame(0x81, b"x", other),
        ),
        ("RSV1", "§5.2", one(0xC1, b"x")),
        ("RSV2", "§5.2", one(0xA1, b"x")),
        ("RSV3", "§5.2", one(0x91, b"x")),
        ("RSV1 on a ping", "§5.2", one(0xC9, b"x")),
        ("opcode 3", "§5.2", one(0x83, b"x")),
        ("opcode 7", "§5.2", one(0x87, b"x")),
        ("opcode 11", "§5.2", one(0x8B, b"x")),
        ("opcode 15", "§5.2", one(0x8F, b"x")),
        ("a ping of 126 bytes", "§5.5", one(0x89, &[b'x'; 126])),
        ("a Close of 126 bytes", "§5.5", one(0x88, &[b'x'; 126])),
        ("a ping in fragments", "§5.5", one(0x09, b"x")),
        ("a Close in fragments", "§5.5", one(0x08, b"")),
        ("a continuation of nothing", "§5.4", one(0x80, b"x")),
        ("a message inside a message", "§5.4", opened(one(0x81, b"x"))),
        ("a length of 5 in two bytes", "§5.2", long(126, &[0, 5])),
        ("a length of 65,535 in eight bytes", "§5.2", long(127, &[0, 0, 0, 0, 0, 0, 0xFF, 0xFF])),
        ("a length of 2^63", "§5.2", long(127, &[0x80, 0, 0, 0, 0, 0, 0, 0])),
        ("a Close of one byte", "§5.5.1", one(0x88, b"x")),
        ("a Close with 999", "§7.4.2", one(0x88, &999_u16.to_be_bytes())),
        ("a Close with 1004", "§7.4.1", one(0x88, &1004_u16.to_be_bytes())),
        ("a Close with 1005", "§7.4.1", one(0x88, &1005_u16.to_be_bytes())),
        ("a Close with 1006", "§7.4.1", one(0x88, &1006_u16.to_be_bytes())),
        ("a Close with 1015", "§7.4.1", one(0x88, &1015_u16.to_be_bytes())),
        ("a Close with 2999", "§7.4.2", one(0x88, &2999_u16.to_be_bytes())),
        ("a Close with 5000", "§7.4.2", one(0x88, &5000_u16.to_be_bytes())),
        // A reason that is no UTF-8 passes: text is for its reader to check, here as in messages.
    ]
}

/// The frames of a stream by their first bytes, a Close with its code.
pub fn told(mut bytes: &[u8]) -> String {
    let mut all = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        // What is sent here is short.
        let length = usize::from(second & 0x7F);
        let mask = if second & 0x80 != 0 { 4 } else { 0 };
        if length > 125 || rest.len() < mask + length {
            all.push(format!("part of {first:#04x}"));
            break;
        }
        let (head, after) = rest.split_at(mask + length);
        let key = if mask == 4 { &head[..4] } else { &[0; 4] };
        let payload: Vec<u8> =
            head[mask..].iter().zip(key.iter().cycle()).map(|(a, b)| a ^ b).collect();
        all.push(match (first, &payload[..]) {
            (0x88, [high, low, ..]) => format!("Close {}", u16::from_be_bytes([*high, *low])),
            (0x88, _) => "Close".to_owned(),
            (first, _) => format!("{first:#04x}"),
        });
        bytes = after;
    }
    if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
}

type Heard = Arc<Mutex<Option<Vec<u8>>>>;

/// A backend that says `bytes` once a WebSocket is open, and keeps what it hears to the end.
pub async fn saying(bytes: Arc<Mutex<Vec<u8>>>, heard: Heard) -> Backend {
    Backend::script(move |head, mut wire: Wire| {
        let (bytes, heard) = (bytes.lock().unwrap().clone(), Arc::clone(&heard));
        async move {
            wire.write_all(granted(&head).as_bytes()).await.unwrap();
            let _ = wire.write_all(&bytes).await;
            let mut all = Vec::new();
            let _ = wire.read_to_end(&mut all).await;
            *heard.lock().unwrap() = Some(all);
        }
    })
    .await
}

#[tokio::test]
async fn who_breaks_a_rule_of_frames_is_told_1002_and_the_other_1001() {
    let (says, heard) = (Arc::new(Mutex::new(Vec::new())), Heard::default());
    let backend = saying(Arc::clone(&says), Arc::clone(&heard)).await;
    // Without pings of ours: the first may come at any moment.
    let quick = "relay = { close_timeout = \"50ms\", ping_interval = false }";
    let proxy = Proxy::start(&site(&[&backend]).route(quick)).await;
    for (family, mask) in [("Frames of a client", MASK), ("Frames of a backend", None)] {
        let mut table = Table::new(family);
        for (name, section, bytes) in forbidden(mask) {
            *heard.lock().unwrap() = None;
            *says.lock().unwrap() = if mask.is_none() { bytes.clone() } else { Vec::new() };
            let (head, mut wire) = proxy.client().handshake().await;
            assert_eq!(head.status(), 101);
            if mask.is_some() {
                wire.write_all(&bytes).await.unwrap();
            }
            let client = told(&drain(&mut wire).await);
            until("the upstream's end", || heard.lock().unwrap().is_some()).await;
            let upstream = told(&heard.lock().unwrap().take().unwrap());
            // The message that was begun before came through.
            let before = if name.contains("inside") { "0x01, " } else { "" };
            let (to_it, to_other) = ("Close 1002".to_owned(), format!("{before}Close 1001"));
            let wanted = if mask.is_some() { (to_it, to_other) } else { (to_other, to_it) };
            let pairs = [(&*wanted.0, &*client), (&*wanted.1, &*upstream)];
            let rfc = format!("6455 {section}");
            table.row(name, &rfc, &client, &upstream, &pairs);
        }
        table.settle();
    }
    // A stranger notices nothing.
    *says.lock().unwrap() = frame(0x88, &1000_u16.to_be_bytes(), None);
    let session = proxy.client().open().await;
    assert_eq!(within("a Close", session.ending()).await, Ending::Close(1000, String::new()));
    proxy.stop().await;
}
