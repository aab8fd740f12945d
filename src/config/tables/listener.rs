//! `[listeners.NAME]`: addresses accepted on.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::super::fault::Fault;
use super::super::plan::certificate::{
    Certificate, ClientCertificates, DevelopmentCertificate, covers,
};
use super::words::{TlsIssuer, TlsVersion};
use super::{AcmeNames, FileMode, Number, OneOrMany, OrOff, OrString, Size, Time, seconds};

table! {
    /// An address that connections are accepted on.
    ListenerTable "Listener", "a table";

    /// The address: IPv4 or IPv6 with a port, or `unix:` and the path of a socket. `[::]:443` is
    /// IPv6 only; write two listeners for both. The address is the listener's identity over
    /// reloads.
    drains address [required]: String, as in "0.0.0.0:443";
    /// Who may connect to a unix socket: the mode of its file, in octal. By default it is as the
    /// umask of the process has it. At no moment has the file a wider one. A socket that a service
    /// manager opened keeps the mode that it gave (`SocketMode=`).
    now mode: FileMode, as in "0660";
    /// TLS towards clients: versions 1.2 and 1.3, hybrid post-quantum key exchange included. It is
    /// off unless this is there. `"dev"` stands for a table with `issuer = "dev"`: certificates for
    /// development, without any file.
    next tls: OrString<ServerTlsTable>;
    /// HTTP/2, beside HTTP/1.1. It is offered to clients that speak TLS. WebSockets on it are
    /// sessions like all others, and go to backends as HTTP/1.1 upgrades.
    next http2: Http2Table = Http2Table::default();
    /// The PROXY protocol, versions 1 and 2. Every connection must begin with its header, and only
    /// trusted peers may send it; connections of others are closed.
    next proxy_protocol: ProxyProtocolTable;
    /// Proxies whose `Forwarded` and `X-Forwarded-*` fields are kept: networks, addresses, or
    /// `unix` for the peers of a unix socket. From all others they are made anew. Of a trusted one
    /// `X-Forwarded-For` counts where it is there, else `Forwarded`, read from the last hop
    /// backwards until one cannot be read; what contradicts it (`X-Real-IP`, the other of the two,
    /// `X-Forwarded-Host`, `-Proto`, `-Port` and `-Prefix` beside `Forwarded`) is made from it.
    next trusted_proxies: OneOrMany<String>, as in ["10.0.0.0/8", "::1"];
    /// Whether header fields with `_` in their names are kept. By default they are dropped: to a
    /// program that is given fields as CGI variables, `X_User` is `X-User`. Those that would be
    /// mistaken for a field that tidegate makes (`Content_Length`, `X_Forwarded_For`) are dropped
    /// always, and of clients that are not trusted `Proxy`, `Client-Cert`, `Client-Cert-Chain`
    /// (RFC 9440), `X-Original-URL`, `X-Original-URI`,
    /// `X-Original-Host`, `X-Original-Method` and `X-Rewrite-URL`, however they are spelt.
    next underscores_in_headers: bool = false, as in true;
    /// Its limits.
    each limits: ListenerLimitsTable = ListenerLimitsTable::default();
}

table! {
    /// TLS towards clients.
    ServerTlsTable "ServerTls", "\"dev\", or a table with `certificates` or `acme`"
    => ServerTls, ServerTlsParts {
        /// Certificates, chosen by SNI among their names; the first is the default.
        certificates: Vec<Certificate>,
        /// Names that certificates are ordered for.
        acme: Vec<Arc<str>>,
        /// The certificate for development, where the process makes one.
        development: Option<DevelopmentCertificate>,
        /// What certificates clients show, where they are asked for any.
        clients: Option<ClientCertificates>,
    };

    /// Who makes a certificate, where none is named: `dev` is tidegate itself, for development. It
    /// is for `localhost`, `127.0.0.1`, `::1`, the listener's own address and the hosts of its
    /// routes, and signed by an authority that is made with it: `ca.pem` in `directory` is what a
    /// browser may trust. That authority is good for these names only, and its key is not kept, so
    /// other names need another one. Certificates that are named or ordered go before it.
    next issuer: TlsIssuer, as in "dev";
    /// Where the certificate for development is kept, so that it is the same after a restart. It is
    /// made anew when a name is missing, and at the first start or reload in its last two weeks.
    /// Where it cannot be kept it lasts until the process ends.
    next directory: String = "certs/dev".to_owned(), as in "/var/lib/tidegate/dev";

    /// Certificates. The client's server name (SNI) chooses one; the first is the default. A reload
    /// reads them again, and live sessions do not notice.
    next certificates: OneOrMany<CertificateTable>,
        as in [json!({ "chain": "site.pem", "key": "site.key" })];
    /// Names that certificates are ordered for, as `[acme]` says: `true` is every exact `host` of
    /// the listener's routes that none of `certificates` covers; or a list, where `*.example.com`
    /// needs `acme.dns`. Each name has a certificate of its own. A name that is dropped keeps its
    /// certificate in `acme.state`, where it is not renewed.
    next acme: AcmeNames, as in true;
    /// The lowest version of TLS.
    next version_min: TlsVersion as TlsVersion = TlsVersion::V1_2, as in "1.3";
    /// Whether TLS sessions may be resumed with tickets.
    next resumption: bool as bool = true, as in false;
    /// Whether a handshake is refused that asks for a name of no certificate, or for none. By
    /// default it is shown the first certificate.
    next strict_sni: bool as bool = false, as in true;
    /// Certificates of clients (mTLS). It is off unless this table is there.
    next clients: ClientCertificatesTable;
}

table! {
    /// Certificates of clients: who issues them, and which are revoked. The backend gets the
    /// client's in `Client-Cert` (RFC 9440), a field that no client can send itself. Which of them
    /// may pass where, `[access.NAME.certificate]` says. TLS sessions are resumed at this listener
    /// only, and not once the files below have changed.
    ClientCertificatesTable "ClientCertificates", "a table with `roots`";

    /// The PEM file of the authorities that sign clients' certificates.
    next roots [required]: String, as in "certs/devices-ca.pem";
    /// Whether a client without one is refused in the handshake. With `false` it is an access rule
    /// that refuses it.
    next required: bool = true, as in false;
    /// The PEM files of lists of revoked certificates (CRL): with any, each authority needs one,
    /// and one only, whose next update is not overdue; else what it has issued is refused. They are
    /// read when the configuration is; with `reload.watch` a change is taken at once.
    next crls: OneOrMany<String>, as in ["certs/devices.crl"];
}

table! {
    /// HTTP/2 towards clients.
    Http2Table "Http2", "a table" => Http2;

    /// Whether HTTP/2 is offered to clients that speak TLS.
    next enabled: bool = true, as in false;
    /// Whether clients may use HTTP/2 without TLS, with prior knowledge. For listeners without
    /// `tls`.
    next h2c: bool = false, as in true;
    /// Whether WebSockets are taken on streams (extended CONNECT, RFC 8441), and announced.
    /// Browsers then open them on the connection they have.
    next websocket: bool as bool = true, as in false;
    /// Streams open at once on a connection, WebSockets included; more are refused. Metrics:
    /// `tidegate_http2_streams_open`, and `tidegate_http2_streams_reset_total` where `code` is
    /// `refused_stream`.
    next streams_max: Number<1> as u32 = Number(100), as in 1000;
    /// Bytes a client may send on a stream before they are taken. A connection's own window is this
    /// times `streams_max`, so that an unread stream never stalls the others; it is also what
    /// a hostile connection can make tidegate keep. A connection whose waiting frames are so tiny
    /// that keeping them would take as much again is closed.
    next stream_window: Size as u32 = Size(64 << 10), as in "256KiB";
    /// Streams a client may reset within half a minute before they are answered; then its
    /// connection is closed. `tidegate_http2_connection_failures_total` tells by `reason` of those
    /// closed for this (`resets`), for a limit without a key (`enhance_your_calm`), or for a broken
    /// rule (its error code).
    next resets_max: Number<1> as u32 = Number(200), as in 100;
}

table! {
    /// A certificate chain and its key.
    CertificateTable "Certificate", "a table with `chain` and `key`";

    /// The PEM file of the certificate chain, the leaf first. A chain out of order is put in order,
    /// and `check` says so: the leaf is the certificate that the key fits.
    next chain [required]: String, as in "certs/site.pem";
    /// The PEM file of the private key, without a passphrase. It may be the same file.
    next key [required]: String, as in "certs/site.key";
}

table! {
    /// PROXY protocol, received.
    ProxyProtocolTable "ProxyProtocol", "a table";

    /// Peers that may send the header: networks, addresses, or `unix` for the peers of a unix
    /// socket.
    next trusted [required]: OneOrMany<String>, as in ["10.0.0.0/8"];
    /// How long it may take to arrive.
    next timeout: Time = seconds(3), as in "1s";
}

table! {
    /// Limits of one listener.
    ListenerLimitsTable "ListenerLimits", "a table" => ListenerLimits;

    /// TLS handshakes under way, counted from when the whole ClientHello is there: a client that
    /// sends nothing takes none. One client may have as many as are left free: half of all when it
    /// is alone. A connection beyond that is closed.
    next handshakes_in_flight_max: Number<1> as usize = Number(1024), as in 256;
    /// The time for a TLS handshake.
    next tls_handshake_timeout: Time as Duration = seconds(10), as in "5s";
    /// The time for a whole request head. A client that takes longer, byte by byte, is answered
    /// 408.
    next head_timeout: Time as Duration = seconds(10), as in "5s";
    /// The bytes of a request head, at least 8 KiB. A larger head is answered 431.
    next head_bytes_max: Size as usize = Size(64 << 10), by head_bytes, as in "32KiB";
    /// The number of fields in a request head. A head with more is answered 431.
    next headers_max: Number<1> as usize = Number(100), as in 64;
    /// The time a connection may stay open between requests.
    next keep_alive_timeout: Time as Duration = seconds(75), as in "30s";
    /// Bytes per second that a request's body must come with at least, once its client was waited
    /// for a minute; a slower one is answered 408. Only the time in which we wait for the client
    /// counts. Without it a byte every other minute holds a backend for ever.
    next body_rate_min: OrOff<Size> as Option<u64> = OrOff::On(Size(100)), as in "1KiB";
    /// Bytes per second that a client must take an answer with at least, in the same way; a slower
    /// one loses its connection, over HTTP/2 its stream. WebSockets have `[relay]`'s rules.
    next answer_rate_min: OrOff<Size> as Option<u64> = OrOff::On(Size(100)), as in "1KiB";
}

/// What HTTP's parser needs for a head at least.
const HEAD_BYTES_MIN: Size = Size(8 << 10);

fn head_bytes(size: &Size) -> Result<usize, Fault> {
    if *size < HEAD_BYTES_MIN {
        return Err(Fault::new(format!("must be at least `8KiB`, not: `{}B`", size.0)));
    }
    Ok(usize::try_from(size.0).unwrap_or(usize::MAX))
}

impl ServerTls {
    /// Whether a connection that asked for `sni` was shown a certificate that is not for `host`
    /// while there is one that is (RFC 9110 §7.4). Where none is, clients have their reasons.
    pub fn is_misdirected(&self, sni: &str, host: &str) -> bool {
        // A name that is ordered for has a certificate of its own.
        if let Some(ordered) = self.ordered(sni) {
            return !covers(ordered, host) && self.is_covered(host);
        }
        let by_name = |one: &&Certificate| one.covers(sni);
        let mut shown = self.certificates.iter().filter(by_name).peekable();
        let is_covered = match (shown.peek(), self.certificates.first(), self.acme.first()) {
            (Some(_), ..) => shown.any(|one| one.covers(host)),
            (None, Some(default), _) => default.covers(host),
            (None, None, ordered) => ordered.is_some_and(|ordered| covers(ordered, host)),
        };
        !is_covered && self.is_covered(host)
    }

    /// The name that is ordered for and has a certificate for this lower-case one: itself, or a
    /// wildcard.
    pub fn ordered(&self, name: &str) -> Option<&Arc<str>> {
        let exact = self.acme.iter().find(|ordered| ***ordered == *name);
        exact.or_else(|| self.acme.iter().find(|ordered| covers(ordered, name)))
    }

    /// Whether there is a certificate for a lower-case name, or one is ordered or made.
    pub fn is_covered(&self, name: &str) -> bool {
        self.names().any(|own| covers(own, name))
    }

    /// The names of all certificates, those to come among them.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        let read = self.certificates.iter().flat_map(|one| &one.names);
        let made = self.development.iter().flat_map(|made| &made.names);
        read.chain(&self.acme).chain(made)
    }
}

impl Http2 {
    /// The largest window there is (RFC 9113 §6.9.1).
    pub const WINDOW_MAX: u32 = (1 << 31) - 1;

    /// Bytes a client may send on a connection before they are taken: the windows of all streams
    /// together, so that unread streams never stall the others.
    pub fn connection_window(&self) -> u32 {
        self.streams_max.saturating_mul(self.stream_window).min(Http2::WINDOW_MAX)
    }
}
