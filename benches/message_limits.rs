//! What the limits of `[relay]` cost a message, in time: `cargo bench --bench message_limits`.
//!
//! Two sessions in one process, one of them with `messages_max` and `bytes_max`, which nothing here
//! reaches. A round gives each of them the same messages of one client, in turns, and takes the
//! time until they are across; what is printed is the median of the rounds' differences, a message.
//! In bursts a read has hundreds of messages, and the time is the core's and little else; one by
//! one each has a read, a write and a turn of the runtime of its own: more noise than cost.

use std::time::{Duration, Instant};

use tidegate::config::plan::Rules;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

// Shared with the test that counts a message's allocations and calls.
#[allow(dead_code)]
#[path = "../tests/message_cost/relayed.rs"]
mod relayed;

use relayed::Relayed;

const ROUNDS: usize = 3_000;
const WARM_UP: usize = 200;

/// "Hello" as a client says it (RFC 6455 §5.7).
const HELLO: [u8; 11] = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";

fn main() {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build_local(Default::default()).expect("a runtime");
    runtime.block_on(async {
        let bare = || Rules { ping_interval: None, ..Rules::default() };
        let limits =
            Rules { messages_max: Some(4_000_000_000), bytes_max: Some(1 << 40), ..bare() };
        let mut sessions = [Session::open(bare()).await, Session::open(limits).await];
        println!("nanoseconds a message: median of {ROUNDS} rounds, and the middle half of them");
        for (name, messages) in [("bursts of 1,000", 1_000), ("one by one", 1)] {
            let mut spent = Vec::with_capacity(ROUNDS);
            for round in 0..WARM_UP + ROUNDS {
                let mut times = [0.0; 2];
                // Who is first changes.
                for turn in 0..2 {
                    let which = (round + turn) % 2;
                    times[which] = sessions[which].pass(messages).await;
                }
                spent.push(times);
            }
            let spent = &spent[WARM_UP..];
            row(name, "without limits", spent.iter().map(|times| times[0]).collect());
            row(name, "with them", spent.iter().map(|times| times[1]).collect());
            row(name, "difference", spent.iter().map(|times| times[1] - times[0]).collect());
        }
    });
}

fn row(name: &str, what: &str, mut figures: Vec<f64>) {
    figures.sort_by(f64::total_cmp);
    let [low, median, high] = [1, 2, 3].map(|quarter| figures[figures.len() * quarter / 4]);
    println!("{name:16} {what:16} {median:10.1}   {low:10.1} … {high:.1}");
}

/// A session at work, and what passes in it.
struct Session {
    ends: Relayed,
    sent: Vec<u8>,
    got: Vec<u8>,
}

impl Session {
    async fn open(rules: Rules) -> Session {
        Session { ends: Relayed::open(rules, None).await, sent: Vec::new(), got: Vec::new() }
    }

    /// So many messages go across: nanoseconds for each.
    // The crate's clock counts milliseconds; here nanoseconds matter.
    #[allow(clippy::disallowed_methods)]
    async fn pass(&mut self, messages: usize) -> f64 {
        self.sent = HELLO.repeat(messages);
        self.got.resize(self.sent.len(), 0);
        let begin = Instant::now();
        self.ends.client.write_all(&self.sent).await.expect("a client's messages");
        self.ends.upstream.read_exact(&mut self.got).await.expect("its messages");
        let nanos = begin.elapsed().max(Duration::from_nanos(1)).as_nanos();
        assert!(self.got == self.sent, "as they were said");
        nanos as f64 / messages as f64
    }
}
