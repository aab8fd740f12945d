//! Who a request comes from, in the words of the proxies it went through: `Forwarded` (RFC 7239)
//! and `X-Forwarded-For`, `-Proto`, `-Host`, `-Port`.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName, HeaderValue};

use super::fields::{remove_where, tells_of_hops};
use super::list::{OWS, quote, split_quoted, unquote};

const X_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");

/// Bytes of a chain of addresses taken over from a trusted proxy; of a longer one only this hop is
/// told.
pub const CHAIN_BYTES_MAX: usize = 4096;

/// What tidegate itself saw of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hop<'a> {
    /// Who connected; `None` over a unix socket. The port is not passed on.
    pub client: Option<SocketAddr>,
    /// `http` or `https`, for WebSockets too.
    pub proto: &'static str,
    /// The host asked for, as it was written.
    pub host: Option<&'a str>,
    /// The port asked for: the one in `Host`, else the scheme's. Never one of our own, which says
    /// nothing of the URL that the client has.
    pub port: u16,
}

/// The fields that tell of this hop, and of those before it that a trusted sender told of; a field
/// without a value is not sent. What an untrusted sender told is of no account.
pub fn told(
    headers: &HeaderMap,
    hop: &Hop<'_>,
    trusted: bool,
) -> [(HeaderName, ForwardedValue); 5] {
    let before = if trusted { Before::take(headers) } else { Before::default() };
    let client = hop.client.map(|client| client.ip().to_canonical());
    // Written once: it is the larger part of what this costs.
    let node = client.map(written);
    let addresses = behind(before.addresses, node.as_deref());
    let here = element(client, node.as_deref(), hop);
    // A sender that is trusted and tells no port may stand before us on any.
    let port = if trusted { before.port } else { Some(hop.port.to_string()) };
    [
        (X_FOR, addresses.and_then(value)),
        (X_PROTO, before.proto.map_or(Some(HeaderValue::from_static(hop.proto)), value)),
        (X_HOST, before.host.or_else(|| hop.host.map(str::to_owned)).and_then(value)),
        (X_PORT, port.and_then(value)),
        (FORWARDED, behind(before.elements, Some(&here)).and_then(value)),
    ]
}

/// A field's value, where there is one.
pub type ForwardedValue = Option<HeaderValue>;

/// Whether a field that tells of hops is made anew by [`told`] or, for its spelling, never passes:
/// those of a trusted sender pass otherwise.
pub fn is_told_anew(name: &HeaderName) -> bool {
    [X_FOR, X_PROTO, X_HOST, X_PORT, FORWARDED].contains(name) || name.as_str().contains('_')
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

fn value(text: String) -> ForwardedValue {
    HeaderValue::try_from(text).ok()
}

/// The client's address as told by trusted proxies: from the last hop backwards, the first one that
/// is not a trusted proxy itself. `peer` is who connected and trusted; it is the answer when the
/// fields tell nothing. Where both are there, `X-Forwarded-For` counts: a proxy that keeps only
/// that one lets a client's own `Forwarded` pass.
pub fn client(headers: &HeaderMap, peer: IpAddr, trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut last = peer;
    for node in chain(headers).iter().rev() {
        let Some(ip) = address(node) else { break };
        last = ip;
        if !trusted(ip) {
            break;
        }
    }
    last
}

/// The nodes told of, the client first.
fn chain(headers: &HeaderMap) -> Vec<String> {
    match joined(headers, &X_FOR) {
        Some(line) => listed(&line),
        None => joined(headers, &FORWARDED).and_then(|line| nodes(&line)).unwrap_or_default(),
    }
}

/// Removes all that tells of hops.
pub(super) fn remove_hops(headers: &mut HeaderMap) {
    remove_where(headers, tells_of_hops);
}

/// What trusted proxies have told.
#[derive(Default)]
struct Before {
    addresses: Option<String>,
    elements: Option<String>,
    proto: Option<String>,
    host: Option<String>,
    port: Option<String>,
}

impl Before {
    /// Takes it from what is left of the fields. Where only one of the two chains is there, the
    /// other is made from it, so that a backend reads the same in both (RFC 7239 §7.4).
    fn take(headers: &HeaderMap) -> Before {
        let proto = joined(headers, &X_PROTO).and_then(|proto| plain_proto(&proto));
        let (host, port) = (joined(headers, &X_HOST), joined(headers, &X_PORT));
        let mut addresses = joined(headers, &X_FOR);
        // Nothing can be appended to what cannot be read.
        let mut elements = joined(headers, &FORWARDED).filter(|line| nodes(line).is_some());
        match (&addresses, &elements) {
            (Some(line), None) => {
                let mut made: Vec<_> = listed(line).iter().map(|node| told_pair(node)).collect();
                if let Some(first) = made.first_mut() {
                    push_pairs(first, host.as_deref(), proto.as_deref());
                }
                elements = Some(made.join(", "));
            }
            (None, Some(line)) => addresses = nodes(line).map(|nodes| nodes.join(", ")),
            _ => {}
        }
        let told = |line: &String| !line.is_empty();
        let (addresses, elements) = (addresses.filter(told), elements.filter(told));
        Before { addresses, elements, proto, host, port }
    }
}

/// A field's lines as one; `None` when there is none, or it is no text, or it is too long.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut line = String::new();
    for value in headers.get_all(name) {
        let value = value.to_str().ok()?.trim_matches([' ', '\t', ',']);
        if !line.is_empty() && !value.is_empty() {
            line.push_str(", ");
        }
        line.push_str(value);
    }
    (!line.is_empty() && line.len() <= CHAIN_BYTES_MAX).then_some(line)
}

/// `X-Forwarded-For`'s elements.
fn listed(line: &str) -> Vec<String> {
    let elements = line.split(',').map(|element| element.trim_matches(OWS));
    elements.filter(|element| !element.is_empty()).map(str::to_owned).collect()
}

/// The `for` of each of `Forwarded`'s elements, without quotes, brackets and port where it is an
/// address; `None` when the field is malformed.
fn nodes(line: &str) -> Option<Vec<String>> {
    let mut nodes = Vec::new();
    for element in split_quoted(line, b',')? {
        for pair in split_quoted(element, b';')? {
            let Some((name, value)) = pair.split_once('=') else {
                if pair.is_empty() { continue } else { return None }
            };
            let value = unquote(value)?;
            if name.eq_ignore_ascii_case("for") {
                nodes.push(address(&value).map_or(value.into_owned(), |ip| ip.to_string()));
            }
        }
    }
    Some(nodes)
}

/// An address, with or without brackets and a port, as both fields have it.
fn address(node: &str) -> Option<IpAddr> {
    let bare = node.strip_prefix('[').and_then(|node| node.strip_suffix(']')).unwrap_or(node);
    let ip = bare.parse().ok();
    ip.or_else(|| Some(node.parse::<SocketAddr>().ok()?.ip())).map(|ip: IpAddr| ip.to_canonical())
}

/// `http` or `https` for each element; `None` when one is neither.
fn plain_proto(line: &str) -> Option<String> {
    let plain = |proto: &String| match proto.to_ascii_lowercase().as_str() {
        "http" | "ws" => Some("http"),
        "https" | "wss" => Some("https"),
        _ => None,
    };
    let protos = listed(line).iter().map(plain).collect::<Option<Vec<_>>>()?;
    Some(protos.join(", "))
}

/// What there is, and one more behind it.
fn behind(before: Option<String>, more: Option<&str>) -> Option<String> {
    match (before, more) {
        (Some(before), Some(more)) => Some(before + ", " + more),
        (before, more) => before.or_else(|| more.map(str::to_owned)),
    }
}

/// This hop's element of `Forwarded`; `node` is the client's address, written.
fn element(client: Option<IpAddr>, node: Option<&str>, hop: &Hop<'_>) -> String {
    let node = node.unwrap_or("unknown");
    let names = "for=\"[]\";host=;proto=".len();
    let most = names + node.len() + hop.host.map_or(0, str::len) + hop.proto.len();
    let mut element = String::with_capacity(most);
    push_for(&mut element, client, node);
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
