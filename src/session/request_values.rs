//! What a request has to say where configuration asks for it: holes of templates, and keys.

use std::borrow::Cow;
use std::fmt;
use std::io::Write as _;

use http::HeaderValue;

use super::admit::Asked;
use super::clearance::Clearance;
use crate::config::plan::{RequestKey, TlsVersion};
use crate::live::LiveRoute;
use crate::pool::network;
use crate::wire::cookie;
use crate::wire::template::{Fill, Hole, parameter};

/// A request that its route lets pass, its head as it came from the client.
#[derive(Clone, Copy)]
pub(super) struct RequestValues<'a> {
    pub(super) asked: &'a Asked,
    pub(super) route: &'a LiveRoute,
    pub(super) clearance: &'a Clearance,
}

impl<'a> RequestValues<'a> {
    /// What tells the request apart by this key; `None` where it has nothing there. An empty value
    /// is nothing: the cookie of one who has logged out is that of many.
    pub(super) fn key(&self, key: &RequestKey) -> Option<Cow<'a, [u8]>> {
        let Asked { head, target, client_addr, .. } = self.asked;
        let value: Cow<'a, [u8]> = match key {
            RequestKey::Client => {
                let network = network(client_addr.as_ref()?.ip());
                network.to_be_bytes().to_vec().into()
            }
            RequestKey::Header(name) => head.headers.get(name)?.as_bytes().into(),
            RequestKey::Cookie(name) => cookie::value(&head.headers, name)?.into(),
            RequestKey::Query(name) => parameter(head.uri.query(), name)?.as_bytes().into(),
            RequestKey::Path => target.path.as_bytes().into(),
            RequestKey::Host => target.host.as_deref()?.as_bytes().into(),
            RequestKey::Label(name) => self.clearance.labels.get(name)?.as_bytes().into(),
            RequestKey::ClientCert(part) => {
                self.asked.conn.certificate()?.part(*part).into_bytes().into()
            }
            RequestKey::Claim(name) => bytes(self.clearance.identity().claim(name)?),
        };
        (!value.is_empty()).then_some(value)
    }
}

impl Fill for RequestValues<'_> {
    fn fill(&self, hole: &Hole, out: &mut Vec<u8>) {
        let Asked { conn, head, target, client_addr, .. } = self.asked;
        let tls = conn.tls.as_ref();
        let identity = self.clearance.identity();
        let text = match hole {
            Hole::ClientIp => {
                return show(out, client_addr.map(|client| client.ip().to_canonical()));
            }
            Hole::ClientPort => {
                let port = client_addr.map(|client| client.port());
                return show(out, port.filter(|port| *port != 0));
            }
            Hole::Port => return show(out, Some(target.port.unwrap_or(conn.default_port()))),
            Hole::Query => return show(out, head.uri.query().map(|query| format!("?{query}"))),
            Hole::Header(name) => head.headers.get(name).map(HeaderValue::as_bytes),
            Hole::Cookie(name) => cookie::value(&head.headers, name),
            Hole::QueryValue(name) => parameter(head.uri.query(), name).map(str::as_bytes),
            Hole::Scheme => Some(conn.scheme().as_bytes()),
            Hole::Host => target.host.as_deref().map(str::as_bytes),
            Hole::Method => Some(head.method.as_str().as_bytes()),
            Hole::Path => Some(target.sent_path(head).as_bytes()),
            Hole::RequestId => Some(self.asked.request_id.as_bytes()),
            Hole::Session => return show(out, self.clearance.token),
            Hole::Claim(name) => return show(out, identity.claim(name)),
            Hole::AccessUser => identity.user().map(str::as_bytes),
            Hole::Label(name) => self.clearance.labels.get(name).map(str::as_bytes),
            Hole::Listener => Some(conn.listener.name.as_bytes()),
            Hole::Route => Some(self.route.plan.identity.as_bytes()),
            Hole::Pool => self.route.action.pool().map(|pool| pool.plan().name.as_bytes()),
            Hole::TlsVersion => tls.map(|tls| match tls.version {
                TlsVersion::V1_2 => &b"TLSv1.2"[..],
                TlsVersion::V1_3 => b"TLSv1.3",
            }),
            Hole::ClientCert(part) => {
                return show(out, conn.certificate().map(|shown| shown.part(*part)));
            }
            Hole::TlsSni => tls.and_then(|tls| tls.sni.as_deref()).map(str::as_bytes),
        };
        out.extend_from_slice(text.unwrap_or_default());
    }
}

fn bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

fn show(out: &mut Vec<u8>, value: Option<impl fmt::Display>) {
    if let Some(value) = value {
        // Writing to a vector cannot fail: it only grows.
        let _ = write!(out, "{value}");
    }
}
