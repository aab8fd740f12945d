//! The admin listener and the operator's socket, kept over reloads while they do not change.

use std::net::SocketAddr;

use super::handle::Handle;
use super::http::Server;
use super::{admin, operator};
use crate::config::plan::{Address, Admin, Control, Plan};
use crate::listen::{Listening, OpenError};

/// Who may open the operator's socket: its owner.
const OPERATOR_MODE: u32 = 0o600;

#[derive(Default)]
pub(super) struct Servers {
    admin: Option<(Admin, Server)>,
    operator: Option<(Control, Server)>,
}

/// Sockets opened for a plan that is not in force yet.
pub(super) struct Opened {
    admin: Option<Listening>,
    operator: Option<Listening>,
}

impl Servers {
    /// Opens what the plan has and is not open yet.
    pub(super) fn open(&self, plan: &Plan) -> Result<Opened, OpenError> {
        let admin = plan.admin.as_ref();
        let admin = admin.filter(|new| self.admin.as_ref().is_none_or(|(old, _)| old != *new));
        let admin = admin.map(|admin| Listening::open(&Address::Inet(admin.address)));
        let operator = plan.control.as_ref();
        let operator =
            operator.filter(|new| self.operator.as_ref().is_none_or(|(old, _)| old != *new));
        let operator = operator.map(|new| Listening::open_private(&new.socket, OPERATOR_MODE));
        Ok(Opened { admin: admin.transpose()?, operator: operator.transpose()? })
    }

    /// Puts the plan in force; servers it does not have any more end.
    pub(super) fn take(&mut self, opened: Opened, plan: &Plan, handle: &Handle) {
        if plan.admin != self.admin.as_ref().map(|(plan, _)| plan.clone()) {
            let answers = || admin::answers(handle.clone());
            let start = |listening| Server::start(listening, answers()).map_err(complain).ok();
            self.admin = plan.admin.clone().zip(opened.admin.and_then(start));
        }
        if plan.control != self.operator.as_ref().map(|(plan, _)| plan.clone()) {
            let answers = || operator::answers(handle.clone());
            let start = |listening| Server::start(listening, answers()).map_err(complain).ok();
            self.operator = plan.control.clone().zip(opened.operator.and_then(start));
        }
    }

    /// Where the admin listener is bound.
    pub(super) fn admin_address(&self) -> Option<SocketAddr> {
        match self.admin.as_ref()?.1.bound() {
            Address::Inet(address) => Some(*address),
            Address::Unix(_) => None,
        }
    }
}

fn complain(error: std::io::Error) {
    tracing::error!(%error, "a socket that was opened cannot be served");
}
