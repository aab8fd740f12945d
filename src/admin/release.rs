//! Servers that a configuration which is not in force yet does not have, or has elsewhere: they
//! make way for its listeners, as `listen`'s own sockets do, and come back if it is not taken.

use std::io;
use std::time::Duration;

use super::http::{Responder, Server};
use super::servers::{ADMIN_TIMEOUT, OPERATOR_TIMEOUT, Servers, admin_at, complain, operator_at};
use crate::config::plan::{Address, Admin, Control, Plan};
use crate::listen::{
    InheritedSockets, Listening, OpenError, Origin, Way, is_exchanged, is_in_the_way,
};

/// Servers that made way; dropped, they have ended.
#[derive(Default)]
pub struct ReleasedServers {
    admin: Option<(Admin, ReleasedServer)>,
    operator: Option<(Control, ReleasedServer)>,
}

struct ReleasedServer {
    bound: Address,
    responder: Responder,
    way: Way,
}

impl ReleasedServer {
    /// Has a server make way for the addresses `wanted`.
    async fn new(
        server: Server,
        wanted: &[Address],
        inherited: &mut InheritedSockets,
    ) -> ReleasedServer {
        let bound = server.bound().clone();
        let offered = is_exchanged(&bound, wanted) && server.offer(inherited).is_ok();
        let (listening, responder) = server.end().await;
        let way = if offered { Way::Offered(listening) } else { Way::Closed };
        ReleasedServer { bound, responder, way }
    }

    /// The server again.
    fn back(
        self,
        inherited: &mut InheritedSockets,
        timeout: Duration,
        open: impl FnOnce(&Address) -> Result<Listening, OpenError>,
    ) -> Option<Server> {
        let ReleasedServer { bound, responder, way } = self;
        inherited.withdraw(&bound);
        let listening = way.back(|| open(&bound)).map_err(io::Error::other);
        let server = listening.and_then(|one| Server::serve(one, None, responder, timeout));
        server.map_err(complain).ok()
    }
}

impl Servers {
    /// Those among the plan's addresses that are not open.
    pub fn missing(&self, plan: &Plan) -> Vec<Address> {
        let admin = plan.admin.as_ref().map(admin_at);
        let operator = plan.control.as_ref().map(operator_at);
        let is_open = |address: &Address| self.open_at().any(|open| open == *address);
        admin.into_iter().chain(operator).filter(|address| !is_open(address)).collect()
    }

    /// Offers the service manager's sockets that the plan's servers have not: they can be taken for
    /// a listener, or later. Answers which.
    pub fn offer(&self, plan: &Plan, inherited: &mut InheritedSockets) -> Vec<Address> {
        let stays = [plan.admin.as_ref().map(admin_at), plan.control.as_ref().map(operator_at)];
        let admin = self.admin.as_ref().map(|(of, server)| (admin_at(of), server));
        let operator = self.operator.as_ref().map(|(of, server)| (operator_at(of), server));
        let mut offered = Vec::new();
        for (address, server) in admin.into_iter().chain(operator) {
            let managed = matches!(server.origin(), Some(Origin::Manager { .. }));
            if !managed || stays.contains(&Some(address)) {
                continue;
            }
            match server.offer(inherited) {
                Ok(()) => offered.push(server.bound().clone()),
                Err(error) => complain(error),
            }
        }
        offered
    }

    /// Has the servers that the plan has not make way for the addresses `wanted`, as far as they
    /// are in the way.
    pub async fn release(
        &mut self,
        plan: &Plan,
        wanted: &[Address],
        inherited: &mut InheritedSockets,
    ) -> ReleasedServers {
        let is_released = |server: &Server, stays: bool| {
            // A service manager's is offered, and its address never free.
            let ours = !matches!(server.origin(), Some(Origin::Manager { .. }));
            ours && !stays && is_in_the_way(server.bound(), wanted)
        };
        let mut released = ReleasedServers::default();
        let stays = |of: &Admin| plan.admin.as_ref().is_some_and(|new| new.address == of.address);
        let admin = self.admin.take_if(|(of, server)| is_released(server, stays(of)));
        if let Some((of, server)) = admin {
            released.admin = Some((of, ReleasedServer::new(server, wanted, inherited).await));
        }
        let stays = |of: &Control| plan.control.as_ref().is_some_and(|new| new.socket == of.socket);
        let operator = self.operator.take_if(|(of, server)| is_released(server, stays(of)));
        if let Some((of, server)) = operator {
            released.operator = Some((of, ReleasedServer::new(server, wanted, inherited).await));
        }
        released
    }

    /// The configuration is not taken: what made way serves again.
    pub fn restore(&mut self, released: ReleasedServers, inherited: &mut InheritedSockets) {
        if let Some((of, released)) = released.admin {
            let server = released.back(inherited, ADMIN_TIMEOUT, Listening::open);
            self.admin = server.map(|server| (of, server));
        }
        if let Some((of, released)) = released.operator {
            let open = |_: &Address| Listening::open_unix(&of.socket, Some(of.mode));
            let server = released.back(inherited, OPERATOR_TIMEOUT, open);
            self.operator = server.map(|server| (of, server));
        }
    }

    fn open_at(&self) -> impl Iterator<Item = Address> {
        let admin = self.admin.as_ref().map(|(of, _)| admin_at(of));
        let operator = self.operator.as_ref().map(|(of, _)| operator_at(of));
        admin.into_iter().chain(operator)
    }
}
