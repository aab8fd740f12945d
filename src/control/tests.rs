//! Whole processes on real sockets, several at once in this one: what looks inside of them. What
//! does not is in `tests/e2e/supervisor`.

mod applies;
// Shared with the end-to-end tests.
#[allow(dead_code)]
#[path = "../../tests/e2e/supervisor/operated.rs"]
mod operated;
#[allow(dead_code)]
#[path = "../../tests/e2e/supervisor/planned.rs"]
mod planned;
mod random;
mod reports;
mod returning;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::actors;
use crate::admin::{Counts, ReloadRefused, ReloadRequest, Reloaded, Taken};
use crate::config::plan::{Address, Plan, Route};
use crate::live::tests::plan::{listener, plan, pool, respond, route, to_pool};
use crate::observe::metrics::Exposition;

use actors::{Backend, Client, Ending, Session, until, within};
use planned::{Process, route_of, site, taken};

impl Process {
    /// Waits until nothing is left but the accept loops.
    async fn is_quiet(&self) {
        let mut last = None;
        let quiet = async {
            loop {
                self.0.queues.ask_all(|_| crate::action::close_idle()).await;
                // Of a listener that is gone both end in a moment.
                let page = self.scrape(Exposition::OpenMetrics);
                let loops = page.matches("tidegate_connections_open{").count();
                let counts = self.counts().await;
                if counts == (Counts { tasks: loops, ..Counts::default() }) {
                    break;
                }
                last = Some((counts, loops));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let is_over = tokio::time::timeout(Duration::from_secs(20), quiet).await.is_ok();
        assert!(is_over, "left at the end, and loops that accept: {last:?}");
    }
}
