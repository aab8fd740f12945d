//! `[pools.NAME.discovery]`: how backends are found by name, and when one is gone.

use std::net::SocketAddr;
use std::time::Duration;

use super::words::AddressFamily;
use super::{OneOrMany, OrOff, Percent, Time, seconds};
use crate::report::Report;

table! {
    /// How backends are found that `backends` names by `dns:`, `srv:` or `file:`; every key has a
    /// default. The last good answer holds while there is no other, however long: a name server
    /// that is silent, refuses or fails changes nothing. A backend that comes begins with
    /// `slow_start`; one that goes is drained as by a reload: sessions of routes with `hold` move,
    /// the others read 1012. Counts, health and stickiness of those that stay live on. Changes
    /// come into force once a second at most. A start does not wait for name servers: until they
    /// answer, handshakes wait where their route has `hold`, and are else answered 503. A reload
    /// with new sources waits 3 s at most for their first answers. An answer has 1,024 backends at
    /// most. `tidegate status` shows every source, `tidegate_discovery_age_seconds` how old its
    /// answer is.
    DiscoveryTable "Discovery", "a table; `{}` has every default" => Discovery, DiscoveryParts {
        /// Whom to ask; the system's name servers when empty.
        resolvers: Vec<SocketAddr>,
    };

    /// Name servers to ask, with their ports, in place of the system's (`/etc/resolv.conf`).
    now resolver: OneOrMany<String>, as in "10.0.0.2:53";
    /// Which addresses of a name are backends: `ipv4` (A), `ipv6` (AAAA) or both. A backend with an
    /// address of each kind counts as two with `any`.
    now family: AddressFamily as AddressFamily = AddressFamily::Any, as in "ipv4";
    /// The least time between two questions, whatever the TTL of an answer says. Files are read as
    /// often.
    now refresh_min: Time as Duration = seconds(2), as in "500ms";
    /// The longest time between two questions.
    now refresh_max: Time as Duration = seconds(30), as in "1m";
    /// How long a backend must have been missing in answers, in two at least, until it is drained.
    /// From the second on new work goes to others.
    now gone_after: Time as Duration = seconds(10), as in "30s";
    /// So much of a source missing at once, or more, is not believed: new work goes to others,
    /// sessions stay, and only when it has been so for `empty_after` are they drained.
    now gone_max: Percent as u32 => gone_max_percent = Percent(50), as in "30%";
    /// How long answers without so many backends, or without any (NXDOMAIN, no records, an empty
    /// file), are not believed; `false`: for ever.
    now empty_after: OrOff<Time> as Option<Duration> = OrOff::On(seconds(60)), as in false;
}

impl Default for Discovery {
    /// What holds where nothing is written.
    fn default() -> Discovery {
        let parts = DiscoveryParts { resolvers: Some(Vec::new()) };
        let discovery = DiscoveryTable::default().lower(&mut Report::default(), parts);
        discovery.expect("cannot fail: the part is there, and every key has a default")
    }
}
