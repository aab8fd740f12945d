//! `[[routes]]`: conditions to actions.

use serde_json::json;

use super::{
    ApiTable, ErrorsValue, FieldTest, HoldTable, Named, Number, OneOrMany, OrString, PushTable,
    RelayTable, RouteAccess, RouteLimitsTable, Size, TakesWebSockets,
};

table! {
    /// A condition and what is done; exactly one of `pool`, `files`, `redirect`, `respond` and
    /// `api`.
    RouteTable "Route", "a table";

    /// The route's identity over reloads, and its name in logs and metrics. By default it is made
    /// of host, path, methods, headers and listener. With a list of hosts, each host makes a route
    /// `name@host`.
    drains name: String, as in "chat";
    /// The listener by its name, or a list: only requests that come in there are taken. It tells
    /// plain HTTP from HTTPS. Host and path decide first, so where one listener has routes of its
    /// own, name the listener in the others' routes too.
    drains listener: OneOrMany<String>, as in "http";
    /// The host, or a list: a name or address, `*.example.com` for every name below it, `*` for
    /// any. Ports do not count.
    drains host: OneOrMany<String>, as in "example.com";
    /// The path. `/chat` is `/chat` and everything below `/chat/`; `= /chat` that path only;
    /// `/chat*` every path that begins so; `~ regex` a regular expression (`.` matches newlines,
    /// too), `~* regex` without regard to case. `^~` before a prefix: when it is the longest, no
    /// regex is tried. Paths are matched decoded (`%2F` is a slash), with `.` and `..` resolved,
    /// `//` as one slash, and without parameters (`/chat;v=1` is `/chat`). They are sent on as they
    /// came, but for `.` and `..`, which are resolved there, too. A path that servers read in
    /// different ways is answered 400: one with a dot segment behind an escape or before `;`
    /// (`%2e%2e`, `..%2f`, `..;`), a `..` behind a segment with `%2F`, a backslash, a control
    /// character, or an overlong escape (`%c0%af`).
    drains path: String = "/".to_owned(), as in "/socketurl";
    /// Whether capitals and small letters of the path are the same, for a prefix as well as for a
    /// regex. Where a route denies a path, most often they ought to be: many servers take `/Admin`
    /// for `/admin`.
    drains ignore_case: bool = false, as in true;
    /// The methods that are taken; all by default.
    drains methods: OneOrMany<String>, as in ["GET", "HEAD"];
    /// Conditions on header fields, all of which must hold: a value, `"~ regex"`, `"~* regex"`
    /// without regard to case, `true` for present or `false` for absent. `Host` is the authority
    /// that the request is for; a WebSocket handshake of HTTP/2 has the fields it would have in
    /// HTTP/1.1.
    drains headers: Named<FieldTest>, as in json!({ "X-Beta": true });
    /// The pool that requests and WebSockets go to.
    next pool: String, as in "websocket";
    /// Files from a directory. A string is the directory.
    next files: OrString<FilesTable>;
    /// A redirect. A string is its target.
    next redirect: OrString<RedirectTable>;
    /// A fixed response. A string is its body.
    next respond: OrString<RespondTable>;
    /// Requests about live sessions: push to them, list, kick and label them.
    next api: ApiTable, as in json!({ "routes": "chat" });
    /// Whether WebSockets are taken: `true`, `false` (a handshake is answered 403), `"only"`
    /// (a plain request is answered 426), or `"match"`: a condition, by which a plain request is
    /// for the next route that takes it, be the handshake one of HTTP/1.1 or of HTTP/2. With
    /// `pool`.
    next websocket: TakesWebSockets = TakesWebSockets::Yes, as in "only";
    /// Which pages may open a WebSocket, by their `Origin`: `same` (pages of the host and port that
    /// the request is for), `https://example.com`, `https://*.example.com`, `null`; or `any`. A
    /// browser sends a visitor's cookies with a WebSocket that any site's page opens, so a backend
    /// that knows its users by cookies needs this. Without the key any page may, and `check` warns.
    /// A handshake without `Origin` does not come from a page and passes. With `pool`.
    next allowed_origins: OneOrMany<String>, as in "same";
    /// Who may pass: the name of a rule, `[access.NAME]`, or a list of names. They are asked in
    /// this order, and each must let the request pass; of `{ any = [names] }` one must, and the
    /// first that does decides. They are asked when a request or a handshake comes in, so a change
    /// of a rule ends no session. Without the key all may pass, and with `false`, whatever the
    /// route's site says.
    next access: RouteAccess, as in ["office"];
    /// Whether the route's prefix is cut off before the request goes on: below `/api`, `/api/x`
    /// becomes `/x`. With `pool` or `files`. A pool reads the prefix in `X-Forwarded-Prefix`, and
    /// its answers lead back below it (`reverse_mapping`). GET or HEAD of the prefix without its
    /// last slash is answered 301 with it, since a page's relative links need it. All of the
    /// route's `path` is cut off: a second route for `/api/ws` writes `replace_prefix = "/ws"`.
    next strip_prefix: bool = false, as in true;
    /// What the route's prefix is replaced by: below `/api`, `/api/x` becomes `/v2/x` by `/v2`. It
    /// is written decoded, as `path` is. With `pool`, in place of `strip_prefix`.
    next replace_prefix: String, as in "/v2";
    /// A part of the path that is rewritten before the request goes on, after `strip_prefix` and
    /// `replace_prefix`; the query stays. Routes, access rules and limits have the path as it came.
    /// With `pool`.
    next rewrite: RewriteTable, as in json!({ "from": "^/u/([0-9]+)$", "to": "/users/$1" });
    /// Whether answers lead back to where the client is: the paths in `Location`,
    /// `Content-Location` and `Refresh`, and those of cookies, are put back below a prefix that was
    /// cut off or replaced, unless they are there; URLs of the backend's own address or of
    /// `upstream_host` become paths, and a cookie's `Domain` of that host goes. Write `false` for
    /// an API whose redirects and cookies are for pages beside it. With `pool`.
    next reverse_mapping: bool = true, as in false;
    /// Whether the path is sent as it came: `.` and `..` stay in it, and what is answered 400
    /// elsewhere passes (see `path`). It opens what other routes deny: the backend may read
    /// `/a/..%2fadmin`, `/a/..;/admin` or `/a\admin` as `/admin`, whatever a route for `/admin`
    /// says. For a backend that needs such paths and guards itself. With `pool`, without
    /// `strip_prefix`, `replace_prefix` and `rewrite`.
    next raw_path: bool = false, as in true;
    /// The `Host` that is sent upstream; the client's by default. With `pool`.
    next upstream_host: String, as in "backend.internal";
    /// Whether `Origin` follows `upstream_host`: a page of the host and port that the request is
    /// for is said to be one of `upstream_host`, for backends that compare the two. The origins of
    /// other pages stay as they are, so that the backend can refuse them. With `upstream_host`.
    next upstream_origin: bool = false, as in true;
    /// What the relay asks of the route's sessions, where it differs from `[relay]`. With `pool`.
    now relay: RelayTable = RelayTable::default();
    /// The route's sessions are held while their upstream is away: their clients stay connected. It
    /// is off unless this table is there; `hold = {}` has every default. With `pool`.
    next hold: HoldTable, as in json!({ "timeout": "1m" });
    /// The route's clients can be sent messages by others than their backends. It is off unless
    /// this table is there; `push = {}` has every default. With `pool`.
    now push: PushTable, as in json!({ "full": "close" });
    /// How much one client, or whatever else tells requests apart, may have.
    next limits: RouteLimitsTable, as in json!({ "requests": { "key": "client", "rate": "50/s" } });
    /// Labels of the route's sessions: names, and values that may have holes, as `"{claim.sub}"`.
    /// By them sessions are found: in `tidegate sessions`, `kick`, `drain` and `move`
    /// (`--label user=42`), by keys (`label:user`), and in the log. At most 8; a name has at most
    /// 32 letters, digits, `_`, `-` and `.`, a value 128 bytes. A value that comes to nothing, or
    /// to what no label can be, is not given. A session keeps them for its life.
    next labels: Named<String>, as in json!({ "user": "{claim.sub}", "room": "{query.room}" });
    /// Whether a backend gives labels as well: `Tidegate-Label: seat=7, room="a, b"` in its 101,
    /// which clients do not see. Those of the route stay as they are. When a session moves to
    /// another backend, what that gives takes their place. With `pool`.
    next backend_labels: bool = false, as in true;
    /// Fields of the request that are removed, set or added before it goes upstream. With `pool`.
    next request_headers: FieldChangesTable;
    /// Fields of the answer that are removed, set or added before it goes to the client.
    next response_headers: FieldChangesTable;
    /// Pages in place of the texts of errors: a status, or a range of them, and a file of up to 64
    /// KiB, which is read with the configuration. The status stays, and so do the fields that go
    /// with it. They are for tidegate's own answers (a backend that is away, a limit, a rule of
    /// `access`); with `from_backend = true` for those of backends as well. An auth server's own
    /// page (`access.NAME.forward`), such as its form to log in, stays; where it shows none, the
    /// route's is shown. A WebSocket's handshake that is refused has one only where its client
    /// accepts HTML.
    next errors: Named<ErrorsValue>,
        as in json!({ "502-504": "errors/away.html", "404": "404.html" });
    /// Answers are compressed on their way (brotli or gzip, as the client takes it). It is off
    /// unless this table is there; `compress = {}` has every default. Only bodies of plain requests
    /// that are whole and not compressed yet: never event streams, parts, answers to HEAD, with
    /// `no-transform` or with `Set-Cookie`. What a backend sends piece by piece goes out piece by
    /// piece. Do not use it where an answer shows a secret beside what a stranger can put into the
    /// request: its length tells the secret letter by letter (BREACH).
    next compress: CompressTable, as in json!({ "types": "application/json" });
    /// Trailer fields that pass, of requests and of answers; none by default. What
    /// `request_headers` or `response_headers` set or remove does not. With `pool`.
    next trailers: OneOrMany<String>, as in ["Server-Timing"];
}

table! {
    /// Fields removed, then set, then added. What is removed or set goes however it is spelt:
    /// `X_User` goes with `X-User`. Values may have holes, as `"{client_ip}"`: see
    /// [holes](#values-made-of-the-request).
    FieldChangesTable "FieldChanges", "a table with `set`, `add` and `remove`";

    /// Fields that are set to a value, or to several lines of values, in place of what was there.
    /// Where a value with holes comes to nothing, the field is only removed.
    next set: Named<OneOrMany<String>>, as in json!({ "X-Frame-Options": "DENY" });
    /// Lines that are added beside those that are there.
    next add: Named<OneOrMany<String>>, as in json!({ "Vary": "Origin" });
    /// Fields that are removed.
    next remove: OneOrMany<String>, as in ["Server"];
}

table! {
    /// Files from a directory, with ranges and preconditions. Names that begin with a dot are
    /// hidden, but for `.well-known`; links are followed inside the directory only; what is no
    /// regular file is not opened. Text is served as UTF-8.
    FilesTable "Files", "a directory, or a table with `root`";

    /// The directory.
    next root [required]: String, as in "/var/www/site";
    /// The file that is served for a directory.
    next index: String = "index.html".to_owned(), as in "index.htm";
    /// What is served where no file is found: a file below `root`, the page of a single-page
    /// application, which does its own routing; or `pool:NAME`, the pool that such requests go to,
    /// and with them all WebSockets and all methods but GET and HEAD. The route may have the keys
    /// of a route with `pool` then.
    next fallback: String, as in "pool:app";
    /// Whether a file's `.br` or `.gz` is served in its place, where there is one that is not older
    /// than the file and the client takes it. Files are not compressed on their way.
    next precompressed: bool = false, as in true;
    /// `Cache-Control` by the ending of a file's name; `*` for all others. Errors have none.
    next cache: Named<String>, as in json!({ "html": "no-cache", "*": "max-age=3600" });
}

table! {
    /// What is found in a path, and what stands there instead. It is looked for in the path as
    /// routes are matched with it: decoded, without parameters. A path in which it is not found is
    /// sent as it came; a result that leads elsewhere than it says (`..`, a backslash, a control
    /// character) is answered 400.
    RewriteTable "Rewrite", "a table with `from` and `to`";

    /// A regular expression. What matches first is replaced, the rest of the path stays: `^` and
    /// `$` make it the whole.
    next from [required]: String, as in "^/u/([0-9]+)$";
    /// What stands there instead, decoded; `$1` to `$9` are what groups have found, `$0` is all of
    /// it, `$$` is a dollar.
    next to [required]: String, as in "/users/$1";
}

table! {
    /// Which answers are compressed on their way.
    CompressTable "Compress", "a table with `types` and `bytes_min`";

    /// Their media types, or a list; `text/*` is all that begin so. By default HTML, CSS, plain
    /// text, JavaScript, JSON, XML, SVG, web manifests and WebAssembly.
    next types: OneOrMany<String>, as in ["text/html", "application/json"];
    /// Bodies of fewer bytes are sent as they are; one whose length is not known is compressed.
    next bytes_min: Size = Size(1024), as in "4KiB";
}

table! {
    /// A redirect.
    RedirectTable "Redirect", "a target, or a table with `to`";

    /// The target; `{scheme}`, `{host}`, `{path}` and `{query}` (with its `?`) are filled in, `{{`
    /// is a brace. The path begins with one slash, and what may not stand in a URL is escaped. A
    /// request without a host is answered 400 where the target has `{host}`.
    next to [required]: String, as in "https://{host}{path}{query}";
    /// 301, 302, 303, 307 or 308. The default is temporary and keeps the method. Browsers remember
    /// a permanent one (308) even when it was a mistake.
    next status: Number<301, 308> = Number(307), as in 308;
}

table! {
    /// A fixed response.
    RespondTable "Respond", "a body, or a table with `status` and `body`";

    /// The body.
    next body: String = String::new(), as in "closed for today\n";
    /// The file of the body, in place of `body`: up to 64 KiB, read with the configuration. A
    /// maintenance page is one with `status = 503`.
    next file: String, as in "maintenance.html";
    /// The status, 200 to 599.
    next status: Number<200, 599> = Number(200), as in 503;
    /// The `Content-Type`: by default `text/plain; charset=utf-8`, or what the file's name says.
    next content_type: String, as in "application/json";
}
