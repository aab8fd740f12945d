//! `routes.limits`: how much one client, or one value of another key, may have of a route.

use serde_json::json;

use super::words::SessionExcess;
use super::{Number, OneOrMany, Pacing, Size};

table! {
    /// How much one client, or whatever else tells requests apart, may have of the route. What is
    /// too much is answered 429 with `Retry-After`. Buckets outlive a reload. On a route with
    /// `access` a rate by `client` counts each request before the rules are asked, so that it holds
    /// who guesses; all else counts who may pass.
    RouteLimitsTable "RouteLimits", "a table";

    /// WebSocket handshakes in a time, a limit or several. Each must have one left.
    next handshakes: OneOrMany<RateRuleTable>, as in json!({ "key": "client", "rate": "10/s" });
    /// Plain requests in a time, a limit or several. With `pool`, `files`, `redirect` or `respond`.
    next requests: OneOrMany<RateRuleTable>, as in json!({ "key": "client", "rate": "50/s" });
    /// WebSocket sessions at once, a limit or several. With `pool`.
    next sessions: OneOrMany<SessionRuleTable>, as in json!({ "key": "client", "max": 100 });
    /// Bytes of a request's body. One that says that it is longer is answered 413 at once, another
    /// once it is. Unlimited by default; bodies are never buffered. With `pool`.
    next body_bytes_max: Size, as in "10MiB";
}

table! {
    /// So many in a time.
    RateRuleTable "RateRule", "a table, as in `{ key = \"client\", rate = \"10/s\" }`";

    /// What tells requests apart: `client`, `header:NAME`, `cookie:NAME`, `query:NAME`,
    /// `claim:NAME`, `label:NAME`, `client_cert:sha256`, `path` or `host` (see
    /// [keys](#what-tells-requests-apart)). A request without the value counts by its client.
    /// Whoever chooses the value can choose another for each request: limit by `client` as well.
    next key [required]: String, as in "client";
    /// How many, in a second (`/s`), a minute (`/m`) or an hour (`/h`).
    next rate [required]: Pacing, as in "10/s";
    /// How many at once, after a pause: by default as many as `rate` says.
    next burst: Number<1>, as in 20;
}

table! {
    /// So many sessions at once.
    SessionRuleTable "SessionRule", "a table, as in `{ key = \"client\", max = 5 }`";

    /// What tells sessions apart, by their handshakes: as for `handshakes`.
    next key [required]: String, as in "client";
    /// How many.
    next max [required]: Number<1>, as in 5;
    /// What becomes of a handshake when there are so many: `refuse` answers 429; `oldest` lets it
    /// through, and the session that is oldest ends with 1008 once the new one has begun.
    next excess: SessionExcess = SessionExcess::Refuse, as in "oldest";
}
