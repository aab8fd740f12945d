//! A long life: sessions of every kind come, stay and go, while the configuration is reloaded and
//! backends are killed and revived. What must stay stays, and nothing is left at the end.
//!
//! Some seconds by default; `TIDEGATE_SOAK=1800` runs it for half an hour with 5,000 sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::backend::Backend;
use crate::proxy::Proxy;
use crate::traffic::{self, Dice, Ended, Kind, Shared, Socket, census};

/// How much of everything.
#[derive(Clone, Copy)]
struct Plan {
    time: Duration,
    sessions: usize,
    /// The longest pause of a session between two messages.
    pause: Duration,
    /// The longest visit.
    visit: Duration,
    reload: Duration,
    kill: Duration,
    /// How long a killed backend is away.
    away: Duration,
}

impl Plan {
    fn chosen() -> Plan {
        let Ok(seconds) = std::env::var("TIDEGATE_SOAK") else {
            let ms = Duration::from_millis;
            return Plan {
                time: ms(4_000),
                sessions: 60,
                pause: ms(40),
                visit: ms(800),
                reload: ms(300),
                kill: ms(900),
                away: ms(200),
            };
        };
        let s = Duration::from_secs;
        let time = s(seconds.parse().expect("TIDEGATE_SOAK: seconds"));
        let sessions = std::env::var("TIDEGATE_SOAK_SESSIONS").ok();
        let sessions = sessions.map_or(5_000, |text| text.parse().expect("a number of sessions"));
        Plan { time, sessions, pause: s(6), visit: s(20), reload: s(5), kill: s(10), away: s(2) }
    }

    /// Whether it is long enough for its memory to be judged.
    fn is_long(self) -> bool {
        self.time >= Duration::from_secs(1_200)
    }
}

/// Messages of most sessions, and of one in fifty, at most.
const SIZE_MAX: usize = 64 * 1024;
const LARGE_SIZE_MAX: usize = 1 << 20;

/// Of ten sessions, those that visit the pool that stays, and those that use the one that dies;
/// the others stay all the time.
const VISITORS: usize = 2;
const UNLUCKY: usize = 2;

/// Growth of memory over the last two thirds of a long run, in percent of itself.
const GROWTH_MAX_PERCENT: f64 = 1.0;

/// Where sessions come in; every second one over TLS.
#[derive(Clone)]
struct Entrances {
    plain: String,
    tls: String,
    connector: TlsConnector,
}

impl Entrances {
    fn of(proxy: &Proxy) -> Entrances {
        let connector = proxy.connector(&[]);
        Entrances { plain: proxy.plain.clone(), tls: proxy.tls.clone(), connector }
    }

    async fn open(&self, seed: u64, path: &str) -> Result<Socket, tungstenite::Error> {
        if seed.is_multiple_of(2) {
            return traffic::open(&self.plain, path).await;
        }
        let tcp = TcpStream::connect(&self.tls).await?;
        tcp.set_nodelay(true)?;
        let name = "process.test".try_into().unwrap();
        traffic::open_on(Box::new(self.connector.connect(name, tcp).await?), path).await
    }
}

/// What was counted beside the messages.
#[derive(Default)]
struct Counts {
    visits: AtomicU64,
    /// Sessions whose backend was killed under them: told by a Close with 1012, or by the end of
    /// the connection in the middle of a message.
    told: AtomicU64,
    cut: AtomicU64,
    /// Handshakes refused while no backend was there.
    refused: AtomicU64,
    reloads: AtomicU64,
    kills: AtomicU64,
}

fn configuration(stays: &[Backend; 2], dies: &[String; 2], step: u64) -> String {
    let idle = 3_600 + step;
    let mut text = format!(
        r#"
[limits]
connections_max = 20000
[relay]
close_timeout = "60s"
[pools.stays]
backends = [{:?}, {:?}]
[pools.dies]
backends = [{:?}, {:?}]
[[routes]]
path = "/stays"
pool = "stays"
relay = {{ idle_timeout = "{idle}s" }}
[[routes]]
path = "/dies"
pool = "dies"
"#,
        stays[0].address, stays[1].address, dies[0], dies[1]
    );
    for other in 0..step % 5 {
        text += &format!("[[routes]]\npath = \"/other-{other}\"\nrespond = {{ status = 204 }}\n");
    }
    text
}

fn kind_of(plan: Plan, seed: u64) -> Kind {
    let size_max = if seed.is_multiple_of(50) { LARGE_SIZE_MAX } else { SIZE_MAX };
    Kind { size_max, pause: plan.pause }
}

/// One place among the sessions, filled until the end; gives what should not have happened.
async fn place(
    place: u64,
    plan: Plan,
    entrances: Entrances,
    shared: Arc<Shared>,
    counts: Arc<Counts>,
) -> Option<Ended> {
    let role = place as usize % 10;
    let (visits, unlucky) = (role < VISITORS + UNLUCKY, role < UNLUCKY);
    let path = if unlucky { "/dies" } else { "/stays" };
    let mut dice = Dice(place * 7_919 + 13);
    let mut seed = place;
    loop {
        let visit = Duration::from_millis(dice.roll(plan.visit.as_millis() as u64));
        let until = visits.then(|| Instant::now() + visit);
        let ended = match entrances.open(seed, path).await {
            Ok(socket) => {
                counts.visits.fetch_add(1, Ordering::Relaxed);
                let kind = kind_of(plan, seed);
                traffic::talk(socket, seed, kind, &shared, until).await
            }
            Err(tungstenite::Error::Http(answer))
                if unlucky && answer.status().is_server_error() =>
            {
                counts.refused.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(50 + dice.roll(100))).await;
                Ended::Asked
            }
            Err(error) => Ended::Wrong(format!("handshake: {error}")),
        };
        match ended {
            Ended::Asked => {}
            Ended::Close(1012) if unlucky => drop(counts.told.fetch_add(1, Ordering::Relaxed)),
            Ended::Cut if unlucky => drop(counts.cut.fetch_add(1, Ordering::Relaxed)),
            other => {
                shared.failed.fetch_add(1, Ordering::Relaxed);
                return Some(other);
            }
        }
        if !visits || shared.stop.load(Ordering::Relaxed) {
            return None;
        }
        // Every session has its own messages.
        seed += 100_000;
    }
}

/// Reloads, kills and revives until the time is over; gives resident memory, second by second.
async fn trouble(
    plan: Plan,
    proxy: &Proxy,
    stays: &[Backend; 2],
    dies: [Backend; 2],
    shared: &Shared,
    counts: &Counts,
) -> Vec<u64> {
    let start = Instant::now();
    let addresses = [dies[0].address.clone(), dies[1].address.clone()];
    let mut dies = dies.map(Some);
    let (mut reload, mut kill) = (start + plan.reload, start + plan.kill);
    let mut memory = Vec::new();
    let mut first = proxy.generation();
    while start.elapsed() < plan.time && shared.failed.load(Ordering::Relaxed) == 0 {
        let now = Instant::now();
        if now >= reload {
            reload += plan.reload;
            let step = counts.reloads.fetch_add(1, Ordering::Relaxed) + 1;
            proxy.configure(&configuration(stays, &addresses, step));
            first += 1;
            proxy.reload_to(first).await;
        }
        if now >= kill {
            let turn = counts.kills.load(Ordering::Relaxed) as usize % 2;
            if let Some(backend) = dies[turn].take() {
                backend.kill();
                kill += plan.away;
            } else {
                let address = &addresses[turn];
                dies[turn] = Some(Backend::start_on(address, Duration::ZERO));
                counts.kills.fetch_add(1, Ordering::Relaxed);
                kill += plan.kill;
            }
        }
        if start.elapsed().as_secs() as usize > memory.len() {
            memory.push(proxy.memory_kib());
            if memory.len().is_multiple_of(60) {
                let echoed = shared.echoed.load(Ordering::Relaxed);
                let kib = memory[memory.len() - 1];
                println!("after {} s: {echoed} messages, RSS {kib} KiB", memory.len());
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    shared.stop.store(true, Ordering::Relaxed);
    memory
}

/// How much the values grow from first to last by their regression line, in percent of their mean.
fn growth_percent(values: &[u64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<u64>() as f64 / count;
    let middle = (count - 1.0) / 2.0;
    let (mut together, mut alone) = (0.0, 0.0);
    for (at, value) in values.iter().enumerate() {
        let off = at as f64 - middle;
        together += off * (*value as f64 - mean);
        alone += off * off;
    }
    together / alone * (count - 1.0) / mean * 100.0
}

#[tokio::test]
async fn nothing_is_lost_and_nothing_is_left_after_a_long_life() {
    let plan = Plan::chosen();
    let stays = [Backend::start(), Backend::start()];
    let dies = [Backend::start(), Backend::start()];
    let addresses = [dies[0].address.clone(), dies[1].address.clone()];
    let proxy = Proxy::start(&configuration(&stays, &addresses, 0)).await;
    let (files, kib) = (proxy.files(), proxy.memory_kib());

    let (shared, counts) = (Arc::<Shared>::default(), Arc::<Counts>::default());
    let entrances = Entrances::of(&proxy);
    let mut places = JoinSet::new();
    for number in 0..plan.sessions as u64 {
        let (shared, theirs) = (Arc::clone(&shared), Arc::clone(&counts));
        places.spawn(place(number, plan, entrances.clone(), shared, theirs));
        if number % 50 == 49 {
            // Gently: a connect storm is another test.
            let came = || counts.visits.load(Ordering::Relaxed) > number;
            proxy.wait("those who came", came).await;
        }
    }
    let memory = trouble(plan, &proxy, &stays, dies, &shared, &counts).await;
    let mut wrong = Vec::new();
    while let Some(ended) = places.join_next().await {
        wrong.extend(ended.unwrap());
    }

    let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
    println!(
        "{} s, {} sessions at a time: {} messages, {} sessions, {} reloads, {} kills",
        plan.time.as_secs(),
        plan.sessions,
        get(&shared.echoed),
        get(&counts.visits),
        get(&counts.reloads),
        get(&counts.kills),
    );
    println!(
        "of those whose backend was killed: {} read 1012, {} were cut in a message; {} refused",
        get(&counts.told),
        get(&counts.cut),
        get(&counts.refused),
    );
    if !wrong.is_empty() {
        // What the proxy says of it, too: its refusals, and all it logged but for reloads.
        let refused = proxy.metric("tidegate_connections_refused");
        let failed = proxy.metric("tidegate_tls_handshake_failures");
        let log = proxy.log();
        let said = log.lines().filter(|line| !line.contains("\"INFO\""));
        let said: Vec<_> = said.take(50).collect();
        let said = said.join("\n");
        panic!("{}; {refused} refused, {failed} TLS failures\n{said}", census(&wrong));
    }
    if memory.len() >= 3 {
        let late = &memory[memory.len() / 3..];
        let growth = growth_percent(late);
        let (least, most) = (late.iter().min().unwrap(), late.iter().max().unwrap());
        println!("RSS over the last two thirds: {least} to {most} KiB, growth {growth:.2} %");
        assert!(!plan.is_long() || growth <= GROWTH_MAX_PERCENT, "RSS grows by {growth:.2} %");
    }

    for metric in
        ["tidegate_sessions_live", "tidegate_connections_open", "tidegate_backend_sessions"]
    {
        proxy.wait(metric, || proxy.metric(metric) == 0.0).await;
    }
    // What its own scrape holds open comes and goes.
    proxy.wait("no file more than before", || proxy.files() <= files + 2).await;
    println!(
        "at the end: {} files from {files}, RSS {} KiB from {kib}",
        proxy.files(),
        proxy.memory_kib()
    );
    assert!(!proxy.log().contains("panicked"), "{}", proxy.log());
    proxy.signal(libc::SIGTERM);
    assert!(proxy.exit().await.success());
}
