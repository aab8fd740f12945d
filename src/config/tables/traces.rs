//! `[traces]`: where spans are sent.

table! {
    /// Traces of requests and sessions, for a collector that speaks OTLP over HTTP with JSON. A
    /// request is one span; a session has two short ones, as it opens and as it ends, the second
    /// linked to the first; the first says how long its handshake waited for its turn, for the
    /// connection and for the backend's answer. `traceparent` (W3C Trace Context) goes on to the
    /// backend, and names the span. Spans wait in a queue of 2,048 and are sent in batches of 512,
    /// or after a second; what a collector does not take within five seconds is lost and counted
    /// (`tidegate_trace_spans_total`). No request waits for it.
    TracesTable "Traces", "a table with `endpoint`";

    /// The collector's URL; `/v1/traces` is added to its path. `http` is for this machine and
    /// private networks.
    now endpoint [required]: String, as in "http://127.0.0.1:4318";
    /// How many of the requests that come without a `traceparent` are kept, in per cent or parts
    /// of one. Those that come with one are kept as it says.
    now sample: String = "1%".to_owned(), as in "0.1%";
}
