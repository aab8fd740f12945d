//! tidegate as a process, started from a configuration in a directory of its own.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;
use tokio_rustls::TlsConnector;

use crate::actors::free;

/// How long anything may take before a test gives up on it; never a figure that is asserted.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The program under test: `TIDEGATE` names it, else it is the one cargo builds beside the tests.
pub fn binary() -> PathBuf {
    let named = std::env::var_os("TIDEGATE").map(std::path::absolute);
    named.map_or(env!("CARGO_BIN_EXE_tidegate").into(), Result::unwrap)
}

/// A running tidegate, and those that took over from it; dropping it kills them.
pub struct Proxy {
    child: Child,
    dir: TempDir,
    admin: SocketAddr,
    /// Where its plain listener is, `ip:port`.
    pub plain: String,
    /// Where its TLS listener is.
    pub tls: String,
}

impl Proxy {
    /// Starts it with `text` below its listeners; waits until it is ready.
    pub async fn start(text: &str) -> Proxy {
        let proxy = Proxy::start_unready(text);
        let ready = || proxy.get("/readyz").is_some_and(|(status, _)| status == 200);
        proxy.wait("readiness", ready).await;
        proxy
    }

    /// The same, without waiting.
    pub fn start_unready(text: &str) -> Proxy {
        Proxy::start_behind(&[], text)
    }

    /// The same, started by these words.
    pub fn start_behind(prefix: &[&str], text: &str) -> Proxy {
        Proxy::start_by(prefix, text, |_| {})
    }

    /// The same; `prepare` changes the command that starts it.
    pub fn start_by(prefix: &[&str], text: &str, prepare: impl FnOnce(&mut Command)) -> Proxy {
        let dir = tempfile::tempdir().unwrap();
        let (plain, tls, admin) = (free(), free(), free());
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let mut proxy = Proxy {
            child: Command::new("true").spawn().unwrap(),
            dir,
            admin,
            plain: plain.to_string(),
            tls: tls.to_string(),
        };
        proxy.new_certificate();
        proxy.configure(text);
        proxy.child.wait().unwrap();
        std::os::unix::fs::symlink(binary(), proxy.path("tidegate")).unwrap();
        let mut command = proxy.command(prefix);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        prepare(&mut command);
        proxy.child = command.process_group(0).spawn().unwrap();
        proxy
    }

    /// The command it is run by, behind `prefix`.
    fn command(&self, prefix: &[&str]) -> Command {
        let program = self.path("tidegate");
        let mut words = prefix.iter().map(OsStr::new).chain([program.as_os_str()]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(["run", "--config"]).arg(self.path("tidegate.toml"));
        command
    }

    /// Puts another file in the place of the program it was started from, as an installer does.
    pub fn install(&self, program: &Path) {
        std::os::unix::fs::symlink(program, self.path("new")).unwrap();
        std::fs::rename(self.path("new"), self.path("tidegate")).unwrap();
    }

    /// The same, with a shell script.
    pub fn install_script(&self, script: &str) {
        std::fs::write(self.path("script"), format!("#!/bin/sh\n{script}\n")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(self.path("script"), mode).unwrap();
        self.install(&self.path("script"));
    }

    /// A file in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes its configuration: listeners, admin and control as always, then `text`.
    pub fn configure(&self, text: &str) {
        let (plain, tls, admin) = (&self.plain, &self.tls, self.admin);
        let dir = self.dir.path().display();
        // Thousands of clients on one thread of a busy machine are slow, which is not judged here.
        let patient: String = ["plain", "local", "tls"]
            .map(|name| {
                format!(
                    "listeners.{name}.limits = {{ head_timeout = \"60s\", \
                     tls_handshake_timeout = \"60s\" }}\n"
                )
            })
            .concat();
        let format = if text.contains("log.format") { "" } else { "log.format = \"json\"\n" };
        let whole = format!(
            r#"workers = 2
listeners.plain.address = "{plain}"
listeners.local.address = "unix:{dir}/plain.socket"
listeners.tls.address = "{tls}"
listeners.tls.tls.certificates = [{{ chain = "{dir}/chain.pem", key = "{dir}/key.pem" }}]
admin.address = "{admin}"
control.socket = "{dir}/control.socket"
{format}{patient}{text}"#
        );
        // As an editor does: whole, under another name, then renamed.
        std::fs::write(self.path("new.toml"), whole).unwrap();
        std::fs::rename(self.path("new.toml"), self.path("tidegate.toml")).unwrap();
    }

    /// Renews the certificate files.
    pub fn new_certificate(&self) {
        let made = rcgen::generate_simple_self_signed(["process.test".to_owned()]).unwrap();
        std::fs::write(self.path("chain.pem"), made.cert.pem()).unwrap();
        std::fs::write(self.path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: libc::c_int) {
        // SAFETY: a signal to a child that has not been waited for, so the id is its own.
        assert_eq!(unsafe { libc::kill(self.pid() as libc::pid_t, signal) }, 0);
    }

    /// SIGHUP, then waits until `generation` is in force.
    pub async fn reload_to(&self, generation: u64) {
        self.signal(libc::SIGHUP);
        self.wait("a new generation", || self.generation() >= generation).await;
        assert_eq!(self.generation(), generation, "{}", self.log());
    }

    /// `tidegate reload` with these flags: exit code, and all it printed.
    pub fn reload(&self, flags: &[&str]) -> (i32, String) {
        self.order("reload", flags)
    }

    /// `tidegate upgrade`, while the test goes on: exit code, and all it printed.
    pub async fn upgrade(&self) -> (i32, String) {
        let mut upgrade = Command::new(binary());
        upgrade.arg("upgrade").arg("--socket").arg(self.path("control.socket"));
        tokio::task::spawn_blocking(move || said(&mut upgrade)).await.unwrap()
    }

    /// The same, while the test goes on.
    pub async fn reload_meanwhile(&self) -> (i32, String) {
        self.order_meanwhile("reload", &[]).await
    }

    /// A command with these flags, while the test goes on: exit code, and all it printed.
    pub async fn order_meanwhile(&self, order: &str, flags: &[&str]) -> (i32, String) {
        let mut command = self.ordered(order, flags);
        tokio::task::spawn_blocking(move || said(&mut command)).await.unwrap()
    }

    /// What a client that trusts its certificate speaks TLS with; `alpn` are the protocols offered.
    pub fn connector(&self, alpn: &[&[u8]]) -> TlsConnector {
        let certificate = CertificateDer::from_pem_file(self.path("chain.pem")).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).unwrap();
        let config = rustls::ClientConfig::builder().with_root_certificates(roots);
        let mut config = config.with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }

    /// A command with these flags: exit code, and all it printed.
    pub fn order(&self, order: &str, flags: &[&str]) -> (i32, String) {
        said(&mut self.ordered(order, flags))
    }

    fn ordered(&self, order: &str, flags: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg(order).arg("--config").arg(self.path("tidegate.toml")).args(flags);
        command
    }

    /// The generation in force.
    pub fn generation(&self) -> u64 {
        self.metric("tidegate_config_generation") as u64
    }

    /// The sum of a metric's samples; 0 when there are none. `name` may end in labels as they are
    /// printed, such as `tidegate_x{route="a"`.
    pub fn metric(&self, name: &str) -> f64 {
        let Some((200, text)) = self.get("/metrics") else { return 0.0 };
        let lines = text.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ', ',', '}']))
        });
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// A plain GET on the admin listener.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        self.get_of("admin", path)
    }

    /// The same by another name.
    pub fn get_of(&self, host: &str, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(self.admin).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let status = text.split(' ').nth(1)?.parse().ok()?;
        Some((status, text))
    }

    /// Resident memory, in KiB.
    pub fn memory_kib(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Files and sockets it has open.
    pub fn files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// Processes it has started.
    pub fn children(&self) -> String {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        // proc_tid_children(5): each thread has its own; one that has ended meanwhile has none.
        let of = |thread: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(thread.unwrap().path().join("children")).unwrap_or_default()
        };
        threads.map(of).collect()
    }

    /// What it has logged: the last line may still be written, and is left out until it is whole.
    pub fn log(&self) -> String {
        let mut log = std::fs::read(self.path("log")).unwrap();
        log.truncate(log.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        String::from_utf8(log).unwrap()
    }

    /// Waits until `fact` holds.
    pub async fn wait(&self, what: &str, fact: impl Fn() -> bool) {
        let steps = PATIENCE.as_millis() / 5;
        for _ in 0..steps {
            if fact() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("waited in vain for {what}; its log:\n{}", self.log());
    }

    /// Waits for its end.
    pub async fn exit(mut self) -> ExitStatus {
        for _ in 0..PATIENCE.as_millis() / 5 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("it does not end; its log:\n{}", self.log());
    }
}

/// A command's exit code, and all it printed.
fn said(command: &mut Command) -> (i32, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Its group: those that took over from it as well.
        // SAFETY: a group this test made; its number is taken while a member lives.
        unsafe { libc::kill(-(self.pid() as libc::pid_t), libc::SIGKILL) };
        drop(self.child.wait());
    }
}
