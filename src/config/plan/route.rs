//! Routes: conditions to actions.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::super::tables::words::ApiRight;
use super::super::tables::{Hold, Push, Rules};
use super::access::AccessDemand;
use super::changes::RouteChanges;
use super::limits::RouteLimits;
use super::page::{Compress, ErrorPages, StoredPage};
use super::path_change::PathChange;
use crate::wire::path::folded_prefix;
use crate::wire::template::Template;

/// Which hosts a route takes; names are lower case, without a port or a final dot.
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum HostPattern {
    /// Exactly this name or address.
    Exact(Arc<str>),
    /// `*.example.com`, kept as `example.com`: any name below it, not itself.
    Wildcard(Arc<str>),
    /// Any host.
    Any,
}

/// Which paths a route takes, as they are matched: see [`Reading`](crate::wire::path::Reading).
#[derive(Clone, Debug)]
pub enum PathPattern {
    /// `= /chat`: this path only.
    Exact(Arc<str>),
    /// `/chat`: `/chat` and everything below `/chat/`. `/` is everything.
    Segment {
        /// Without a final slash, but for `/` itself.
        prefix: Arc<str>,
        /// `^~ /chat`: no regex is tried when this is the longest prefix.
        is_final: bool,
    },
    /// `/chat*`: every path whose text begins so.
    Textual {
        /// The text before the star.
        prefix: Arc<str>,
        /// `^~ /chat*`: no regex is tried when this is the longest prefix.
        is_final: bool,
    },
    /// `~ ^/room/[0-9]+$`, or `~* …` without regard to case. Compared by its source.
    Regex(regex::Regex),
}

impl PathPattern {
    /// The text a path must begin with, or be; a regex has none.
    pub fn prefix(&self) -> Option<&str> {
        match self {
            PathPattern::Exact(prefix) => Some(prefix),
            PathPattern::Segment { prefix, .. } | PathPattern::Textual { prefix, .. } => {
                Some(prefix)
            }
            PathPattern::Regex(_) => None,
        }
    }
}

impl PartialEq for PathPattern {
    fn eq(&self, other: &PathPattern) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for PathPattern {}

impl fmt::Display for PathPattern {
    /// As it is written in a configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = |is_final: &bool| if *is_final { "^~ " } else { "" };
        match self {
            PathPattern::Exact(path) => write!(f, "= {path}"),
            PathPattern::Segment { prefix, is_final } => write!(f, "{}{prefix}", mark(is_final)),
            PathPattern::Textual { prefix, is_final } => write!(f, "{}{prefix}*", mark(is_final)),
            PathPattern::Regex(regex) => write!(f, "~ {}", regex.as_str()),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Exact(name) => f.write_str(name),
            HostPattern::Wildcard(name) => write!(f, "*.{name}"),
            HostPattern::Any => f.write_str("*"),
        }
    }
}

/// What a header field must be.
#[derive(Clone, Debug)]
pub enum FieldMatch {
    /// Present, whatever its value.
    Present,
    /// Absent.
    Absent,
    /// Exactly this value.
    Exact(HeaderValue),
    /// A value this regex finds a match in. Compared by its source.
    Regex(regex::Regex),
}

impl PartialEq for FieldMatch {
    fn eq(&self, other: &FieldMatch) -> bool {
        match (self, other) {
            (FieldMatch::Present, FieldMatch::Present) => true,
            (FieldMatch::Absent, FieldMatch::Absent) => true,
            (FieldMatch::Exact(one), FieldMatch::Exact(other)) => one == other,
            (FieldMatch::Regex(one), FieldMatch::Regex(other)) => one.as_str() == other.as_str(),
            _ => false,
        }
    }
}

impl Eq for FieldMatch {}

/// A condition on one header field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldCondition {
    /// The field.
    pub name: HeaderName,
    /// What it must be.
    pub value: FieldMatch,
}

/// Whether a route takes WebSockets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WebSocketMode {
    /// WebSockets and plain HTTP.
    Allowed,
    /// WebSockets only; plain requests are for other routes.
    Matched,
    /// WebSockets only; plain requests get 426.
    Only,
    /// Plain HTTP only; WebSocket handshakes get 403.
    Refused,
}

/// Conditions to an action.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// Its identity over reloads, and its name in logs and metrics: the `name` written, else the
    /// normalised condition. Never its position.
    pub identity: Arc<str>,
    /// The names of the listeners whose requests are taken; of any when empty.
    pub listeners: Vec<Arc<str>>,
    /// Hosts taken.
    pub host: HostPattern,
    /// Paths taken.
    pub path: PathPattern,
    /// Whether capitals and small letters of a path are the same; then the text of `path` is
    /// folded ([`fold`](crate::wire::path::fold)). A regex says so itself.
    pub ignore_case: bool,
    /// Whether the path is sent as it came, dot segments and what readers do not agree on
    /// included.
    pub raw_path: bool,
    /// Methods taken; any when empty.
    pub methods: Vec<Method>,
    /// Conditions on header fields, all of which must hold.
    pub headers: Vec<FieldCondition>,
    /// What is done.
    pub action: Action,
    /// Whether WebSockets are taken.
    pub websocket: WebSocketMode,
    /// Origins that may open a WebSocket; any when `None`. A handshake without `Origin` is not from
    /// a browser and passes.
    pub allowed_origins: Option<Origins>,
    /// Which rules let requests pass; all requests pass when `None`.
    pub access: Option<AccessDemand>,
    /// What the relay holds sessions to. Sessions share it.
    pub rules: Arc<Rules>,
    /// How much one value of a key may have.
    pub limits: RouteLimits,
    /// The labels of its sessions.
    pub labels: RouteLabels,
    /// Whether a backend may give its sessions labels.
    pub backend_labels: bool,
    /// How its clients are sent messages of others; not at all when `None`.
    pub push: Option<Arc<Push>>,
    /// Fields of the request changed before it goes upstream.
    pub request_headers: RouteChanges,
    /// Fields of the answer changed before it goes to the client.
    pub response_headers: RouteChanges,
    /// Trailer fields that pass.
    pub trailers: PassingTrailers,
    /// Pages in place of the bodies of errors.
    pub errors: Option<Arc<ErrorPages>>,
    /// Which answers are compressed; none when `None`.
    pub compress: Option<Arc<Compress>>,
    /// How its sessions are held while their upstream is away; not at all when `None`.
    pub hold: Option<Arc<Hold>>,
    /// How its handshakes wait while no backend is up; not at all when `None`.
    pub queue: Option<Queue>,
}

impl Route {
    /// How many bytes at the beginning of a matched path are the text of the route's own; `None`
    /// where it does not begin so, or the route has a regex.
    pub fn prefix_of(&self, path: &str) -> Option<usize> {
        let text = self.path.prefix()?;
        match self.ignore_case {
            true => folded_prefix(path, text),
            false => path.starts_with(text).then_some(text.len()),
        }
    }
}

/// Pages that may open a WebSocket, by their origin (RFC 6454).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origins {
    /// Whether those of the request's own host and port may.
    pub same: bool,
    /// Others: `https://example.com`, `https://*.example.com`, or `null`.
    pub listed: Vec<Arc<str>>,
}

/// Trailer fields that pass: those a route names, but for what it sets or removes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PassingTrailers {
    /// Of requests.
    pub request: Arc<[HeaderName]>,
    /// Of answers.
    pub response: Arc<[HeaderName]>,
}

/// What a route does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Requests and WebSockets go to a pool.
    Pool(PoolTarget),
    /// Files from a directory.
    Files(Files),
    /// A redirect.
    Redirect(Redirect),
    /// A fixed response.
    Respond(Respond),
    /// Requests about live sessions.
    Api(Api),
}

/// What may be asked about live sessions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Api {
    /// Whose sessions: routes by their names; all of `*`.
    pub routes: Vec<Arc<str>>,
    /// What.
    pub may: Vec<ApiRight>,
    /// Whether single sessions are reached as API Gateway's are, too.
    pub aws: bool,
}

impl Api {
    /// Whether it is about the sessions of the route with this identity.
    pub fn covers(&self, identity: &str) -> bool {
        // Of a route with a list of hosts each is `name@host`.
        let name = identity.split_once('@').map_or(identity, |(name, _)| name);
        self.routes.iter().any(|one| **one == *"*" || **one == *identity || **one == *name)
    }
}

/// A pool, and how requests go there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PoolTarget {
    /// Its name; the plan has it.
    pub name: Arc<str>,
    /// What becomes of the path.
    pub path: PathChange,
    /// Host sent upstream: the client's when `None`.
    pub host: Option<HeaderValue>,
    /// Whether the `Origin` of pages of the request's own host is made one of `host`.
    pub origin_follows: bool,
    /// Whether URLs, paths and cookies in answers are led back to where the client is.
    pub reverse_mapping: bool,
}

/// Files from a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Files {
    /// The directory.
    pub root: PathBuf,
    /// The file served for a directory.
    pub index: Arc<str>,
    /// The file below `root` served with 200 where none is found (single-page applications).
    pub fallback: Option<Arc<str>>,
    /// Where requests go that are for no file, WebSockets among them.
    pub pool: Option<PoolTarget>,
    /// Whether the route's prefix is cut from the path before the file is looked up.
    pub strip_prefix: bool,
    /// Whether `.br` and `.gz` beside a file are served in its place.
    pub precompressed: bool,
    /// `Cache-Control` by the ending of a file's name, in lower case; without one for all others.
    pub cache: Vec<(Option<Box<str>>, HeaderValue)>,
}

impl Action {
    /// The pool that requests may go to, and how.
    pub fn pool(&self) -> Option<&PoolTarget> {
        match self {
            Action::Pool(target) => Some(target),
            Action::Files(files) => files.pool.as_ref(),
            Action::Redirect(_) | Action::Respond(_) | Action::Api(_) => None,
        }
    }
}

/// A redirect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Redirect {
    /// Target; of holes it has `{scheme}`, `{host}`, `{path}` and `{query}`.
    pub to: Template,
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
}

/// A fixed response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Respond {
    /// Status.
    pub status: StatusCode,
    /// What is answered.
    pub page: StoredPage,
}

/// Labels by name, with what makes their values.
pub type RouteLabels = Vec<(Arc<str>, Template)>;

/// How handshakes wait while no backend is up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Queue {
    /// So many at most; more are answered at once.
    pub handshakes_max: usize,
    /// So long at most.
    pub timeout: Duration,
}
