//! Whole processes under random orders: reloads that are taken, refused and dry, drains, moves,
//! kicks, backends that die and return, clients that come and go; compared after each step with a
//! model of what lives, is counted, is listed and listens. The sessions of the pool `one` can be
//! held.
//!
//! Seeded: a failing seed is printed, and `TIDEGATE_SEED=<seed> cargo test --lib
//! control::tests::random` plays it again. `TIDEGATE_SEEDS=<number>` plays more of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::operated::{Operated, addresses};
use super::*;
use crate::base::id::SessionId;
use crate::base::label::Label;
use crate::live::tests::plan::hold;
use crate::registry::Selector;

/// Seeds played where nobody asks for more.
const SEEDS: u64 = 6;

/// Steps of one seed.
const STEPS: usize = 40;

const FORCE: ReloadRequest =
    ReloadRequest { force: true, dry_run: false, recheck: false, config: None, if_changed: false };

/// What a configuration has of all that there can be.
#[derive(Clone, Debug, PartialEq)]
struct Parts {
    /// By its pool's name: the backends it has.
    pools: BTreeMap<&'static str, BTreeSet<String>>,
    /// Whether there is a second listener.
    second: bool,
    /// What the page says: no session is concerned.
    page: u32,
}

/// A session, and where the model has it.
struct Live {
    session: Session,
    id: SessionId,
    listener: &'static str,
    pool: &'static str,
    /// `None` where it goes on with whichever backend it can.
    backend: Option<String>,
}

impl Live {
    fn is_on(&self, backend: &str) -> bool {
        self.backend.as_deref() == Some(backend)
    }
}

struct World {
    rng: fastrand::Rng,
    process: Operated,
    whole: Plan,
    all: Parts,
    now: Parts,
    disabled: BTreeSet<String>,
    sessions: Vec<Live>,
    backends: Vec<Backend>,
    generation: u64,
}

impl World {
    async fn new(seed: u64) -> World {
        let mut backends = Vec::new();
        for name in ["a", "b", "c", "d"] {
            backends.push(Backend::echo(name).await);
        }
        let of = |index: usize| addresses(&[&backends[index]]).remove(0);
        let pools = [("one", [of(0), of(1)].into()), ("two", [of(2), of(3)].into())].into();
        let all = Parts { pools, second: true, page: 0 };
        let mut plan = site(&[("one", &backends[0]), ("two", &backends[2])]);
        let at = |index: usize| backends[index].address();
        plan.pools =
            vec![Arc::new(pool("one", &[at(0), at(1)])), Arc::new(pool("two", &[at(2), at(3)]))];
        let mut second = listener("second", 0);
        second.address = Address::Inet(([127, 0, 0, 2], 0).into());
        plan.listeners.push(Arc::new(second));
        plan.workers = 2;
        // A backend that dies returns at once, and is asked as if nothing had been.
        plan.pools.iter_mut().for_each(|pool| Arc::make_mut(pool).health.failures_max = 1_000);
        route_of(&mut plan, "/one").hold = Some(Arc::new(hold()));
        let process = Operated::start(plan);
        let whole = process.next.lock().unwrap().clone().unwrap();
        World {
            rng: fastrand::Rng::with_seed(seed),
            process,
            whole,
            now: all.clone(),
            all,
            disabled: BTreeSet::new(),
            sessions: Vec::new(),
            backends,
            generation: 1,
        }
    }

    /// The plan of these parts.
    fn plan(&self, parts: &Parts) -> Plan {
        let mut plan = self.whole.clone();
        plan.listeners.retain(|listener| &*listener.name != "second" || parts.second);
        plan.pools.retain(|pool| parts.pools.contains_key(&*pool.name));
        for pool in &mut plan.pools {
            let has = &parts.pools[&*pool.name];
            Arc::make_mut(pool).backends.retain(|one| has.contains(&one.address.to_string()));
        }
        let is_there = |path: &str| path == "/" || parts.pools.contains_key(&path[1..]);
        plan.routes.retain(|route| is_there(&route.identity));
        route_of(&mut plan, "/").action = respond(&parts.page.to_string());
        plan
    }

    /// Other parts, one of which comes or goes.
    fn other(&mut self) -> Parts {
        let mut parts = self.now.clone();
        let pool = if self.rng.bool() { "one" } else { "two" };
        match self.rng.u8(..4) {
            0 => parts.second = !parts.second,
            1 => parts.page += 1,
            2 if parts.pools.remove(pool).is_some() => {}
            _ => match parts.pools.get_mut(pool) {
                Some(backends) if backends.len() == 2 => {
                    let gone = backends.iter().nth(self.rng.usize(..2)).cloned();
                    backends.retain(|one| Some(one) != gone.as_ref());
                }
                _ => drop(parts.pools.insert(pool, self.all.pools[pool].clone())),
            },
        }
        parts
    }

    async fn step(&mut self) {
        match self.rng.u8(..15) {
            0..=3 => self.open().await,
            4 if !self.sessions.is_empty() => {
                let at = self.rng.usize(..self.sessions.len());
                let ended = self.sessions.swap_remove(at).session.close(1000, "").await;
                assert_eq!(ended, Ending::Close(1000, String::new()));
            }
            5 if !self.sessions.is_empty() => self.kick().await,
            6 => self.drain().await,
            7 => self.enable().await,
            8 => self.refused().await,
            12 => self.move_away().await,
            13 => self.restart().await,
            9 => {
                let (dry, plan) = (ReloadRequest { dry_run: true, ..FORCE }, self.other());
                let plan = self.plan(&plan);
                taken(self.process.change_and(dry, |next| *next = plan).await);
            }
            _ => self.reload().await,
        }
    }

    async fn open(&mut self) {
        let pool = if self.rng.bool() { "one" } else { "two" };
        let listener = if self.now.second && self.rng.bool() { "second" } else { "http" };
        let client = Client::to(self.process.at(listener)).path(&format!("/{pool}"));
        let before = self.process.0.sessions.list(&Selector::All, 1000).await;
        let (head, wire) = client.handshake().await;
        let works = self.now.pools.get(pool).is_some_and(|has| !has.is_subset(&self.disabled));
        assert_eq!(head.status() == 101, works, "{head:?}");
        if !works {
            return;
        }
        let mut session = Session::client(wire).await;
        session.echo("hello").await;
        let after = self.process.0.sessions.list(&Selector::All, 1000).await;
        let is_new = |id| before.iter().all(|seen| seen.id != id);
        let new = after.into_iter().find(|seen| is_new(seen.id)).unwrap();
        let backend = new.facts.backend.to_string();
        assert!(self.now.pools[pool].contains(&backend) && !self.disabled.contains(&backend));
        let (id, backend) = (new.id, Some(backend));
        self.sessions.push(Live { session, id, listener, pool, backend });
    }

    async fn kick(&mut self) {
        let listed = self.process.0.sessions.list(&Selector::All, 1000).await;
        let kicked = &listed[self.rng.usize(..listed.len())];
        let who = json!({ "who": { "ids": [kicked.id.to_string()] } });
        let (status, told) = self.process.order("/kick", who).await;
        assert_eq!(status, 200, "{told}");
        let at = self.sessions.iter().position(|live| live.id == kicked.id).unwrap();
        let ending = self.sessions.remove(at).session.ending().await;
        assert!(matches!(ending, Ending::Close(1008, _)), "{ending:?}");
    }

    /// Whether sessions of the pool `one` have another place than this backend.
    fn has_room_beside(&self, pool: &str, backend: &str) -> bool {
        let works = |one: &&String| *one != backend && !self.disabled.contains(*one);
        pool == "one" && self.now.pools.get(pool).is_some_and(|has| has.iter().any(|b| works(&b)))
    }

    /// The sessions on a backend leave it: for another where they can, else they end.
    async fn leave(&mut self, backend: &str) {
        let moves = self.has_room_beside("one", backend);
        let here = self.sessions.iter_mut().filter(|live| live.is_on(backend));
        here.filter(|live| moves && live.pool == "one").for_each(|live| live.backend = None);
        self.end(|live| live.is_on(backend)).await;
    }

    async fn move_away(&mut self) {
        let all: Vec<_> = self.now.pools.get("one").into_iter().flatten().cloned().collect();
        let Some(from) = all.get(self.rng.usize(..2)) else { return };
        let who = json!({ "who": { "backend": from } });
        let (status, told) = self.process.order("/move", who).await;
        assert_eq!(status == 200, self.has_room_beside("one", from), "{told}");
        if status == 200 {
            self.disabled.insert(from.clone());
            self.leave(from).await;
        }
    }

    /// A backend dies, and another process takes its place.
    async fn restart(&mut self) {
        let at = self.rng.usize(..self.backends.len());
        let address = self.backends.remove(at).kill().await;
        let backend = address.to_string();
        self.sessions
            .iter_mut()
            .filter(|live| live.pool == "one" && live.is_on(&backend))
            .for_each(|live| live.backend = None);
        self.end(|live| live.is_on(&backend)).await;
        self.backends.insert(at, Backend::echo_at("again", address).await);
    }

    async fn drain(&mut self) {
        let Some(backend) = self.any_backend() else { return };
        let who = json!({ "who": { "backend": backend }, "force": true });
        let (status, told) = self.process.order("/drain", who).await;
        assert_eq!(status, 200, "{told}");
        self.disabled.insert(backend.clone());
        self.leave(&backend).await;
    }

    async fn enable(&mut self) {
        let Some(backend) = self.any_backend() else { return };
        let (status, told) = self.process.order("/enable", json!({ "backend": backend })).await;
        assert!(status == 200 || !self.disabled.contains(&backend), "{told}");
        self.disabled.remove(&backend);
    }

    fn any_backend(&mut self) -> Option<String> {
        let all: Vec<&String> = self.now.pools.values().flatten().collect();
        (!all.is_empty()).then(|| all[self.rng.usize(..all.len())].clone())
    }

    async fn refused(&mut self) {
        let taken_port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let busy = listener("busy", taken_port.local_addr().unwrap().port());
        let parts = self.other();
        let mut plan = self.plan(&parts);
        plan.listeners.push(Arc::new(busy));
        let refused = self.process.change_and(FORCE, |next| *next = plan).await;
        assert_eq!(refused.label(), "refused_listeners");
    }

    async fn reload(&mut self) {
        let parts = self.other();
        let plan = self.plan(&parts);
        taken(self.process.change_and(FORCE, |next| *next = plan).await);
        self.generation += 1;
        self.now = parts.clone();
        // A backend that is away is forgotten with its last session.
        let has: BTreeSet<String> = parts.pools.values().flatten().cloned().collect();
        self.disabled.retain(|backend| has.contains(backend));
        let there = |live: &Live| {
            parts.pools.contains_key(live.pool) && (live.listener == "http" || parts.second)
        };
        self.end(|live| !there(live)).await;
        let gone = |live: &Live| live.backend.clone().filter(|backend| !has.contains(backend));
        let gone: BTreeSet<String> = self.sessions.iter().filter_map(gone).collect();
        for backend in gone {
            self.leave(&backend).await;
        }
    }

    /// These sessions end, each with a Close, and no others.
    async fn end(&mut self, ends: impl Fn(&Live) -> bool) {
        let (ended, stay): (Vec<Live>, Vec<Live>) =
            std::mem::take(&mut self.sessions).into_iter().partition(ends);
        self.sessions = stay;
        for Live { session, .. } in ended {
            let ending = session.ending().await;
            assert!(matches!(ending, Ending::Close(1012, _)), "{ending:?}");
        }
    }

    /// Whether each session is listed where it is, and no other. Where one chose by itself, the
    /// model learns of it.
    async fn is_listed(&mut self) -> bool {
        let listed = self.process.0.sessions.list(&Selector::All, 1000).await;
        let mut listed: BTreeMap<_, _> = listed.into_iter().map(|seen| (seen.id, seen)).collect();
        for live in &mut self.sessions {
            let Some(seen) = listed.remove(&live.id) else { return false };
            let place = &seen.facts.location;
            let has = self.now.pools[live.pool].contains(&*place.backend);
            if live.backend.is_none() && has && !self.disabled.contains(&*place.backend) {
                live.backend = Some(place.backend.to_string());
            }
            let is_there = live.is_on(&place.backend) && *place.pool == *live.pool;
            if !is_there || *place.listener != *live.listener {
                return false;
            }
        }
        listed.is_empty()
    }

    /// The process is what the model says.
    async fn check(&mut self) {
        let count = self.sessions.len();
        within("the counts to be the model's", async {
            loop {
                let counts = self.process.counts().await;
                if (counts.sessions, counts.leases) == (count, count) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
        assert_eq!(self.process.generation(), self.generation);
        within("the list to be the model's", async {
            while !self.is_listed().await {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
        let status = self.process.status().await;
        let rows = status["backends"].as_array().unwrap();
        assert_eq!(rows.len(), self.now.pools.values().flatten().count());
        for row in rows {
            let backend = row["backend"].as_str().unwrap();
            let on = self.sessions.iter().filter(|live| live.is_on(backend)).count();
            assert_eq!(row["sessions"], json!(on), "{row}");
            let snapshot = self.process.0.app.live.now();
            let mut all = snapshot.pools.values().flat_map(|pool| pool.backends());
            let found = all.find(|one| **one.address() == *backend).unwrap();
            assert_eq!(found.is_disabled(), self.disabled.contains(backend), "{row}");
        }
        assert_eq!(self.process.address("second").is_some(), self.now.second);
        let (_, page) = self.process.client("/").request("GET", "").await;
        assert_eq!(page, self.now.page.to_string());
        for live in &mut self.sessions {
            live.session.echo("undisturbed").await;
        }
    }
}

async fn play(seed: u64) {
    let mut world = World::new(seed).await;
    // The page says what the model's plans say.
    let plan = world.plan(&world.now);
    taken(world.process.change_and(FORCE, |next| *next = plan).await);
    world.generation += 1;
    for _ in 0..STEPS {
        world.step().await;
        world.check().await;
    }
    world.sessions.clear();
    within("all to be gone", async {
        let gone = |of: Counts| (of.sessions, of.connections, of.leases) == (0, 0, 0);
        while !gone(world.process.counts().await) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    drop(world.backends);
}

#[tokio::test]
async fn a_process_is_what_its_orders_made_it() {
    if let Ok(seed) = std::env::var("TIDEGATE_SEED") {
        return play(seed.parse().expect("TIDEGATE_SEED is a number")).await;
    }
    let seeds = std::env::var("TIDEGATE_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap());
    for seed in 0..seeds {
        let replay = Replay(seed);
        play(seed).await;
        std::mem::forget(replay);
    }
}

/// Says which seed failed.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        eprintln!("replay with TIDEGATE_SEED={}", self.0);
    }
}
