//! A whole file: the tables at its top.

use super::process::WORKERS_MAX;
use super::{
    AdminTable, ControlTable, DrainTable, LimitsTable, ListenerTable, LogTable, Named, Number,
    OneOrMany, PoolTable, RelayTable, ReloadTable, RouteTable, Spanned, UpgradeTable,
};

table! {
    /// A configuration file.
    #[schemars(title = "tidegate configuration")]
    FileTable "File", "a table";

    /// Threads that carry connections, each with its own event loop. By default as many as the
    /// process has processor cores.
    restart workers: Number<1, WORKERS_MAX>, as in 4;
    /// Files read as part of this one, by name or with `*` in the file's name, in the order of
    /// their names; relative to this file's directory. Only the first file may include others,
    /// and a table such as `[limits]` stands in one of them.
    now include: OneOrMany<String>, as in ["conf.d/*.toml"];
    /// Addresses that connections are accepted on, each under a name for logs and metrics.
    drains listeners: Named<ListenerTable>;
    /// Groups of backends, each under the name by which routes speak of it.
    drains pools: Named<PoolTable>;
    /// Conditions to actions; which one is taken is told above.
    drains routes: Vec<Spanned<RouteTable>>;
    /// What the relay holds every session to, where its route does not say otherwise.
    each relay: RelayTable = RelayTable::default();
    /// Limits of the whole process.
    each limits: LimitsTable = LimitsTable::default();
    /// How sessions are let go: by a stop, by a reload that removed what they need, by
    /// `tidegate drain`; and at which pace they move to other backends instead, with `hold`.
    each drain: DrainTable = DrainTable::default();
    /// How new configurations are taken.
    each reload: ReloadTable = ReloadTable::default();
    /// How another process takes over (`tidegate upgrade`, SIGUSR2): it gets the listening
    /// sockets, and the old one leaves when what it has open has ended.
    each upgrade: UpgradeTable = UpgradeTable::default();
    /// The admin listener: `/metrics` for Prometheus, `/healthz` and `/readyz`. Off unless this
    /// table is there.
    each admin: AdminTable;
    /// The operator's unix socket. Off unless this table is there.
    each control: ControlTable;
    /// Logs, written to standard error.
    each log: LogTable = LogTable::default();
}
