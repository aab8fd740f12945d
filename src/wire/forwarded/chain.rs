//! The hops before us, read from the last one backwards: what is nearest was written by those who
//! are known, and what lies further out by anybody.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName};

use super::super::host as spelling;
use super::super::list::{OWS, split_quoted, unquote};

pub(super) const X_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Bytes of the hops told of that are heard at most; those further out are cut off.
pub const CHAIN_BYTES_MAX: usize = 4096;

/// What one of the fields tells of the hops before us.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct HopChain {
    /// The client first, the last hop last.
    pub(super) hops: Vec<EarlierHop>,
}

/// A hop before us.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct EarlierHop {
    /// Its element, as it was written.
    pub(super) text: String,
    /// Who asked it: an address, `unknown`, or a name of the hop's own (RFC 7239 §6).
    pub(super) node: Option<String>,
    /// The host it was asked for.
    pub(super) host: Option<String>,
    /// `http` or `https`.
    pub(super) proto: Option<&'static str>,
}

/// Which field tells of the hops before us. Where both are there, `X-Forwarded-For` does, even if
/// nothing of it can be read: a proxy that writes only that one lets a client's own `Forwarded`
/// pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum HopSource {
    XForwardedFor,
    Forwarded,
    Neither,
}

impl HopSource {
    pub(super) fn of(headers: &HeaderMap) -> HopSource {
        if headers.contains_key(X_FOR) {
            HopSource::XForwardedFor
        } else if headers.contains_key(FORWARDED) {
            HopSource::Forwarded
        } else {
            HopSource::Neither
        }
    }

    /// The hops it tells of.
    pub(super) fn chain(self, headers: &HeaderMap) -> HopChain {
        match self {
            HopSource::XForwardedFor => HopChain::read(headers, &X_FOR, last_listed, listed),
            HopSource::Forwarded => HopChain::read(headers, &FORWARDED, last_element, element),
            HopSource::Neither => HopChain::default(),
        }
    }
}

impl HopChain {
    /// Reads a field's elements backwards, over all its lines, until one cannot be read.
    fn read(
        headers: &HeaderMap,
        name: &HeaderName,
        last: fn(&[u8]) -> Option<usize>,
        read: fn(&str) -> Option<EarlierHop>,
    ) -> HopChain {
        let mut hops = Vec::new();
        let mut bytes = 0;
        let lines: Vec<&[u8]> = headers.get_all(name).iter().map(|line| line.as_bytes()).collect();
        'lines: for line in lines.into_iter().rev() {
            let mut left = Some(line);
            while let Some(line) = left {
                let Some(start) = last(line) else { break 'lines };
                let element = &line[start..];
                left = start.checked_sub(1).map(|comma| &line[..comma]);
                let Ok(text) = std::str::from_utf8(element) else { break 'lines };
                let text = text.trim_matches(OWS);
                if text.is_empty() {
                    continue;
                }
                bytes += text.len() + 2;
                match read(text) {
                    Some(hop) if bytes <= CHAIN_BYTES_MAX => hops.push(hop),
                    _ => break 'lines,
                }
            }
        }
        hops.reverse();
        HopChain { hops }
    }

    /// Who asked each hop, where that is told.
    pub(super) fn nodes(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.hops.iter().filter_map(|hop| hop.node.as_deref())
    }

    /// The hop that the client asked: the one that names it, else the first.
    pub(super) fn asked_by(&self, client: Option<IpAddr>) -> Option<&EarlierHop> {
        let names = |hop: &&EarlierHop| {
            let node = hop.node.as_deref().and_then(address);
            node.is_some() && node == client
        };
        self.hops.iter().rfind(names).or(self.hops.first())
    }
}

/// Where the last element of a list of plain elements begins.
fn last_listed(line: &[u8]) -> Option<usize> {
    Some(line.iter().rposition(|byte| *byte == b',').map_or(0, |comma| comma + 1))
}

/// Where the last element of a list with quoted strings begins, looked for from the end: a quote
/// that somebody further out left open swallows nothing. `None` where a quote has no beginning.
fn last_element(line: &[u8]) -> Option<usize> {
    let mut end = line.len();
    while let Some(at) = line[..end].iter().rposition(|byte| matches!(byte, b',' | b'"')) {
        if line[at] == b',' {
            return Some(at + 1);
        }
        end = opening(&line[..at])?;
    }
    Some(0)
}

/// Where the quoted string that ends behind `line` begins: at the last quote that no backslash
/// stands before.
fn opening(line: &[u8]) -> Option<usize> {
    let mut end = line.len();
    loop {
        let at = line[..end].iter().rposition(|byte| *byte == b'"')?;
        let escapes = line[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        if escapes % 2 == 0 {
            return Some(at);
        }
        end = at;
    }
}

/// An element of `X-Forwarded-For`.
fn listed(text: &str) -> Option<EarlierHop> {
    let node = node(text)?;
    Some(EarlierHop { text: text.to_owned(), node: Some(node), ..EarlierHop::default() })
}

/// An element of `Forwarded`.
fn element(text: &str) -> Option<EarlierHop> {
    let mut hop = EarlierHop { text: text.to_owned(), ..EarlierHop::default() };
    for pair in split_quoted(text, b';')? {
        let Some((name, value)) = pair.split_once('=') else {
            if pair.is_empty() { continue } else { return None }
        };
        let value = unquote(value)?;
        match name.to_ascii_lowercase().as_str() {
            "for" => hop.node = Some(node(&value)?),
            "host" => hop.host = host(&value).map(str::to_owned),
            "proto" => hop.proto = proto(&value),
            _ => {}
        }
    }
    Some(hop)
}

/// A node in one spelling: an address without brackets and port, `unknown`, or a name that begins
/// with `_` (RFC 7239 §6).
fn node(text: &str) -> Option<String> {
    if let Some(ip) = address(text) {
        return Some(ip.to_string());
    }
    let may = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_name = text.starts_with('_') && text.bytes().all(may);
    (is_name || text.eq_ignore_ascii_case("unknown")).then(|| text.to_owned())
}

/// An address, with or without brackets and a port, as both fields have it.
pub(super) fn address(node: &str) -> Option<IpAddr> {
    let bare = node.strip_prefix('[').and_then(|node| node.strip_suffix(']')).unwrap_or(node);
    let ip = bare.parse().ok();
    ip.or_else(|| Some(node.parse::<SocketAddr>().ok()?.ip())).map(|ip: IpAddr| ip.to_canonical())
}

/// A host with or without a port, as it was written.
pub(super) fn host(text: &str) -> Option<&str> {
    spelling::canonical(text).is_ok().then_some(text)
}

/// `http` or `https`.
pub(super) fn proto(text: &str) -> Option<&'static str> {
    match text.to_ascii_lowercase().as_str() {
        "http" | "ws" => Some("http"),
        "https" | "wss" => Some("https"),
        _ => None,
    }
}
