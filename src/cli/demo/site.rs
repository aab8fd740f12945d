//! The demo's configuration, and what is said about it.

use std::net::{IpAddr, SocketAddr, TcpListener};

use super::certificates::Certificates;
use crate::cli::args::Demo;
use crate::cli::exit::Failure;

/// Name of the file that is not there, for messages about the configuration.
pub(super) const FILE: &str = "the demo's own configuration";

/// The configuration, as a person would write it.
pub(super) fn toml(asked: &Demo, files: &Certificates, backends: &[SocketAddr]) -> String {
    let address = |port| quote(SocketAddr::new(asked.address, port).to_string());
    let backends: Vec<String> = backends.iter().map(quote).collect();
    format!(
        "[listeners.https]\n\
         address = {https}\n\
         tls.certificates = [{{ chain = {chain}, key = {key} }}]\n\n\
         [listeners.http]\n\
         address = {http}\n\n\
         [pools.demo]\n\
         backends = [{backends}]\n\n\
         [[routes]]\n\
         path = \"/\"\n\
         pool = \"demo\"\n\n\
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
        chain = quote(files.chain.display()),
        key = quote(files.key.display()),
        backends = backends.join(", "),
    )
}

fn quote(text: impl std::fmt::Display) -> String {
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

/// What a person needs to know, for standard output; the ports are those listened on.
pub(super) fn welcome(files: &Certificates, https: SocketAddr, http: SocketAddr) -> String {
    let host = match https.ip() {
        ip if ip.is_loopback() || ip.is_unspecified() => "localhost".to_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    let (https, http, ca) = (https.port(), http.port(), files.authority.display());
    format!(
        "  page      https://{host}:{https}/\n\
         \x20           http://{host}:{http}/\n\
         \x20 socket    npx wscat --ca {ca} -c wss://{host}:{https}/socket\n\
         \x20 request   curl --cacert {ca} https://{host}:{https}/whoami\n"
    )
}

/// How to stop a browser from warning, for standard error.
pub(super) fn about_trust(files: &Certificates) -> String {
    let made = if files.is_new { "Made" } else { "Using" };
    format!(
        "{made} development certificates in {dir}. A browser warns of them once; or have it trust\n\
         {ca} as an authority: it is good for localhost only, and its key was not kept.",
        dir = files.key.parent().unwrap_or(&files.key).display(),
        ca = files.authority.display(),
    )
}
