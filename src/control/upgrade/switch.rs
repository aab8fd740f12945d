//! The switch: a new process gets ready, then it serves in place of this one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::older::Older;
use super::pool_rows::{DisabledBackend, FoundRow};
use super::program::Program;
use super::successor::Successor;
use super::words::{FetchedKeysRow, New, Old};
use crate::admin::{NoUpgrade, UpgradeFailure, Upgraded};
use crate::base::clock;
use crate::base::label::Label;
use crate::config::plan::{self, Address};
use crate::control::core::ProcessCore;
use crate::control::manager;
use crate::control::stop_requests::StopRequests;
use crate::listen::Handover;
use crate::pool::Backend;
use crate::tls;

/// How long the switch itself may take: the old process ceases to accept, the new one begins.
const SWITCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Tries to have another process take over, and says in log and metrics what came of it. After
/// that, either it serves and this one shall leave, or nothing has changed.
pub(in crate::control) async fn upgrade(
    core: &mut ProcessCore,
    mut stops: watch::Receiver<StopRequests>,
) -> Result<Successor, Upgraded> {
    let outcome = try_upgrade(core, &mut stops).await;
    if let Err(not) = &outcome {
        tracing::error!(outcome = not.label(), why = %not, "no upgrade");
        core.common.metrics.process.upgrades.count(not);
    }
    core.common.upgrade.done();
    outcome
}

async fn try_upgrade(
    core: &mut ProcessCore,
    stops: &mut watch::Receiver<StopRequests>,
) -> Result<Successor, Upgraded> {
    let rules = core.common.app.live.now().plan.upgrade.clone();
    let program = may_upgrade(core, &rules).map_err(Upgraded::Refused)?.clone();
    let path = program.path.display();
    let mut successor = Successor::start(&program)
        .map_err(|error| Upgraded::Failed(UpgradeFailure::Start(format!("{error}: `{path}`"))))?;
    let pid = successor.pid();
    tracing::info!(new_pid = pid, program = %path, "upgrade: a new process starts");
    let ready = tokio::select! {
        ready = get_ready(core, &mut successor, &rules) => ready,
        // The sender lives in `core.common`.
        _ = stops.wait_for(StopRequests::is_stop) => Err(UpgradeFailure::Stopped),
    };
    let switched = match ready {
        Ok(taken) => switch(core, &mut successor, taken).await,
        Err(failure) => Err(failure),
    };
    match switched {
        Ok(()) => Ok(successor),
        Err(failure) => {
            // Before this one accepts again: what it had accepted would be lost with it.
            successor.end();
            core.common.upgrade.cancel_switch();
            core.sockets.resume();
            Err(Upgraded::Failed(failure))
        }
    }
}

/// What is to be started, when there may be an upgrade.
fn may_upgrade<'c>(core: &'c ProcessCore, rules: &plan::Upgrade) -> Result<&'c Program, NoUpgrade> {
    let program = core.program.as_ref().ok_or(NoUpgrade::NotRun)?;
    if std::process::id() == 1 {
        return Err(NoUpgrade::First);
    }
    let older: Vec<u32> = core.common.upgrade.older().keys().copied().collect();
    if older.len() > rules.old_processes_max {
        return Err(NoUpgrade::Older(older));
    }
    Ok(program)
}

/// Every listening socket.
fn handovers(core: &ProcessCore) -> impl Iterator<Item = Handover<'_>> {
    let unused = core.inherited.unused().iter().map(Handover::unused);
    core.sockets.handovers().chain(core.servers.handovers()).chain(unused)
}

/// Hands everything over and waits until the new process could serve; gives what it takes.
async fn get_ready(
    core: &ProcessCore,
    successor: &mut Successor,
    rules: &plan::Upgrade,
) -> Result<Vec<Address>, UpgradeFailure> {
    let number = core.common.upgrade.number() + 1;
    let known = core.common.upgrade.older().clone();
    let older = core.older.links(&known);
    let sockets: Vec<_> = handovers(core).collect();
    let found = FoundRow::of(core.members.found());
    let ready = async {
        // One that is gone is heard to be: it says why, or how it ended.
        let _ = successor.greet(number, &sockets, &older, found).await;
        match successor.hear().await? {
            New::Ready { taken } => Ok(taken.into_iter().map(Into::into).collect()),
            word => Err(UpgradeFailure::New(format!("it says {word:?} before it is ready"))),
        }
    };
    timeout(rules.timeout, ready).await.unwrap_or(Err(UpgradeFailure::Slow(rules.timeout)))
}

/// The switch: from its end on the new process serves.
async fn switch(
    core: &mut ProcessCore,
    successor: &mut Successor,
    taken: Vec<Address>,
) -> Result<(), UpgradeFailure> {
    let disabled = disabled(core);
    let tickets = tls::ticket_secrets().map(Into::into);
    let drains = core.common.drains.last_number();
    let rebalances = core.rebalances.states(clock::now()).into_iter().map(Into::into).collect();
    let keys = fetched_keys(core);
    let switch = async {
        core.sockets.pause().await;
        core.common.upgrade.begin_switch().await;
        let sessions = Some(core.common.sessions.live().await);
        let go = Old::Go { disabled, tickets, drains, rebalances, keys, sessions };
        // As above.
        let _ = successor.say(&go).await;
        match successor.hear().await? {
            New::Serving => Ok(()),
            word => Err(UpgradeFailure::New(format!("it says {word:?} instead of serving"))),
        }
    };
    let late = || UpgradeFailure::New(format!("it does not accept within {SWITCH_TIMEOUT:?}"));
    timeout(SWITCH_TIMEOUT, switch).await.unwrap_or_else(|_| Err(late()))?;
    let pid = successor.pid();
    // While it still listens to this process (`NotifyAccess=main`).
    manager::tell(&format!("MAINPID={pid}"));
    core.common.upgrade.pass_to(pid);
    core.sockets.hand_over(&taken);
    core.servers.hand_over(&taken);
    core.inherited = Default::default();
    core.older = Older::default();
    core.watch = None;
    Ok(())
}

/// Keys of tokens that were fetched: whoever has them may be away when the new process asks.
fn fetched_keys(core: &ProcessCore) -> Vec<FetchedKeysRow> {
    let snapshot = core.common.app.live.now();
    let sets = snapshot.access.values().filter_map(|rule| rule.hand_over_keys());
    let (rows, left) = FetchedKeysRow::that_fit(sets.collect());
    for rule in left {
        tracing::warn!(%rule, "token keys not handed over");
    }
    rows
}

/// What operators' commands keep work from: it stays so in the new process.
fn disabled(core: &ProcessCore) -> Vec<DisabledBackend> {
    let snapshot = core.common.app.live.now();
    let backends = snapshot.pools.values().flat_map(|pool| pool.backends());
    let disabled = backends.filter(|backend| backend.is_disabled());
    let name = |backend: &Arc<Backend>| DisabledBackend {
        pool: backend.pool().to_string(),
        backend: backend.address().to_string(),
    };
    disabled.map(name).collect()
}
