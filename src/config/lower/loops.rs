//! Pools that lead back to a listener of the same process: what is sent there comes round again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::report::{Diagnostic, Span};

use super::super::plan::{Address, BackendAddress, Listener, Pool};
use super::super::tables::{BackendTable, FileTable, OneOrMany, OrString, Spanned};
use super::{Lower, discovery, entries};

/// Reports every backend whose address is a listener's.
pub fn backends(
    cx: &mut Lower<'_>,
    file: &FileTable,
    listeners: &[Arc<Listener>],
    pools: &[Arc<Pool>],
) {
    for pool in pools {
        for (at, backend) in pool.backends.iter().enumerate() {
            let leads_to = |one: &&Arc<Listener>| leads(&backend.address, &one.address);
            let Some(listener) = listeners.iter().find(leads_to) else { continue };
            let said = format!(
                "pool `{}` leads back to listener `{}`: `{}`, `{}`",
                pool.name, listener.name, backend.address, listener.address
            );
            let hint = "a request that comes round again is answered 508; write the address of \
                        the application, which needs a port of its own";
            let finding = Diagnostic::error("loop", said).at(backend_span(file, &pool.name, at));
            let own = listener_span(file, &listener.name);
            cx.report(finding.also(own, "listened on here").hint(hint.to_owned()));
        }
    }
}

fn listener_span(file: &FileTable, name: &str) -> Option<Span> {
    let mut named = entries(&file.listeners).iter();
    let (_, table) = named.find(|(key, _)| key.get().is_some_and(|key| key == name))?;
    table.get()?.address.span()
}

fn backend_span(file: &FileTable, pool: &str, at: usize) -> Option<Span> {
    let mut named = entries(&file.pools).iter();
    let (_, table) = named.find(|(key, _)| key.get().is_some_and(|key| key == pool))?;
    let OneOrMany(list) = table.get()?.backends.get()?;
    // Sources are not among the plan's backends.
    let is_address = |written: &&Spanned<OrString<BackendTable>>| {
        let text = written.get().and_then(|OrString(table)| table.address.get());
        text.is_none_or(|text| discovery::source(text).is_none())
    };
    let written = list.iter().filter(is_address).nth(at)?;
    let address = written.get().and_then(|OrString(table)| table.address.span());
    address.or(written.span())
}

/// Whether who dials the backend may reach the listener. A name other than `localhost`, and an
/// address of this machine's that a listener takes with all others, are known only when they are
/// dialled.
fn leads(backend: &BackendAddress, listener: &Address) -> bool {
    match (backend, listener) {
        (BackendAddress::Inet { host, port }, Address::Inet(bound)) => {
            *port == bound.port() && dialled(host).any(|ip| reaches(ip, bound))
        }
        (BackendAddress::Unix(path), Address::Unix(bound)) => normal(path) == normal(bound),
        _ => false,
    }
}

/// The addresses that are dialled for a host, as far as they are known.
fn dialled(host: &str) -> impl Iterator<Item = IpAddr> {
    let local = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    let is_local = host == "localhost" || host.ends_with(".localhost");
    let literal = host.parse::<IpAddr>().map(|ip| match ip.to_canonical() {
        // The system takes it for this machine's own.
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => local[0],
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => local[1],
        ip => ip,
    });
    literal.into_iter().chain(local.into_iter().filter(move |_| is_local))
}

fn reaches(ip: IpAddr, bound: &SocketAddr) -> bool {
    let bound = bound.ip().to_canonical();
    let takes_all = bound.is_unspecified() && bound.is_ipv4() == ip.is_ipv4();
    ip == bound || (takes_all && ip.is_loopback())
}

/// A path without the steps that lead nowhere.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if normal.file_name().is_some() => drop(normal.pop()),
            part => normal.push(part),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::super::address;
    use super::*;

    #[test]
    fn a_backend_leads_to_a_listener_by_every_way_that_is_known() {
        for (backend, listener, is_loop) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:81", "127.0.0.1:80", false),
            ("127.0.0.2:80", "127.0.0.1:80", false),
            ("127.0.0.2:80", "0.0.0.0:80", true),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "127.0.0.2:80", false),
            ("[::]:80", "[::1]:80", true),
            ("[::1]:80", "[::]:80", true),
            ("[::1]:80", "0.0.0.0:80", false),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "[::ffff:0.0.0.0]:80", true),
            ("LocalHost.:80", "127.0.0.1:80", true),
            ("app.localhost:80", "[::]:80", true),
            ("localhost:80", "192.0.2.1:80", false),
            ("192.0.2.1:80", "192.0.2.1:80", true),
            ("192.0.2.1:80", "0.0.0.0:80", false),
            ("app:80", "0.0.0.0:80", false),
            ("127.0.0.1:80", "127.0.0.1:0", false),
            ("unix:run/x", "unix:./run/../run/x", true),
            ("unix:/run/x", "unix:/run/y", false),
            ("unix:/run/x", "127.0.0.1:80", false),
        ] {
            let leads =
                leads(&address::backend(backend).unwrap(), &address::listen(listener).unwrap());
            assert_eq!(leads, is_loop, "{backend} to {listener}");
        }
    }
}
