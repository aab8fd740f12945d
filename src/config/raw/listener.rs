//! `[listeners.NAME]`: addresses accepted on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Many, Number, Size, Time, Written, seconds};

/// An address that connections are accepted on.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, expecting = "a table")]
pub struct Listener {
    /// Where it listens: an IPv4 or IPv6 address with its port, or `unix:` and the path of a
    /// socket. `[::]:443` is IPv6 alone; for both write two listeners. It is the listener's
    /// identity: a changed address is another listener.
    #[schemars(example = &"0.0.0.0:443", extend("x-reload" = "drains", "x-required" = true))]
    pub address: Written<String>,
    /// TLS, when it speaks TLS (1.2 and 1.3, hybrid post-quantum key exchange included).
    #[schemars(extend("x-reload" = "next"))]
    pub tls: Written<ServerTls>,
    /// HTTP/2, beside HTTP/1.1. Clients that speak TLS are offered it; WebSockets on it are
    /// sessions like all others, and go to backends as HTTP/1.1 upgrades.
    #[schemars(extend("x-reload" = "next"))]
    pub http2: Written<Http2>,
    /// The PROXY header (version 1 or 2) is expected on every connection, and taken from trusted
    /// peers only; a connection of any other peer is closed.
    #[schemars(extend("x-reload" = "next"))]
    pub proxy_protocol: Written<ProxyProtocol>,
    /// Proxies whose `Forwarded` and `X-Forwarded-*` fields are kept: networks, addresses, or
    /// `unix` for the peers of a unix socket. From all others they are made anew.
    #[schemars(example = ["10.0.0.0/8", "::1"], extend("x-reload" = "next"))]
    pub trusted_proxies: Written<Many<String>>,
    /// Its limits.
    pub limits: Written<ListenerLimits>,
}

impl Default for Listener {
    fn default() -> Listener {
        Listener {
            address: Written::ABSENT,
            tls: Written::ABSENT,
            http2: Written::unless(Http2::default()),
            proxy_protocol: Written::ABSENT,
            trusted_proxies: Written::ABSENT,
            limits: Written::unless(ListenerLimits::default()),
        }
    }
}

/// TLS towards clients.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, expecting = "a table")]
pub struct ServerTls {
    /// Certificates, chosen by the name the client asks for (SNI); the first is the default.
    /// They are read again at a reload, and live sessions do not notice.
    #[schemars(example = [serde_json::json!({ "chain": "site.pem", "key": "site.key" })],
        extend("x-reload" = "next", "x-required" = true))]
    pub certificates: Written<Vec<Written<Certificate>>>,
    /// The lowest version spoken.
    #[schemars(example = &"1.3", extend("x-reload" = "next"))]
    pub version_min: Written<TlsVersion>,
    /// Whether sessions of TLS may be resumed by tickets.
    #[schemars(example = false, extend("x-reload" = "next"))]
    pub resumption: Written<bool>,
}

impl Default for ServerTls {
    fn default() -> ServerTls {
        ServerTls {
            certificates: Written::ABSENT,
            version_min: Written::unless(TlsVersion::V1_2),
            resumption: Written::unless(true),
        }
    }
}

/// HTTP/2 towards clients.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, expecting = "a table")]
pub struct Http2 {
    /// Whether it is offered to clients that speak TLS.
    #[schemars(example = false, extend("x-reload" = "next"))]
    pub enabled: Written<bool>,
    /// Whether clients may begin with it without TLS (prior knowledge); for listeners without
    /// `tls`.
    #[schemars(example = true, extend("x-reload" = "next"))]
    pub h2c: Written<bool>,
    /// Whether WebSockets are taken on its streams (extended CONNECT), which is announced to
    /// clients. Browsers then open them on the connection they have.
    #[schemars(example = false, extend("x-reload" = "next"))]
    pub websocket: Written<bool>,
    /// Streams open at once on a connection, WebSockets included; more are refused. Metrics:
    /// `tidegate_http2_streams_open`, and `tidegate_http2_streams_reset_total` where `code` is
    /// `refused_stream`.
    #[schemars(example = 1000, extend("x-reload" = "next"))]
    pub streams_max: Written<Number<1>>,
    /// Bytes a client may send on a stream before they are taken. A connection's own window is this
    /// times `streams_max`, so that a stream nobody reads never stalls the others; it is also what
    /// a hostile connection can make tidegate keep. A connection whose waiting frames are so tiny
    /// that keeping them would take as much again is closed.
    #[schemars(example = &"256KiB", extend("x-reload" = "next"))]
    pub stream_window: Written<Size>,
    /// Streams a client may reset within half a minute before they are answered; then its
    /// connection is closed. `tidegate_http2_connection_failures_total` tells by `reason` of those
    /// closed for this (`resets`), for a limit without a key (`enhance_your_calm`), or for a broken
    /// rule (its error code).
    #[schemars(example = 100, extend("x-reload" = "next"))]
    pub resets_max: Written<Number<1>>,
}

impl Default for Http2 {
    fn default() -> Http2 {
        Http2 {
            enabled: Written::unless(true),
            h2c: Written::unless(false),
            websocket: Written::unless(true),
            streams_max: Written::unless(Number(256)),
            stream_window: Written::unless(Size(64 << 10)),
            resets_max: Written::unless(Number(200)),
        }
    }
}

/// A certificate chain and its key.
#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(default, expecting = "a table with `chain` and `key`")]
pub struct Certificate {
    /// PEM file of the chain, the leaf first.
    #[schemars(example = &"certs/site.pem", extend("x-reload" = "next", "x-required" = true))]
    pub chain: Written<String>,
    /// PEM file of the private key.
    #[schemars(example = &"certs/site.key", extend("x-reload" = "next", "x-required" = true))]
    pub key: Written<String>,
}

/// A version of TLS.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
pub enum TlsVersion {
    #[serde(rename = "1.2")]
    V1_2,
    #[serde(rename = "1.3")]
    V1_3,
}

/// PROXY protocol, received.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, expecting = "a table")]
pub struct ProxyProtocol {
    /// Who may send it: networks, addresses, or `unix` for the peers of a unix socket.
    #[schemars(example = ["10.0.0.0/8"], extend("x-reload" = "next", "x-required" = true))]
    pub trusted: Written<Many<String>>,
    /// How long it may take to arrive.
    #[schemars(example = &"1s", extend("x-reload" = "next"))]
    pub timeout: Written<Time>,
}

impl Default for ProxyProtocol {
    fn default() -> ProxyProtocol {
        ProxyProtocol { trusted: Written::ABSENT, timeout: seconds(3) }
    }
}

/// Limits of one listener.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, expecting = "a table")]
pub struct ListenerLimits {
    /// Connections between accept and the end of their TLS handshake; more wait in the kernel's
    /// queue.
    #[schemars(example = 256, extend("x-reload" = "next"))]
    pub handshakes_in_flight_max: Written<Number<1>>,
    /// Time for a TLS handshake.
    #[schemars(example = &"5s", extend("x-reload" = "next"))]
    pub tls_handshake_timeout: Written<Time>,
    /// Time for a whole request head; a client that sends a byte a second is answered 408.
    #[schemars(example = &"5s", extend("x-reload" = "next"))]
    pub head_timeout: Written<Time>,
    /// Bytes of a request head; more is answered 431. At least 8 KiB.
    #[schemars(example = &"32KiB", extend("x-reload" = "next"))]
    pub head_bytes_max: Written<Size>,
    /// Fields in a request head; more is answered 431.
    #[schemars(example = 64, extend("x-reload" = "next"))]
    pub headers_max: Written<Number<1>>,
    /// Time a connection may stay open between requests.
    #[schemars(example = &"30s", extend("x-reload" = "next"))]
    pub keep_alive_timeout: Written<Time>,
}

impl Default for ListenerLimits {
    fn default() -> ListenerLimits {
        ListenerLimits {
            handshakes_in_flight_max: Written::unless(Number(1024)),
            tls_handshake_timeout: seconds(10),
            head_timeout: seconds(10),
            head_bytes_max: Written::unless(Size(64 << 10)),
            headers_max: Written::unless(Number(100)),
            keep_alive_timeout: seconds(75),
        }
    }
}
