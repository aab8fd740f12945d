//! tidegate and its peers as processes, each tuned fairly; their configurations are in `peers/`.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustls::pki_types::CertificateDer;

use crate::load::Target;
use crate::system;

/// A proxy that can be measured.
#[derive(Clone, Debug)]
pub struct Peer {
    kind: Kind,
    program: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Tidegate,
    Nginx,
    Haproxy,
}

const TIDEGATE: &str = include_str!("../peers/tidegate.toml");
const NGINX: &str = include_str!("../peers/nginx.conf");
const HAPROXY: &str = include_str!("../peers/haproxy.cfg");

impl Peer {
    /// tidegate, and the peers that are on this machine: `BENCH_NGINX` and `BENCH_HAPROXY` name
    /// their programs, else the search path does.
    pub fn found() -> Vec<Peer> {
        let tidegate = PathBuf::from(env!("CARGO_BIN_EXE_tidegate"));
        let mut peers = vec![Peer { kind: Kind::Tidegate, program: tidegate }];
        for (kind, variable, name) in
            [(Kind::Nginx, "BENCH_NGINX", "nginx"), (Kind::Haproxy, "BENCH_HAPROXY", "haproxy")]
        {
            let named = std::env::var_os(variable).map(PathBuf::from);
            match named.or_else(|| on_path(name)) {
                Some(program) => peers.push(Peer { kind, program }),
                None => eprintln!("not here: {name} (set {variable} to its program)"),
            }
        }
        peers
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Tidegate => "tidegate",
            Kind::Nginx => "nginx",
            Kind::Haproxy => "haproxy",
        }
    }

    /// What it says of its version, in a line.
    pub fn version(&self) -> String {
        let flag = if self.kind == Kind::Tidegate { "--version" } else { "-v" };
        let Ok(output) = Command::new(&self.program).arg(flag).output() else {
            return "does not run".into();
        };
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned()
    }

    /// Starts it on `core`, in front of `backend`.
    pub fn start(&self, core: usize, backend: SocketAddr) -> Result<Running, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let trust = certificate(dir.path())?;
        let (plain, tls) = (free_address()?, free_address()?);
        let (template, file) = match self.kind {
            Kind::Tidegate => (TIDEGATE, "tidegate.toml"),
            Kind::Nginx => (NGINX, "nginx.conf"),
            Kind::Haproxy => (HAPROXY, "haproxy.cfg"),
        };
        let text = template
            .replace("@DIR@", &dir.path().display().to_string())
            .replace("@PLAIN@", &plain.to_string())
            .replace("@TLS@", &tls.to_string())
            .replace("@BACKEND@", &backend.to_string());
        let path = dir.path().join(file);
        std::fs::write(&path, text).map_err(|error| error.to_string())?;
        let log = std::fs::File::create(dir.path().join("log")).map_err(|e| e.to_string())?;
        let mut command = Command::new("taskset");
        command.arg("-c").arg(core.to_string()).arg(&self.program);
        match self.kind {
            Kind::Tidegate => command.args(["run", "--config"]).arg(&path),
            Kind::Nginx => command.arg("-p").arg(dir.path()).arg("-c").arg(&path),
            Kind::Haproxy => command.arg("-db").arg("-f").arg(&path),
        };
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let child = child.map_err(|error| format!("{}: {error}", self.program.display()))?;
        let running = Running { child, dir, plain, tls, trust };
        running.wait()?;
        Ok(running)
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let more = [PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")];
    let mut dirs = std::env::split_paths(&path).chain(more);
    dirs.find_map(|dir| Some(dir.join(name)).filter(|program| program.is_file()))
}

fn free_address() -> Result<SocketAddr, String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    listener.local_addr().map_err(|error| error.to_string())
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
    pub fn target(&self, tls: bool) -> Target {
        if tls {
            Target { address: self.tls, trust: Some(self.trust.clone()) }
        } else {
            Target { address: self.plain, trust: None }
        }
    }

    /// Its processes.
    pub fn pids(&self) -> Vec<u32> {
        system::family(self.child.id())
    }

    fn wait(&self) -> Result<(), String> {
        for _ in 0..500 {
            if TcpStream::connect(self.tls).is_ok() && TcpStream::connect(self.plain).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        Err(format!("it does not listen: {log}"))
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
