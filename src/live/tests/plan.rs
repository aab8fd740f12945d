//! Plans for tests, in few words.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};

use crate::config::plan::*;

/// A plan of these pools and routes, with one plain listener.
pub(crate) fn plan(pools: &[Pool], routes: &[Route]) -> Plan {
    let arcs = |routes: &[Route]| routes.iter().cloned().map(Arc::new).collect();
    Plan {
        workers: 1,
        listeners: vec![Arc::new(listener("http", 80))],
        pools: pools.iter().cloned().map(Arc::new).collect(),
        routes: arcs(routes),
        limits: Limits {
            connections_max: 100,
            connections_per_address_max: None,
            hold_bytes_max: 16 << 20,
        },
        drain: Drain {
            delay: Duration::ZERO,
            window: Duration::from_secs(1),
            timeout: Duration::from_secs(2),
            rate_max: 500,
        },
        upgrade: Upgrade {
            keep: true,
            timeout: Duration::from_secs(10),
            keep_timeout: Duration::from_secs(60),
            older_max: 3,
        },
        reload: Reload { watch: false, quiet: Duration::from_secs(1), drain_max_percent: 10 },
        admin: None,
        control: None,
        log: Log { filter: "info".into(), format: LogFormat::Text, access: true, queue_max: 100 },
        files: Vec::new(),
    }
}

/// A plain listener on the loopback address.
pub(crate) fn listener(name: &str, port: u16) -> Listener {
    Listener {
        name: name.into(),
        address: Address::Inet(SocketAddr::from(([127, 0, 0, 1], port))),
        tls: None,
        http2: None,
        proxy_protocol: None,
        trusted_proxies: Networks::default(),
        limits: ListenerLimits {
            handshakes_in_flight_max: 10,
            tls_handshake_timeout: Duration::from_secs(1),
            head_timeout: Duration::from_secs(1),
            head_bytes_max: 16_384,
            headers_max: 100,
            keep_alive_timeout: Duration::from_secs(1),
        },
    }
}

/// A pool of backends at these ports of the loopback address.
pub(crate) fn pool(name: &str, ports: &[u16]) -> Pool {
    let backend = |port: &u16| Backend {
        address: BackendAddress::Inet { host: "127.0.0.1".into(), port: *port },
        weight: 1,
        backup: false,
        sessions_max: None,
    };
    Pool {
        name: name.into(),
        backends: ports.iter().map(backend).collect(),
        balance: Balance::LeastSessions,
        sticky: None,
        slow_start: Duration::ZERO,
        rebalance: None,
        tls: None,
        connect_timeout: Duration::from_secs(1),
        handshake_timeout: Duration::from_secs(1),
        response_timeout: Duration::from_secs(1),
        handshakes_in_flight_max: 10,
        handshake_rate_max: None,
        source_addresses: Vec::new(),
        health: Health {
            failures_max: 3,
            out: Duration::from_secs(1),
            out_max: Duration::from_secs(10),
            sessions: OutSessions::Move,
            sessions_after: Duration::from_secs(60),
        },
        retry: Retry { attempts_max: 3, budget_percent: 20, budget_min_per_second: 10 },
        keep_alive_timeout: Duration::from_secs(1),
        keep_alive_max: 10,
    }
}

/// A route for a path and everything below it.
pub(crate) fn route(path: &str, action: Action) -> Route {
    Route {
        identity: path.into(),
        listeners: Vec::new(),
        host: HostPattern::Any,
        path: PathPattern::Segment { prefix: path.into(), is_final: false },
        ignore_case: false,
        raw_path: false,
        methods: Vec::new(),
        headers: Vec::new(),
        action,
        websocket: WebSocketMode::Allowed,
        allowed_origins: None,
        rules: Arc::new(rules()),
        request_headers: FieldChanges::default(),
        response_headers: FieldChanges::default(),
        hold: None,
        queue: None,
    }
}

/// An action that goes to a pool.
pub(crate) fn to_pool(name: &str) -> Action {
    Action::Pool { name: name.into(), strip_prefix: false, host: None }
}

/// A fixed response.
pub(crate) fn respond(body: &str) -> Action {
    Action::Respond(Respond {
        status: StatusCode::OK,
        body: body.into(),
        content_type: HeaderValue::from_static("text/plain"),
    })
}

/// Rules as an expert would choose them.
pub(crate) fn rules() -> Rules {
    Rules { close_timeout: Duration::from_secs(1), ..Rules::default() }
}

/// Holds with every default but the patience.
pub(crate) fn hold() -> Hold {
    Hold {
        timeout: Duration::from_secs(30),
        buffer_bytes_max: 1 << 18,
        full_timeout: Duration::from_secs(5),
        message_age_max: Duration::from_secs(20),
        lost_codes: vec![1001, 1012, 1013],
        replay_first: 0,
        replay_bytes_max: 1 << 14,
        swallow_first: 0,
        swallow_timeout: Duration::from_secs(5),
    }
}
