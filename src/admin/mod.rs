//! Probes, metrics and the operator's commands, over small HTTP servers of their own.
//!
//! **In:** requests on the admin listener and on the operator's socket; a [`Process`], which is all
//! that is known here of the process. **Out:** answers; orders to the drain engine and the process.
//! **Never here:** what a reload, an upgrade or a stop does; a byte of a session.

mod connections;
mod exposition;
mod guard;
mod http;
mod older;
mod operator;
mod page;
mod probes;
mod process;
mod release;
mod report;
mod servers;

pub use older::{
    NoAnswer, OLDER_ANSWER_BYTES_MAX, OLDER_ANSWER_TIMEOUT, OlderAnswer, OlderQuestion, OlderReport,
};
pub use operator::{
    BODY_BYTES_MAX, DrainRequest, EnableRequest, KickRequest, MoveRequest, OperatorRequest,
    PUSH_BODY_BYTES_MAX, PushCommand, REMARK, SessionsRequest, StatusRequest, TailRequest,
    TopRequest, UpgradeRequest, answer_newer,
};
pub use process::{Counts, Phase, Process, ProcessSetup, Stopped};
pub use release::ReleasedServers;
pub use report::{
    NoUpgrade, RefusedReload, ReloadRefused, ReloadRequest, Reloaded, Taken, UpgradeFailure,
    Upgraded,
};
pub use servers::{OpenedServers, Servers};

#[cfg(test)]
mod tests;
