//! Backends that are found by name or in a file: they come, they go, and what becomes of sessions.

mod answers;
mod files;
mod names;
mod shown;

use std::net::{IpAddr, SocketAddr};

use crate::actors::{Backend, Session, until};
use crate::name_server::{Data, Manner, NameServer};
use crate::proxy::Proxy;
use crate::site::{Site, site};

/// Rules by which a test need not wait.
const QUICK: &str = "refresh_min = \"50ms\", gone_after = \"100ms\", empty_after = \"500ms\"";

/// Backends at addresses of their own and one port.
async fn on_one_port(count: usize) -> Vec<Backend> {
    let mut backends = vec![Backend::echo("found").await];
    let port = backends[0].address().port();
    while backends.len() < count {
        let ip = Backend::echo("found").await.address().ip();
        backends.push(Backend::echo_at("found", (ip, port).into()).await);
    }
    backends
}

fn ips<'a>(backends: impl IntoIterator<Item = &'a Backend>) -> Vec<IpAddr> {
    backends.into_iter().map(|backend| backend.address().ip()).collect()
}

/// A site whose pool finds its backends at `source`, by quick rules and `more` of them.
fn finding(source: &str, more: &str) -> Site {
    site(&[]).backend(source).pool(&format!("discovery = {{ {QUICK}, {more} }}"))
}

/// The same by `dns:` or the like, of this server.
fn asking(server: &NameServer, source: &str, more: &str) -> Site {
    finding(source, &format!("resolver = \"{}\", {more}", server.address()))
}

/// The same by rules under which what is doubted once is doubted for long.
fn doubting(server: &NameServer, source: &str) -> Site {
    let times = "refresh_min = \"50ms\", gone_after = \"100ms\", empty_after = \"1h\"";
    let rules = format!("discovery = {{ {times}, resolver = \"{}\" }}", server.address());
    site(&[]).backend(source).pool(&rules)
}

/// The value of the first sample whose line begins so.
fn sample(proxy: &Proxy, begins: &str) -> Option<u64> {
    let page = proxy.scrape();
    page.lines().find(|line| line.starts_with(begins))?.rsplit(' ').next()?.parse().ok()
}

/// How many backends the pool has.
fn members(proxy: &Proxy) -> usize {
    let page = proxy.scrape();
    page.lines().filter(|line| line.starts_with("tidegate_backend_up{pool=\"chat\"")).count()
}

async fn until_members(proxy: &Proxy, count: usize) {
    until(&format!("{count} members"), || members(proxy) == count).await;
}

/// Questions that the source has answered or not until now have passed twice.
async fn until_asked_more(server: &NameServer, times: usize) {
    let before = server.asked();
    until("more questions", || server.asked() >= before + times).await;
}

/// Sessions that this backend has, as the proxy counts them.
fn sessions_on(proxy: &Proxy, backend: SocketAddr) -> u64 {
    let begins = format!("tidegate_backend_sessions{{pool=\"chat\",backend=\"{backend}\"");
    sample(proxy, &begins).unwrap_or(0)
}
