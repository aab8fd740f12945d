//! Whole processes, several at once in this one, whose configurations are plans.

mod addresses;
mod endpoints;
mod moving;
mod operated;
mod operating;
mod planned;
mod reloads;
mod rooms;
mod stops;
mod watches;

// Shared with the unit tests.
#[allow(dead_code)]
#[path = "../../src/live/tests/plan.rs"]
mod made;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidegate::admin::{Counts, Phase, ReloadRefused, ReloadRequest, Reloaded, Stopped, Taken};
use tidegate::control::*;
use tidegate::observe::metrics::Exposition;

use crate::actors::{Backend, Client, Ending, Session, until, within};
use crate::config::plan::{Address, Plan, Route};
use made::{admin, listener, plan, pool, respond, route, to_pool};
use planned::{Process, refused, route_of, site, taken};

impl Process {
    /// Ends it once nothing is open, and finds that nothing is left.
    async fn is_quiet(&self) {
        let is_open = |counts: Counts| counts.sessions + counts.connections + counts.leases > 0;
        let quiet = async {
            while is_open(self.counts().await) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        within("all to end", quiet).await;
        self.stop();
        let stopped = within("the end", self.stopped()).await;
        assert!(stopped.drained, "it was stopped before all had ended: {:?}", stopped.left);
        assert_eq!(stopped.left, Counts::default());
    }
}
