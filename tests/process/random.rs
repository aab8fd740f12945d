//! Real processes under random orders, upgrades among them: after each step all is what a model
//! says: which sessions live and where, what is in force, what an operator has set.
//!
//! Seeded: a failing seed is printed, and `TIDEGATE_SEED=<seed> cargo test --test process random`
//! plays it again. `TIDEGATE_SEEDS=<number>` plays more of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use futures_util::SinkExt;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tungstenite::Message;

use crate::backend::Backend;
use crate::proxy::Proxy;
use crate::traffic::{self, Dice, Ended, Socket, open_on};
use crate::upgrade::upgraded;

/// Seeds played where nobody asks for more, and steps of each.
const SEEDS: u64 = 2;
const STEPS: usize = 25;

struct World {
    dice: Dice,
    proxy: Proxy,
    backends: [Backend; 2],
    /// By the address that each connects from: its process, and its end of the connection.
    sessions: BTreeMap<SocketAddr, (u64, Socket)>,
    disabled: BTreeSet<String>,
    newest: u64,
    page: u64,
    generation: u64,
}

impl World {
    async fn new(seed: u64) -> World {
        let backends = [Backend::start(), Backend::start()];
        let proxy = Proxy::start(&configuration(&backends, 0)).await;
        let newest = proxy.pid().into();
        World {
            dice: Dice(seed + 1),
            proxy,
            backends,
            sessions: BTreeMap::new(),
            disabled: BTreeSet::new(),
            newest,
            page: 0,
            generation: 1,
        }
    }

    async fn step(&mut self) {
        match self.dice.roll(12) {
            0..=3 => self.open().await,
            4 => drop(self.any_session().and_then(|from| self.sessions.remove(&from))),
            5 | 6 => {
                self.newest = upgraded(&self.proxy).await.into();
                self.generation = 1;
            }
            7 => {
                self.page += 1;
                self.proxy.configure(&configuration(&self.backends, self.page));
                self.ordered("reload", &[]).await;
                self.generation += 1;
            }
            8 => self.refused().await,
            9 => self.disable_or_enable().await,
            10 => self.kick().await,
            // An older process passes it on; nothing has changed.
            _ if self.newest != u64::from(self.proxy.pid()) => self.proxy.signal(libc::SIGHUP),
            _ => {}
        }
    }

    async fn open(&mut self) {
        let tcp = TcpStream::connect(&self.proxy.plain).await.unwrap();
        let from = tcp.local_addr().unwrap();
        let socket = open_on(Box::new(tcp), "/").await.unwrap();
        self.sessions.insert(from, (self.newest, socket));
    }

    async fn refused(&mut self) {
        let broken = configuration(&self.backends, 1_000) + "[[routes]\n";
        self.proxy.configure(&broken);
        let (code, said) = self.proxy.order_meanwhile("reload", &[]).await;
        assert_ne!(code, 0, "{said}");
        // Nor can a process start with it: the one that is there serves on.
        let (code, said) = self.proxy.upgrade().await;
        assert_ne!(code, 0, "{said}");
        self.proxy.configure(&configuration(&self.backends, 1_000));
        self.ordered("reload", &["--dry-run"]).await;
        self.proxy.configure(&configuration(&self.backends, self.page));
    }

    async fn disable_or_enable(&mut self) {
        let backend = self.backends[self.dice.roll(2) as usize].address.clone();
        if self.disabled.remove(&backend) {
            self.ordered("enable", &["--backend", &backend]).await;
        } else if self.disabled.is_empty() {
            let on = self.ordered("sessions", &["--backend", &backend]).await;
            // Nothing can be held here: a drain ends what is on it.
            let from = |row: &Value| row["client"].as_str().unwrap().parse::<SocketAddr>().unwrap();
            let ended: Vec<_> = on["sessions"].as_array().unwrap().iter().map(from).collect();
            self.ordered("drain", &["--backend", &backend, "--window", "0s"]).await;
            self.disabled.insert(backend);
            for from in ended {
                self.ends(from, 1012).await;
            }
        }
    }

    async fn kick(&mut self) {
        let Some(from) = self.any_session() else { return };
        let listed = self.ordered("sessions", &[]).await;
        let client = from.to_string();
        let mut rows = listed["sessions"].as_array().unwrap().iter();
        let id = rows.find(|row| row["client"] == client).unwrap()["id"].as_str().unwrap();
        self.ordered("kick", &[id]).await;
        self.ends(from, 1008).await;
    }

    /// This session reads a Close with this code.
    async fn ends(&mut self, from: SocketAddr, code: u16) {
        let Some((_, mut socket)) = self.sessions.remove(&from) else { return };
        assert_eq!(traffic::read(&mut socket).await, Err(Ended::Close(code)));
    }

    fn any_session(&mut self) -> Option<SocketAddr> {
        let all: Vec<SocketAddr> = self.sessions.keys().copied().collect();
        (!all.is_empty()).then(|| all[self.dice.roll(all.len() as u64) as usize])
    }

    /// The JSON of a command, which must be done.
    async fn ordered(&self, order: &str, flags: &[&str]) -> Value {
        let (code, said) = self.proxy.order_meanwhile(order, &[flags, &["--json"]].concat()).await;
        assert_eq!(code, 0, "{order} {flags:?}: {said}\n{}", self.proxy.log());
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    /// Where each session lives, as it is listed.
    async fn listed(&self) -> BTreeMap<SocketAddr, u64> {
        let listed = self.ordered("sessions", &[]).await;
        let row = |row: &Value| {
            let client = row["client"].as_str().unwrap().parse().unwrap();
            (client, row["pid"].as_u64().unwrap())
        };
        listed["sessions"].as_array().unwrap().iter().map(row).collect()
    }

    /// All is what the model says.
    async fn check(&mut self) {
        let wanted: BTreeMap<_, _> =
            self.sessions.iter().map(|(from, (pid, _))| (*from, *pid)).collect();
        let mut listed = self.listed().await;
        for _ in 0..400 {
            if listed == wanted {
                break;
            }
            // A session is entered after its client has read its 101, and leaves after its Close.
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            listed = self.listed().await;
        }
        assert_eq!(listed, wanted);
        assert_eq!(self.proxy.generation(), self.generation, "{}", self.proxy.log());
        let mut stream = TcpStream::connect(&self.proxy.plain).await.unwrap();
        let request = b"GET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with(&format!("page {}", self.page)), "{answer}");
        for backend in &self.backends {
            let address = &backend.address;
            let name = format!("tidegate_backend_disabled{{pool=\"one\",backend=\"{address}\"");
            let is_disabled = self.proxy.metric(&name) == 1.0;
            assert_eq!(is_disabled, self.disabled.contains(address), "{address}");
        }
        for (_, socket) in self.sessions.values_mut() {
            socket.send(Message::binary(&b"undisturbed"[..])).await.unwrap();
            assert_eq!(traffic::read(socket).await.unwrap(), b"undisturbed");
        }
    }
}

fn configuration(backends: &[Backend; 2], page: u64) -> String {
    let addresses = backends.each_ref().map(|backend| &*backend.address);
    format!(
        r#"
[drain]
delay = "0s"
window = "0s"
[pools.one]
backends = {addresses:?}
[[routes]]
path = "/"
pool = "one"
[[routes]]
path = "/page"
respond = {{ body = "page {page}" }}
[upgrade]
sessions = "keep"
old_processes_max = 30
"#
    )
}

async fn play(seed: u64) {
    let mut world = World::new(seed).await;
    for _ in 0..STEPS {
        world.step().await;
        world.check().await;
    }
}

#[tokio::test]
async fn processes_are_what_their_orders_made_them_over_upgrades() {
    if let Ok(seed) = std::env::var("TIDEGATE_SEED") {
        return play(seed.parse().expect("TIDEGATE_SEED is a number")).await;
    }
    let seeds = std::env::var("TIDEGATE_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap());
    for seed in 0..seeds {
        println!("playing TIDEGATE_SEED={seed}");
        play(seed).await;
    }
}
