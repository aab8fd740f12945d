//! Who a request comes from, in the words of the proxies it went through: `Forwarded` (RFC 7239)
//! and `X-Forwarded-For`, `-Proto`, `-Host`, `-Port`, `-Prefix`, `X-Real-IP`.
//!
//! Of a trusted sender one field counts for the hops before it; what else it sent is kept where it
//! says the same, and made from that one where it does not: a proxy that writes one field lets the
//! others pass as its own client wrote them.

mod chain;

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName, HeaderValue};

use super::list::quote;
use super::{host as spelling, path};
use chain::{EarlierHop, HopChain, HopSource, X_FOR, address, host, proto};

pub use chain::CHAIN_BYTES_MAX;

const X_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// What is made anew, or dropped.
const MADE: [HeaderName; 8] = [
    X_FOR,
    X_PROTO,
    X_HOST,
    X_PORT,
    X_PREFIX,
    X_REAL_IP,
    FORWARDED,
    HeaderName::from_static("x-forwarded"),
];

/// What tidegate itself saw of a request, and whom it takes for the client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hop<'a> {
    /// Who connected; `None` over a unix socket. The port is not passed on.
    pub peer: Option<SocketAddr>,
    /// Whom [`client`] found; the peer where it is not trusted.
    pub client: Option<IpAddr>,
    /// `http` or `https`, for WebSockets too.
    pub proto: &'static str,
    /// The host asked for, as it was written.
    pub host: Option<&'a str>,
    /// The port asked for: the one in `Host`, else the scheme's. Never one of our own, which says
    /// nothing of the URL that the client has.
    pub port: u16,
    /// What [`whole_prefix`] makes of a prefix that is cut from the path; empty where none is.
    pub prefix: &'a str,
}

/// The fields that tell of this hop, and of those before it that a trusted sender told of. What an
/// untrusted sender told is of no account.
pub struct HopFields<'a> {
    hop: Hop<'a>,
    is_trusted: bool,
    before: Account,
}

impl<'a> HopFields<'a> {
    /// Those of a request with these fields.
    pub fn of(headers: &HeaderMap, hop: Hop<'a>, is_trusted: bool) -> HopFields<'a> {
        let before = if is_trusted { Account::read(headers, &hop) } else { Account::default() };
        HopFields { hop, is_trusted, before }
    }

    /// Gives each that there is, in the order they are written.
    pub fn give(self, mut add: impl FnMut(HeaderName, HeaderValue)) {
        let HopFields { hop, is_trusted, before } = self;
        let mut give = |name, value: Option<HeaderValue>| {
            if let Some(value) = value {
                add(name, value);
            }
        };
        let peer = hop.peer.map(|peer| peer.ip().to_canonical());
        let client = hop.client.map(|client| client.to_canonical());
        // Written once: it is the larger part of what this costs.
        let node = peer.map(written);
        let here = element(peer, node.as_deref(), &hop);
        let asking = if client == peer { node.clone() } else { client.map(written) };
        give(X_FOR, behind(before.addresses, node).and_then(value));
        give(X_PROTO, before.proto.map_or(Some(HeaderValue::from_static(hop.proto)), value));
        let host = || hop.host.and_then(|host| HeaderValue::from_str(host).ok());
        give(X_HOST, before.host.map_or_else(host, value));
        // A sender that is trusted and tells no port may stand before us on any.
        let port = if is_trusted { before.port.and_then(value) } else { Some(digits(hop.port)) };
        give(X_PORT, port);
        let prefix =
            if hop.prefix.is_empty() { before.prefix } else { Some(hop.prefix.to_owned()) };
        give(X_PREFIX, prefix.and_then(value));
        give(X_REAL_IP, asking.and_then(value));
        give(FORWARDED, behind(before.elements, Some(here)).and_then(value));
    }
}

/// What the client's paths begin with that a backend does not see, once `own` is cut from them:
/// behind what trusted proxies tell that they have cut. It begins with one slash, or is empty.
pub fn whole_prefix(headers: &HeaderMap, own: &str, trusted: bool) -> String {
    let before = match HopSource::of(headers) {
        HopSource::Forwarded => None,
        _ => joined(headers, &X_PREFIX).filter(|_| trusted).filter(|line| prefixes(line)),
    };
    let before = before.unwrap_or_default();
    let cut = before.split(", ").chain([own]);
    let cut = cut.map(|one| one.trim_matches('/')).filter(|one| !one.is_empty());
    cut.flat_map(|one| ["/", one]).collect()
}

/// Whether a field that tells of hops is made anew by [`HopFields`] or, for its spelling, never
/// passes: those of a trusted sender pass otherwise.
pub fn is_told_anew(name: &HeaderName) -> bool {
    MADE.contains(name) || name.as_str().contains('_')
}

/// An address as text. Of IPv4, nearly every request's, by hand: the general way costs twenty times
/// as much.
fn written(ip: IpAddr) -> String {
    let IpAddr::V4(ip) = ip else { return ip.to_string() };
    let mut text = String::with_capacity("255.255.255.255".len());
    for (place, octet) in ip.octets().into_iter().enumerate() {
        if place > 0 {
            text.push('.');
        }
        if octet >= 100 {
            text.push(char::from(b'0' + octet / 100));
        }
        if octet >= 10 {
            text.push(char::from(b'0' + octet / 10 % 10));
        }
        text.push(char::from(b'0' + octet % 10));
    }
    text
}

fn value(text: String) -> Option<HeaderValue> {
    HeaderValue::try_from(text).ok()
}

/// A port as text; of a scheme's own nothing is written.
fn digits(port: u16) -> HeaderValue {
    match port {
        80 => HeaderValue::from_static("80"),
        443 => HeaderValue::from_static("443"),
        _ => port.into(),
    }
}

/// The client's address as told by trusted proxies: from the last hop backwards, the first one that
/// is not a trusted proxy itself. `peer` is who connected and is trusted, `None` over a unix
/// socket; it is the answer when the fields tell nothing. What cannot be read ends the chain.
pub fn client(
    headers: &HeaderMap,
    peer: Option<IpAddr>,
    trusted: impl Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    let mut last = peer;
    for node in HopSource::of(headers).chain(headers).nodes().rev() {
        let Some(ip) = address(node) else { break };
        last = Some(ip);
        if !trusted(ip) {
            break;
        }
    }
    last
}

/// Whether a trusted sender says that the client, as [`client`] found it, spoke TLS.
pub fn is_https(headers: &HeaderMap, client: Option<IpAddr>) -> bool {
    match HopSource::of(headers) {
        HopSource::Forwarded => {
            let chain = HopSource::Forwarded.chain(headers);
            chain.asked_by(client).is_some_and(|hop| hop.proto == Some("https"))
        }
        _ => {
            let line = joined(headers, &X_PROTO).and_then(|line| protos(&line));
            line.is_some_and(|line| line.split(", ").next() == Some("https"))
        }
    }
}

/// What a trusted sender tells, all of it in agreement.
#[derive(Default)]
struct Account {
    addresses: Option<String>,
    elements: Option<String>,
    proto: Option<String>,
    host: Option<String>,
    port: Option<String>,
    prefix: Option<String>,
}

impl Account {
    fn read(headers: &HeaderMap, hop: &Hop<'_>) -> Account {
        let source = HopSource::of(headers);
        let chain = source.chain(headers);
        let mut account = match source {
            HopSource::Forwarded => Account::of_elements(&chain, hop),
            _ => Account::of_fields(headers),
        };
        account.addresses = joined_up(chain.nodes());
        account.elements = match source {
            HopSource::Forwarded => joined_up(chain.hops.iter().map(|hop| &*hop.text)),
            HopSource::XForwardedFor => {
                let said = HopSource::Forwarded.chain(headers);
                match account.agrees(&chain, &said) {
                    true => joined_up(said.hops.iter().map(|hop| &*hop.text)),
                    false => account.made(&chain, hop.client),
                }
            }
            HopSource::Neither => None,
        };
        account
    }

    /// What the fields beside `X-Forwarded-For` say.
    fn of_fields(headers: &HeaderMap) -> Account {
        let all = |line: &String, holds: fn(&str) -> bool| line.split(", ").all(holds);
        let is_port = |one: &str| one.parse::<u16>().is_ok();
        Account {
            proto: joined(headers, &X_PROTO).and_then(|line| protos(&line)),
            host: joined(headers, &X_HOST).filter(|line| all(line, |one| host(one).is_some())),
            port: joined(headers, &X_PORT).filter(|line| all(line, is_port)),
            prefix: joined(headers, &X_PREFIX).filter(|line| prefixes(line)),
            ..Account::default()
        }
    }

    /// What `Forwarded` says of the request that the client made.
    fn of_elements(chain: &HopChain, hop: &Hop<'_>) -> Account {
        let Some(asked) = chain.asked_by(hop.client) else { return Account::default() };
        let proto = asked.proto;
        let port = asked.host.as_deref().and_then(|host| Some(port(Some(host), proto?)));
        Account {
            proto: proto.map(str::to_owned),
            host: asked.host.clone(),
            port,
            ..Account::default()
        }
    }

    /// Whether `Forwarded` says what the fields that count say.
    fn agrees(&self, chain: &HopChain, said: &HopChain) -> bool {
        let first = |line: &Option<String>| -> Option<String> {
            line.as_ref().and_then(|line| Some(line.split(", ").next()?.to_owned()))
        };
        let (host, proto) = (first(&self.host), first(&self.proto));
        let fits = |hop: &EarlierHop| {
            let same_host = |said: &str| host.as_deref() == Some(said);
            let same_proto = |said: &str| proto.as_deref() == Some(said);
            hop.host.as_deref().is_none_or(same_host) && hop.proto.is_none_or(same_proto)
        };
        let is_same_chain = said.nodes().eq(chain.nodes()) && said.hops.len() == chain.hops.len();
        is_same_chain && said.hops.first().is_none_or(fits)
    }

    /// `Forwarded`, made from the fields that count, so that a backend reads the same in both
    /// (RFC 7239 §7.4).
    fn made(&self, chain: &HopChain, client: Option<IpAddr>) -> Option<String> {
        let asked = chain.asked_by(client);
        let made = |hop: &EarlierHop| {
            let mut element = told_pair(hop.node.as_deref().unwrap_or("unknown"));
            if asked.is_some_and(|asked| std::ptr::eq(asked, hop)) {
                push_pairs(&mut element, self.host.as_deref(), self.proto.as_deref());
            }
            element
        };
        let made: Vec<String> = chain.hops.iter().map(made).collect();
        joined_up(made.iter().map(|element| &**element))
    }
}

/// A field's lines as one, elements parted by `, `; `None` when there is none, or it is no text, or
/// it is too long.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut elements = Vec::new();
    for line in headers.get_all(name) {
        let line = line.to_str().ok()?;
        let found = line.split(',').map(|element| element.trim_matches([' ', '\t']));
        elements.extend(found.filter(|element| !element.is_empty()));
    }
    joined_up(elements.into_iter()).filter(|line| line.len() <= CHAIN_BYTES_MAX)
}

fn joined_up<'a>(elements: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut line = String::new();
    for element in elements {
        if !line.is_empty() {
            line.push_str(", ");
        }
        line.push_str(element);
    }
    (!line.is_empty()).then_some(line)
}

/// The port of a host that was asked for, else its scheme's.
fn port(host: Option<&str>, proto: &str) -> String {
    let port = host.and_then(|host| spelling::canonical(host).ok()?.port);
    port.unwrap_or(if proto == "https" { 443 } else { 80 }).to_string()
}

/// Whether each element is a path that can be sent as it is.
fn prefixes(line: &str) -> bool {
    line.split(", ").all(|one| path::read(one).is_ok_and(|read| read.sent == one))
}

/// [`proto`] of each element; `None` when one is neither.
fn protos(line: &str) -> Option<String> {
    let protos = line.split(", ").map(proto).collect::<Option<Vec<_>>>()?;
    Some(protos.join(", "))
}

/// What there is, and one more behind it.
fn behind(before: Option<String>, more: Option<String>) -> Option<String> {
    match (before, more) {
        (Some(before), Some(more)) => Some(before + ", " + &more),
        (before, more) => before.or(more),
    }
}

/// This hop's element of `Forwarded`; `node` is the peer's address, written.
fn element(peer: Option<IpAddr>, node: Option<&str>, hop: &Hop<'_>) -> String {
    let node = node.unwrap_or("unknown");
    let names = "for=\"[]\";host=;proto=".len();
    let most = names + node.len() + hop.host.map_or(0, str::len) + hop.proto.len();
    let mut element = String::with_capacity(most);
    push_for(&mut element, peer, node);
    push_pairs(&mut element, hop.host, Some(hop.proto));
    element
}

/// The `for=…` of a node that a proxy told of.
fn told_pair(node: &str) -> String {
    let mut pair = String::new();
    match address(node) {
        Some(ip) => push_for(&mut pair, Some(ip), &ip.to_string()),
        None => push_for(&mut pair, None, node),
    }
    pair
}

/// `for=…`; an IPv6 address is put in brackets, and quoted for them (RFC 7239 §6).
fn push_for(element: &mut String, address: Option<IpAddr>, node: &str) {
    element.push_str("for=");
    match address {
        Some(IpAddr::V6(_)) => {
            ["\"[", node, "]\""].into_iter().for_each(|part| element.push_str(part));
        }
        Some(IpAddr::V4(_)) => element.push_str(node),
        None => element.push_str(&quote(node)),
    }
}

fn push_pairs(element: &mut String, host: Option<&str>, proto: Option<&str>) {
    for (name, value) in [(";host=", host), (";proto=", proto)] {
        if let Some(value) = value {
            element.push_str(name);
            element.push_str(&quote(value));
        }
    }
}

#[cfg(test)]
mod tests;
