//! The table of listening sockets, kept by their listeners' identities over reloads.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::accept;
use super::permits::{InFlight, Permits};
use super::sockets::OpenError;
use super::{Closing, Door, Gate, Heritage, House, Legacy, Shared, Taken};
use crate::base::worker::Queues;
use crate::config::plan::{Address, Listener, ListenerIdentity};
use crate::live::LiveListener;

/// Every listening socket of the process. Its drop closes them as [`Doors::close_all`] does.
pub struct Doors {
    doors: HashMap<ListenerIdentity, Arc<Door>>,
    /// What the connections of doors that another process has now listen to.
    passed: Vec<watch::Sender<Closing>>,
    shared: Arc<Shared>,
}

/// Sockets opened for a configuration that is not in force yet; dropped, they were never there.
#[derive(Debug, Default)]
pub struct Opened(Vec<(ListenerIdentity, Taken)>);

impl Opened {
    /// The addresses opened.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.0.iter().map(|(identity, _)| identity.address())
    }

    /// The configuration is not put in force: what was inherited can be inherited again.
    pub fn give_back(self, inherited: &mut Heritage) {
        self.0.into_iter().for_each(|(_, taken)| inherited.give_back(taken));
    }
}

impl Doors {
    /// No sockets yet.
    pub fn new(house: Arc<dyn House>, permits: Arc<Permits>, queues: Queues) -> Doors {
        let shared = Arc::new(Shared { house, permits, queues });
        Doors { doors: HashMap::new(), passed: Vec::new(), shared }
    }

    /// Opens what `listeners` has and is not open yet, with what was inherited where that fits:
    /// every one or, on failure, none.
    ///
    /// # Errors
    /// All that could not be opened.
    pub fn open(
        &self,
        listeners: &[Arc<Listener>],
        inherited: &mut Heritage,
    ) -> Result<Opened, Vec<OpenError>> {
        let mut opened = Opened::default();
        let mut errors = Vec::new();
        for listener in listeners {
            let identity = listener.identity();
            if self.doors.contains_key(&identity) {
                continue;
            }
            match inherited.open(&listener.address, Some(&listener.name)) {
                Ok(taken) => opened.0.push((identity, taken)),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            return Ok(opened);
        }
        opened.give_back(inherited);
        Err(errors)
    }

    /// Puts a configuration's listeners in force: what stays open faces clients anew, what was
    /// opened begins to accept, what has vanished stops. Nothing here touches a connection of a
    /// listener that stays.
    pub fn take(
        &mut self,
        mut opened: Opened,
        facings: impl IntoIterator<Item = Arc<LiveListener>>,
    ) {
        let mut before = std::mem::take(&mut self.doors);
        for facing in facings {
            let identity = facing.plan.identity();
            let door = if let Some(door) = before.remove(&identity) {
                door.facing.store(facing);
                door
            } else if let Some(at) = opened.0.iter().position(|(other, _)| *other == identity) {
                self.begin(opened.0.swap_remove(at).1, facing)
            } else {
                continue;
            };
            self.doors.insert(identity, door);
        }
        before.into_values().for_each(|door| close(&door));
    }

    fn begin(&self, taken: Taken, facing: Arc<LiveListener>) -> Arc<Door> {
        taken.own();
        let Taken { listening, origin } = taken;
        tracing::info!(listener = &*facing.plan.name, address = %listening.bound(), "listening");
        let door = Arc::new(Door {
            listening: Arc::new(listening),
            origin,
            facing: ArcSwap::new(facing),
            handshakes: Arc::new(InFlight::default()),
            gate: watch::Sender::new(Gate::Open),
            closing: watch::Sender::new(Closing::No),
        });
        self.accept(&door);
        door
    }

    /// Starts the accept loops of a door.
    fn accept(&self, door: &Arc<Door>) {
        for worker in 0..self.shared.queues.len() {
            let (begun, shared) = (Arc::clone(door), Arc::clone(&self.shared));
            // Here, not there: a loop that is on its way is waited for as well.
            let gate = door.gate.subscribe();
            let start = move || {
                if let Err(error) = accept::start(begun, shared, gate) {
                    tracing::error!(%error, worker, "a worker cannot accept");
                }
            };
            // The other workers accept for one that has stopped or is beyond help.
            if self.shared.queues.try_run_on(worker, start).is_err() {
                tracing::error!(worker, "a worker is too busy to begin to accept");
            }
        }
    }

    /// What the next process needs to accept in our place.
    pub fn legacies(&self) -> impl Iterator<Item = Legacy<'_>> {
        self.doors.iter().map(|(identity, door)| Legacy {
            listener: identity.name().cloned(),
            ..Legacy::of(identity.address(), &door.listening, door.origin.as_ref())
        })
    }

    /// Accepts nothing more for now, and waits until that is true. What comes waits in the kernel.
    pub async fn pause(&self) {
        for door in self.doors.values() {
            door.gate.send_replace(Gate::Paused);
        }
        for door in self.doors.values() {
            door.gate.closed().await;
        }
    }

    /// After [`Doors::pause`], accepts again; without it, nothing changes.
    pub fn resume(&self) {
        for door in self.doors.values() {
            if door.gate.send_replace(Gate::Open) == Gate::Paused {
                self.accept(door);
            }
        }
    }

    /// After [`Doors::pause`]: another process accepts at `taken` now. The rest is closed.
    pub fn pass_on(&mut self, taken: &[Address]) {
        for (identity, door) in std::mem::take(&mut self.doors) {
            if taken.contains(identity.address()) {
                door.listening.give_up_file();
                door.closing.send_replace(Closing::Passed);
                self.passed.push(door.closing.clone());
            } else {
                close(&door);
                // Once more, for what is queued.
                self.accept(&door);
            }
        }
    }

    /// Accepts nothing more, anywhere; connections finish the request they are at.
    pub fn close_all(&mut self) {
        self.doors.drain().for_each(|(_, door)| close(&door));
        for closing in self.passed.drain(..) {
            closing.send_replace(Closing::Now);
        }
    }

    /// The listeners in force by name, each with the address it is bound to.
    pub fn bound(&self) -> impl Iterator<Item = (Arc<str>, Address)> {
        self.doors.values().map(|door| {
            let facing = door.facing.load_full();
            (Arc::clone(&facing.plan.name), door.listening.bound().clone())
        })
    }
}

impl Drop for Doors {
    fn drop(&mut self) {
        self.close_all();
    }
}

fn close(door: &Door) {
    tracing::info!(address = %door.listening.bound(), "listens no more");
    door.gate.send_replace(Gate::Closed);
    door.closing.send_replace(Closing::Now);
}
