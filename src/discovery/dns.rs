//! Questions to name servers.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::Resolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{RData, Record, RecordType};

use super::dns_runtime::DnsRuntime;
use super::source_answer::{MEMBERS_MAX, SourceAnswer};
use crate::base::join::join_all;
use crate::config::plan::{AddressFamily, BackendAddress, Discovery, FoundMember, MemberSource};

/// How long a server has for one answer; it is asked twice.
const SERVER_TIMEOUT: Duration = Duration::from_secs(2);

/// Targets of a service whose addresses are asked for at a time.
const TARGETS_AT_A_TIME: usize = 16;

/// What a weight of 1 has beside one of 0.
const WEIGHT_OF_ONE: u32 = 100;

/// A resolver on our runtime.
type DnsResolver = Resolver<DnsRuntime>;

/// Asks name servers for one source.
pub(super) struct DnsClient {
    source: MemberSource,
    servers: Vec<SocketAddr>,
    family: AddressFamily,
    /// Made at its first use, and anew after a failure or an answer that did not come in time: the
    /// system may have other servers by then.
    resolver: Option<DnsResolver>,
}

/// Records of one kind, perhaps none; why there is no answer.
type Records = Result<Vec<Record>, String>;

/// Addresses of a name, with the least TTL of them.
struct Addresses {
    ips: Vec<IpAddr>,
    ttl: Option<u32>,
}

impl DnsClient {
    pub(super) fn new(source: MemberSource, rules: &Discovery) -> DnsClient {
        let (servers, family) = (rules.resolvers.clone(), rules.family);
        DnsClient { source, servers, family, resolver: None }
    }

    /// Asks.
    pub(super) async fn ask(&mut self) -> SourceAnswer {
        // Taken: whoever waits no longer drops it with the question.
        let resolver = match self.resolver.take() {
            Some(resolver) => resolver,
            None => match resolver(&self.servers) {
                Ok(resolver) => resolver,
                Err(error) => return SourceAnswer::Failed(error),
            },
        };
        match self.members(&resolver).await {
            // An empty answer is good for no time at all: it is asked again soon.
            Ok((members, ttl)) => {
                self.resolver = Some(resolver);
                let ttl = Duration::from_secs(ttl.unwrap_or(0).into());
                SourceAnswer::Members { members, ttl }
            }
            Err(error) => SourceAnswer::Failed(error),
        }
    }

    async fn members(
        &self,
        resolver: &DnsResolver,
    ) -> Result<(Vec<FoundMember>, Option<u32>), String> {
        match &self.source {
            MemberSource::Dns { name, port } => {
                let Addresses { ips, ttl } = addresses(resolver, name, self.family).await?;
                let member =
                    |ip| FoundMember { address: inet(ip, *port), weight: 1, backup: false };
                Ok((ips.into_iter().map(member).collect(), ttl))
            }
            MemberSource::Srv { name } => service(resolver, name, self.family).await,
            MemberSource::File(_) => Err("it is no name".to_owned()),
        }
    }
}

/// Who asks these servers; the system's, where there are none.
fn resolver(servers: &[SocketAddr]) -> Result<DnsResolver, String> {
    let mut builder = match servers {
        [] => DnsResolver::builder(DnsRuntime::default())
            .map_err(|error| format!("the system's name servers are not known: {error}"))?,
        servers => {
            let servers = servers.iter().map(|server| name_server(*server)).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            let mut builder = DnsResolver::builder_with_config(config, DnsRuntime::default());
            builder.options_mut().use_hosts_file = ResolveHosts::Never;
            builder
        }
    };
    let options = builder.options_mut();
    // What is remembered, and for how long, is decided by `membership`.
    options.cache_size = 0;
    options.timeout = SERVER_TIMEOUT;
    builder.build().map_err(|error| error.to_string())
}

fn name_server(at: SocketAddr) -> NameServerConfig {
    let on_port = |mut connection: ConnectionConfig| {
        connection.port = at.port();
        connection
    };
    let connections = vec![on_port(ConnectionConfig::udp()), on_port(ConnectionConfig::tcp())];
    NameServerConfig::new(at.ip(), true, connections)
}

/// The addresses of a name. Half of an answer is none.
async fn addresses(
    resolver: &DnsResolver,
    name: &str,
    family: AddressFamily,
) -> Result<Addresses, String> {
    let kinds: &[RecordType] = match family {
        AddressFamily::Any => &[RecordType::A, RecordType::AAAA],
        AddressFamily::Ipv4 => &[RecordType::A],
        AddressFamily::Ipv6 => &[RecordType::AAAA],
    };
    let answers = join_all(kinds.iter().map(|kind| records(resolver, name, *kind))).await;
    let mut found = Addresses { ips: Vec::new(), ttl: None };
    for record in answers.into_iter().collect::<Result<Vec<_>, _>>()?.iter().flatten() {
        let Some(ip) = address(&record.data) else { continue };
        found.ips.push(ip);
        found.ttl = least(found.ttl, Some(record.ttl));
    }
    Ok(found)
}

/// Every address of every target of a service (RFC 2782): a backup where another's priority comes
/// first.
async fn service(
    resolver: &DnsResolver,
    name: &str,
    family: AddressFamily,
) -> Result<(Vec<FoundMember>, Option<u32>), String> {
    let records = records(resolver, name, RecordType::SRV).await?;
    let targets = records.iter().filter_map(|record| Some((target(&record.data)?, record.ttl)));
    let targets: Vec<(&SRV, u32)> = targets.take(MEMBERS_MAX).collect();
    let (mut served, mut ttl) = (Vec::new(), None);
    for some in targets.chunks(TARGETS_AT_A_TIME) {
        let asked = some.iter().map(async |(target, _)| {
            let name: Arc<str> = target.target.to_ascii().into();
            addresses(resolver, &name, family).await.map_err(|error| format!("{name} {error}"))
        });
        for ((target, own), found) in some.iter().zip(join_all(asked).await) {
            let Addresses { ips, ttl: of_addresses } = found?;
            ttl = least(least(ttl, Some(*own)), of_addresses);
            served.extend(ips.into_iter().map(|ip| ServiceAddress {
                address: inet(ip, target.port),
                priority: target.priority,
                weight: target.weight.into(),
            }));
        }
    }
    Ok((members_of_service(&served), ttl))
}

/// An address of a target of a service.
struct ServiceAddress {
    address: BackendAddress,
    priority: u16,
    weight: u32,
}

/// The members that addresses of a service are. One that several targets have is one member, by the
/// first of their priorities, with the weights of all of that priority. A weight of 0 has a very
/// small share where others have more (RFC 2782).
fn members_of_service(served: &[ServiceAddress]) -> Vec<FoundMember> {
    let mut each: BTreeMap<&BackendAddress, (u16, u32)> = BTreeMap::new();
    for one in served {
        let (priority, weight) = each.entry(&one.address).or_insert((one.priority, 0));
        if one.priority < *priority {
            (*priority, *weight) = (one.priority, 0);
        }
        if one.priority == *priority {
            *weight = weight.saturating_add(one.weight);
        }
    }
    let first = each.values().map(|(priority, _)| *priority).min().unwrap_or_default();
    let share = |backup: bool| {
        let of_these = || each.values().filter(move |(priority, _)| (*priority > first) == backup);
        let has = |is: fn(&u32) -> bool| of_these().any(|(_, weight)| is(weight));
        if has(|weight| *weight == 0) && has(|weight| *weight > 0) { WEIGHT_OF_ONE } else { 1 }
    };
    let shares = [false, true].map(share);
    let member = |(address, (priority, weight)): (&&BackendAddress, &(u16, u32))| {
        let backup = *priority > first;
        let weight = weight.saturating_mul(shares[usize::from(backup)]).max(1);
        FoundMember { address: (*address).clone(), weight, backup }
    };
    each.iter().map(member).collect()
}

async fn records(resolver: &DnsResolver, name: &str, kind: RecordType) -> Records {
    match resolver.lookup(name, kind).await {
        Ok(found) => {
            let asked = found.query().name();
            let is_of_kind = |record: &&Record| record.record_type() == kind;
            let all: Vec<&Record> = found.answers().iter().filter(is_of_kind).collect();
            // Where the name has records of its own there is no other name that it stands for, and
            // what the answer says of others was not asked.
            let is_own = all.iter().any(|record| record.name == *asked);
            let kept = all.into_iter().filter(|record| !is_own || record.name == *asked);
            Ok(kept.cloned().collect())
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(none)))
            if matches!(none.response_code, ResponseCode::NXDomain | ResponseCode::NoError) =>
        {
            Ok(Vec::new())
        }
        Err(error) => Err(format!("{kind}: {error}")),
    }
}

fn address(data: &RData) -> Option<IpAddr> {
    match data {
        RData::A(address) => Some(address.0.into()),
        RData::AAAA(address) => Some(address.0.into()),
        _ => None,
    }
}

/// A service's target; the name `.` says that there is none.
fn target(data: &RData) -> Option<&SRV> {
    match data {
        RData::SRV(service) if !service.target.is_root() && service.port > 0 => Some(service),
        _ => None,
    }
}

fn inet(ip: IpAddr, port: u16) -> BackendAddress {
    BackendAddress::Inet { host: ip.to_string().into(), port }
}

fn least(one: Option<u32>, other: Option<u32>) -> Option<u32> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_each_address_once_and_weights_of_nothing_have_little() {
        let members = |rows: &[(u8, u16, u32)]| {
            let served = rows.iter().map(|(last, priority, weight)| ServiceAddress {
                address: inet([10, 0, 0, *last].into(), 80),
                priority: *priority,
                weight: *weight,
            });
            let found = members_of_service(&served.collect::<Vec<_>>());
            found.into_iter().map(|one| (one.weight, one.backup)).collect::<Vec<_>>()
        };
        assert_eq!(members(&[]), []);
        assert_eq!(members(&[(1, 5, 0), (2, 5, 0)]), [(1, false), (1, false)]);
        assert_eq!(
            members(&[(1, 5, 0), (2, 5, 2), (3, 6, 7)]),
            [(1, false), (200, false), (7, true)]
        );
        // By two targets of one priority, and of two.
        assert_eq!(members(&[(1, 5, 3), (1, 5, 4), (2, 5, 7)]), [(7, false), (7, false)]);
        for rows in [[(1, 6, 9), (1, 5, 3), (2, 5, 3)], [(1, 5, 3), (2, 5, 3), (1, 6, 9)]] {
            assert_eq!(members(&rows), [(3, false), (3, false)]);
        }
        let most = u32::from(u16::MAX);
        assert_eq!(members(&[(1, 0, most), (2, 0, 0)]), [(100 * most, false), (1, false)]);
    }
}
