//! Addresses and networks.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::{IpNet, Ipv4Net};

use super::super::fault::Fault;
use super::super::plan::{Address, BackendAddress, Networks};

/// A path after `unix:`; the kernel takes 107 bytes (unix(7)).
const UNIX_PATH_BYTES_MAX: usize = 107;

/// Bits of an IPv6 address that say that the others are one of IPv4.
const V4_MAPPED_BITS: u8 = 96;

/// Where a listener listens.
pub fn listen(text: &str) -> Result<Address, Fault> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path).map(Address::Unix);
    }
    let said = || format!("must be an IP address and a port, or `unix:` and a path, not: `{text}`");
    text.parse().map(Address::Inet).map_err(|_| Fault::new(said()).hint(listen_hint(text)))
}

/// What is said of a path where `unix:` was left out.
fn path_alone(text: &str) -> Option<String> {
    text.starts_with(['/', '.']).then(|| format!("write `\"unix:{text}\"`"))
}

/// Whether this is an IPv6 address with a port that has no brackets.
fn is_ipv6_with_port(host: &str, port: &str) -> bool {
    let is_port = port.parse::<u16>().is_ok_and(|port| port >= 80);
    is_port && port.chars().all(|c| c.is_ascii_digit()) && host.parse::<Ipv6Addr>().is_ok()
}

/// What is said of a port that is none.
fn port_hint(text: &str) -> Option<String> {
    let (_, port) = text.rsplit_once(':')?;
    let is_number = !port.is_empty() && port.chars().all(|c| c.is_ascii_digit());
    let fits = port.parse::<u16>().is_ok_and(|port| port > 0);
    (is_number && !fits).then(|| "a port is 1 to 65535".to_owned())
}

fn listen_hint(text: &str) -> Option<String> {
    if let Some(hint) = port_hint(text) {
        return Some(hint);
    }
    if let Some(path) = path_alone(text) {
        return Some(path);
    }
    if let Some((_, rest)) = text.split_once("://") {
        let address = rest.split('/').next().unwrap_or(rest);
        let port_alone = address.rsplit_once(':').is_some_and(|(host, _)| host.is_empty());
        return match address.parse::<SocketAddr>() {
            Ok(address) => Some(format!("write `\"{address}\"`; a listener has TLS by its `tls`")),
            Err(_) if port_alone => listen_hint(address),
            Err(_) => Some("write an address of this machine, as in `\"0.0.0.0:80\"`".to_owned()),
        };
    }
    match text.rsplit_once(':') {
        Some(("", port)) => {
            Some(format!("write `\"0.0.0.0:{port}\"` for all of IPv4, `\"[::]:{port}\"` for IPv6"))
        }
        Some(("*", port)) => Some(format!("write `\"0.0.0.0:{port}\"`")),
        Some(("localhost", port)) => Some(format!("write `\"127.0.0.1:{port}\"`")),
        // `::1:8080` is an IPv6 address, too, but hardly the one that was meant.
        Some((host, port)) if is_ipv6_with_port(host, port) => {
            Some(format!("write `\"[{host}]:{port}\"`"))
        }
        _ if text.parse::<Ipv6Addr>().is_ok() => {
            Some(format!("write `\"[{text}]:80\"`, with the port you want"))
        }
        Some((host, port)) if host.contains(':') && !host.starts_with('[') => {
            Some(format!("write `\"[{host}]:{port}\"`"))
        }
        None if text.parse::<u16>().is_ok() => Some(format!("write `\"0.0.0.0:{text}\"`")),
        None if text.parse::<IpAddr>().is_ok() => {
            Some(format!("write `\"{text}:80\"`, with the port you want"))
        }
        _ => None,
    }
}

/// An IP address and a port.
pub fn socket(text: &str) -> Result<SocketAddr, Fault> {
    match listen(text)? {
        Address::Inet(address) => Ok(address),
        Address::Unix(_) => {
            Err(Fault::new(format!("must be an IP address and a port, not: `{text}`")))
        }
    }
}

/// Where a backend listens.
pub fn backend(text: &str) -> Result<BackendAddress, Fault> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path).map(BackendAddress::Unix);
    }
    let wrong = |hint: Option<String>| {
        let said = format!("must be a host and a port, or `unix:` and a path, not: `{text}`");
        Err(Fault::new(said).hint(hint))
    };
    if let Some(hint) = backend_hint(text) {
        return wrong(Some(hint));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return wrong(Some(format!("write `\"{text}:80\"`, with the port it listens on")));
    };
    let digits = port.chars().all(|c| c.is_ascii_digit());
    let Some(port) = port.parse().ok().filter(|port| *port > 0 && digits) else {
        return wrong(port_hint(text));
    };
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let canonical;
    let host = match literal {
        Some(inner) if inner.parse::<Ipv6Addr>().is_ok() => {
            // One address has one spelling.
            canonical = inner.parse::<Ipv6Addr>().map_or(String::new(), |ip| ip.to_string());
            &canonical
        }
        None if host.contains(':') => return wrong(Some(format!("write `\"[{host}]:{port}\"`"))),
        None if !host.is_empty() && host.chars().all(is_name) => {
            host.strip_suffix('.').unwrap_or(host)
        }
        _ => return wrong(None),
    };
    Ok(BackendAddress::Inet { host: host.to_ascii_lowercase().into(), port })
}

/// What is said of a URL, a path, or a port alone where a backend's address stands.
fn backend_hint(text: &str) -> Option<String> {
    if let Some(path) = path_alone(text) {
        return Some(path);
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let tls = matches!(scheme, "https" | "wss");
        let port = if tls { 443 } else { 80 };
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let host = if has_port { host.to_owned() } else { format!("{host}:{port}") };
        let more = if tls { ", and give the pool `tls = {}`" } else { "" };
        return Some(format!("write `\"{host}\"`{more}{}", path_hint(path)));
    }
    if let Some((address, path)) = text.split_once('/') {
        return Some(format!("write `\"{address}\"`{}", path_hint(path)));
    }
    let port = text.strip_prefix(':').or(text.strip_prefix("*:")).unwrap_or(text);
    let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
    Some(format!("write `\"127.0.0.1:{port}\"`, if it listens on this machine"))
}

/// Where the path of a backend is written.
fn path_hint(path: &str) -> String {
    match path {
        "" => String::new(),
        path => format!(
            "; a path before the request's own is `replace_prefix = \"/{path}\"` of a route"
        ),
    }
}

fn unix(path: &str) -> Result<PathBuf, Fault> {
    match path.len() {
        0 => Err(Fault::new("has no path after `unix:`")),
        1..=UNIX_PATH_BYTES_MAX if !path.contains('\0') => Ok(PathBuf::from(path)),
        _ => Err(Fault::new(format!(
            "must be a path of at most {UNIX_PATH_BYTES_MAX} bytes, not: `{path}`"
        ))),
    }
}

/// A local address to dial from.
pub fn ip(text: &str) -> Result<IpAddr, Fault> {
    text.parse().map_err(|_| Fault::new(format!("must be an IP address, not: `{text}`")))
}

/// One entry of a set of networks.
pub enum Network {
    /// Addresses.
    Ip(IpNet),
    /// The peers of unix sockets.
    Unix,
}

/// Reads one entry: `10.0.0.0/8`, `::1` or `unix`.
pub fn network(text: &str) -> Result<Network, Fault> {
    if text == "unix" {
        return Ok(Network::Unix);
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(Network::Ip(ip.to_canonical().into()));
    }
    let Ok(net) = text.parse::<IpNet>() else {
        let said = format!("must be a network, an IP address or `unix`, not: `{text}`");
        return Err(Fault::new(said).hint("a network is written `10.0.0.0/8`".to_owned()));
    };
    match net.trunc() {
        exact if exact == net => Ok(Network::Ip(canonical(net))),
        meant => {
            let said = format!("has bits set outside its prefix: `{text}`");
            Err(Fault::new(said).hint(format!("write `{meant}`")))
        }
    }
}

/// A network of IPv4 that is written inside of IPv6 is that network (RFC 4291 §2.5.5.2): addresses
/// of clients are read so, and none would be in it.
fn canonical(net: IpNet) -> IpNet {
    let IpNet::V6(inside) = net else { return net };
    let prefix = inside.prefix_len().checked_sub(V4_MAPPED_BITS);
    let ipv4 = inside.addr().to_ipv4_mapped().zip(prefix);
    ipv4.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok()).map_or(net, IpNet::V4)
}

/// The set its entries make.
pub fn networks(entries: Vec<Network>) -> Networks {
    let mut networks = Networks::default();
    for entry in entries {
        match entry {
            Network::Ip(net) => networks.nets.push(net),
            Network::Unix => networks.unix = true,
        }
    }
    networks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_what_was_probably_meant_is_hinted_at() {
        let hint = |text: &str| listen(text).unwrap_err().finding("", "", None).hint;
        assert!(listen("[::]:80").is_ok() && listen("unix:/run/x.sock").is_ok());
        assert!(hint(":80").unwrap().contains("`\"0.0.0.0:80\"`"));
        assert!(hint("8080").unwrap().contains("0.0.0.0:8080"));
        assert!(hint("localhost:80").unwrap().contains("127.0.0.1:80"));
        assert!(hint("::1").unwrap().contains("[::1]:80"));
        assert!(hint("::1:443x").unwrap().contains("[::1]:443x"));
        assert!(hint("::1:8080").unwrap().contains("`\"[::1]:8080\"`"));
        assert!(hint("fe80::1").unwrap().contains("`\"[fe80::1]:80\"`"));
        assert!(hint("http://0.0.0.0:80/").unwrap().contains("`\"0.0.0.0:80\"`"));
        assert!(hint("https://:443").unwrap().contains("`\"0.0.0.0:443\"`"));
        assert!(hint("https://example.com").unwrap().contains("an address of this machine"));
        assert!(hint("/run/x.sock").unwrap().contains("`\"unix:/run/x.sock\"`"));
        assert!(listen("unix:").is_err());
    }

    #[test]
    fn backends_are_hosts_with_ports() {
        let shown = |text: &str| backend(text).unwrap().to_string();
        assert_eq!(shown("App.internal:80"), "app.internal:80");
        assert_eq!(shown("[::1]:80"), "[::1]:80");
        assert_eq!(shown("unix:/run/a"), "unix:/run/a");
        let hint = |text: &str| backend(text).unwrap_err().finding("", "", None).hint;
        assert!(hint("wss://app:443/x").unwrap().contains("`\"app:443\"`, and give the pool"));
        assert!(hint("app").unwrap().contains("`\"app:80\"`"));
        assert!(hint("::1:80").unwrap().contains("[::1]:80"));
        for port in ["3000", ":3000", "*:3000"] {
            assert!(hint(port).unwrap().contains("`\"127.0.0.1:3000\"`"), "{port}");
        }
        assert!(hint("https://app").unwrap().contains("`\"app:443\"`"));
        assert!(hint("http://[::1]/").unwrap().contains("`\"[::1]:80\"`"));
        assert!(hint("app:1/v2").unwrap().contains("`\"app:1\"`; a path before"));
        assert!(hint("http://app:1/v2").unwrap().contains("replace_prefix = \"/v2\""));
        assert!(hint("./app.sock").unwrap().contains("`\"unix:./app.sock\"`"));
        for wrong in ["app:0", "app:http", "a b:80", ":80", "[::g]:80"] {
            assert!(backend(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn networks_are_exact() {
        assert!(network("10.0.0.0/8").is_ok() && network("::1").is_ok());
        assert!(network("10.0.0.1/8").is_err() && network("everywhere").is_err());
        let set = networks(vec![network("10.0.0.0/8").unwrap(), network("unix").unwrap()]);
        assert!(set.contains(Some("10.9.8.7".parse().unwrap())) && set.contains(None));
        assert!(!set.contains(Some("11.0.0.1".parse().unwrap())));
        for mapped in ["::ffff:10.0.0.0/104", "::ffff:10.9.8.7", "::ffff:0:0/96"] {
            let set = networks(vec![network(mapped).unwrap()]);
            let has = |ip: &str| set.contains(Some(ip.parse().unwrap()));
            assert!(has("10.9.8.7") && has("::ffff:10.9.8.7") && !has("::a09:807"), "{mapped}");
        }
    }
}
