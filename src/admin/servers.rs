//! The admin listener and the operator's socket, kept over reloads while they do not change.

use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;

use super::http::{InFlight, Server};
use super::process::Process;
use super::{operator, probes};
use crate::config::plan::{Address, Admin, Control, Plan};
use crate::listen::{Handover, InheritedSockets, Listening, OpenError, Opened};

/// Time for a whole connection to the admin listener, from its accept to the end of its answer.
pub const ADMIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The same of the operator's socket: a reload or an upgrade takes long.
pub const OPERATOR_TIMEOUT: Duration = Duration::from_secs(120);

/// The mode of a directory that is made for the operator's socket: who may connect is said by the
/// socket's own.
const DIRECTORY_MODE: u32 = 0o755;

/// How long requests may take that were in flight when another process took over.
const FINISH_TIMEOUT: Duration = Duration::from_secs(1);

/// The servers of a process.
#[derive(Default)]
pub struct Servers {
    pub(super) admin: Option<(Admin, Server)>,
    pub(super) operator: Option<(Control, Server)>,
    /// Servers the configuration does not have any more.
    replaced: Vec<Server>,
    /// Requests that were in flight when another process took over.
    passed: Vec<InFlight>,
}

/// Sockets opened for a plan that is not in force yet.
pub struct OpenedServers {
    admin: Option<Opened>,
    operator: Option<Opened>,
}

impl OpenedServers {
    /// The addresses opened, of this plan.
    pub fn addresses(&self, plan: &Plan) -> impl Iterator<Item = Address> {
        let admin = self.admin.as_ref().and(plan.admin.as_ref()).map(admin_at);
        let operator = self.operator.as_ref().and(plan.control.as_ref()).map(operator_at);
        admin.into_iter().chain(operator)
    }
}

impl Servers {
    /// Opens what the plan has and is not open yet.
    pub fn open(
        &self,
        plan: &Plan,
        inherited: &mut InheritedSockets,
    ) -> Result<OpenedServers, OpenError> {
        let admin = plan.admin.as_ref().filter(|new| !self.listens_as(new));
        let admin = admin.map(|admin| inherited.open(&admin_at(admin), None));
        let operator = plan.control.as_ref().filter(|new| !self.takes_orders_at(new));
        let operator = operator.map(|new| {
            let open = || {
                make_directory_of(&new.socket);
                Listening::open_unix(&new.socket, Some(new.mode))
            };
            inherited.open_or(&operator_at(new), None, open)
        });
        let admin = admin.transpose()?;
        match operator.transpose() {
            Ok(operator) => Ok(OpenedServers { admin, operator }),
            Err(error) => {
                admin.into_iter().for_each(|taken| inherited.give_back(taken));
                Err(error)
            }
        }
    }

    /// Puts the plan in force; servers it does not have any more end.
    pub fn take(&mut self, opened: OpenedServers, plan: &Plan, process: &impl Process) {
        self.take_admin(opened.admin, plan.admin.as_ref(), process);
        self.take_operator(opened.operator, plan.control.as_ref(), process);
    }

    fn take_operator(
        &mut self,
        opened: Option<Opened>,
        plan: Option<&Control>,
        process: &impl Process,
    ) {
        if let (Some(new), Some((old, server))) = (plan, &mut self.operator)
            && new.socket == old.socket
        {
            if new != old {
                server.set_mode(new.mode);
                *old = new.clone();
            }
            return;
        }
        let start = |(control, taken): (&Control, Opened)| {
            let answers = operator::answers(process.clone());
            let server = Server::start(taken, answers, OPERATOR_TIMEOUT).map_err(complain).ok()?;
            // An inherited one has the mode that it had.
            server.set_mode(control.mode);
            Some((control.clone(), server))
        };
        let new = plan.zip(opened).and_then(start);
        self.replaced.extend(std::mem::replace(&mut self.operator, new).map(|(_, old)| old));
    }

    fn take_admin(&mut self, opened: Option<Opened>, plan: Option<&Admin>, process: &impl Process) {
        let answers = |admin: &Admin| probes::answers(process.clone(), admin.clone());
        if let (Some(new), Some((old, server))) = (plan, &mut self.admin)
            && new.address == old.address
        {
            if new != old {
                server.respond_with(answers(new));
                *old = new.clone();
            }
            return;
        }
        let start = |(admin, taken): (&Admin, Opened)| {
            let server = Server::start(taken, answers(admin), ADMIN_TIMEOUT);
            Some((admin.clone(), server.map_err(complain).ok()?))
        };
        let new = plan.zip(opened).and_then(start);
        self.replaced.extend(std::mem::replace(&mut self.admin, new).map(|(_, old)| old));
    }

    /// Whether the admin listener is where this one would be.
    fn listens_as(&self, admin: &Admin) -> bool {
        self.admin.as_ref().is_some_and(|(open, _)| open.address == admin.address)
    }

    /// Whether the operator's socket is where this one would be.
    fn takes_orders_at(&self, control: &Control) -> bool {
        self.operator.as_ref().is_some_and(|(open, _)| open.socket == control.socket)
    }

    /// Waits until the sockets of replaced servers are closed: the next configuration may want
    /// their addresses again.
    pub async fn settle(&mut self) {
        for server in self.replaced.drain(..) {
            drop(server.end().await);
        }
    }

    /// What the next process needs to serve in our place.
    pub fn handovers(&self) -> impl Iterator<Item = Handover<'_>> {
        let admin = self.admin.as_ref().map(|(plan, server)| server.handover(&admin_at(plan)));
        let operator =
            self.operator.as_ref().map(|(plan, server)| server.handover(&operator_at(plan)));
        admin.into_iter().chain(operator)
    }

    /// Another process serves at `taken` now; the rest is closed.
    pub fn hand_over(&mut self, taken: &[Address]) {
        let admin = self.admin.take().map(|(plan, server)| (admin_at(&plan), server));
        let operator = self.operator.take().map(|(plan, server)| (operator_at(&plan), server));
        for (address, server) in admin.into_iter().chain(operator) {
            let is_taken = taken.contains(&address);
            self.passed.push(if is_taken { server.hand_over() } else { server.close() });
        }
    }

    /// After [`Servers::hand_over`]: lets requests in flight finish. Who asked for the upgrade is
    /// one of them.
    pub async fn finish(&self) {
        for in_flight in &self.passed {
            // Whoever takes longer does not read.
            let _ = timeout(FINISH_TIMEOUT, in_flight.finish()).await;
        }
    }

    /// Where the admin listener is bound.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        match self.admin.as_ref()?.1.bound() {
            Address::Inet(address) => Some(*address),
            Address::Unix(_) => None,
        }
    }
}

/// Makes the directory of a socket where there is none. Where it cannot be made, opening the socket
/// says so.
fn make_directory_of(socket: &Path) {
    if let Some(directory) = socket.parent().filter(|directory| !directory.exists()) {
        let _ = DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory);
    }
}

pub(super) fn admin_at(admin: &Admin) -> Address {
    Address::Inet(admin.address)
}

pub(super) fn operator_at(control: &Control) -> Address {
    Address::Unix(control.socket.clone())
}

pub(super) fn complain(error: std::io::Error) {
    tracing::error!(%error, "a socket that was opened cannot be served");
}
