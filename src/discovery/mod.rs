//! Backends that are found: by name in DNS, or in a file.
//!
//! **In:** the plan's sources, and what they answer. **Out:** who the members are, as a table that
//! a plan is made with. **Never here:** a pool; what becomes of those that come and go.
//!
//! One task asks one source ([`SourceTasks`], `asking`) and puts what it finds where all see it
//! ([`FoundMembers`]). What a source says is judged without I/O (`membership`): one that lies, or
//! has an accident, must not take a pool away.

mod asking;
#[cfg(feature = "dns")]
mod dns;
#[cfg(feature = "dns")]
mod dns_runtime;
mod file;
mod found;
mod membership;
mod question;
mod source_answer;

pub use file::{members_of, parse_members};
pub use found::{FoundMembers, FoundVersion, SourceState};

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::base::task;
use crate::config::plan::{Discovery, Plan, SourceKey};
use asking::keep_asking;

/// The tasks that ask, one for each source.
#[derive(Default)]
pub struct SourceTasks(BTreeMap<SourceKey, SourceTask>);

/// A task; its drop ends it.
struct SourceTask {
    rules: Discovery,
    _stop: oneshot::Sender<()>,
}

impl SourceTasks {
    /// Asks the sources of this plan and no others. One whose rules have changed is asked anew, and
    /// keeps its members.
    pub fn follow(&mut self, plan: &Plan, found: &Arc<FoundMembers>) {
        let wanted: BTreeMap<SourceKey, &Discovery> = plan.sources().collect();
        self.0.retain(|key, task| wanted.get(key).is_some_and(|rules| **rules == task.rules));
        found.retain(|key| wanted.contains_key(key));
        self.ask_also(plan, found);
    }

    /// Asks the sources of this plan, too, that are not asked yet.
    pub fn ask_also(&mut self, plan: &Plan, found: &Arc<FoundMembers>) {
        for (key, rules) in plan.sources() {
            self.0.entry(key).or_insert_with_key(|key| {
                let (stop, stopped) = oneshot::channel();
                let asking = keep_asking(key.clone(), rules.clone(), Arc::clone(found));
                task::spawn_boxed("discovery", async move {
                    tokio::select! {
                        biased;
                        // Its sender is dropped. From then on nothing more is put.
                        _ = stopped => {}
                        () = asking => {}
                    }
                });
                SourceTask { rules: rules.clone(), _stop: stop }
            });
        }
    }
}
