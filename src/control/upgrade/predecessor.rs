//! The process before this one, as the new one sees it.

use std::env;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::pool_rows::{DisabledBackend, FoundRow, RebalanceRow};
use super::words::{self, FetchedKeysRow, New, Old, OlderProcess, VARIABLE, VERSION};
use crate::base::link::Link;
use crate::config::plan::Address;
use crate::listen::Inherited;
use crate::tls::TicketSecrets;

/// How long the process before this one may take for what it says next: it says all it has at once,
/// and needs a moment only to stop accepting.
const PATIENCE: Duration = Duration::from_secs(20);

/// The process before this one, which serves until this one is ready.
#[derive(Debug)]
pub struct Predecessor {
    link: Link,
    pid: u32,
    /// This process's number in its row of upgrades; the first is 1.
    pub(in crate::control) number: u64,
    pub(in crate::control) sockets: Vec<Inherited>,
    older: Vec<(OlderProcess, Link)>,
    /// Sessions that it had when it stopped accepting; none where it does not say.
    sessions: Option<usize>,
    /// Whether it takes commands.
    commands: bool,
    /// Members of pools that it has found.
    pub(in crate::control) found: Vec<FoundRow>,
    /// The number of its last drain, once it has stopped accepting.
    pub(in crate::control) drains: u64,
    /// Backends that a command keeps work from, once it has stopped accepting.
    pub(in crate::control) disabled: Vec<DisabledBackend>,
    /// Pools that it was levelling, from then on.
    pub(in crate::control) rebalances: Vec<RebalanceRow>,
    /// Keys of tokens that it has fetched, from then on.
    pub(in crate::control) keys: Vec<FetchedKeysRow>,
    /// The keys of its TLS tickets, from then on.
    pub(in crate::control) tickets: Option<TicketSecrets>,
}

/// Tells the process before this one why it must serve on.
#[derive(Debug)]
pub struct Herald(Option<UnixStream>);

impl Herald {
    /// Who speaks to the process before this one, if one started this one to take over.
    ///
    /// # Errors
    /// Standard input is not what it should be.
    pub fn from_environment() -> io::Result<Herald> {
        let Some(version) = env::var_os(VARIABLE) else { return Ok(Herald(None)) };
        let stdin = io::stdin().as_fd().try_clone_to_owned()?;
        let kind = rustix::net::sockopt::socket_domain(&stdin);
        if kind.ok() != Some(rustix::net::AddressFamily::UNIX) {
            let said = format!("`{VARIABLE}` is set, but standard input is no link to a process");
            return Err(io::Error::other(said));
        }
        // Whatever this process starts or reads must not find the link there.
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        let herald = Herald(Some(UnixStream::from(stdin)));
        if version != *VERSION.to_string() {
            let said = format!("this version takes over in another way ({VERSION})");
            herald.failed(false, &said);
            return Err(io::Error::other(said));
        }
        Ok(herald)
    }

    /// Listens to the process before this one.
    ///
    /// # Errors
    /// It is gone, or not understood.
    pub fn predecessor(&self) -> io::Result<Option<Predecessor>> {
        let Some(stream) = &self.0 else { return Ok(None) };
        let stream = stream.try_clone()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Predecessor::listen(Link::new(stream)).map(Some)
    }

    /// Says that this process ends without having served; `config` when its configuration is
    /// refused, and then `why` is the report.
    pub fn failed(&self, config: bool, why: &str) {
        let Some(stream) = self.0.as_ref().and_then(|stream| stream.try_clone().ok()) else {
            return;
        };
        let word = New::Failed { config, why: why.to_owned() };
        // One that is gone serves no more, whatever it is told.
        let _ = Link::new(stream).send(&words::line(&word), &[]);
    }
}

impl Predecessor {
    fn listen(mut link: Link) -> io::Result<Predecessor> {
        let Old::Hello {
            version: VERSION,
            pid,
            number,
            sockets: count,
            older: olders,
            commands,
            found,
        } = hear(&mut link)?
        else {
            return Err(io::Error::other("it does not begin with a greeting of this version"));
        };
        let mut sockets = Vec::with_capacity(count);
        while sockets.len() < count {
            let Old::Sockets { sockets: some } = hear(&mut link)? else { return Err(unexpected()) };
            let fds = link.take_fds(some.len()).ok_or_else(lost)?;
            sockets.extend(some.into_iter().zip(fds).map(|(socket, fd)| {
                let origin = socket.origin();
                let listener = socket.listener.map(Into::into);
                Inherited { address: socket.at.into(), listener, origin, fd }
            }));
        }
        let mut older = Vec::with_capacity(olders);
        while older.len() < olders {
            let Old::Older { older: some } = hear(&mut link)? else { return Err(unexpected()) };
            let fds = link.take_fds(some.len()).ok_or_else(lost)?;
            older.extend(some.into_iter().zip(fds.into_iter().map(as_link)));
        }
        Ok(Predecessor {
            link,
            pid,
            number,
            sockets,
            older,
            commands,
            found,
            drains: 0,
            disabled: Vec::new(),
            rebalances: Vec::new(),
            keys: Vec::new(),
            tickets: None,
            sessions: None,
        })
    }

    /// Says that all is ready but accepting, and waits until the process before this one has
    /// ceased to accept.
    ///
    /// # Errors
    /// It is gone: then nobody serves, and this process was not asked to.
    pub(in crate::control) fn ready<'a>(
        &mut self,
        taken: impl Iterator<Item = &'a Address>,
    ) -> io::Result<()> {
        self.say(&New::Ready { taken: taken.map(Into::into).collect() })?;
        match hear(&mut self.link)? {
            Old::Go { disabled, tickets, drains, rebalances, keys, sessions } => {
                self.keys = keys;
                self.sessions = sessions;
                self.drains = drains;
                self.rebalances = rebalances;
                self.disabled = disabled;
                self.tickets = tickets.as_ref().map(Into::into);
                Ok(())
            }
            _ => Err(unexpected()),
        }
    }

    /// Says that this process accepts.
    pub(in crate::control) fn serving(&self) {
        // Told or not: it accepts no more, so that this one must.
        if let Err(error) = self.say(&New::Serving) {
            tracing::warn!(%error, "the process before this one has ended in between");
        }
    }

    /// The processes that were replaced and have not ended, this one's predecessor last.
    pub(super) fn into_older(self) -> Vec<(OlderProcess, Link)> {
        let Predecessor { pid, sessions, commands, .. } = self;
        let before = (OlderProcess { pid, sessions, commands }, self.link);
        self.older.into_iter().chain([before]).collect()
    }

    fn say(&self, word: &New) -> io::Result<()> {
        self.link.send(&words::line(word), &[])
    }
}

fn as_link(fd: OwnedFd) -> Link {
    Link::new(UnixStream::from(fd))
}

/// What is said next.
fn hear(link: &mut Link) -> io::Result<Old> {
    match link.receive()? {
        Some(line) => serde_json::from_str(&line).map_err(io::Error::other),
        None => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the process is gone")),
    }
}

fn unexpected() -> io::Error {
    io::Error::other("it says something else than what is due")
}

fn lost() -> io::Error {
    io::Error::other("descriptors are missing")
}
