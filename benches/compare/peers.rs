//! tidegate and its peers as processes, each tuned fairly; their configurations are in `peers/`.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustls::pki_types::CertificateDer;

use crate::load::Target;
use crate::scenario::{Over, Scenario};
use crate::system;

/// A proxy that can be measured.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Which.
    pub kind: Kind,
    program: PathBuf,
}

/// What there is to compare.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The tidegate that cargo built.
    Tidegate,
    /// Another tidegate, before a change.
    Before,
    /// The bare epoll relay: a yardstick, not a peer.
    Relay,
    /// nginx.
    Nginx,
    /// HAProxy.
    Haproxy,
    /// Envoy.
    Envoy,
    /// Caddy.
    Caddy,
}

/// Kind, name, the variable that names its program, and how it tells its version.
const KINDS: [(Kind, &str, &str, &[&str]); 7] = [
    (Kind::Tidegate, "tidegate", "BENCH_TIDEGATE", &["--version"]),
    (Kind::Before, "before", "BENCH_BEFORE", &["--version"]),
    (Kind::Relay, "relay", "", &[]),
    (Kind::Nginx, "nginx", "BENCH_NGINX", &["-v"]),
    (Kind::Haproxy, "haproxy", "BENCH_HAPROXY", &["-v"]),
    (Kind::Envoy, "envoy", "BENCH_ENVOY", &["--version"]),
    (Kind::Caddy, "caddy", "BENCH_CADDY", &["version"]),
];

/// Large buffers for few busy sessions, small ones for many quiet ones: what a proxy with fixed
/// buffers is tuned between. Each gets the better one for the scenario.
const BUFFER_BULK: &str = "65536";
const BUFFER_MANY: &str = "8192";

impl Peer {
    /// tidegate, the bare relay, and the peers on this machine: variables name their programs, else
    /// the search path does. `only` keeps those of these names, and tidegate, which comes first.
    pub fn found(only: Option<&[String]>) -> Result<Vec<Peer>, String> {
        let mut peers = Vec::new();
        for (kind, name, variable, _) in KINDS {
            if kind != Kind::Tidegate && only.is_some_and(|only| !only.iter().any(|n| n == name)) {
                continue;
            }
            let named = std::env::var_os(variable).map(PathBuf::from);
            let program = match kind {
                Kind::Tidegate => named.or(Some(env!("CARGO_BIN_EXE_tidegate").into())),
                Kind::Before => named,
                Kind::Relay => std::env::current_exe().ok(),
                _ => named.or_else(|| on_path(name)),
            };
            match program {
                Some(program) => peers.push(Peer { kind, program }),
                None if kind == Kind::Before => {}
                None => eprintln!("not here: {name} (set {variable} to its program)"),
            }
        }
        let names = KINDS.map(|(_, name, ..)| name);
        match only.into_iter().flatten().find(|name| !names.contains(&name.as_str())) {
            Some(unknown) => Err(format!("unknown peer: {unknown}\npeers: {}", names.join(", "))),
            None => Ok(peers),
        }
    }

    fn entry(&self) -> &'static (Kind, &'static str, &'static str, &'static [&'static str]) {
        KINDS.iter().find(|entry| entry.0 == self.kind).expect("cannot fail: every kind is listed")
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.entry().1
    }

    /// Whether it is a product to be level with: not tidegate, and no yardstick.
    pub fn is_rival(&self) -> bool {
        !matches!(self.kind, Kind::Tidegate | Kind::Before | Kind::Relay)
    }

    /// Whether it can do the scenario at all.
    pub fn speaks(&self, over: Over) -> bool {
        match self.kind {
            Kind::Relay => over == Over::Plain,
            // It has no extended CONNECT.
            Kind::Nginx => over != Over::H2,
            _ => true,
        }
    }

    /// What it says of its version, in a line.
    pub fn version(&self) -> String {
        if self.kind == Kind::Relay {
            return "bare epoll, of this bench".into();
        }
        let Ok(output) = Command::new(&self.program).args(self.entry().3).output() else {
            return "does not run".into();
        };
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
    }

    /// Starts it on `core`, in front of `backend`.
    pub fn start(
        &self,
        scenario: &Scenario,
        core: usize,
        backend: SocketAddr,
    ) -> Result<Running, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let trust = certificate(dir.path())?;
        let [plain, tls] = free_addresses()?;
        let path = self.configure(scenario, dir.path(), [plain, tls, backend])?;
        let log = dir.path().join("log");
        let output = std::fs::File::create(&log).map_err(|error| error.to_string())?;
        let errors = output.try_clone().map_err(|error| error.to_string())?;
        let mut command = Command::new("taskset");
        command.arg("-c").arg(core.to_string()).arg(&self.program);
        match self.kind {
            Kind::Tidegate | Kind::Before => command.args(["run", "--config"]).arg(&path),
            Kind::Relay => command.arg("--relay").arg(plain.to_string()).arg(backend.to_string()),
            Kind::Nginx => command.arg("-p").arg(dir.path()).arg("-c").arg(&path),
            Kind::Haproxy => command.arg("-db").arg("-f").arg(&path),
            Kind::Envoy => command
                .args(["--concurrency", "1", "--disable-hot-restart", "-l", "error", "-c"])
                .arg(&path),
            Kind::Caddy => command
                .env("GOMAXPROCS", "1")
                .env("HOME", dir.path())
                .args(["run", "--adapter", "caddyfile", "--config"])
                .arg(&path),
        };
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
        let child = child.map_err(|error| format!("{}: {error}", self.program.display()))?;
        let running = Running { child, dir, plain, tls, trust };
        running.wait(self.speaks(Over::Tls))?;
        Ok(running)
    }

    fn configure(
        &self,
        scenario: &Scenario,
        dir: &Path,
        [plain, tls, backend]: [SocketAddr; 3],
    ) -> Result<PathBuf, String> {
        let (template, file) = match self.kind {
            Kind::Tidegate | Kind::Before => {
                (include_str!("../peers/tidegate.toml"), "tidegate.toml")
            }
            Kind::Relay => return Ok(PathBuf::new()),
            Kind::Nginx => (include_str!("../peers/nginx.conf"), "nginx.conf"),
            Kind::Haproxy => (include_str!("../peers/haproxy.cfg"), "haproxy.cfg"),
            Kind::Envoy => (include_str!("../peers/envoy.yaml"), "envoy.yaml"),
            Kind::Caddy => (include_str!("../peers/Caddyfile"), "Caddyfile"),
        };
        let buffer = if scenario.is_bulk() { BUFFER_BULK } else { BUFFER_MANY };
        let text = template
            .replace("@DIR@", &dir.display().to_string())
            .replace("@PLAIN@", &plain.to_string())
            .replace("@PLAIN_PORT@", &plain.port().to_string())
            .replace("@TLS@", &tls.to_string())
            .replace("@TLS_PORT@", &tls.port().to_string())
            .replace("@BACKEND@", &backend.to_string())
            .replace("@BACKEND_PORT@", &backend.port().to_string())
            .replace("@BUFFER_16K@", if scenario.is_bulk() { buffer } else { "16384" })
            .replace("@BUFFER@", buffer);
        let path = dir.join(file);
        std::fs::write(&path, text).map_err(|error| error.to_string())?;
        Ok(path)
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let more = [PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")];
    let mut dirs = std::env::split_paths(&path).chain(more);
    dirs.find_map(|dir| Some(dir.join(name)).filter(|program| program.is_file()))
}

/// Two addresses where nobody listens. Both are held until both are known: one after the other they
/// could be the same.
fn free_addresses() -> Result<[SocketAddr; 2], String> {
    let bind = || TcpListener::bind("127.0.0.1:0");
    let addresses = || {
        let (one, other) = (bind()?, bind()?);
        Ok([one.local_addr()?, other.local_addr()?])
    };
    addresses().map_err(|error: std::io::Error| error.to_string())
}

/// Writes a certificate of our own and its key, together for HAProxy and apart for the others.
fn certificate(dir: &Path) -> Result<CertificateDer<'static>, String> {
    let made = rcgen::generate_simple_self_signed(["bench.test".to_owned()]);
    let made = made.map_err(|error| error.to_string())?;
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let files = [("chain.pem", &chain), ("key.pem", &key), ("both.pem", &format!("{chain}{key}"))];
    for (name, text) in files {
        std::fs::write(dir.join(name), text).map_err(|error| error.to_string())?;
    }
    Ok(made.cert.der().clone())
}

/// A started peer; dropping it ends its processes.
pub struct Running {
    child: Child,
    dir: tempfile::TempDir,
    plain: SocketAddr,
    tls: SocketAddr,
    trust: CertificateDer<'static>,
}

impl Running {
    /// Where clients go.
    pub fn target(&self, over: Over) -> Target {
        let address = if over == Over::Plain { self.plain } else { self.tls };
        Target { address, over, trust: self.trust.clone() }
    }

    /// Its processes.
    pub fn pids(&self) -> Vec<u32> {
        system::family(self.child.id())
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn wait(&self, tls: bool) -> Result<(), String> {
        let listens = |address: SocketAddr| TcpStream::connect(address).is_ok();
        for _ in 0..500 {
            if listens(self.plain) && (!tls || listens(self.tls)) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(format!("it does not listen: {}", self.log()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for pid in self.pids() {
            // SAFETY: a signal to a process this one has started; at worst it is gone already.
            unsafe { libc::kill(pid as libc::pid_t, libc::SIGKILL) };
        }
        drop(self.child.wait());
    }
}
