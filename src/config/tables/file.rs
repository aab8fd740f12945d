//! A whole file: the tables at its top.

use super::process::WORKERS_MAX;
use super::{
    AccessTable, AcmeTable, AdminTable, ControlTable, DrainTable, LimitsTable, ListenerTable,
    LogTable, Named, Number, OneOrMany, PoolTable, RelayTable, ReloadTable, RouteTable, SiteTable,
    Spanned, TracesTable, UpgradeTable,
};

table! {
    /// A configuration file.
    #[schemars(title = "tidegate configuration")]
    FileTable "File", "a table";

    /// The number of threads that carry connections, each with its own event loop; at most 256. The
    /// default is one per processor core.
    restart workers: Number<1, WORKERS_MAX>, as in 4;
    /// Files that are read as part of this one: names, with `*` allowed in the file's name,
    /// relative to this file's directory. Files of one pattern are read in the order of their
    /// names. Only the first file may include others. A table such as `[limits]` stands in one file
    /// only.
    now include: OneOrMany<String>, as in ["conf.d/*.toml"];
    /// Addresses on which connections are accepted. Each has a name for logs and metrics.
    drains listeners: Named<ListenerTable>;
    /// Groups of backends. Routes refer to them by name.
    drains pools: Named<PoolTable>;
    /// Rules of who may pass. Routes refer to them by name, in `access`; a rule that no route names
    /// guards nothing.
    next access: Named<AccessTable>;
    /// Certificates by themselves, from an authority that speaks ACME (Let's Encrypt and others).
    /// It is off unless this table is there, and orders for the names of `tls.acme` of listeners.
    each acme: AcmeTable;
    /// Conditions and what is done where they hold. "Which route is taken" above tells the order.
    drains routes: Vec<Spanned<RouteTable>>;
    /// Routes that have host, listener or other keys in common, which stand here once.
    drains sites: Vec<Spanned<SiteTable>>;
    /// What the relay asks of every session, unless its route says otherwise.
    each relay: RelayTable = RelayTable::default();
    /// Limits of the whole process.
    each limits: LimitsTable = LimitsTable::default();
    /// How sessions are drained: at a stop, after a reload that removed what they need, and by
    /// `tidegate drain`. With `hold`, sessions move to other backends at the same pace.
    each drain: DrainTable = DrainTable::default();
    /// How new configurations are taken.
    each reload: ReloadTable = ReloadTable::default();
    /// How a new process takes the place of this one (`tidegate upgrade`, SIGUSR2). The new process
    /// gets the listening sockets; the old one exits when what it has open has ended.
    each upgrade: UpgradeTable = UpgradeTable::default();
    /// The admin listener serves `/metrics` for Prometheus, `/healthz` and `/readyz`. It is off
    /// unless this table is there.
    each admin: AdminTable;
    /// The operator's unix socket. It is off unless this table is there.
    each control: ControlTable;
    /// Logs are written to standard error.
    each log: LogTable = LogTable::default();
    /// Traces are sent to a collector of OpenTelemetry. It is off unless this table is there.
    each traces: TracesTable;
}
