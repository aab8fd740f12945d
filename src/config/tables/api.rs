//! `routes.push`: messages of tidegate's own callers to the route's clients; `routes.api`: where
//! those callers ask.

use std::time::Duration;

use super::words::{ApiRight, CompressedPush, FullPush};
use super::{Number, OneOrMany, Size, Time, seconds};

table! {
    /// The route's clients can be sent messages that its backend knows nothing of: by a route with
    /// `api`, and by `tidegate push`. They go between two messages of the backend, never inside
    /// one. Its backend reads the session's token in `Tidegate-Session`, by which it can push to
    /// that session alone. `push = {}` has every default.
    PushTable "Push", "a table; `{}` has every default" => Push;

    /// Bytes of a message.
    now message_bytes_max: Size as usize = Size(64 << 10), as in "16KiB";
    /// Bytes on their way to one client: that wait for their place, or to be read.
    now queue_bytes_max: Size as usize = Size(64 << 10), as in "256KiB";
    /// Messages on their way to one client.
    now queue_messages_max: Number<1, 10_000> as usize = Number(64), as in 16;
    /// What becomes of a message that has no room. `drop`: it is not sent, and the caller is told;
    /// `close`: so it is, and the client's session ends with 1013.
    now full: FullPush as FullPush = FullPush::Drop, as in "close";
    /// How long a message waits for its place, behind a message of the backend that does not end,
    /// or a client that does not read. Then it is dropped, and the caller is told (`late`); until
    /// that client reads again there is no room for more.
    now wait_max: Time as Duration = seconds(10), as in "2s";
    /// What becomes of it where the session has permessage-deflate. `plain`: it goes uncompressed,
    /// which is legal (RFC 7692 §6) and what browsers take; `refuse`: it is not sent, for clients
    /// that cannot.
    now compressed: CompressedPush as CompressedPush = CompressedPush::Plain, as in "refuse";
}

table! {
    /// Requests that steer and see live sessions: `/v1/push`, `/v1/sessions`, `/v1/count`,
    /// `/v1/events`. It has
    /// an `access` rule, or is on listeners of the loopback address or a unix socket only.
    ApiTable "Api", "a table with `routes`";

    /// Whose sessions: the names of routes, or `"*"` for all.
    next routes [required]: OneOrMany<String>, as in ["chat"];
    /// What may be asked: `push` to those that have `push`, `list`, `kick`, `label`, `events`. By
    /// default all.
    next may: OneOrMany<ApiRight>, as in ["push", "list"];
    /// Whether single sessions are reached by `/@connections/ID`, too, as Amazon API Gateway's
    /// WebSocket APIs have it (POST, GET, DELETE), so that programs written for those need not
    /// change. Signatures are not judged: the route's `access` is.
    next aws: bool = false, as in true;
}
