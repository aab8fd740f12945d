//! Which text format a scraper asks for.

use http::HeaderMap;
use http::header::ACCEPT;

use crate::observe::metrics::Exposition;
use crate::wire::list;

/// The format that `Accept` likes best (RFC 9110 §12.5.1): OpenMetrics where it is named and
/// nothing else is liked better, else Prometheus' text, which is for all who do not say.
pub(super) fn asked(headers: &HeaderMap) -> Exposition {
    let (mut open_metrics, mut text) = (0, 0);
    for range in list::tokens(headers, ACCEPT) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut weight, mut version) = (1000, None);
        for parameter in parts {
            let Some((key, value)) = parameter.split_once('=') else { continue };
            let value = value.trim().trim_matches('"');
            match key.trim().to_ascii_lowercase().as_str() {
                "q" => weight = weight_of(value),
                "version" => version = Some(value),
                _ => {}
            }
        }
        match (name.as_str(), version) {
            ("application/openmetrics-text", None | Some("1.0.0")) => {
                open_metrics = open_metrics.max(weight);
            }
            ("text/plain", None | Some("0.0.4")) => text = text.max(weight),
            _ => {}
        }
    }
    match open_metrics > 0 && open_metrics >= text {
        true => Exposition::OpenMetrics,
        false => Exposition::Prometheus,
    }
}

/// A weight in thousandths (RFC 9110 §12.4.2); what is none counts for nothing.
fn weight_of(value: &str) -> u32 {
    let weight = value.parse::<f64>().ok().filter(|weight| (0.0..=1.0).contains(weight));
    weight.map_or(0, |weight| (weight * 1000.0).round() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_is_liked_best() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,\
            application/openmetrics-text;version=0.0.1;q=0.75,\
            text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,\
            text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
            text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for (accept, is_open_metrics) in [
            ("", false),
            ("*/*", false),
            ("text/html,application/xhtml+xml,*/*;q=0.8", false),
            ("text/plain", false),
            ("text/plain;version=0.0.4", false),
            ("application/json", false),
            ("application/openmetrics-text", true),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"", true),
            ("application/openmetrics-text; version=2.0.0", false),
            ("application/openmetrics-text;q=0", false),
            ("application/openmetrics-text;q=x", false),
            ("application/openmetrics-text;q=0.2, text/plain;q=0.8", false),
            ("application/openmetrics-text;q=0.2, */*;q=0.8", true),
            (prometheus_2, true),
            (prometheus_3, true),
        ] {
            let mut headers = HeaderMap::new();
            if !accept.is_empty() {
                headers.insert(ACCEPT, accept.parse().unwrap());
            }
            assert_eq!(asked(&headers) == Exposition::OpenMetrics, is_open_metrics, "{accept}");
        }
    }
}
