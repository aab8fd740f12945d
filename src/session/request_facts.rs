//! What the lines about a request, and about the session it becomes, say of its head and its
//! connection.

use std::fmt::{self, Write as _};

use http::header::{ORIGIN, USER_AGENT};
use http::request::Parts;
use http::{HeaderValue, Version};

use super::conn::Conn;
use super::logged::{LoggedTarget, Shortened};
use super::request_trace::RequestTrace;
use crate::config::plan::{Log, RequestIdSource, TlsVersion};
use crate::wire::request_id;

/// Bytes of a field's value that are shown: no browser's name is longer.
const VALUE_BYTES_MAX: usize = 256;

/// What is known of a request before it is answered. The session that it becomes writes it into its
/// first line and forgets it: no session costs more for it.
pub(super) struct RequestFacts {
    /// Its `X-Request-Id`.
    id: HeaderValue,
    pub(super) target: LoggedTarget,
    /// The canonical host, once it is known.
    pub(super) host: Option<Box<str>>,
    origin: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    version: Version,
    tls: Option<TlsVersion>,
    /// Its span, where its trace is kept.
    pub(super) trace: Option<Box<RequestTrace>>,
}

impl RequestFacts {
    /// Of this head on this connection.
    pub(super) fn of(conn: &Conn, head: &Parts, log: &Log) -> RequestFacts {
        let is_taken = match log.request_id {
            RequestIdSource::Always => true,
            RequestIdSource::Trusted => conn.is_trusted(),
            RequestIdSource::Never => false,
        };
        let told = is_taken.then(|| request_id::told(&head.headers)).flatten();
        RequestFacts {
            id: told.unwrap_or_else(request_id::new_id),
            target: LoggedTarget::new(&head.uri, &log.query),
            host: None,
            origin: head.headers.get(ORIGIN).cloned(),
            user_agent: head.headers.get(USER_AGENT).cloned(),
            version: head.version,
            tls: conn.tls.as_ref().map(|tls| tls.version),
            trace: None,
        }
    }

    /// The request's `X-Request-Id`.
    pub(super) fn id(&self) -> &HeaderValue {
        &self.id
    }

    /// `Origin`, as the client wrote it.
    pub(super) fn origin(&self) -> Option<impl tracing::Value> {
        shown(self.origin.as_ref())
    }

    /// `User-Agent`, as the client wrote it.
    pub(super) fn user_agent(&self) -> Option<impl tracing::Value> {
        shown(self.user_agent.as_ref())
    }

    /// The version of HTTP, in the words of metrics.
    pub(super) fn protocol(&self) -> &'static str {
        match self.version {
            Version::HTTP_10 => "http/1.0",
            Version::HTTP_2 => "h2",
            _ => "http/1.1",
        }
    }

    /// The version of TLS; `None` without.
    pub(super) fn tls(&self) -> Option<&'static str> {
        self.tls.map(|version| match version {
            TlsVersion::V1_2 => "1.2",
            TlsVersion::V1_3 => "1.3",
        })
    }
}

fn shown(value: Option<&HeaderValue>) -> Option<tracing::field::DisplayValue<LoggedValue<'_>>> {
    value.map(|value| tracing::field::display(LoggedValue(value)))
}

/// A field's value; what is no text in it is replaced.
struct LoggedValue<'a>(&'a HeaderValue);

impl fmt::Display for LoggedValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shortened::new(f, VALUE_BYTES_MAX).write_str(&String::from_utf8_lossy(self.0.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_short_and_text() {
        let shown = |value: &[u8]| {
            let value = HeaderValue::from_bytes(value).unwrap();
            LoggedValue(&value).to_string()
        };
        assert_eq!(shown(b"curl/8"), "curl/8");
        assert_eq!(shown(b"caf\xe9"), "caf\u{fffd}");
        let long = shown("é".repeat(5000).as_bytes());
        assert_eq!((long.len(), long.ends_with("é…")), (VALUE_BYTES_MAX + '…'.len_utf8(), true));
    }
}
