//! `[[routes]]`: conditions to actions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FieldTest, Hold, Many, Named, Number, Relay, Short, TakesWebSockets, Written};

/// A condition and what is done; exactly one of `pool`, `files`, `redirect` and `respond`.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, expecting = "a table")]
pub struct Route {
    /// Its identity over reloads, and its name in logs and metrics; by default its host, path,
    /// methods, headers and listener. With a list of hosts, each host makes a route `name@host`.
    #[schemars(example = &"chat", extend("x-reload" = "drains"))]
    pub name: Written<String>,
    /// The listener, or a list, by its name: only requests that come in there are taken. It tells
    /// plain HTTP from HTTPS. Host and path still decide first, so where one listener has routes
    /// of its own, the others' routes name theirs too.
    #[schemars(example = &"http", extend("x-reload" = "drains"))]
    pub listener: Written<Many<String>>,
    /// The host, or a list: a name or address, `*.example.com` for every name below it, `*` for
    /// any. Ports do not count.
    #[schemars(example = &"example.com", extend("x-reload" = "drains"))]
    pub host: Written<Many<String>>,
    /// The path. `/chat` is `/chat` and everything below `/chat/`; `= /chat` that path only;
    /// `/chat*` every path that begins so; `~ regex` a regular expression (`.` matches newlines,
    /// too), `~* regex` without regard to case. `^~` before a prefix: when it is the longest, no
    /// regex is tried. Paths are matched decoded (`%2F` is a slash), with `.` and `..` resolved,
    /// `//` as one slash, and without parameters (`/chat;v=1` is `/chat`). They are sent on as they
    /// came, but for `.` and `..`, which are resolved there, too. A path that servers read in
    /// different ways is answered 400: one with a dot segment behind an escape or before `;`
    /// (`%2e%2e`, `..%2f`, `..;`), a `..` behind a segment with `%2F`, a backslash, a control
    /// character, or an overlong escape (`%c0%af`).
    #[schemars(example = &"/socketurl", extend("x-reload" = "drains"))]
    pub path: Written<String>,
    /// Whether capitals and small letters of the path are the same, for a prefix as well as for a
    /// regex. Where a route denies a path, most often they ought to be: many servers take `/Admin`
    /// for `/admin`.
    #[schemars(example = true, extend("x-reload" = "drains"))]
    pub ignore_case: Written<bool>,
    /// Methods taken; all by default.
    #[schemars(example = ["GET", "HEAD"], extend("x-reload" = "drains"))]
    pub methods: Written<Many<String>>,
    /// Conditions on header fields, all of which must hold: a value, `"~ regex"`, `true` for
    /// present or `false` for absent.
    #[schemars(
        example = serde_json::json!({ "X-Beta": true }),
        extend("x-reload" = "drains")
    )]
    pub headers: Written<Named<FieldTest>>,
    /// Requests and WebSockets go to this pool.
    #[schemars(example = &"websocket", extend("x-reload" = "next"))]
    pub pool: Written<String>,
    /// Files are served. A string is the directory.
    #[schemars(extend("x-reload" = "next"))]
    pub files: Written<Short<Files>>,
    /// A redirect. A string is its target.
    #[schemars(extend("x-reload" = "next"))]
    pub redirect: Written<Short<Redirect>>,
    /// A fixed response. A string is its body.
    #[schemars(extend("x-reload" = "next"))]
    pub respond: Written<Short<Respond>>,
    /// Whether WebSockets are taken: `true`, `false` (a handshake is answered 403) or `"only"`
    /// (a plain request is answered 426). With `pool`.
    #[schemars(example = &"only", extend("x-reload" = "next"))]
    pub websocket: Written<TakesWebSockets>,
    /// Origins that may open a WebSocket: `https://example.com`, `https://*.example.com`, or
    /// `null`; any by default. It keeps other people's pages from using a visitor's cookies; a
    /// handshake without `Origin` is not a browser's and passes. With `pool`.
    #[schemars(example = ["https://example.com"], extend("x-reload" = "next"))]
    pub allowed_origins: Written<Many<String>>,
    /// Whether the path's prefix is cut off before the request goes on: below `/api`, `/api/x`
    /// becomes `/x`. With `pool` or `files`.
    #[schemars(example = true, extend("x-reload" = "next"))]
    pub strip_prefix: Written<bool>,
    /// Whether the path is sent as it came: `.` and `..` stay in it, and what is answered 400
    /// elsewhere passes (see `path`). It opens what other routes deny: the backend may read
    /// `/a/..%2fadmin`, `/a/..;/admin` or `/a\admin` as `/admin`, whatever a route for `/admin`
    /// says. For a backend that needs such paths and guards itself. With `pool`, without
    /// `strip_prefix`.
    #[schemars(example = true, extend("x-reload" = "next"))]
    pub raw_path: Written<bool>,
    /// The `Host` sent upstream; the client's by default. With `pool`.
    #[schemars(example = &"backend.internal", extend("x-reload" = "next"))]
    pub upstream_host: Written<String>,
    /// What its sessions are held to, where it differs from `[relay]`. With `pool`.
    #[schemars(extend("x-reload" = "now"))]
    pub relay: Written<Relay>,
    /// Its sessions are held while their upstream is away: their clients stay connected. Off unless
    /// this table is there; `hold = {}` has every default. With `pool`.
    #[schemars(example = serde_json::json!({ "timeout": "1m" }), extend("x-reload" = "next"))]
    pub hold: Written<Hold>,
    /// Fields of the request set or removed before it goes upstream. With `pool`.
    #[schemars(extend("x-reload" = "next"))]
    pub request_headers: Written<FieldChanges>,
    /// Fields of the answer set or removed before it goes to the client.
    #[schemars(extend("x-reload" = "next"))]
    pub response_headers: Written<FieldChanges>,
}

impl Default for Route {
    fn default() -> Route {
        Route {
            name: Written::ABSENT,
            listener: Written::ABSENT,
            host: Written::ABSENT,
            path: Written::unless("/".to_owned()),
            ignore_case: Written::unless(false),
            methods: Written::ABSENT,
            headers: Written::ABSENT,
            pool: Written::ABSENT,
            files: Written::ABSENT,
            redirect: Written::ABSENT,
            respond: Written::ABSENT,
            websocket: Written::unless(TakesWebSockets::Yes),
            allowed_origins: Written::ABSENT,
            strip_prefix: Written::unless(false),
            raw_path: Written::unless(false),
            upstream_host: Written::ABSENT,
            relay: Written::unless(Relay::default()),
            hold: Written::ABSENT,
            request_headers: Written::ABSENT,
            response_headers: Written::ABSENT,
        }
    }
}

/// Fields set and removed.
#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(default, expecting = "a table with `set` and `remove`")]
pub struct FieldChanges {
    /// Set to a value, or to several lines of values, in place of what was there.
    #[schemars(
        example = serde_json::json!({ "X-Frame-Options": "DENY" }),
        extend("x-reload" = "next")
    )]
    pub set: Written<Named<Many<String>>>,
    /// Removed.
    #[schemars(example = ["Server"], extend("x-reload" = "next"))]
    pub remove: Written<Many<String>>,
}

/// Files from a directory.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, expecting = "a directory, or a table with `root`")]
pub struct Files {
    /// The directory.
    #[schemars(example = &"/var/www/site", extend("x-reload" = "next", "x-required" = true))]
    pub root: Written<String>,
    /// The file served for a directory.
    #[schemars(example = &"index.htm", extend("x-reload" = "next"))]
    pub index: Written<String>,
    /// The file below `root` that is served where none is found: the page of a single-page
    /// application, which does its own routing.
    #[schemars(example = &"index.html", extend("x-reload" = "next"))]
    pub fallback: Written<String>,
}

impl Default for Files {
    fn default() -> Files {
        Files {
            root: Written::ABSENT,
            index: Written::unless("index.html".to_owned()),
            fallback: Written::ABSENT,
        }
    }
}

/// A redirect.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, expecting = "a target, or a table with `to`")]
pub struct Redirect {
    /// The target; `{scheme}`, `{host}`, `{path}` and `{query}` (with its `?`) are filled in. The
    /// path begins with one slash, and what may not stand in a URL is escaped. A request without a
    /// host is answered 400 where the target has `{host}`.
    #[schemars(
        example = &"https://{host}{path}{query}",
        extend("x-reload" = "next", "x-required" = true)
    )]
    pub to: Written<String>,
    /// 301, 302, 303, 307 or 308. The default is temporary and keeps the method; a permanent one
    /// (308) stays in browsers even when it was a mistake.
    #[schemars(example = 308, extend("x-reload" = "next"))]
    pub status: Written<Number<0>>,
}

impl Default for Redirect {
    fn default() -> Redirect {
        Redirect { to: Written::ABSENT, status: Written::unless(Number(307)) }
    }
}

/// A fixed response.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, expecting = "a body, or a table with `status` and `body`")]
pub struct Respond {
    /// Its body.
    #[schemars(example = &"closed for today\n", extend("x-reload" = "next"))]
    pub body: Written<String>,
    /// Its status, 200 to 599.
    #[schemars(example = 503, extend("x-reload" = "next"))]
    pub status: Written<Number<0>>,
    /// Its `Content-Type`.
    #[schemars(example = &"application/json", extend("x-reload" = "next"))]
    pub content_type: Written<String>,
}

impl Default for Respond {
    fn default() -> Respond {
        Respond {
            body: Written::unless(String::new()),
            status: Written::unless(Number(200)),
            content_type: Written::unless("text/plain; charset=utf-8".to_owned()),
        }
    }
}
