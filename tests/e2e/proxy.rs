//! The proxy itself: a supervisor in this process, with a configuration in a directory of its own.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tidegate::admin::{Counts, Process as _, ReloadRequest, Reloaded};
use tidegate::config::plan::{Address, Plan};
use tidegate::control::{ConfigSource, Options, Supervisor};
use tidegate::observe::metrics::Exposition;

use crate::actors::{Client, within};
use crate::site::Site;

/// How a name stands that certificates are ordered for. Times are seconds since 1970.
#[derive(Default, Debug)]
pub struct OrderedName {
    pub not_after: Option<i64>,
    pub due: i64,
    pub failures: u32,
    pub error: Option<String>,
}

/// A running proxy. A test ends with [`Proxy::stop`], which finds what was left behind.
pub struct Proxy {
    supervisor: Supervisor,
    file: PathBuf,
    /// Removed when the proxy is gone.
    _dir: TempDir,
}

impl Proxy {
    /// Starts it for a site.
    pub async fn start(site: &Site) -> Proxy {
        Proxy::start_with(&site.toml())
    }

    /// Starts it with a whole file.
    pub fn start_with(toml: &str) -> Proxy {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tidegate.toml");
        fs::write(&file, toml).unwrap();
        let supervisor = Supervisor::start(Options::new(ConfigSource::File(file.clone())));
        let supervisor = supervisor.unwrap_or_else(|error| panic!("{error}\n{toml}"));
        Proxy { supervisor, file, _dir: dir }
    }

    /// Starts it with a configuration that is in no file.
    pub fn start_plan(plan: Plan) -> Proxy {
        let dir = tempfile::tempdir().unwrap();
        let supervisor = Supervisor::start(Options::new(ConfigSource::plan(plan))).unwrap();
        Proxy { supervisor, file: dir.path().join("none"), _dir: dir }
    }

    /// Where its configuration is.
    pub fn dir(&self) -> &Path {
        self.file.parent().expect("a file is in a directory")
    }

    /// A client of the listener `plain`.
    pub fn client(&self) -> Client {
        self.client_of("plain")
    }

    /// A client of this listener.
    pub fn client_of(&self, listener: &str) -> Client {
        match self.supervisor.address(listener) {
            Some(Address::Inet(address)) => Client::to(address),
            other => panic!("`{listener}` listens on {other:?}"),
        }
    }

    /// A client of the admin listener.
    pub fn admin(&self) -> Client {
        Client::to(self.supervisor.admin_address().expect("an admin listener"))
    }

    /// Which configuration is in force, counted from 1.
    pub fn generation(&self) -> u64 {
        self.supervisor.generation()
    }

    /// How this name stands that certificates are ordered for.
    pub fn ordered(&self, name: &str) -> OrderedName {
        let all = self.supervisor.ordered_names();
        let found = all.iter().find(|one| *one.name == *name);
        found.map_or(OrderedName::default(), |one| OrderedName {
            not_after: one.not_after,
            due: one.due,
            failures: one.failures,
            error: one.error.as_ref().map(ToString::to_string),
        })
    }

    /// Live sessions.
    pub fn sessions(&self) -> u64 {
        self.supervisor.metrics().sessions()
    }

    /// Everything counted, as OpenMetrics text.
    pub fn scrape(&self) -> String {
        self.supervisor.scrape(Exposition::OpenMetrics)
    }

    /// Reloads with another site.
    ///
    /// # Errors
    /// With the report, when it is refused.
    pub async fn reload(&self, site: &Site) -> Result<(), String> {
        fs::write(&self.file, site.toml()).unwrap();
        self.ask(ReloadRequest::default()).await
    }

    /// Reloads with another site, however many sessions that ends.
    ///
    /// # Errors
    /// As [`Proxy::reload`].
    pub async fn force(&self, site: &Site) -> Result<(), String> {
        self.force_toml(&site.toml()).await
    }

    /// Reloads with another file, however many sessions that ends.
    ///
    /// # Errors
    /// As [`Proxy::reload`].
    pub async fn force_toml(&self, toml: &str) -> Result<(), String> {
        fs::write(&self.file, toml).unwrap();
        self.ask(ReloadRequest { force: true, ..ReloadRequest::default() }).await
    }

    /// Reloads the files as they are.
    ///
    /// # Errors
    /// As [`Proxy::reload`].
    pub async fn reload_files(&self) -> Result<(), String> {
        self.ask(ReloadRequest::default()).await
    }

    async fn ask(&self, ask: ReloadRequest) -> Result<(), String> {
        match within("a reload", self.supervisor.reload(ask)).await {
            Reloaded::Refused(refused) => Err(refused.why.to_string()),
            Reloaded::Taken(_) | Reloaded::Unchanged => Ok(()),
        }
    }

    /// Stops it as SIGTERM does, and finds that nothing is left: no task, session, connection or
    /// lease.
    pub async fn stop(self) {
        self.begin_stop();
        self.stopped().await;
    }

    /// Begins to stop.
    pub fn begin_stop(&self) {
        self.supervisor.stop();
    }

    /// The rest of [`Proxy::stop`].
    pub async fn stopped(self) {
        let stopped = within("the end of the proxy", self.supervisor.stopped()).await;
        assert!(stopped.drained, "it was stopped before all had ended: {:?}", stopped.left);
        assert_eq!(stopped.left, Counts::default());
    }
}
