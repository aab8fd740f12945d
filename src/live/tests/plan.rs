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
        access: Vec::new(),
        workers: 1,
        listeners: vec![Arc::new(listener("http", 80))],
        pools: pools.iter().cloned().map(Arc::new).collect(),
        routes: arcs(routes),
        acme: None,
        limits: Limits { connections_max: 100, hold_bytes_max: 16 << 20, ..Limits::default() },
        drain: Drain {
            delay: Duration::ZERO,
            window: Duration::from_secs(1),
            timeout: Duration::from_secs(2),
            ..Drain::default()
        },
        upgrade: Upgrade { timeout: Duration::from_secs(10), ..Upgrade::default() },
        reload: Reload::default(),
        admin: None,
        control: None,
        log: Log { format: LogFormat::Text, ..Log::default() },
        traces: None,
        files: Vec::new(),
    }
}

/// An admin listener for this machine, at a port the system chooses.
pub(crate) fn admin() -> Admin {
    let allow = Networks { nets: vec!["127.0.0.0/8".parse().unwrap()], unix: false };
    let (address, hosts) = (SocketAddr::from(([127, 0, 0, 1], 0)), Vec::new());
    Admin { address, allow, hosts, page: false, has_operators: false }
}

/// A plain listener on the loopback address.
pub(crate) fn listener(name: &str, port: u16) -> Listener {
    Listener {
        name: name.into(),
        address: Address::Inet(SocketAddr::from(([127, 0, 0, 1], port))),
        mode: None,
        tls: None,
        http2: None,
        proxy_protocol: None,
        trusted_proxies: Networks::default(),
        underscores_in_headers: false,
        limits: ListenerLimits {
            handshakes_in_flight_max: 10,
            tls_handshake_timeout: Duration::from_secs(1),
            head_timeout: Duration::from_secs(1),
            keep_alive_timeout: Duration::from_secs(1),
            ..ListenerLimits::default()
        },
    }
}

/// Where a backend of a test is; a port alone is one of 127.0.0.1.
#[derive(Clone, Copy)]
pub(crate) struct At(SocketAddr);

impl From<SocketAddr> for At {
    fn from(address: SocketAddr) -> At {
        At(address)
    }
}

impl From<u16> for At {
    fn from(port: u16) -> At {
        At(SocketAddr::from(([127, 0, 0, 1], port)))
    }
}

/// A pool of backends at these ports of the loopback address.
pub(crate) fn pool<A: Copy + Into<At>>(name: &str, backends: &[A]) -> Pool {
    let address = |at: &A| {
        let At(at) = (*at).into();
        BackendAddress::Inet { host: at.ip().to_string().into(), port: at.port() }
    };
    let soon = Duration::from_secs(1);
    Pool {
        connect_timeout: soon,
        handshake_timeout: soon,
        response_timeout: soon,
        handshakes_in_flight_max: 10,
        health: Health {
            eject_time: soon,
            eject_time_max: Duration::from_secs(10),
            ..Health::default()
        },
        retry: Retry { budget_min_per_second: 10, ..Retry::default() },
        keep_alive_timeout: soon,
        ..Pool::new(name, backends.iter().map(address).map(Backend::new).collect())
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
        access: None,
        rules: Arc::new(rules()),
        limits: RouteLimits::default(),
        labels: Default::default(),
        backend_labels: false,
        push: None,
        request_headers: RouteChanges::default(),
        response_headers: RouteChanges::default(),
        trailers: Default::default(),
        errors: None,
        compress: None,
        hold: None,
        queue: None,
    }
}

/// Lets a route change something: its requests' cookies do not go upstream.
pub(crate) fn remove_cookies(route: &mut Route) {
    let remove = vec![http::header::COOKIE];
    route.request_headers = FieldChanges { remove, ..FieldChanges::default() }.into();
}

/// An action that goes to a pool.
pub(crate) fn to_pool(name: &str) -> Action {
    Action::Pool(pool_target(name))
}

/// A pool that requests go to as they came.
pub(crate) fn pool_target(name: &str) -> PoolTarget {
    PoolTarget {
        name: name.into(),
        path: PathChange::default(),
        host: None,
        origin_follows: false,
        reverse_mapping: true,
    }
}

/// A fixed response.
pub(crate) fn respond(body: &str) -> Action {
    Action::Respond(Respond {
        status: StatusCode::OK,
        page: StoredPage {
            body: body.to_owned().into(),
            content_type: HeaderValue::from_static("text/plain"),
        },
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
        proof_time: Duration::from_secs(10),
        resumptions_per_minute_max: 20,
        head_bytes_max: 1 << 14,
        resume: Resumption::Always,
    }
}
