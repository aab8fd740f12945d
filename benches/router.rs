//! What a lookup costs with ten routes and with ten thousand: `cargo bench --bench router`.
//!
//! Prints nanoseconds per lookup for each way a route can name its host and path, the ratio, and
//! the allocations made, which must be none. Requests go round all routes, so that ten thousand
//! routes are ten thousand cold ones.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tidegate::config::plan::{
    Action, FieldChanges, HostPattern, PathPattern, Respond, Route, Rules, Validation,
    WebSocketMode,
};
use tidegate::end::CloseCodes;
use tidegate::router::{Query, Router};

const LOOKUPS: usize = 1_000_000;

/// How the `n`th of a kind's routes is written, and a request for it: host and path.
struct Kind {
    name: &'static str,
    route: fn(usize) -> (HostPattern, PathPattern),
    request: fn(usize) -> (String, String),
}

const KINDS: [Kind; 7] = [
    Kind {
        name: "exact host",
        route: |n| (HostPattern::Exact(format!("h{n}.example.com").into()), segment("/".into())),
        request: |n| (format!("h{n}.example.com"), "/socket/1".into()),
    },
    Kind {
        name: "wildcard host",
        route: |n| (HostPattern::Wildcard(format!("h{n}.example.com").into()), segment("/".into())),
        request: |n| (format!("a.h{n}.example.com"), "/socket/1".into()),
    },
    Kind {
        name: "exact path",
        route: |n| (HostPattern::Any, PathPattern::Exact(format!("/app/{n}/socket").into())),
        request: |n| (HOST.into(), format!("/app/{n}/socket")),
    },
    Kind {
        name: "segment prefix",
        route: |n| (HostPattern::Any, segment(format!("/app/{n}"))),
        request: |n| (HOST.into(), format!("/app/{n}/socket/a/b/c")),
    },
    Kind {
        name: "textual prefix",
        route: |n| {
            let prefix = format!("/app/{n}-").into();
            (HostPattern::Any, PathPattern::Textual { prefix, is_final: false })
        },
        request: |n| (HOST.into(), format!("/app/{n}-socket/a/b/c")),
    },
    Kind {
        name: "regex with a beginning",
        route: |n| (HostPattern::Any, regex(format!("^/app/{n}/[a-z]+$"))),
        request: |n| (HOST.into(), format!("/app/{n}/socket")),
    },
    Kind {
        name: "regex with an ending",
        route: |n| (HostPattern::Any, regex(format!(r"\.type{n}$"))),
        request: |n| (HOST.into(), format!("/app/file.type{n}")),
    },
];

const HOST: &str = "www.example.com";

fn segment(prefix: String) -> PathPattern {
    PathPattern::Segment { prefix: prefix.into(), is_final: false }
}

fn regex(source: String) -> PathPattern {
    PathPattern::Regex(regex::Regex::new(&source).unwrap())
}

fn route((host, path): (HostPattern, PathPattern), rules: &Arc<Rules>) -> Arc<Route> {
    let respond = Respond {
        status: StatusCode::OK,
        body: "".into(),
        content_type: HeaderValue::from_static("text/plain"),
    };
    Arc::new(Route {
        identity: format!("{host} {path}").into(),
        host,
        path,
        methods: Vec::new(),
        headers: Vec::new(),
        action: Action::Respond(respond),
        websocket: WebSocketMode::Allowed,
        allowed_origins: None,
        rules: Arc::clone(rules),
        request_headers: FieldChanges::default(),
        response_headers: FieldChanges::default(),
    })
}

fn rules() -> Arc<Rules> {
    Arc::new(Rules {
        validation: Validation::Strict,
        message_bytes_max: None,
        frame_bytes_max: None,
        idle_timeout: None,
        ping_interval: None,
        pong_timeout: Duration::from_secs(20),
        max_lifetime: None,
        max_lifetime_jitter_percent: 0,
        close_timeout: Duration::from_secs(5),
        close_codes: CloseCodes::default(),
    })
}

/// Nanoseconds and allocations per lookup, with `count` routes of a kind.
fn measure(kind: &Kind, count: usize, rules: &Arc<Rules>) -> (f64, f64) {
    let routes: Vec<_> = (0..count).map(|n| route((kind.route)(n), rules)).collect();
    let requests: Vec<_> = (0..count).map(kind.request).collect();
    let router = Router::build(&routes);
    let headers = HeaderMap::new();
    let lookups = |times: usize| {
        for n in 0..times {
            let (host, path) = &requests[n % count];
            let query = Query { host: Some(host), path, method: &Method::GET, headers: &headers };
            assert_eq!(black_box(router.find(black_box(&query))), Some(n % count));
        }
    };
    // Regexes make their caches at their first search.
    lookups(count);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let start = now();
    lookups(LOOKUPS);
    let nanos = start.elapsed().as_nanos() as f64;
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    (nanos / LOOKUPS as f64, allocations as f64 / LOOKUPS as f64)
}

// The house's clock counts milliseconds; here nanoseconds matter.
#[allow(clippy::disallowed_methods)]
fn now() -> Instant {
    Instant::now()
}

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

fn main() {
    let rules = rules();
    println!(
        "{:<24} {:>10} {:>12} {:>6} {:>12}",
        "kind", "10, ns", "10,000, ns", "ratio", "allocations"
    );
    for kind in &KINDS {
        let (few, few_allocations) = measure(kind, 10, &rules);
        let (many, many_allocations) = measure(kind, 10_000, &rules);
        let allocations = few_allocations.max(many_allocations);
        let ratio = many / few;
        println!("{:<24} {few:>10.0} {many:>12.0} {ratio:>6.2} {allocations:>12}", kind.name);
    }
}
