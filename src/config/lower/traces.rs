//! `[traces]`.

use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};

use crate::report::Span;

use super::super::fault::Fault;
use super::super::plan::{BackendAddress, Roots, SampleShare, Traces, UpstreamTls};
use super::super::tables;
use super::Lower;

/// What a collector's path ends with (OTLP over HTTP).
const TRACES_PATH: &str = "/v1/traces";

/// Where spans are sent.
pub fn traces(
    cx: &mut Lower<'_>,
    raw: &tables::TracesTable,
    place: Option<Span>,
) -> Option<Traces> {
    cx.need((&raw.endpoint, "endpoint"), "`[traces]`", place, "\"http://127.0.0.1:4318\"");
    let traces = cx.take("endpoint", &raw.endpoint, |text| endpoint(text));
    let sample = cx.take("sample", &raw.sample, |text| sample(text));
    Some(Traces { sample: sample?, ..traces? })
}

fn endpoint(text: &str) -> Result<Traces, Fault> {
    let shown = if text.contains('@') { "(with a user)" } else { text };
    let fault = |what: &str| Fault::new(format!("{what}: `{shown}`"));
    let no_url = || {
        let hint = "write the collector's URL, as `http://127.0.0.1:4318`".to_owned();
        fault("must be a URL of `http` or `https` with a host").hint(hint)
    };
    let uri: Uri = text.parse().map_err(|_| no_url())?;
    let authority = uri.authority().ok_or_else(no_url)?;
    if authority.as_str().contains('@') {
        return Err(fault("must be a URL without user and password"));
    }
    if text.contains(['#', '?']) {
        return Err(fault("must be a URL without `?` and `#`"));
    }
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    let written = authority.as_str().get(authority.host().len()..).unwrap_or_default();
    if name.is_empty() || !written.is_empty() && authority.port_u16().is_none() {
        return Err(no_url());
    }
    let (is_secure, default_port) = match uri.scheme_str() {
        Some("https") => (true, 443),
        Some("http") => (false, 80),
        _ => return Err(no_url()),
    };
    let path = uri.path().trim_end_matches('/');
    let path = path.strip_suffix(TRACES_PATH).unwrap_or(path);
    let target = PathAndQuery::try_from(format!("{path}{TRACES_PATH}")).map_err(|_| no_url())?;
    let port = authority.port_u16().unwrap_or(default_port);
    let tls = UpstreamTls { server_name: None, roots: Roots::System };
    Ok(Traces {
        shown: text.into(),
        address: BackendAddress::Inet { host: name.into(), port },
        host: HeaderValue::try_from(authority.as_str()).map_err(|_| no_url())?,
        target,
        tls: is_secure.then_some(tls),
        sample: SampleShare::default(),
    })
}

fn sample(text: &str) -> Result<SampleShare, Fault> {
    let percent = text.strip_suffix('%').and_then(|number| number.trim_end().parse::<f64>().ok());
    let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
    percent
        .map(SampleShare::of_percent)
        .ok_or_else(|| Fault::new(format!("must be a share from `0%` to `100%`, not: `{text}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collectors_are_urls_of_a_host_and_nothing_else() {
        for (text, address, target) in [
            ("http://127.0.0.1:4318", "127.0.0.1:4318", "/v1/traces"),
            ("http://collector", "collector:80", "/v1/traces"),
            ("https://collector.example/otlp/", "collector.example:443", "/otlp/v1/traces"),
            ("https://a.example:1/x/v1/traces", "a.example:1", "/x/v1/traces"),
            ("http://[::1]:4318/v1/traces/", "::1:4318", "/v1/traces"),
        ] {
            let traces = endpoint(text).unwrap_or_else(|_| panic!("{text}"));
            let BackendAddress::Inet { host, port } = &traces.address else { panic!("{text}") };
            assert_eq!(format!("{host}:{port}"), address, "{text}");
            assert_eq!(traces.target.as_str(), target, "{text}");
            assert_eq!(traces.tls.is_some(), text.starts_with("https"), "{text}");
        }
        for text in [
            "",
            "4318",
            "127.0.0.1:4318",
            "//127.0.0.1",
            "/v1/traces",
            "http://",
            "http:///v1/traces",
            "grpc://127.0.0.1:4317",
            "unix:/run/otel.sock",
            "http://a:b",
            "http://a:99999",
            "http://a b",
            "http://:4318",
            "http://[::1",
            "http://a/?x=1",
            "http://a/#x",
            "http://ada:secret@a",
            "http://ada@a",
            "http://é\n",
        ] {
            assert!(endpoint(text).is_err(), "{text}");
        }
        let fault = endpoint("http://ada:s3cret@a").unwrap_err();
        assert!(!format!("{fault:?}").contains("s3cret"), "a password is in no message");
    }

    #[test]
    fn a_share_is_in_per_cent() {
        for text in ["0%", "0.1%", "1 %", "100%", "1e-3%"] {
            assert!(sample(text).is_ok(), "{text}");
        }
        for text in ["", "%", "1", "0.5", "-1%", "101%", "NaN%", "inf%", "1%%", "one%", "1 percent"]
        {
            assert!(sample(text).is_err(), "{text}");
        }
    }
}
