//! Listeners.

use std::sync::Arc;

use crate::report::Diagnostic;

use super::super::fault::Fault;
use super::super::plan::{Address, Http2, Listener, ProxyProtocol};
use super::super::tables::{self, Spanned};
use super::{Lower, address, entries, named, opt, time, tls};

/// One frame of HTTP/2 at its usual size.
const STREAM_WINDOW_MIN: u32 = 16 << 10;

/// All listeners, at least one, at addresses of their own.
pub fn listeners(cx: &mut Lower<'_>, file: &tables::FileTable) -> Option<Vec<Arc<Listener>>> {
    let written = entries(&file.listeners);
    if written.is_empty() && !file.listeners.is_faulty() {
        let finding = Diagnostic::error("missing", "there is no listener");
        let hint = "write `[listeners.http]` and below it `address = \"0.0.0.0:80\"`";
        cx.report(finding.at(file.listeners.span()).hint(hint.to_owned()));
    }
    let lowered: Vec<_> = written.iter().map(|(name, one)| lower(cx, name, one)).collect();
    lowered.into_iter().collect()
}

fn lower(
    cx: &mut Lower<'_>,
    name: &Spanned<String>,
    written: &Spanned<tables::ListenerTable>,
) -> Option<Arc<Listener>> {
    let place = name.span();
    let name = cx.take("listeners", name, |name| named(name))?;
    let raw = written.get()?;
    let owner = format!("listener `{name}`");
    cx.need((&raw.address, "address"), &owner, place, "\"0.0.0.0:443\"");
    let address = cx.take("address", &raw.address, |text| address::listen(text));
    let http2 = raw.http2.get().map(|http2| http2_of(cx, http2, raw.tls.is_written()));
    let tls = raw.tls.is_written().then(|| tls::server(cx, &raw.tls, &owner));
    let proxy = raw.proxy_protocol.is_written();
    let proxy_protocol = proxy.then(|| proxy_protocol(cx, &raw.proxy_protocol, &owner));
    let trusted =
        cx.take_each("trusted_proxies", &raw.trusted_proxies, |one| address::network(one));
    let limits = raw.limits.get().and_then(|raw| raw.lower(cx.report));
    let address = address?;
    if matches!(address, Address::Inet(_)) && raw.mode.is_written() {
        let hint = "remove it: anyone may connect who reaches the port".to_owned();
        cx.fault("mode", raw.mode.span(), Fault::new("is for unix sockets").hint(hint));
    }
    Some(Arc::new(Listener {
        name,
        address: match address {
            Address::Unix(path) => Address::Unix(cx.path(path, raw.address.span())),
            inet => inet,
        },
        mode: raw.mode.get().copied(),
        tls: opt(tls)?,
        http2: http2??,
        proxy_protocol: opt(proxy_protocol)?,
        trusted_proxies: address::networks(trusted?),
        underscores_in_headers: *raw.underscores_in_headers.get()?,
        limits: limits?,
    }))
}

/// HTTP/2 as it is spoken here, if it is.
fn http2_of(cx: &mut Lower<'_>, raw: &tables::Http2Table, is_tls: bool) -> Option<Option<Http2>> {
    let h2c = *raw.h2c.get()?;
    if h2c && is_tls {
        let fault = Fault::new("is for listeners without `tls`");
        cx.fault(
            "h2c",
            raw.h2c.span(),
            fault.hint("inside TLS clients agree on it by ALPN".to_owned()),
        );
    }
    let http2 = raw.lower(cx.report)?;
    let together = u64::from(http2.stream_window) * u64::from(http2.streams_max);
    if http2.stream_window < STREAM_WINDOW_MIN {
        let fault =
            Fault::new(format!("must be at least `16KiB`, not: `{}B`", http2.stream_window));
        cx.fault("stream_window", raw.stream_window.span(), fault);
    } else if together > u64::from(Http2::WINDOW_MAX) {
        let fault = Fault::new("times `streams_max` must be less than `2GiB`");
        cx.fault("stream_window", raw.stream_window.span(), fault);
    }
    let is_spoken = if is_tls { *raw.enabled.get()? } else { h2c };
    Some(is_spoken.then_some(http2))
}

fn proxy_protocol(
    cx: &mut Lower<'_>,
    written: &Spanned<tables::ProxyProtocolTable>,
    owner: &str,
) -> Option<ProxyProtocol> {
    let raw = written.get()?;
    let of = format!("`proxy_protocol` of {owner}");
    cx.need((&raw.trusted, "trusted"), &of, written.span(), "[\"10.0.0.0/8\"]");
    let trusted = cx.take_each("trusted", &raw.trusted, |one| address::network(one))?;
    if trusted.is_empty() && !raw.trusted.is_absent() {
        let fault = Fault::new("is empty: every connection would be refused");
        cx.fault("trusted", raw.trusted.span(), fault);
    }
    Some(ProxyProtocol { trusted: address::networks(trusted), timeout: time(&raw.timeout)? })
}
