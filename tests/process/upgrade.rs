//! Upgrades under load: no connection is refused or reset, and sessions feel what was configured.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use futures_util::SinkExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tungstenite::Message;

use crate::backend::Backend;
use crate::proxy::Proxy;
use crate::scaled;
use crate::traffic::{self, Crowd, Ended, Kind, census};

const UPGRADES: usize = 10;

fn configuration(backend: &Backend, upgrade: &str) -> String {
    format!(
        r#"
[pools.one]
backends = ["{}"]
connect_timeout = "50s"
handshake_timeout = "50s"
[limits]
connections_max = 20000
[[routes]]
path = "/"
pool = "one"
[[routes]]
path = "/page"
respond = {{ status = 200, body = "here" }}
[upgrade]
old_processes_max = 20
{upgrade}
"#,
        backend.address
    )
}

/// Upgrades once; gives the id of the process that took over.
pub async fn upgraded(proxy: &Proxy) -> u32 {
    let (code, said) = proxy.upgrade().await;
    assert_eq!(code, 0, "{said}\n{}", proxy.log());
    said.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Clients that come and go all the time, each for one request, on TCP and on a unix socket.
struct Storm {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    clients: JoinSet<Vec<String>>,
}

impl Storm {
    fn begin(proxy: &Proxy, clients: usize) -> Storm {
        let mut storm =
            Storm { stop: Arc::default(), served: Arc::default(), clients: JoinSet::new() };
        for _ in 0..clients {
            let (stop, served) = (Arc::clone(&storm.stop), Arc::clone(&storm.served));
            let to = proxy.plain.clone();
            storm.clients.spawn(async move {
                let mut faults = Vec::new();
                while !stop.load(Relaxed) {
                    match page(&to).await {
                        Ok(answer) if answer.ends_with("here") => {
                            served.fetch_add(1, Relaxed);
                        }
                        Ok(answer) => faults.push(format!("answered {answer:?}")),
                        Err(error) => faults.push(error.kind().to_string()),
                    }
                    match session(&to).await {
                        Ok(()) => drop(served.fetch_add(1, Relaxed)),
                        Err(fault) => faults.push(fault),
                    }
                }
                faults
            });
        }
        storm
    }

    /// Ends it; every client must have been served, each time.
    async fn end(mut self) -> usize {
        self.stop.store(true, Relaxed);
        let mut faults = Vec::new();
        while let Some(client) = self.clients.join_next().await {
            faults.extend(client.unwrap());
        }
        let served = self.served.load(Relaxed);
        assert!(faults.is_empty(), "{} of {served}: {faults:?}", faults.len());
        served
    }
}

/// One connection for one request.
async fn page(to: &str) -> std::io::Result<String> {
    let mut client = TcpStream::connect(to).await?;
    client.write_all(b"GET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    client.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// One session for one message.
async fn session(to: &str) -> Result<(), String> {
    let mut socket = traffic::open(to, "/").await.map_err(|error| format!("session: {error}"))?;
    socket.send(Message::text("hello")).await.map_err(|error| format!("sending: {error}"))?;
    match traffic::read(&mut socket).await {
        Ok(_) => socket.close(None).await.map_err(|error| format!("closing: {error}")),
        // With `drain` it may be told to come back before its message is there.
        Err(Ended::Close(1012)) => Ok(()),
        Err(end) => Err(format!("session: {end:?}")),
    }
}

#[tokio::test]
async fn ten_upgrades_that_keep_sessions_are_not_felt_by_anyone() {
    let backend = Backend::start();
    let proxy = Proxy::start(&configuration(&backend, "")).await;
    let kind = Kind { size_max: 4096, pause: Duration::from_millis(scaled(40, 900) as u64) };
    let sessions = scaled(40, 2_000);
    let mut crowd = Crowd::new();
    crowd.join(sessions, &proxy.plain, "/", kind).await;
    let storm = Storm::begin(&proxy, scaled(4, 16));
    let mut pids = vec![proxy.pid()];
    for upgrade in 1..=UPGRADES {
        pids.push(upgraded(&proxy).await);
        // From the answer on the new process serves, and only it.
        assert_eq!(proxy.metric("tidegate_process_number") as usize, upgrade + 1);
        // Some sessions in each process.
        crowd.join(scaled(2, 20), &proxy.plain, "/", kind).await;
    }
    let older = || proxy.metric("tidegate_older_processes") as usize == UPGRADES;
    proxy.wait("all older processes to be known", older).await;
    let kept = || proxy.metric("tidegate_older_sessions_live") as usize >= sessions;
    proxy.wait("their sessions to be counted", kept).await;
    let served = storm.end().await;
    let ends = crowd.finish().await;
    assert_eq!(ends.len(), sessions + UPGRADES * scaled(2, 20));
    assert!(ends.iter().all(|end| *end == Ended::Asked), "{}", census(&ends));
    let alone = || proxy.metric("tidegate_older_processes") == 0.0;
    proxy.wait("the older processes to leave", alone).await;
    for pid in &pids[..UPGRADES] {
        proxy.wait("its end", || !is_alive(*pid)).await;
    }
    println!("{UPGRADES} upgrades over {} sessions; storm: {served} served, 0 failed", ends.len());
}

/// Whether a process runs; one that nobody has waited for does not.
pub fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // proc_pid_stat(5): the state follows the name in parentheses.
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

/// When sessions were told to come back.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Instant>>>);

impl Told {
    fn all(&self) -> MutexGuard<'_, Vec<Instant>> {
        self.0.lock().unwrap()
    }
}

/// A client as pages are: it comes back when it is told to, and only then.
async fn faithful(to: String, told: Told, open: Arc<AtomicUsize>, stop: Arc<AtomicBool>) {
    loop {
        let mut socket = traffic::open(&to, "/").await.expect("everybody gets in");
        let mut number = 0;
        let end = loop {
            number += 1;
            // What is wrong with a send is told by what is read.
            let _ = socket.send(Message::text(number.to_string())).await;
            match traffic::read(&mut socket).await {
                Ok(back) => assert_eq!(back, number.to_string().as_bytes()),
                Err(end) => break end,
            }
            if number == 1 {
                open.fetch_add(1, Relaxed);
            }
            if stop.load(Relaxed) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(scaled(20, 500) as u64)).await;
        };
        assert_eq!(end, Ended::Close(1012), "after {number} messages");
        if number > 1 {
            open.fetch_sub(1, Relaxed);
        }
        told.all().push(Instant::now());
    }
}

#[tokio::test]
async fn ten_upgrades_that_drain_close_sessions_with_1012_only_and_spread() {
    let backend = Backend::start();
    let drain = "sessions = \"drain\"\n[drain]\ndelay = \"0s\"\nwindow = \"1s\"\ntimeout = \"20s\"";
    let proxy = Proxy::start(&configuration(&backend, drain)).await;
    let sessions = scaled(40, 2_000);
    let (told, open, stop): (Told, Arc<AtomicUsize>, Arc<AtomicBool>) = Default::default();
    let mut clients = JoinSet::new();
    for _ in 0..sessions {
        let (to, told) = (proxy.plain.clone(), told.clone());
        clients.spawn(faithful(to, told, Arc::clone(&open), Arc::clone(&stop)));
    }
    let all = || open.load(Relaxed) == sessions;
    proxy.wait("all sessions", all).await;
    let storm = Storm::begin(&proxy, scaled(4, 16));
    let mut old = proxy.pid();
    for _ in 0..UPGRADES {
        told.all().clear();
        let new = upgraded(&proxy).await;
        proxy.wait("the old process to leave", || !is_alive(old)).await;
        // A client may not have heard yet that the old process has left.
        let again = || told.all().len() >= sessions && all();
        proxy.wait("all sessions again", again).await;
        let mut moments = told.all().clone();
        assert_eq!(moments.len(), sessions, "each is told once");
        moments.sort();
        let (first, last) = (moments[0], moments[sessions - 1]);
        let middle = moments[sessions / 2].duration_since(first);
        println!("{sessions} told over {:?}, half after {middle:?}", last.duration_since(first));
        assert!(middle > Duration::ZERO, "closes are spread, not all at once");
        old = new;
    }
    let served = storm.end().await;
    stop.store(true, Relaxed);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    println!("{UPGRADES} upgrades over {sessions} sessions; storm: {served} served, 0 failed");
}
