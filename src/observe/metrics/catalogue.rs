//! Every metric there is: a field, its kind, its name, its own labels and its help, declared once.
//! How it is kept follows from its kind, and how it is written from all of it.

use std::sync::OnceLock;

use super::counter::{
    BackendCounter, CountFact, Counter, CpuSeconds, LabelledCounter, LocalCounter,
};
use super::exposition::Page;
use super::gauge::{Gauge, LocalGauge, Version};
use super::group::{MetricGroup, groups};
use super::histogram::{Histogram, LatencyBounds, LifetimeBounds};
use super::instrument::{By, Instrument, Labels, Owner};
use super::labels::StatusClass;
use super::metric::Metric;
use crate::base::label::Label;
use crate::base::side::Side;
use crate::observe::log::Dropped;

groups! {
    /// Metrics of the whole process.
    #[derive(Debug, Default)]
    pub struct ProcessMetrics [] "tidegate_" {
        version: Version = "build" ["version"] "The version that runs";
        started: f64 = "start_time_seconds" []
            "When the process started, in seconds since 1970";
        workers: u64 = "workers" [] "Worker threads";
        reloads: LabelledCounter = "reloads" ["outcome"] "Reloads asked for";
        upgrades: LabelledCounter = "upgrades" ["outcome"]
            "Upgrades asked for that did not come about";
        admin_refused: LabelledCounter = "admin_refused" ["reason"]
            "Requests to the admin listener that were refused, by why";
        trace_spans: LabelledCounter = "trace_spans" ["outcome"]
            "Spans of traces: sent, or lost as the queue was full or the collector took none";
        log_dropped: OnceLock<Dropped> = "log_lines_dropped" []
            "Log lines lost because the log was not read";
        reload_ok: Gauge = "config_last_reload_successful" []
            "1 when the configuration that was read last is in force, 0 when it was refused";
        reloaded: Gauge = "config_last_reload_timestamp_seconds" []
            "When the last reload was asked for, taken or not, in seconds since 1970";
        reload_taken: Gauge = "config_last_reload_success_timestamp_seconds" []
            "When the configuration in force was read last, in seconds since 1970";
    }

    /// What the system counts of the process, by the names that all programs have for it.
    #[derive(Clone, Debug, Default)]
    pub struct SystemFacts [] "process_" {
        cpu: Option<CpuSeconds> = "cpu_seconds" [] "CPU time of all threads, user and system";
        resident: Option<u64> = "resident_memory_bytes" [] "Memory that is resident";
        virtual_memory: Option<u64> = "virtual_memory_bytes" [] "Memory that is mapped";
        files: Option<u64> = "open_fds" [] "Open files, sockets included";
        files_max: u64 = "max_fds" [] "Open files that there may be";
        threads: Option<u64> = "threads" [] "Threads";
        started: f64 = "start_time_seconds" [] "When the process started, in seconds since 1970";
    }

    /// Facts of the process that each scrape is given.
    #[derive(Clone, Debug, Default)]
    pub struct ProcessFacts [] "tidegate_" {
        loads: Vec<(String, u64)> = "worker_connections" ["worker"]
            "Connections open on a worker, those that became a session included";
        restart_needed: bool = "config_restart_needed" []
            "1 when keys that apply at a start only differ from those of the start";
        generation: u64 = "config_generation" [] "The configuration in force, counted from 1";
        number: u64 = "process_number" []
            "This process in its row of upgrades, counted from 1";
        older: u64 = "older_processes" [] "Processes before this one that have not ended";
        older_sessions: u64 = "older_sessions_live" []
            "WebSocket sessions live in processes before this one";
        snapshots: u64 = "snapshots_alive" []
            "Configurations in memory, the one in force included";
        hold_bytes: u64 = "hold_bytes" []
            "Bytes kept for sessions that can be held: handshakes, openings, messages";
        connections_max: u64 = "connections_max" []
            "Client connections that may be open: the limit, or what the open files allow";
        files: u64 = "files_open" [] "Open files of this process, sockets included";
        files_max: u64 = "files_max" [] "Open files that this process may have";
        http2_bytes: u64 = "http2_buffer_bytes" []
            "Bytes of answers and messages on their way to clients over HTTP/2";
        limit_bytes: u64 = "limit_bytes" [] "Bytes that the buckets of `routes.limits` take";
        limit_keys_shared: CountFact = "limit_keys_shared" []
            "Requests whose key shared a bucket because `limits.keys_max` was reached";
        drains: Vec<(String, u64)> = "drain_sessions_left" ["reason"]
            "Sessions that the drains under way still have to close";
    }

    /// A listener's metrics.
    #[derive(Debug, Default)]
    pub struct ListenerMetrics ["listener"] "tidegate_" {
        open: Gauge = "connections_open" [] "Client connections open";
        http: By<HttpVersion, Gauge, 2> = "http_connections_open" ["protocol"]
            "Client connections that speak HTTP, by version; over HTTP/1.1 a WebSocket ends that";
        streams: Gauge = "http2_streams_open" []
            "HTTP/2 streams open, those of WebSocket sessions included";
        resets: By<ResetBy, LabelledCounter, 2> = "http2_streams_reset" ["by", "code"]
            "HTTP/2 streams reset, by who did and the error code; refused_stream is one over a \
             limit";
        http2_failed: LabelledCounter = "http2_connection_failures" ["reason"]
            "HTTP/2 connections ended because the client broke a rule or passed a limit";
        accepted: Counter = "connections_accepted" [] "Client connections accepted";
        refused: LabelledCounter = "connections_refused" ["reason"]
            "Client connections closed at once because a limit was reached or the peer is not \
             trusted";
        requests_refused: LabelledCounter = "requests_refused" ["reason"]
            "Requests that were answered or reset by tidegate itself, by why";
        answers_cut: LabelledCounter = "answers_cut" ["reason"]
            "Answers that were not sent to their end, by why; clients that left do not count";
        evicted: Counter = "connections_evicted" []
            "Client connections that waited for their client, closed to make room for others";
        backoffs: Counter = "accept_backoffs" []
            "Pauses in accepting because the process or the system ran out of files or memory";
        tls_handshakes: Counter = "tls_handshakes" [] "TLS handshakes completed by clients";
        tls_failures: LabelledCounter = "tls_handshake_failures" ["reason"]
            "TLS handshakes that failed";
    }

    /// A route's metrics on one worker. A cache line is shared with no other worker.
    #[derive(Debug, Default)]
    #[repr(align(128))]
    pub struct RouteCells ["route"] "tidegate_" {
        messages: By<Side, LocalCounter, 2> = "messages" ["side"]
            "Data messages, by the side that sent them";
        bytes: By<Side, LocalCounter, 2> = "bytes" ["side"]
            "Bytes relayed in sessions, frame headers included, by the side that sent them";
        violations: By<Side, LocalCounter, 2> = "violations" ["side"]
            "Frames that break RFC 6455, by the side that sent them";
        ping: By<Side, Histogram<LatencyBounds>, 2> = "ping_seconds" ["side"]
            "Time from our ping to the side's pong";
        requests: By<StatusClass, LocalCounter, 5> = "requests" ["status"]
            "Requests answered, by class of status";
        request: Histogram<LatencyBounds> = "request_seconds" []
            "Time from a plain request's head to the head of its answer";
        handshake: Histogram<LatencyBounds> = "handshake_seconds" []
            "Time from a WebSocket handshake's head to its answer, whatever that is";
        live: LocalGauge = "sessions_live" [] "WebSocket sessions live";
        opened: LocalCounter = "sessions_opened" [] "WebSocket sessions opened";
        session: Histogram<LifetimeBounds> = "session_seconds" []
            "How long WebSocket sessions lasted";
        held: LocalGauge = "sessions_held" [] "Sessions held while their upstream is away";
        hold: Histogram<LatencyBounds> = "hold_seconds" [] "How long upstreams were away";
        pushed: LocalCounter = "messages_pushed" []
            "Messages of tidegate's own callers that were sent to clients";
        cut: LocalCounter = "hold_messages_cut" []
            "Messages of clients that were being sent to an upstream when it was lost";
    }

    /// A route's metrics that all workers write, each seldom.
    #[derive(Debug, Default)]
    pub struct RouteTotals ["route"] "tidegate_" {
        handshakes_failed: LabelledCounter = "handshake_failures" ["reason"]
            "WebSocket handshakes that opened no session and passed no backend's answer on";
        queued: Gauge = "handshakes_queued" []
            "WebSocket handshakes that wait because no backend is up";
        ended: LabelledCounter = "sessions_ended" ["end"] "WebSocket sessions ended";
        holds: LabelledCounter = "holds" ["why"]
            "Times a session was held, by why its upstream went";
        holds_ended: LabelledCounter = "holds_ended" ["result"] "Holds that came to their end";
    }

    /// An access rule's metrics.
    #[derive(Debug, Default)]
    pub struct AccessMetrics ["rule"] "tidegate_" {
        denied: LabelledCounter = "access_denied" ["reason"]
            "Requests and handshakes that an access rule kept out, by why";
        key_fetches: Counter = "access_key_fetches" []
            "Sets of keys for tokens that were fetched by URL";
        key_fetch_failures: LabelledCounter = "access_key_fetch_failures" ["reason"]
            "Fetches of such sets that failed, by why: the last good keys serve on";
        rechecks: LabelledCounter = "access_rechecks" ["outcome"]
            "Questions to an auth server about live sessions, by what came of them";
    }

    /// Facts of a set of keys that is fetched by URL.
    #[derive(Clone, PartialEq, Debug)]
    pub struct KeySetFacts ["rule"] "tidegate_" {
        keys: u64 = "access_keys" []
            "Keys that verify tokens; none where the last good ones are too old";
        fetched: Option<u64> = "access_keys_fetched_timestamp_seconds" []
            "When the keys were last fetched, in seconds since 1970";
    }

    /// A pool's metrics.
    #[derive(Debug, Default)]
    pub struct PoolMetrics ["pool"] "tidegate_" {
        dial_failures: BackendCounter = "dial_failures" ["backend", "reason"]
            "Connections to a backend that could not be made";
        sources_exhausted: Counter = "source_addresses_exhausted" []
            "Dials for which a source address had no free port";
        retries: Counter = "retries" [] "Requests tried on another backend";
        full: Counter = "pool_full" []
            "Handshakes refused because every backend had as many sessions as it may";
        sticky_lost: LabelledCounter = "sticky_lost" ["reason"]
            "Clients that could not be sent to the backend of their cookie";
        would_move: Gauge = "rebalance_would_move" []
            "Sessions that would have to move for an uneven pool to be level, asked to or not";
        asked_to_move: Counter = "rebalance_asked" []
            "Sessions asked to move to another backend for a pool to be level";
    }

    /// What a backend answered.
    #[derive(Debug, Default)]
    pub struct BackendMetrics ["pool", "backend"] "tidegate_" {
        requests: By<StatusClass, Counter, 5> = "backend_requests" ["status"]
            "Plain requests that the backend answered, by class of status";
        handshakes: By<StatusClass, Counter, 5> = "backend_handshakes" ["status"]
            "WebSocket handshakes that the backend answered, by class of status; 1xx opened one";
        probes: LabelledCounter = "backend_probes" ["outcome"]
            "Probes of the backend, by what came of them: passed, or why not";
    }

    /// Facts of a listener's certificate.
    #[derive(Clone, PartialEq, Debug)]
    pub struct CertificateExpiry ["listener", "certificate"] "tidegate_" {
        not_after: f64 = "certificate_expiry_timestamp_seconds" []
            "When the certificate of this file, or of `acme:NAME`, expires, in seconds since 1970";
    }

    /// Facts of where members of a pool are found.
    #[derive(Clone, PartialEq, Debug)]
    pub struct SourceFacts ["pool", "source"] "tidegate_" {
        members: u64 = "discovery_members" [] "Backends that the source has";
        missing: u64 = "discovery_missing" []
            "Those of them that its last answer did not have";
        age: Option<f64> = "discovery_age_seconds" [] "How old the source's last answer is";
    }

    /// Facts of one backend that each scrape is given.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub struct BackendFacts ["pool", "backend"] "tidegate_" {
        sessions: u64 = "backend_sessions" [] "WebSocket sessions live";
        handshakes_waiting: u64 = "backend_handshakes_waiting" []
            "Handshakes that wait until they may begin";
        up: bool = "backend_up" [] "1 when the backend is given work";
        disabled: bool = "backend_disabled" []
            "1 when an operator's command keeps work from the backend";
        probe_up: Option<bool> = "backend_probe_up" []
            "1 when the backend passes its probes; only where it is probed";
    }
}

/// The version of HTTP that a client's connection speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HttpVersion {
    /// HTTP/1.1 or HTTP/1.0.
    Http1,
    /// HTTP/2.
    Http2,
}

impl Label for HttpVersion {
    fn label(&self) -> &'static str {
        match self {
            HttpVersion::Http1 => "http/1.1",
            HttpVersion::Http2 => "h2",
        }
    }
}

impl Labels<2> for HttpVersion {
    const ALL: [HttpVersion; 2] = [HttpVersion::Http1, HttpVersion::Http2];

    fn index(self) -> usize {
        self as usize
    }
}

/// Who reset an HTTP/2 stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResetBy {
    /// The client.
    Client,
    /// This side.
    Tidegate,
}

impl Label for ResetBy {
    fn label(&self) -> &'static str {
        match self {
            ResetBy::Client => "client",
            ResetBy::Tidegate => "tidegate",
        }
    }
}

impl Labels<2> for ResetBy {
    const ALL: [ResetBy; 2] = [ResetBy::Client, ResetBy::Tidegate];

    fn index(self) -> usize {
        self as usize
    }
}
