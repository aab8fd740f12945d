//! The sockets of a configuration that is not in force yet. What it does not have any more makes
//! way where the system refuses an address for it: closed, or passed on with its queue; and is as
//! it was when the configuration is refused.

use super::core::ProcessCore;
use crate::admin::{OpenedServers, ReleasedServers};
use crate::config::plan::{Address, ListenerIdentity, Plan};
use crate::listen::{OpenError, OpenedSockets, ReleasedSockets};

/// Everything open that a configuration needs.
pub(super) struct Opening {
    pub(super) sockets: OpenedSockets,
    pub(super) servers: OpenedServers,
    /// What made way for it.
    pub(super) released: ReleasedSockets,
}

/// What made way, while it is not known whether that is of use.
#[derive(Default)]
struct MadeWay {
    sockets: ReleasedSockets,
    servers: ReleasedServers,
}

/// Opens what the plan has and is not open yet: everything or, on failure, nothing.
///
/// # Errors
/// All that could not be opened.
pub(super) async fn open(core: &mut ProcessCore, plan: &Plan) -> Result<Opening, Vec<OpenError>> {
    let identities: Vec<_> = plan.listeners.iter().map(|listener| listener.identity()).collect();
    let mut offered = core.sockets.offer(&identities, &mut core.inherited);
    offered.extend(core.servers.offer(plan, &mut core.inherited));
    let mut made_way = MadeWay::default();
    let mut opened = try_open(core, plan);
    if opened.as_ref().is_err_and(|errors| errors.iter().any(OpenError::is_taken)) {
        made_way = release(core, plan, &identities).await;
        opened = try_open(core, plan);
    }
    match opened {
        Ok((sockets, servers)) => {
            // Of what was offered, a service manager's stays for a later configuration.
            core.inherited.close_unused();
            Ok(Opening { sockets, servers, released: made_way.sockets })
        }
        Err(errors) => {
            core.sockets.restore(made_way.sockets, &mut core.inherited);
            core.servers.restore(made_way.servers, &mut core.inherited);
            offered.iter().for_each(|address| core.inherited.withdraw(address));
            Err(errors)
        }
    }
}

/// Opens what can be opened as things are.
fn try_open(
    core: &mut ProcessCore,
    plan: &Plan,
) -> Result<(OpenedSockets, OpenedServers), Vec<OpenError>> {
    let sockets = core.sockets.open(&plan.listeners, &mut core.inherited)?;
    match core.servers.open(plan, &mut core.inherited) {
        Ok(servers) => Ok((sockets, servers)),
        Err(error) => {
            sockets.give_back(&mut core.inherited);
            Err(vec![error])
        }
    }
}

async fn release(core: &mut ProcessCore, plan: &Plan, identities: &[ListenerIdentity]) -> MadeWay {
    let mut wanted: Vec<Address> = core.sockets.missing(identities);
    wanted.extend(core.servers.missing(plan));
    let inherited = &mut core.inherited;
    let sockets = core.sockets.release(identities, &wanted, inherited).await;
    let servers = core.servers.release(plan, &wanted, inherited).await;
    MadeWay { sockets, servers }
}
