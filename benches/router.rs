//! What a lookup costs with ten routes and with ten thousand: `cargo bench --bench router`.
//!
//! Prints nanoseconds per lookup for each way a route can name its host and path; fails when a
//! lookup allocates. The ratio is that of the same ten requests among ten
//! routes and among ten thousand. The last time is of requests that go round all ten thousand: what
//! it costs more is the processor's, whose caches do not hold them.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tidegate::config::plan::{
    Action, HostPattern, PathPattern, Respond, Route, Rules, StoredPage, WebSocketMode,
};
use tidegate::router::{Query, Router};

const LOOKUPS: usize = 200_000;
/// The quickest counts: what else runs on the machine only makes a round slower.
const ROUNDS: usize = 8;

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
        page: StoredPage { body: "".into(), content_type: HeaderValue::from_static("text/plain") },
    };
    Arc::new(Route {
        identity: format!("{host} {path}").into(),
        listeners: Vec::new(),
        host,
        path,
        ignore_case: false,
        raw_path: false,
        methods: Vec::new(),
        headers: Vec::new(),
        action: Action::Respond(respond),
        websocket: WebSocketMode::Allowed,
        allowed_origins: None,
        access: None,
        rules: Arc::clone(rules),
        limits: Default::default(),
        labels: Default::default(),
        backend_labels: false,
        push: None,
        request_headers: Default::default(),
        response_headers: Default::default(),
        trailers: Default::default(),
        errors: None,
        compress: None,
        hold: None,
        queue: None,
    })
}

/// Nanoseconds per lookup among `count` routes of a kind, for requests that go round the first
/// `asked` of them, for each of `asked`.
fn measure<const N: usize>(kind: &Kind, count: usize, asked: [usize; N]) -> [f64; N] {
    let rules = Arc::default();
    let routes: Vec<_> = (0..count).map(|n| route((kind.route)(n), &rules)).collect();
    let requests: Vec<_> = (0..count).map(kind.request).collect();
    let router = Router::build(&routes);
    let headers = HeaderMap::new();
    let lookups = |times: usize, asked: usize| {
        for n in 0..times {
            let (host, path) = &requests[n % asked];
            let query = Query {
                listener: None,
                host: Some(host),
                path,
                is_websocket: false,
                method: &Method::GET,
                headers: &headers,
            };
            assert_eq!(black_box(router.find(black_box(&query))), Some(n % asked));
        }
    };
    // Regexes make their caches at their first search.
    lookups(count, count);
    asked.map(|asked| {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        let round = |_| {
            let start = now();
            lookups(LOOKUPS, asked);
            start.elapsed().as_nanos() as f64 / LOOKUPS as f64
        };
        let quickest = (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min);
        assert_eq!(ALLOCATIONS.load(Ordering::Relaxed), before, "a lookup allocated");
        quickest
    })
}

// The crate's clock counts milliseconds; here nanoseconds matter.
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
    println!("nanoseconds per lookup, best of {ROUNDS} times {LOOKUPS}, no allocation:");
    println!("{:<24} {:>9} {:>9} {:>6} {:>14}", "kind", "10", "10,000", "ratio", "10,000, round");
    for kind in &KINDS {
        let [few] = measure(kind, 10, [10]);
        let [many, round] = measure(kind, 10_000, [10, 10_000]);
        let ratio = many / few;
        println!("{:<24} {few:>9.0} {many:>9.0} {ratio:>6.2} {round:>14.0}", kind.name);
    }
}
