//! Pools.

use std::sync::Arc;

use crate::report::{Diagnostic, Span};

use super::super::fault::Fault;
use super::super::plan::{self, Backend, BackendAddress, HashBy, Health, OutSessions, Pool, Retry};
use super::super::raw::{self, Number, Written};
use super::condition::field_name;
use super::rebalance::rebalance;
use super::sticky::{cookie_name, sticky};
use super::{Lower, address, count, entries, if_any, number, opt, time, tls};

/// All pools.
pub fn pools(cx: &mut Lower<'_>, file: &raw::File) -> Option<Vec<Arc<Pool>>> {
    let written = entries(&file.pools);
    let lowered: Vec<_> = written.iter().map(|(name, pool)| lower(cx, name, pool)).collect();
    lowered.into_iter().collect()
}

fn lower(
    cx: &mut Lower<'_>,
    name: &Written<String>,
    written: &Written<raw::Pool>,
) -> Option<Arc<Pool>> {
    let (name, place) = (name.get()?, name.span());
    let raw = written.get()?;
    let owner = format!("pool `{name}`");
    cx.need((&raw.backends, "backends"), &owner, place, "[\"127.0.0.1:8080\"]");
    let backends = backends(cx, raw, &owner);
    let tls = raw.tls.get().map(|tls| tls::upstream(cx, tls));
    if let (Some(tls), Some(backends)) = (raw.tls.get(), &backends) {
        named(cx, tls, backends, raw.tls.span());
    }
    let sources = cx.take_each("source_addresses", &raw.source_addresses, |ip| address::ip(ip));
    let balance = balance(cx, raw, &owner);
    let is_sticky = raw.sticky.is_written();
    let rebalance = raw.rebalance.get();
    let rebalance =
        rebalance.map(|_| self::rebalance(cx, &raw.rebalance, balance.as_ref(), is_sticky));
    let sticky = raw.sticky.get().map(|_| sticky(cx, &raw.sticky, name));
    let health = raw.health.get().and_then(|raw| health(cx, raw));
    Some(Arc::new(Pool {
        name: name.as_str().into(),
        backends: backends?,
        balance: balance?,
        sticky: opt(sticky)?,
        rebalance: opt(rebalance)?,
        slow_start: if_any(&raw.slow_start, |time| time.0)?.unwrap_or_default(),
        tls: opt(tls)?,
        connect_timeout: time(&raw.connect_timeout)?,
        handshake_timeout: time(&raw.handshake_timeout)?,
        response_timeout: time(&raw.response_timeout)?,
        handshakes_in_flight_max: count(&raw.handshakes_in_flight_max)?,
        handshake_rate_max: if_any(&raw.handshake_rate_max, |rate| rate.0)?,
        source_addresses: sources?,
        health: health?,
        retry: retry(raw.retry.get()?)?,
        keep_alive_timeout: time(&raw.keep_alive_timeout)?,
        keep_alive_max: count(&raw.keep_alive_max)?,
    }))
}

fn balance(cx: &mut Lower<'_>, raw: &raw::Pool, owner: &str) -> Option<plan::Balance> {
    let by = cx.take("hash", &raw.hash, |text| hash_by(text));
    let balance = match raw.balance.get()? {
        raw::Balance::Hash => {
            cx.need((&raw.hash, "hash"), owner, raw.balance.span(), "\"client\"");
            let excess = raw.hash_excess_max.get()?.on().map(|percent| percent.0);
            return Some(plan::Balance::Hash { by: by?, excess_percent: excess });
        }
        raw::Balance::LeastSessions => plan::Balance::LeastSessions,
        raw::Balance::RoundRobin => plan::Balance::RoundRobin,
        raw::Balance::RandomTwo => plan::Balance::RandomTwo,
    };
    for (key, span) in [("hash", raw.hash.span()), ("hash_excess_max", raw.hash_excess_max.span())]
    {
        if span.is_some() {
            let fault = Fault::new("is for `balance = \"hash\"` only");
            cx.fault(key, span, fault.hint("write that too, or remove this".to_owned()));
        }
    }
    Some(balance)
}

/// What is hashed.
fn hash_by(text: &str) -> Result<HashBy, Fault> {
    let (kind, name) = text.split_once(':').map_or((text, None), |(kind, name)| (kind, Some(name)));
    match (kind, name) {
        ("client", None) => Ok(HashBy::Client),
        ("path", None) => Ok(HashBy::Path),
        ("header", Some(name)) => field_name(name).map(HashBy::Header),
        ("cookie", Some(name)) => cookie_name(name).map(HashBy::Cookie),
        ("query", Some(name)) if is_query_name(name) => Ok(HashBy::Query(name.into())),
        _ => {
            let known = "`client`, `header:NAME`, `cookie:NAME`, `query:NAME` or `path`";
            Err(Fault::new(format!("must be {known}, not: `{text}`")))
        }
    }
}

/// Whether a parameter's name can be written in a query as it is.
fn is_query_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '&', '#', ' '])
}

fn backends(cx: &mut Lower<'_>, raw: &raw::Pool, owner: &str) -> Option<Vec<Backend>> {
    let list = raw.backends.get()?;
    if list.is_empty() {
        let finding = Diagnostic::error("missing", format!("{owner} has no backend"));
        let hint = "write at least one, as in `[\"127.0.0.1:8080\"]`".to_owned();
        cx.report(finding.at(raw.backends.span()).hint(hint));
        return None;
    }
    let mut lowered: Vec<(Backend, Option<Span>)> = Vec::with_capacity(list.len());
    for written in list {
        let Some(backend) = backend(cx, written, &raw.sessions_max) else { continue };
        let same = |(known, _): &&(Backend, _)| known.address == backend.address;
        if let Some((_, first)) = lowered.iter().find(same) {
            let said = format!("{owner} has the same backend twice: `{}`", backend.address);
            let finding = Diagnostic::error("duplicate", said).at(written.span()).label("again");
            let hint = "give it a `weight` to send it more".to_owned();
            cx.report(finding.also(*first, "first here").hint(hint));
        }
        lowered.push((backend, written.span()));
    }
    let whole = lowered.len() == list.len();
    if whole && lowered.iter().all(|(backend, _)| backend.backup) {
        let said = format!("{owner} has no backend but backups");
        let hint = "a backup is used when no other is up: let one be none".to_owned();
        cx.report(Diagnostic::error("value", said).at(raw.backends.span()).hint(hint));
    }
    whole.then(|| lowered.into_iter().map(|(backend, _)| backend).collect())
}

fn backend(
    cx: &mut Lower<'_>,
    written: &Written<raw::Short<raw::Backend>>,
    sessions_max: &Written<Number<1>>,
) -> Option<Backend> {
    let raw::Short(raw) = written.get()?;
    cx.need((&raw.address, "address"), "a backend", written.span(), "\"127.0.0.1:8080\"");
    let address = match cx.take("address", &raw.address, |text| address::backend(text))? {
        BackendAddress::Unix(path) => BackendAddress::Unix(cx.path(path, raw.address.span())),
        inet => inet,
    };
    Some(Backend {
        address,
        weight: number(&raw.weight)?,
        backup: *raw.backup.get()?,
        sessions_max: if_any(raw.sessions_max.or(sessions_max), |number| number.0 as usize)?,
    })
}

/// A certificate is verified against a name, and a unix socket has none.
fn named(cx: &mut Lower<'_>, tls: &raw::UpstreamTls, backends: &[Backend], at: Option<Span>) {
    let unix = |one: &Backend| matches!(one.address, BackendAddress::Unix(_));
    if backends.iter().any(unix) && tls.server_name.is_absent() {
        let fault = Fault::new("needs a `server_name`: a backend on a unix socket has no name");
        cx.fault("tls", at, fault);
    }
}

fn health(cx: &mut Lower<'_>, raw: &raw::Health) -> Option<Health> {
    let (out, out_max) = (time(&raw.out)?, time(&raw.out_max)?);
    // Without an `out_max` of its own, a long `out` is its own limit.
    if out > out_max && raw.out_max.is_written() {
        cx.fault("out_max", raw.out_max.span(), Fault::new("must be at least `out`"));
    }
    Some(Health {
        failures_max: number(&raw.failures_max)?,
        out,
        out_max: out_max.max(out),
        sessions: match raw.sessions.get()? {
            raw::OutSessions::Move => OutSessions::Move,
            raw::OutSessions::Keep => OutSessions::Keep,
            raw::OutSessions::Drain => OutSessions::Drain,
        },
        sessions_after: time(&raw.sessions_after)?,
    })
}

fn retry(raw: &raw::Retry) -> Option<Retry> {
    Some(Retry {
        attempts_max: number(&raw.attempts_max)?,
        budget_percent: raw.budget.get()?.0,
        budget_min_per_second: raw.budget_min.get()?.0,
    })
}
