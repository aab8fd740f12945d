//! Pools.

use std::sync::Arc;

use crate::report::{Diagnostic, Span};

use super::super::fault::Fault;
use super::super::plan::{self, Backend, BackendAddress, Health, MemberGroup, Pool};
use super::super::tables::words::BalanceWord;
use super::super::tables::{
    self, BackendParts, HealthParts, Number, OneOrMany, PoolParts, Spanned, if_any,
};
use super::discovery;
use super::probe::probe;
use super::rebalance::rebalance;
use super::sticky::sticky;
use super::{Lower, address, entries, key, named, opt, tls};

/// All pools.
pub fn pools(cx: &mut Lower<'_>, file: &tables::FileTable) -> Option<Vec<Arc<Pool>>> {
    let written = entries(&file.pools);
    let lowered: Vec<_> = written.iter().map(|(name, pool)| lower(cx, name, pool)).collect();
    lowered.into_iter().collect()
}

fn lower(
    cx: &mut Lower<'_>,
    name: &Spanned<String>,
    written: &Spanned<tables::PoolTable>,
) -> Option<Arc<Pool>> {
    let place = name.span();
    let name = &cx.take("pools", name, |name| named(name))?;
    let raw = written.get()?;
    let owner = format!("pool `{name}`");
    cx.need((&raw.backends, "backends"), &owner, place, "[\"127.0.0.1:8080\"]");
    let members = members(cx, raw, &owner);
    let (backends, sources) = members.unzip();
    let found = sources.as_deref().unwrap_or_default();
    let discovery = discovery::discovery(cx, &raw.discovery, found);
    let tls = raw.tls.get().map(|tls| tls::upstream(cx, tls));
    if let (Some(tls), Some(backends)) = (raw.tls.get(), &backends) {
        has_names(cx, tls, backends, raw.tls.span());
    }
    let verified = tls.as_ref().and_then(Option::as_ref);
    discovery::needs_server_name(cx, verified, found, raw.tls.span());
    let source_addresses = &raw.source_addresses;
    let source_addresses = cx.take_each("source_addresses", source_addresses, |ip| address::ip(ip));
    let balance = balance(cx, raw, &owner);
    let is_sticky = raw.sticky.is_written();
    let rebalance = raw.rebalance.get();
    let rebalance =
        rebalance.map(|_| self::rebalance(cx, &raw.rebalance, balance.as_ref(), is_sticky));
    let sticky = raw.sticky.get().map(|_| sticky(cx, &raw.sticky, name));
    let health = raw.health.get().and_then(|raw| health(cx, raw));
    let retry = raw.retry.get().and_then(|raw| raw.lower(cx.report));
    let parts = PoolParts {
        name: Some(name.clone()),
        backends,
        sources,
        discovery,
        balance,
        sticky: opt(sticky),
        rebalance: opt(rebalance),
        slow_start: if_any(&raw.slow_start).map(Option::unwrap_or_default),
        tls: opt(tls),
        source_addresses,
        health,
        retry,
    };
    raw.lower(cx.report, parts).map(Arc::new)
}

fn balance(cx: &mut Lower<'_>, raw: &tables::PoolTable, owner: &str) -> Option<plan::Balance> {
    let by = cx.take("hash", &raw.hash, |text| key::request_key(text));
    let balance = match raw.balance.get()? {
        BalanceWord::Hash => {
            cx.need((&raw.hash, "hash"), owner, raw.balance.span(), "\"client\"");
            let excess = raw.hash_excess_max.get()?.on().map(|percent| percent.0);
            return Some(plan::Balance::Hash { by: by?, excess_percent: excess });
        }
        BalanceWord::LeastSessions => plan::Balance::LeastSessions,
        BalanceWord::RoundRobin => plan::Balance::RoundRobin,
        BalanceWord::RandomTwo => plan::Balance::RandomTwo,
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

/// The backends that are written, and the sources of more.
fn members(
    cx: &mut Lower<'_>,
    raw: &tables::PoolTable,
    owner: &str,
) -> Option<(Vec<Backend>, Vec<MemberGroup>)> {
    let OneOrMany(list) = raw.backends.get()?;
    if list.is_empty() {
        let finding = Diagnostic::error("missing", format!("{owner} has no backend"));
        let hint = "write at least one, as in `[\"127.0.0.1:8080\"]`".to_owned();
        cx.report(finding.at(raw.backends.span()).hint(hint));
        return None;
    }
    let mut lowered: Vec<(Backend, Option<Span>)> = Vec::with_capacity(list.len());
    let mut groups: Vec<MemberGroup> = Vec::new();
    for written in list {
        if let Some(source) = source(written) {
            let group = group(cx, written, source, &raw.sessions_max);
            if let Some(same) = group.as_ref().filter(|one| has_source(&groups, one)) {
                let said = format!("{owner} has the same backends twice: `{}`", same.source);
                cx.report(Diagnostic::error("duplicate", said).at(written.span()));
            }
            groups.extend(group);
            continue;
        }
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
    let whole = lowered.len() + groups.len() == list.len();
    if whole && groups.is_empty() && lowered.iter().all(|(backend, _)| backend.backup) {
        let said = format!("{owner} has no backend but backups");
        let hint = "a backup is used when no other is up: let one be none".to_owned();
        cx.report(Diagnostic::error("value", said).at(raw.backends.span()).hint(hint));
    }
    whole.then(|| (lowered.into_iter().map(|(backend, _)| backend).collect(), groups))
}

/// The source that an entry names, where it names one.
fn source(written: &Spanned<BackendEntry>) -> Option<Result<plan::MemberSource, Fault>> {
    discovery::source(written.get()?.0.address.get()?)
}

fn group(
    cx: &mut Lower<'_>,
    written: &Spanned<BackendEntry>,
    source: Result<plan::MemberSource, Fault>,
    sessions_max: &Spanned<Number<1>>,
) -> Option<MemberGroup> {
    let tables::OrString(raw) = written.get()?;
    let source = cx.take("address", &raw.address, |_| source)?;
    discovery::group(cx, raw, source, sessions_max)
}

fn has_source(groups: &[MemberGroup], one: &MemberGroup) -> bool {
    groups.iter().any(|known| known.source == one.source)
}

type BackendEntry = tables::OrString<tables::BackendTable>;

fn backend(
    cx: &mut Lower<'_>,
    written: &Spanned<BackendEntry>,
    sessions_max: &Spanned<Number<1>>,
) -> Option<Backend> {
    let tables::OrString(raw) = written.get()?;
    cx.need((&raw.address, "address"), "a backend", written.span(), "\"127.0.0.1:8080\"");
    let address = match cx.take("address", &raw.address, |text| address::backend(text))? {
        BackendAddress::Unix(path) => BackendAddress::Unix(cx.path(path, raw.address.span())),
        inet => inet,
    };
    let sessions_max = if_any(raw.sessions_max.or(sessions_max));
    raw.lower(
        cx.report,
        BackendParts { address: Some(address), sessions_max, is_found: Some(false) },
    )
}

/// A certificate is verified against a name, and a unix socket has none.
fn has_names(
    cx: &mut Lower<'_>,
    tls: &tables::UpstreamTlsTable,
    backends: &[Backend],
    at: Option<Span>,
) {
    let unix = |one: &Backend| matches!(one.address, BackendAddress::Unix(_));
    if backends.iter().any(unix) && tls.server_name.is_absent() {
        let fault = Fault::new("needs a `server_name`: a backend on a unix socket has no name");
        cx.fault("tls", at, fault);
    }
}

fn health(cx: &mut Lower<'_>, raw: &tables::HealthTable) -> Option<Health> {
    let probe = opt(raw.probe.get().map(|_| probe(cx, &raw.probe)));
    let health = raw.lower(cx.report, HealthParts { probe })?;
    // Without an `eject_time_max` of its own, a long `eject_time` is its own limit.
    if health.eject_time > health.eject_time_max && raw.eject_time_max.is_written() {
        let fault = Fault::new("must be at least `eject_time`");
        cx.fault("eject_time_max", raw.eject_time_max.span(), fault);
    }
    Some(Health { eject_time_max: health.eject_time_max.max(health.eject_time), ..health })
}
