//! The ways to show that a name is ours (RFC 8555 §8, RFC 8737).

use instant_acme::ChallengeType;

/// A way to show that a name is ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ChallengeKind {
    /// A file over plain HTTP.
    Http,
    /// A certificate over TLS.
    TlsAlpn,
    /// A record in DNS.
    Dns,
}

impl ChallengeKind {
    pub(super) fn word(self) -> &'static str {
        match self {
            ChallengeKind::Http => "http-01",
            ChallengeKind::TlsAlpn => "tls-alpn-01",
            ChallengeKind::Dns => "dns-01",
        }
    }

    pub(super) fn acme(self) -> ChallengeType {
        match self {
            ChallengeKind::Http => ChallengeType::Http01,
            ChallengeKind::TlsAlpn => ChallengeType::TlsAlpn01,
            ChallengeKind::Dns => ChallengeType::Dns01,
        }
    }
}
