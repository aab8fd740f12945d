//! Keys of TLS 1.2 that are nearly used up.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::super::{Leg, Relay, Terms};
use super::scene::{PATIENCE, close, pair, rules, run, seat, text};
use crate::base::clock;
use crate::base::side::Side::{self, Client, Upstream};
use crate::base::socket::Socket;
use crate::base::task;
use crate::end::End;
use crate::observe::metrics::Metrics;
use crate::tls::Transport;
use crate::tls::tests::{worn_backend, worn_client};
use crate::wire::frame::{Allowed, unmask};

/// Records that the keys are good for; a sixteenth is kept for the last words.
const RECORDS: u64 = 160;
const WORN: u64 = 150;

trait Far: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Far for T {}

async fn send(far: &mut dyn Far, bytes: &[u8]) {
    far.write_all(bytes).await.unwrap();
    far.flush().await.unwrap();
}

/// The next frame: its first byte and its payload.
async fn frame(far: &mut dyn Far) -> (u8, Vec<u8>) {
    let read = async {
        let mut head = [0; 2];
        far.read_exact(&mut head).await.unwrap();
        let mut mask = [0; 4];
        if head[1] & 0x80 != 0 {
            far.read_exact(&mut mask).await.unwrap();
        }
        let mut payload = vec![0; usize::from(head[1] & 0x7f)];
        far.read_exact(&mut payload).await.unwrap();
        unmask(&mut payload, mask, 0);
        (head[0], payload)
    };
    timeout(PATIENCE, read).await.expect("a frame")
}

fn is_close(frame: &(u8, Vec<u8>), code: u16) -> bool {
    frame.0 == 0x88 && frame.1[..2] == code.to_be_bytes()
}

/// A session of which one side's keys wear: its far ends, the client's first, and its end.
async fn session(worn: Side) -> ([Box<dyn Far>; 2], oneshot::Receiver<End>) {
    let (far_plain, plain) = pair(None).await;
    let (far_plain, plain) = (Box::new(far_plain), Transport::from(Socket::from(plain)));
    let ((client, upstream), far): (_, [Box<dyn Far>; 2]) = match worn {
        Client => {
            let (client, far) = worn_client(RECORDS).await;
            ((client, plain), [Box::new(far), far_plain])
        }
        Upstream => {
            let (upstream, far) = worn_backend(RECORDS).await;
            ((plain, upstream), [far_plain, Box::new(far)])
        }
    };
    let cells = Metrics::new(1).route(&"/chat".into());
    let (rules, allowed) = (Arc::new(rules()), Allowed::NOTHING);
    let terms = Terms {
        rules,
        allowed,
        seat: seat(false),
        cells,
        hold: None,
        expires: clock::Moment::NEVER,
        shared: None,
    };
    let legs = [client, upstream].map(|transport| Leg::new(transport, Vec::new()));
    let [client, upstream] = legs;
    let relay = Relay::new(client, upstream, terms, clock::now());
    let (told, ended) = oneshot::channel();
    task::spawn("relay", async move {
        let _ = told.send(relay.await.0);
    });
    (far, ended)
}

async fn ended(ended: oneshot::Receiver<End>) -> End {
    timeout(PATIENCE, ended).await.expect("an end").unwrap()
}

#[test]
fn a_client_whose_keys_are_nearly_used_up_reads_1012_between_two_messages() {
    run(async || {
        let ([mut client, mut upstream], end) = session(Client).await;
        let mut heard = 0;
        loop {
            send(&mut upstream, &text(Upstream, "tick")).await;
            let frame = frame(&mut client).await;
            if is_close(&frame, 1012) {
                break;
            }
            assert_eq!(frame, (0x81, b"tick".to_vec()));
            heard += 1;
            assert!(heard < RECORDS, "no Close");
        }
        assert!(heard >= WORN, "after {heard} messages");
        send(&mut client, &close(Client, 1012, "")).await;
        // In order: a close_notify, and no reset.
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
        assert!(is_close(&frame(&mut upstream).await, 1001));
        drop(upstream);
        assert_eq!(ended(end).await, End::Lifetime);
    });
}

#[test]
fn a_backend_whose_keys_are_used_up_is_lost_in_order() {
    run(async || {
        let ([mut client, mut upstream], end) = session(Upstream).await;
        // Records: how many messages fit depends on the handshake.
        let mut byte = [0];
        for sent in 0.. {
            assert!(sent < RECORDS, "keys that last for ever");
            send(&mut client, &text(Client, "tick")).await;
            let read = timeout(PATIENCE, upstream.read(&mut byte)).await.unwrap();
            match read.expect("a close_notify") {
                0 => break,
                _ => assert_eq!(upstream.read_exact(&mut [0; 9]).await.unwrap(), 9),
            }
        }
        drop(upstream);
        assert!(is_close(&frame(&mut client).await, 1012));
        send(&mut client, &close(Client, 1012, "")).await;
        let lost = ended(end).await;
        assert!(matches!(lost, End::Lost { side: Upstream, .. }), "{lost:?}");
    });
}
