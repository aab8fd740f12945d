//! A configuration of many routes, reloaded again and again while sessions of every generation
//! live: nothing old is kept, nothing is lost.

use std::fmt::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tungstenite::Message;

use crate::backend::Backend;
use crate::proxy::Proxy;
use crate::scaled;
use crate::traffic::{Crowd, Ended, Kind, census};

/// Reloads after which memory is compared with that at the end.
const EARLY: usize = 10;

/// Every second route holds its sessions to other rules after each step.
fn configuration(backend: &Backend, routes: usize, step: usize) -> String {
    let mut text = format!(
        "[limits]\nconnections_max = 20000\n[pools.one]\nbackends = [{:?}]\n",
        backend.address
    );
    for number in 0..routes {
        let idle = 3_600 + if number % 2 == 0 { step } else { 0 };
        write!(
            text,
            "[[routes]]\npath = \"/{number}\"\npool = \"one\"\nrelay.idle_timeout = \"{idle}s\"\n"
        )
        .unwrap();
    }
    text
}

/// One session whose messages' ways there and back are timed, on a thread of its own.
struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Probe {
    fn begin(to: &str) -> Probe {
        let stop = Arc::new(AtomicBool::new(false));
        let (to, stopped) = (to.to_owned(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let stream = TcpStream::connect(&to).unwrap();
            stream.set_nodelay(true).unwrap();
            let (mut socket, _) = tungstenite::client("ws://process.test/1", stream).unwrap();
            let mut times = Vec::new();
            while !stopped.load(Relaxed) {
                let (number, sent) = (times.len().to_string(), Instant::now());
                socket.send(Message::text(number.clone())).unwrap();
                // A ping is answered as the next message is read.
                let back = loop {
                    if let Message::Text(back) = socket.read().unwrap() {
                        break back;
                    }
                };
                assert_eq!(back.as_str(), number);
                times.push(sent.elapsed());
                std::thread::sleep(Duration::from_millis(5));
            }
            times
        });
        Probe { stop, thread }
    }

    /// Prints the times of `what`.
    fn end(self, what: &str) {
        self.stop.store(true, Relaxed);
        let mut times = self.thread.join().unwrap();
        times.sort();
        let of = |share: usize| times[(times.len() - 1) * share / 1_000];
        let (half, most, all) = (of(500), of(990), of(1_000));
        println!("there and back {what}: p50 {half:?}, p99 {most:?}, longest {all:?}");
    }
}

#[tokio::test]
async fn reloads_of_many_routes_keep_nothing_old_and_lose_nothing() {
    let backend = Backend::start();
    let (routes, reloads) = (scaled(50, 10_000), scaled(20, 1_000));
    let proxy = Proxy::start(&configuration(&backend, routes, 0)).await;
    let kind = Kind { size_max: 4096, pause: Duration::from_millis(scaled(40, 2_000) as u64) };
    let mut crowd = Crowd::new();
    crowd.join(scaled(20, 200), &proxy.plain, "/0", kind).await;
    let probe = Probe::begin(&proxy.plain);
    tokio::time::sleep(Duration::from_millis(scaled(50, 10_000) as u64)).await;
    probe.end("without reloads");

    let probe = Probe::begin(&proxy.plain);
    let (mut early_kib, mut slowest) = (0, Duration::ZERO);
    for step in 1..=reloads {
        proxy.configure(&configuration(&backend, routes, step));
        let began = Instant::now();
        let (code, said) = proxy.reload_meanwhile().await;
        slowest = slowest.max(began.elapsed());
        assert_eq!(code, 0, "{said}");
        crowd.join(1, &proxy.plain, &format!("/{}", step % routes), kind).await;
        if step == EARLY {
            early_kib = proxy.memory_kib();
        }
    }
    let late_kib = proxy.memory_kib();
    probe.end("during reloads");
    println!(
        "{routes} routes: RSS {early_kib} KiB after {EARLY} reloads, {late_kib} after {reloads}; \
         the slowest reload took {slowest:?}"
    );
    // Small, most of it is not the configuration's.
    let most_kib = early_kib * scaled(150, 120) as u64 / 100;
    assert!(late_kib <= most_kib, "RSS grew from {early_kib} to {late_kib} KiB");
    let one = || proxy.metric("tidegate_snapshots_alive") == 1.0;
    proxy.wait("the end of every old snapshot", one).await;
    assert_eq!(proxy.generation(), 1 + reloads as u64);
    println!("messages: {}", crowd.shared.echoed.load(Relaxed));
    let ends = crowd.finish().await;
    assert_eq!(ends.len(), scaled(20, 200) + reloads);
    assert!(ends.iter().all(|end| *end == Ended::Asked), "{}", census(&ends));
}
