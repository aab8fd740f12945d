//! The demo's configuration, and what is said about it.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use super::page::PageFacts;
use crate::cli::args::Demo;
use crate::cli::exit::Failure;
use crate::tls::MadeCertificate;

/// Name of the file that is not there, for messages about the configuration.
pub(super) const FILE: &str = "the demo's own configuration";

/// The path of the WebSocket of the demo's own backends.
const SOCKET: &str = "/socket";

/// Where the WebSockets go.
pub(super) struct Behind {
    /// Addresses, as a pool has them.
    backends: Vec<String>,
    /// The path of their WebSocket.
    path: String,
}

impl Behind {
    /// The demo's own backends.
    pub(super) fn demo(backends: &[SocketAddr]) -> Behind {
        let backends = backends.iter().map(SocketAddr::to_string).collect();
        Behind { backends, path: SOCKET.to_owned() }
    }

    /// A visitor's backend: its address, with or without `ws://` before it and a path behind.
    pub(super) fn of(own: &str) -> Behind {
        let schemes = ["ws://", "http://"];
        let rest = schemes.iter().find_map(|scheme| own.strip_prefix(scheme)).unwrap_or(own);
        // The path of a unix socket is all of it.
        let slash = if rest.starts_with("unix:") { None } else { rest.find('/') };
        let (address, path) = rest.split_at(slash.unwrap_or(rest.len()));
        let path = if path.is_empty() { "/" } else { path };
        Behind { backends: vec![address.to_owned()], path: path.to_owned() }
    }

    /// What a byte tunnel dials; it knows TCP only.
    pub(super) fn dialled(&self) -> Option<String> {
        self.backends.first().filter(|address| !address.starts_with("unix:")).cloned()
    }
}

/// The configuration, as a person would write it.
pub(super) fn toml(
    asked: &Demo,
    files: &MadeCertificate,
    page: SocketAddr,
    behind: &Behind,
) -> String {
    let address = |port| quote(SocketAddr::new(asked.address, port));
    let backends: Vec<String> = behind.backends.iter().map(quote).collect();
    let rest = match asked.backend {
        Some(_) => own_routes(resume(asked)),
        None => chat_routes(&api_socket(asked)),
    };
    format!(
        "[listeners.https]\n\
         address = {https}\n\
         tls.certificates = [{{ chain = {chain}, key = {key} }}]\n\n\
         [listeners.http]\n\
         address = {http}\n\n\
         [pools.demo]\n\
         backends = [{backends}]\n\n\
         [pools.page]\n\
         backends = [{page}]\n\n\
         [[routes]]\n\
         path = \"/held\"\n\
         pool = \"demo\"\n\
         strip_prefix = true\n\
         hold.resume = {resume}\n\
         allowed_origins = \"same\"\n\n\
         [[routes]]\n\
         path = \"/plain\"\n\
         pool = \"demo\"\n\
         strip_prefix = true\n\
         allowed_origins = \"same\"\n\n\
         [[routes]]\n\
         path = \"= /\"\n\
         pool = \"page\"\n\
         websocket = false\n\n\
         [[routes]]\n\
         path = \"/demo\"\n\
         pool = \"page\"\n\
         websocket = false\n\n\
         {rest}\
         # For `tidegate status`, `sessions` and `move`.\n\
         [control]\n\
         socket = {socket}\n\n\
         # Ctrl-C in a terminal: nobody else must hear of it first.\n\
         [drain]\n\
         delay = \"0s\"\n\
         window = \"0s\"\n\
         timeout = \"3s\"\n\n\
         [log]\n\
         filter = \"warn\"\n\
         access = false\n",
        https = address(asked.https_port),
        http = address(asked.http_port),
        chain = quote(files.certificate.chain.display()),
        key = quote(files.certificate.key.display()),
        backends = backends.join(", "),
        page = quote(page),
        resume = quote(resume(asked)),
        socket = quote(socket(asked).display()),
    )
}

/// Whatever else is asked of the address goes to a visitor's backend, and so do WebSockets at the
/// page's own path.
fn own_routes(resume: &str) -> String {
    let route = |conditions: &str| {
        format!(
            "[[routes]]\n{conditions}pool = \"demo\"\nhold.resume = \"{resume}\"\n\
             allowed_origins = \"same\"\n\n"
        )
    };
    route("path = \"= /\"\nwebsocket = \"match\"\n") + &route("path = \"/\"\n")
}

/// A chat whose backend only echoes, and where callers push to its users: on a unix socket, so that
/// no page of a browser can.
fn chat_routes(socket: &Path) -> String {
    let address = quote(format!("unix:{}", socket.display()));
    format!(
        "[[routes]]\n\
         name = \"chat\"\n\
         path = \"/chat\"\n\
         pool = \"demo\"\n\
         strip_prefix = true\n\
         hold.resume = \"always\"\n\
         allowed_origins = \"same\"\n\
         labels = {{ user = \"{{query.user}}\" }}\n\
         push = {{}}\n\n\
         [listeners.api]\n\
         address = {address}\n\n\
         [[routes]]\n\
         listener = \"api\"\n\
         path = \"/v1\"\n\
         api = {{ routes = \"chat\" }}\n\n"
    )
}

/// `hold.resume`: the demo's own backends echo, and need nothing to go on.
fn resume(asked: &Demo) -> &'static str {
    match asked.backend {
        Some(_) => asked.resume.word(),
        None => "always",
    }
}

/// The operator's socket, beside the certificates: it is ours, and known before the demo runs.
fn socket(asked: &Demo) -> PathBuf {
    asked.certs.join(format!("demo-{}.sock", asked.https_port))
}

/// Where callers of the API ask, beside it.
fn api_socket(asked: &Demo) -> PathBuf {
    asked.certs.join(format!("demo-api-{}.sock", asked.https_port))
}

/// The command that pushes to all tabs of a user of the chat.
fn push_command(asked: &Demo) -> String {
    let socket = api_socket(asked);
    let socket = socket.display();
    format!("curl --unix-socket {socket} -d 'hello' 'http://localhost/v1/push?label=user:USER'")
}

fn quote(text: impl Display) -> String {
    toml::Value::String(text.to_string()).to_string()
}

/// Finds out before anything is started whether both ports are free.
pub(super) fn try_ports(asked: &Demo) -> Result<(), Failure> {
    for (port, flag) in [(asked.https_port, "--https-port"), (asked.http_port, "--http-port")] {
        let address = SocketAddr::new(asked.address, port);
        if let Err(error) = TcpListener::bind(address) {
            return Err(Failure::Run(format!(
                "cannot listen on {address}: {error}; take another port with `{flag} PORT`"
            )));
        }
    }
    Ok(())
}

/// What the page must know.
pub(super) fn facts(asked: &Demo, behind: &Behind, tunnel: Option<SocketAddr>) -> PageFacts {
    PageFacts {
        backend: asked.backend.as_ref().map(|_| behind.backends.join(", ")),
        resume: resume(asked),
        path: behind.path.clone(),
        tunnel: tunnel.map(|tunnel| tunnel.port()),
        push: asked.backend.is_none().then(|| push_command(asked)),
        commands: commands(asked, behind),
    }
}

/// What can be typed while the demo runs: what it does, and the command.
fn commands(asked: &Demo, behind: &Behind) -> Vec<(&'static str, String)> {
    let (program, socket) = (program(), socket(asked).display().to_string());
    let ask = |words: &str| format!("{program} {words} --socket {socket}");
    let mut commands =
        vec![("what lives here", ask("status")), ("the sessions, one by one", ask("sessions"))];
    if let [from, _] = &behind.backends[..] {
        let back = ask(&format!("enable --backend {from}"));
        commands.extend([
            ("move held sessions to the other backend", ask(&format!("move --from {from}"))),
            ("and give the first one sessions again", back),
            ("now your own", format!("{program} demo --backend 127.0.0.1:3000")),
        ]);
    }
    commands
}

/// How this program was started, as it can be typed again.
fn program() -> String {
    let typed = std::env::args().next().filter(|typed| !typed.is_empty());
    typed.unwrap_or_else(|| "tidegate".to_owned())
}

/// What a person needs to know, for standard output; the ports are those listened on.
pub(super) fn welcome(
    asked: &Demo,
    files: &MadeCertificate,
    behind: &Behind,
    https: SocketAddr,
    http: SocketAddr,
) -> String {
    let host = match https.ip() {
        ip if ip.is_loopback() || ip.is_unspecified() => "localhost".to_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    let (https, http, ca) = (https.port(), http.port(), files.authority.display());
    let path = &behind.path;
    let mut text = format!(
        "  page      https://{host}:{https}/\n\
         \x20           http://{host}:{http}/\n\
         \x20 socket    npx wscat --ca {ca} -c wss://{host}:{https}/held{path}\n\n"
    );
    for (what, command) in commands(asked, behind) {
        text.push_str(&format!("  # {what}\n  {command}\n"));
    }
    text
}

/// How to stop a browser from warning, for standard error.
pub(super) fn about_trust(files: &MadeCertificate) -> String {
    let made = if files.is_new { "Made" } else { "Using" };
    format!(
        "{made} development certificates in {dir}. A browser warns of them once; or have it trust\n\
         {ca} as an authority: it is good for localhost only, and its key was not kept.",
        dir = files.authority.parent().unwrap_or(&files.authority).display(),
        ca = files.authority.display(),
    )
}
