//! The new process, as the old one sees it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::sleep;

use super::pool_rows::FoundRow;
use super::program::Program;
use super::words::{self, New, Old, OlderProcess, VARIABLE, VERSION};
use crate::admin::UpgradeFailure;
use crate::base::link::{AsyncLink, FDS_PER_LINE_MAX, Link};
use crate::listen::Handover;

/// How long a process that says no more may take to end by itself, so that it can say how it ended.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// How often it is looked whether it has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Variables that speak of one process only (sd_listen_fds(3)).
const NOT_INHERITED: [&str; 4] = ["LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// The new process. It must be served, left alone for good, or ended.
pub(in crate::control) struct Successor {
    child: Child,
    link: AsyncLink,
}

impl Successor {
    /// Starts the program. It inherits standard output and error, and the link as its standard
    /// input, and nothing else: every other descriptor of this process is closed by `exec`.
    pub(super) fn start(program: &Program) -> io::Result<Successor> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(&program.path);
        command.args(&program.arguments).env(VARIABLE, VERSION.to_string());
        for variable in NOT_INHERITED {
            command.env_remove(variable);
        }
        command.stdin(Stdio::from(OwnedFd::from(theirs)));
        let link = Link::new(ours).into_async()?;
        let child = command.spawn()?;
        Ok(Successor { child, link })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Hands everything over but the right to use it.
    pub(super) async fn greet(
        &self,
        number: u64,
        sockets: &[Handover<'_>],
        older: &[(OlderProcess, BorrowedFd<'_>)],
        found: Vec<FoundRow>,
    ) -> io::Result<()> {
        let (pid, version) = (std::process::id(), VERSION);
        let (count, links) = (sockets.len(), older.len());
        let commands = true;
        let hello =
            Old::Hello { version, pid, number, sockets: count, older: links, commands, found };
        self.link.send(&words::line(&hello), &[]).await?;
        for some in sockets.chunks(FDS_PER_LINE_MAX) {
            let fds: Vec<_> = some.iter().map(|socket| socket.fd.as_fd()).collect();
            let said = Old::Sockets { sockets: some.iter().map(Into::into).collect() };
            self.link.send(&words::line(&said), &fds).await?;
        }
        for some in older.chunks(FDS_PER_LINE_MAX) {
            let fds: Vec<_> = some.iter().map(|(_, fd)| *fd).collect();
            let said = Old::Older { older: some.iter().map(|(known, _)| *known).collect() };
            self.link.send(&words::line(&said), &fds).await?;
        }
        Ok(())
    }

    /// Says one word.
    pub(super) async fn say(&self, word: &Old) -> io::Result<()> {
        self.link.send(&words::line(word), &[]).await
    }

    /// Another handle to the link, for what is said from another task.
    pub(super) fn writing(&self) -> io::Result<AsyncLink> {
        self.link.try_clone()
    }

    /// What it says next before it serves; its failure is an error.
    pub(super) async fn hear(&mut self) -> Result<New, UpgradeFailure> {
        match self.next().await {
            Some(New::Failed { config: true, why }) => Err(UpgradeFailure::Config(why)),
            Some(New::Failed { config: false, why }) => Err(UpgradeFailure::New(why)),
            Some(word) => Ok(word),
            None => Err(UpgradeFailure::New(self.how_it_ended().await)),
        }
    }

    /// What it says next; `None` when it says no more. What is not understood is passed over: a
    /// later version may say more.
    pub(super) async fn next(&mut self) -> Option<New> {
        loop {
            match self.link.receive().await {
                Ok(Some(line)) => match serde_json::from_str(&line) {
                    Ok(word) => return Some(word),
                    Err(error) => tracing::debug!(%error, line, "not understood"),
                },
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// How a process ended that says no more; one that goes on regardless is not known to be ours.
    async fn how_it_ended(&mut self) -> String {
        for _ in 0..END_TIMEOUT.as_millis() / LOOK_INTERVAL.as_millis() {
            match self.child.try_wait() {
                Ok(Some(status)) => {
                    return format!("{status}; what it said is on standard error");
                }
                Ok(None) => sleep(LOOK_INTERVAL).await,
                Err(_) => break,
            }
        }
        "it does not know how to take over".to_owned()
    }

    /// Ends it at once.
    pub(super) fn end(mut self) {
        // One that has ended by itself is only waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Takes the exit status of one that has ended, so that it is no zombie.
    pub(super) fn reap(&mut self) {
        let _ = self.child.try_wait();
    }
}
