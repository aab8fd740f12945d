//! Which sessions a command is for: by the names of the configuration, each of which is checked.

use std::net::IpAddr;
use std::sync::Arc;

use clap::Args;
use http::StatusCode;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::reply::Reply;
use super::request::{shown, value};
use crate::admin::process::Process;
use crate::base::clock;
use crate::base::id::{SessionId, SessionName};
use crate::config::{Wait, did_you_mean};
use crate::live::Snapshot;
use crate::pool::Backend;
use crate::registry::Selector;
use crate::wire::label;

/// Ids in one request.
const IDS_MAX: usize = 1000;

/// Names that are listed where none is like the one that was written.
const NAMES_LISTED_MAX: usize = 8;

/// What narrows sessions down; all that is given must be true of a session.
#[derive(Args, Serialize, Deserialize, Default, Debug)]
#[command(next_help_heading = "Which sessions")]
#[serde(default)]
pub struct Filters {
    /// Sessions by their ids, as `tidegate sessions` and the log show them
    #[arg(value_name = "ID")]
    pub(super) ids: Vec<String>,
    /// Every session
    #[arg(long)]
    pub(super) all: bool,
    /// Those of a route, by its name, or by its path, or as `tidegate sessions` shows it
    #[arg(long, value_name = "ROUTE")]
    pub(super) route: Option<String>,
    /// Those of a pool
    #[arg(long, value_name = "POOL")]
    pub(super) pool: Option<String>,
    /// Those on a backend, by its address
    #[arg(long, value_name = "ADDRESS")]
    pub(super) backend: Option<String>,
    /// Those that came in by a listener
    #[arg(long, value_name = "LISTENER")]
    pub(super) listener: Option<String>,
    /// Those of a client's IP address, or of a network such as `10.0.0.0/8`
    #[arg(long, value_name = "ADDRESS")]
    pub(super) client: Option<String>,
    /// Those that are older, such as `1h`
    #[arg(long, value_name = "AGE", value_parser = value::<Wait>)]
    #[serde(serialize_with = "shown")]
    pub(super) older_than: Option<Wait>,
    /// Those with this label; given again, they must have each of them
    #[arg(long = "label", value_name = "NAME=VALUE")]
    // Not known to processes of versions before it, which are asked as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) labels: Vec<String>,
}

impl Filters {
    /// Whether nothing was asked for.
    pub(super) fn is_empty(&self) -> bool {
        let Filters { all, route, pool, backend, listener, client, older_than, labels, ids } = self;
        let names = [route, pool, backend, listener, client];
        let is_named = names.iter().any(|name| name.is_some());
        !all && !is_named && older_than.is_none() && labels.is_empty() && ids.is_empty()
    }

    /// The sessions that match.
    pub(super) async fn selector(&self, process: &impl Process) -> Result<Selector, Reply> {
        let snapshot = process.snapshot();
        let mut parts = Vec::new();
        if let Some(route) = &self.route {
            parts.push(named_route(process, &snapshot, route).await?);
        }
        if let Some(listener) = &self.listener {
            let known = || snapshot.listeners.values().map(|one| &*one.plan.name).collect();
            let selector = Selector::Listener(listener.as_str().into());
            parts.push(known_or_live(process, selector, known).await?);
        }
        if let Some(backend) = &self.backend {
            parts.push(self.backend(process, &snapshot, backend).await?);
        } else if let Some(pool) = &self.pool {
            let known = || snapshot.pools.keys().map(|name| &**name).collect();
            parts.push(known_or_live(process, Selector::Pool(pool.as_str().into()), known).await?);
        }
        if let Some(client) = &self.client {
            parts.push(Selector::Client(network(client)?));
        }
        if let Some(Wait(age)) = self.older_than {
            parts.push(Selector::OpenedBy(clock::now().before(age)));
        }
        for label in &self.labels {
            parts.push(labelled(label)?);
        }
        if !self.ids.is_empty() {
            parts.push(Selector::Sessions(ids(&self.ids)?));
        }
        Ok(match parts.len() {
            0 => Selector::All,
            1 => parts.swap_remove(0),
            _ => Selector::AllOf(parts.into()),
        })
    }

    async fn backend(
        &self,
        process: &impl Process,
        snapshot: &Snapshot,
        address: &str,
    ) -> Result<Selector, Reply> {
        let found: Arc<[Selector]> = backends(snapshot, self.pool.as_deref(), address)
            .map(|one| Selector::Backend {
                pool: Arc::clone(one.pool()),
                backend: Arc::clone(one.address()),
            })
            .collect();
        if let [one] = &*found {
            return Ok(one.clone());
        }
        if !found.is_empty() {
            return Ok(Selector::AnyOf(found));
        }
        // One that a reload removed may still have sessions; then its pool must be named too.
        let pool = self.pool.as_deref().unwrap_or_default().into();
        let selector = Selector::Backend { pool, backend: address.into() };
        known_or_live(process, selector, || addresses(snapshot, self.pool.as_deref())).await
    }
}

/// A route by its identity; by its name, where it is one route per host; or by its path alone.
async fn named_route(
    process: &impl Process,
    snapshot: &Snapshot,
    written: &str,
) -> Result<Selector, Reply> {
    let identities = || snapshot.routes.iter().map(|route| &route.plan.identity);
    let of = |is: &dyn Fn(&str) -> bool| {
        let found = identities().filter(|identity| is(identity));
        found.map(|identity| Selector::Route(Arc::clone(identity))).collect::<Arc<[Selector]>>()
    };
    let exact = of(&|identity| identity == written);
    let of_hosts =
        of(&|identity| identity.strip_prefix(written).is_some_and(|host| host.starts_with('@')));
    let of_any_host = of(&|identity| identity.strip_prefix('*') == Some(written));
    match [exact, of_hosts, of_any_host].into_iter().find(|found| !found.is_empty()) {
        Some(found) if found.len() == 1 => Ok(found[0].clone()),
        Some(found) => Ok(Selector::AnyOf(found)),
        None => {
            let known = || identities().map(|identity| &**identity).collect();
            known_or_live(process, Selector::Route(written.into()), known).await
        }
    }
}

/// The backends in force with this address, of one pool or of any.
pub(super) fn backends<'a>(
    snapshot: &'a Snapshot,
    pool: Option<&'a str>,
    address: &'a str,
) -> impl Iterator<Item = &'a Arc<Backend>> {
    let pools = snapshot.pools.iter().filter(move |(name, _)| pool.is_none_or(|p| p == &***name));
    let all = pools.flat_map(|(_, pool)| pool.backends());
    all.filter(move |backend| &**backend.address() == address)
}

/// Says that there is no such backend, and which there are.
pub(super) fn no_backend(snapshot: &Snapshot, pool: Option<&str>, address: &str) -> Reply {
    missing("backend", address, addresses(snapshot, pool))
}

fn addresses<'a>(snapshot: &'a Snapshot, pool: Option<&str>) -> Vec<&'a str> {
    let pools = snapshot.pools.iter().filter(|(name, _)| pool.is_none_or(|p| p == &***name));
    pools.flat_map(|(_, pool)| pool.backends()).map(|one| &**one.address()).collect()
}

/// What was named must be in force; or there must be sessions of it, which outlive it.
async fn known_or_live<'a>(
    process: &impl Process,
    selector: Selector,
    known: impl Fn() -> Vec<&'a str>,
) -> Result<Selector, Reply> {
    let (what, name) = match &selector {
        Selector::Route(name) => ("route", name),
        Selector::Listener(name) => ("listener", name),
        Selector::Pool(name) => ("pool", name),
        Selector::Backend { backend, .. } => ("backend", backend),
        _ => return Ok(selector),
    };
    let is_backend = matches!(selector, Selector::Backend { .. });
    if (!is_backend && known().contains(&&**name))
        || process.sessions().count(&selector).await.matched > 0
    {
        return Ok(selector);
    }
    Err(missing(what, name, known()))
}

fn missing(what: &str, name: &str, mut known: Vec<&str>) -> Reply {
    known.sort_unstable();
    known.dedup();
    let hint = did_you_mean(name, known.iter().copied()).unwrap_or_else(|| match known.len() {
        0 => "there is none".to_owned(),
        1..=NAMES_LISTED_MAX => format!("there are: {}", known.join(", ")),
        count => format!("there are {count} others; `tidegate sessions` shows those in use"),
    });
    Reply::no(StatusCode::NOT_FOUND, format!("no such {what}: `{name}`\nhint: {hint}"))
}

fn labelled(text: &str) -> Result<Selector, Reply> {
    let (name, value) = label::parse(text, '=').map_err(|error| {
        let said = format!("`label` must be `NAME=VALUE`, not: `{text}`\nhint: {error}");
        Reply::no(StatusCode::BAD_REQUEST, said)
    })?;
    Ok(Selector::Label { name: name.into(), value: value.into() })
}

fn network(text: &str) -> Result<IpNet, Reply> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| address()).map_err(|_| {
        let said = format!("`client` must be an IP address or a network, not: `{text}`");
        Reply::no(StatusCode::BAD_REQUEST, said)
    })
}

fn ids(written: &[String]) -> Result<Arc<[SessionId]>, Reply> {
    if written.len() > IDS_MAX {
        let said = format!("too many ids in one request, more than {IDS_MAX}: {}", written.len());
        return Err(Reply::no(StatusCode::BAD_REQUEST, said));
    }
    let name = |text: &String| {
        text.parse::<SessionName>().map_err(|_| {
            let said = format!(
                "an id is 12 and 16 hexadecimal digits with `-` between, as `tidegate sessions` \
                 and the log show it, not: `{text}`"
            );
            Reply::no(StatusCode::BAD_REQUEST, said)
        })
    };
    let names: Vec<SessionName> = written.iter().map(name).collect::<Result<_, _>>()?;
    // Those of other processes are none here.
    let mut ids: Vec<SessionId> = names.into_iter().filter_map(SessionName::here).collect();
    ids.sort_unstable();
    Ok(ids.into())
}

/// An age for people.
pub(super) fn age(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h{minutes:02}m"),
        _ => format!("{days}d{hours:02}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_missing_is_said_with_what_there_is() {
        let said = |known: &[&str]| missing("route", "/chta", known.to_vec()).text;
        assert_eq!(
            said(&["/quotes", "/chat"]),
            "no such route: `/chta`\nhint: did you mean `/chat`?"
        );
        assert_eq!(said(&["one", "two"]), "no such route: `/chta`\nhint: there are: one, two");
        assert!(said(&[]).ends_with("there is none"));
    }

    #[test]
    fn what_is_written_wrong_is_said() {
        assert!(network("10.0.0.0/8").is_ok() && network("::1").is_ok());
        assert!(network("localhost").is_err());
        let here = SessionId::new(0, 1, 2);
        assert_eq!(*ids(&[here.to_string()]).unwrap(), [here]);
        // Of another process, perhaps of an older one.
        assert!(ids(&["0123456789ab-00000000000000ff".to_owned()]).unwrap().is_empty());
        assert!(ids(&["00000000000000ff".to_owned()]).is_err());
        assert!(ids(&["session".to_owned()]).unwrap_err().text.contains("`session`"));
        assert!(ids(&vec![String::new(); IDS_MAX + 1]).is_err());
    }

    #[test]
    fn ages_have_two_parts() {
        let said = [7.9, 65.0, 3_700.0, 90_000.0].map(age);
        assert_eq!(said, ["7s", "1m05s", "1h01m", "1d01h"]);
    }
}
