//! The table of listening sockets, kept by address over reloads.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::accept;
use super::permits::{InFlight, Permits};
use super::sockets::{Listening, OpenError};
use super::{Door, House, Shared};
use crate::base::worker::Queues;
use crate::config::plan::{Address, Listener};
use crate::live::LiveListener;

/// Every listening socket of the process. Its drop closes them as [`Doors::close_all`] does.
pub struct Doors {
    doors: HashMap<Address, Arc<Door>>,
    inherited: HashMap<Address, OwnedFd>,
    shared: Arc<Shared>,
}

/// Sockets opened for a configuration that is not in force yet; dropped, they were never there.
#[derive(Debug, Default)]
pub struct Opened(Vec<(Address, Listening)>);

impl Doors {
    /// No sockets yet; the first [`Doors::open`] takes those of `inherited` that it needs.
    pub fn new(
        house: Arc<dyn House>,
        permits: Arc<Permits>,
        queues: Queues,
        inherited: impl IntoIterator<Item = (Address, OwnedFd)>,
    ) -> Doors {
        let shared = Arc::new(Shared { house, permits, queues });
        Doors { doors: HashMap::new(), inherited: inherited.into_iter().collect(), shared }
    }

    /// Opens what `listeners` has and is not open yet: every one or, on failure, none.
    ///
    /// # Errors
    /// All that could not be opened.
    pub fn open(&mut self, listeners: &[Arc<Listener>]) -> Result<Opened, Vec<OpenError>> {
        let mut opened = Vec::new();
        let mut errors = Vec::new();
        for listener in listeners {
            let address = &listener.address;
            if self.doors.contains_key(address) {
                continue;
            }
            let listening = match self.inherited.remove(address) {
                Some(fd) => Listening::inherit(address, fd),
                None => Listening::open(address),
            };
            match listening {
                Ok(listening) => opened.push((address.clone(), listening)),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(Opened(opened)) } else { Err(errors) }
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
            let address = facing.plan.address.clone();
            let door = if let Some(door) = before.remove(&address) {
                door.facing.store(facing);
                door
            } else if let Some(at) = opened.0.iter().position(|(other, _)| *other == address) {
                self.begin(opened.0.swap_remove(at).1, facing)
            } else {
                continue;
            };
            self.doors.insert(address, door);
        }
        before.into_values().for_each(|door| close(&door));
    }

    fn begin(&self, listening: Listening, facing: Arc<LiveListener>) -> Arc<Door> {
        tracing::info!(listener = &*facing.plan.name, address = %listening.bound(), "listening");
        let door = Arc::new(Door {
            listening: Arc::new(listening),
            facing: ArcSwap::new(facing),
            handshakes: Arc::new(InFlight::default()),
            closing: watch::Sender::new(false),
        });
        for worker in 0..self.shared.queues.len() {
            let (begun, shared) = (Arc::clone(&door), Arc::clone(&self.shared));
            let start = move || {
                if let Err(error) = accept::start(begun, shared) {
                    tracing::error!(%error, worker, "a worker cannot accept");
                }
            };
            // The other workers accept for one that has stopped or is beyond help.
            if self.shared.queues.try_run_on(worker, start).is_err() {
                tracing::error!(worker, "a worker is too busy to begin to accept");
            }
        }
        door
    }

    /// Accepts nothing more, anywhere; connections finish the request they are at.
    pub fn close_all(&mut self) {
        self.doors.drain().for_each(|(_, door)| close(&door));
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
    door.closing.send_replace(true);
}
