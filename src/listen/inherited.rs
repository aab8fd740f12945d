//! Listening sockets that another process opened, until they are taken.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::sockets::{Listening, OpenError};
use crate::config::plan::Address;

/// Whose an inherited socket is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A service manager's, which keeps its own descriptor and the socket's file
    /// (sd_listen_fds(3)); it has this name there, which may be a listener's.
    Manager {
        /// `FileDescriptorName=`.
        name: String,
    },
    /// Of the process before this one, which gives it up.
    Process {
        /// Whether the socket's file goes with it.
        file: bool,
    },
}

/// A socket that can be taken.
#[derive(Debug)]
pub struct Inherited {
    /// What it is known by: the address in the configuration of the process before this one, or
    /// the one it is bound to.
    pub address: Address,
    /// The only listener that it is for, where the system chose the port: there may be several at
    /// that address.
    pub listener: Option<Arc<str>>,
    /// Whose it is.
    pub origin: Origin,
    /// The socket.
    pub fd: OwnedFd,
}

/// Inherited sockets that no listener has taken yet.
#[derive(Debug, Default)]
pub struct InheritedSockets(Vec<Inherited>);

impl InheritedSockets {
    /// These sockets.
    pub fn new(inherited: Vec<Inherited>) -> InheritedSockets {
        InheritedSockets(inherited)
    }

    /// Opens an address: with an inherited socket where there is one for it, or else for a listener
    /// of this name; with a new one otherwise.
    ///
    /// # Errors
    /// As [`Listening::open`] and [`Listening::inherit`].
    pub fn open(&mut self, address: &Address, name: Option<&str>) -> Result<Opened, OpenError> {
        self.open_or(address, name, || Listening::open(address))
    }

    /// The same; `open` makes a new socket.
    ///
    /// # Errors
    /// As [`InheritedSockets::open`].
    pub fn open_or(
        &mut self,
        address: &Address,
        name: Option<&str>,
        open: impl FnOnce() -> Result<Listening, OpenError>,
    ) -> Result<Opened, OpenError> {
        let by_name = |found: &Inherited| match &found.origin {
            Origin::Manager { name: known } => Some(&**known) == name,
            Origin::Process { .. } => false,
        };
        match self.at(address, name).or_else(|| self.0.iter().position(by_name)) {
            Some(at) => {
                let Inherited { fd, origin, .. } = self.0.swap_remove(at);
                let listening = Listening::inherit(address, fd)?;
                Ok(Opened { listening, origin: Some(origin) })
            }
            None => open().map(|listening| Opened { listening, origin: None }),
        }
    }

    /// Whether there is one for a listener of this name by its address.
    pub fn has(&self, address: &Address, name: &str) -> bool {
        self.at(address, Some(name)).is_some()
    }

    fn at(&self, address: &Address, name: Option<&str>) -> Option<usize> {
        self.0.iter().position(|found| {
            let only = found.listener.as_deref();
            found.address == *address && only.is_none_or(|only| Some(only) == name)
        })
    }

    /// Takes back what is not put to use after all. A service manager's is as it was; others are
    /// closed.
    pub fn give_back(&mut self, taken: Opened) {
        let Opened { listening, origin } = taken;
        if let Some(origin @ Origin::Manager { .. }) = origin {
            let (address, fd) = (listening.bound().clone(), listening.into());
            self.0.push(Inherited { address, listener: None, origin, fd });
        }
    }

    /// Puts a socket in use here as well, for another listener or server to take. A service
    /// manager's stays its own.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn offer(&mut self, listening: &Listening, origin: Option<&Origin>) -> io::Result<()> {
        let origin = match origin {
            Some(manager @ Origin::Manager { .. }) => manager.clone(),
            Some(Origin::Process { .. }) | None => Origin::Process { file: false },
        };
        let fd = listening.as_fd().try_clone_to_owned()?;
        self.0.push(Inherited { address: listening.bound().clone(), listener: None, origin, fd });
        Ok(())
    }

    /// What was offered and not taken is not offered any more.
    pub fn withdraw(&mut self, address: &Address) {
        self.0.retain(|offered| offered.address != *address);
    }

    /// Closes what the process before this one had and no listener took. A service manager's
    /// sockets are kept for a later configuration: their clients are not refused in any case.
    pub fn close_unused(&mut self) {
        self.0.retain(|unused| matches!(unused.origin, Origin::Manager { .. }));
    }

    /// What no listener took.
    pub fn unused(&self) -> &[Inherited] {
        &self.0
    }
}

/// A socket that listens, and where it came from.
#[derive(Debug)]
pub struct Opened {
    /// The socket.
    pub listening: Listening,
    /// Whose it was; `None` when this process opened it.
    pub origin: Option<Origin>,
}

impl Opened {
    /// From now on it is this process's.
    pub fn own(&self) {
        if self.origin == Some(Origin::Process { file: true }) {
            self.listening.own_file();
        }
    }
}

/// A socket for the next process.
#[derive(Debug)]
pub struct Handover<'a> {
    /// What it is known by.
    pub address: Address,
    /// The only listener that it is for; see [`Inherited::listener`].
    pub listener: Option<Arc<str>>,
    /// Whose the next process shall take it for.
    pub origin: Origin,
    /// The socket.
    pub fd: BorrowedFd<'a>,
}

impl<'a> Handover<'a> {
    /// A socket in use.
    pub fn of(
        address: &Address,
        listening: &'a Listening,
        origin: Option<&Origin>,
    ) -> Handover<'a> {
        let own = || Origin::Process { file: listening.owns_file() };
        let origin = match origin {
            Some(manager @ Origin::Manager { .. }) => manager.clone(),
            Some(Origin::Process { .. }) | None => own(),
        };
        Handover { address: address.clone(), listener: None, origin, fd: listening.as_fd() }
    }

    /// A socket that was not taken.
    pub fn unused(unused: &'a Inherited) -> Handover<'a> {
        let Inherited { address, listener, origin, fd } = unused;
        let (address, listener) = (address.clone(), listener.clone());
        Handover { address, listener, origin: origin.clone(), fd: fd.as_fd() }
    }
}
