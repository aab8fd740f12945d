//! Every metric there is, declared once: name, help, labels. What is counted where is in `cells`;
//! how it is written is in `render`.

/// What a metric measures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only grows; its sample's name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Sum, count and buckets.
    Histogram,
    /// Always 1, told by its labels; its sample's name ends in `_info`.
    Info,
}

/// A metric's declaration.
#[derive(Debug)]
pub struct Metric {
    /// Its name, without a counter's `_total`.
    pub name: &'static str,
    /// What it tells, without a final stop.
    pub help: &'static str,
    /// What it measures.
    pub kind: Kind,
    /// The names of its labels, in order.
    pub labels: &'static [&'static str],
}

macro_rules! catalogue {
    ($($id:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $id: Metric = Metric {
                name: concat!("tidegate_", $name),
                help: $help,
                kind: Kind::$kind,
                labels: &[$($label),*],
            };
        )*
        /// The whole catalogue, in the order it is written.
        pub const ALL: &[Metric] = &[$($id),*];
    };
}

catalogue! {
    BUILD = Info "build" ["version"] "The version that runs";
    START = Gauge "start_time_seconds" [] "When the process started, in seconds since 1970";
    WORKERS = Gauge "workers" [] "Worker threads";
    WORKER_CONNECTIONS = Gauge "worker_connections" ["worker"]
        "Connections open on a worker, those that became a session included";
    GENERATION = Gauge "config_generation" [] "The configuration in force, counted from 1";
    RELOADS = Counter "reloads" ["outcome"] "Reloads asked for";
    PROCESS = Gauge "process_number" [] "This process in its row of upgrades, counted from 1";
    UPGRADES = Counter "upgrades" ["outcome"] "Upgrades asked for that did not come about";
    OLDER = Gauge "older_processes" [] "Processes before this one that have not ended";
    OLDER_SESSIONS = Gauge "older_sessions_live" []
        "WebSocket sessions live in processes before this one";
    SNAPSHOTS = Gauge "snapshots_alive" [] "Configurations in memory, the one in force included";
    HOLD_BYTES = Gauge "hold_bytes" [] "Bytes of messages kept for sessions whose upstream is away";
    DRAIN_LEFT = Gauge "drain_sessions_left" ["why"]
        "Sessions that the drains under way still have to close";
    LOG_DROPPED = Counter "log_lines_dropped" [] "Log lines lost because the log was not read";

    CONNECTIONS = Gauge "connections_open" ["listener"] "Client connections open";
    HTTP = Gauge "http_connections_open" ["listener", "protocol"]
        "Client connections that speak HTTP, by version; over HTTP/1.1 a WebSocket ends that";
    STREAMS = Gauge "http2_streams_open" ["listener"]
        "HTTP/2 streams open, those of WebSocket sessions included";
    STREAMS_RESET = Counter "http2_streams_reset" ["listener", "by", "code"]
        "HTTP/2 streams reset, by who did and the error code; refused_stream is one over a limit";
    HTTP2_FAILURES = Counter "http2_connection_failures" ["listener", "reason"]
        "HTTP/2 connections ended because the client broke a rule or passed a limit";
    ACCEPTED = Counter "connections_accepted" ["listener"] "Client connections accepted";
    REFUSED = Counter "connections_refused" ["listener", "reason"]
        "Client connections closed at once because a limit was reached or the peer is not trusted";
    BACKOFFS = Counter "accept_backoffs" ["listener"]
        "Pauses in accepting because the process or the system ran out of files or memory";
    TLS_HANDSHAKES = Counter "tls_handshakes" ["listener"] "TLS handshakes completed by clients";
    TLS_FAILURES = Counter "tls_handshake_failures" ["listener", "reason"]
        "TLS handshakes that failed";

    REQUESTS = Counter "requests" ["route", "status"] "Requests answered, by class of status";
    HANDSHAKE_SECONDS = Histogram "handshake_seconds" ["route"]
        "Time from a WebSocket handshake's head to its answer";
    HANDSHAKES_FAILED = Counter "handshake_failures" ["route", "reason"]
        "WebSocket handshakes that opened no session and passed no backend's answer on";
    QUEUED = Gauge "handshakes_queued" ["route"]
        "WebSocket handshakes that wait because no backend is up";
    SESSIONS = Gauge "sessions_live" ["route"] "WebSocket sessions live";
    OPENED = Counter "sessions_opened" ["route"] "WebSocket sessions opened";
    ENDED = Counter "sessions_ended" ["route", "end"] "WebSocket sessions ended";
    HELD = Gauge "sessions_held" ["route"] "Sessions held while their upstream is away";
    HOLDS = Counter "holds" ["route", "why"] "Times a session was held, by why its upstream went";
    HOLDS_ENDED = Counter "holds_ended" ["route", "result"] "Holds that came to their end";
    HOLD_SECONDS = Histogram "hold_seconds" ["route"] "How long upstreams were away";
    HOLD_CUT = Counter "hold_messages_cut" ["route"]
        "Messages of clients that were being sent to an upstream when it was lost";
    SESSION_SECONDS = Histogram "session_seconds" ["route"] "How long WebSocket sessions lasted";
    MESSAGES = Counter "messages" ["route", "side"] "Data messages, by the side that sent them";
    BYTES = Counter "bytes" ["route", "side"]
        "Bytes relayed in sessions, frame headers included, by the side that sent them";
    VIOLATIONS = Counter "violations" ["route", "side"]
        "Frames that break RFC 6455, by the side that sent them";
    PING_SECONDS = Histogram "ping_seconds" ["route", "side"]
        "Time from our ping to the side's pong";

    BACKEND_SESSIONS = Gauge "backend_sessions" ["pool", "backend"] "WebSocket sessions live";
    HANDSHAKES_WAITING = Gauge "backend_handshakes_waiting" ["pool", "backend"]
        "Handshakes that wait until they may begin";
    BACKEND_UP = Gauge "backend_up" ["pool", "backend"] "1 when the backend is given work";
    BACKEND_DISABLED = Gauge "backend_disabled" ["pool", "backend"]
        "1 when an operator's command keeps work from the backend";
    DIAL_FAILURES = Counter "dial_failures" ["pool", "backend", "reason"]
        "Connections to a backend that could not be made";
    SOURCES_EXHAUSTED = Counter "source_addresses_exhausted" ["pool"]
        "Dials for which a source address had no free port";
    RETRIES = Counter "retries" ["pool"] "Requests tried on another backend";
    POOL_FULL = Counter "pool_full" ["pool"]
        "Handshakes refused because every backend had as many sessions as it may";
    STICKY_LOST = Counter "sticky_lost" ["pool", "reason"]
        "Clients that could not be sent to the backend of their cookie";
    WOULD_MOVE = Gauge "rebalance_would_move" ["pool"]
        "Sessions that would have to move for an uneven pool to be level, asked to or not";
    ASKED_TO_MOVE = Counter "rebalance_asked" ["pool"]
        "Sessions asked to move to another backend for a pool to be level";
}
