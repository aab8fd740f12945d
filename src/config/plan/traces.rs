//! Where spans of traces are sent, and which are.

use std::sync::Arc;

use http::HeaderValue;
use http::uri::PathAndQuery;

use super::address::BackendAddress;
use super::upstream::UpstreamTls;

/// Where spans are sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Traces {
    /// The URL as it was written; for logs.
    pub shown: Arc<str>,
    /// The collector.
    pub address: BackendAddress,
    /// `Host` of the requests to it.
    pub host: HeaderValue,
    /// Their path.
    pub target: PathAndQuery,
    /// TLS towards it.
    pub tls: Option<UpstreamTls>,
    /// How many of the requests that say nothing of it are kept.
    pub sample: SampleShare,
}

/// A share of requests.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SampleShare {
    /// Of 2^32.
    kept: u64,
}

impl SampleShare {
    /// So many of a hundred.
    pub fn of_percent(percent: f64) -> SampleShare {
        SampleShare {
            kept: (percent / 100.0 * f64::from(u32::MAX)).ceil() as u64 + u64::from(percent > 0.0),
        }
    }

    /// Whether one is kept, where `drawn` is by chance.
    pub fn keeps(self, drawn: u32) -> bool {
        u64::from(drawn) < self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_all_and_a_part_are_kept() {
        let kept = |percent| {
            let share = SampleShare::of_percent(percent);
            (0..1_000).filter(|nth| share.keeps(nth * (u32::MAX / 999))).count()
        };
        assert_eq!((kept(0.0), kept(100.0)), (0, 1_000));
        assert!((9..=11).contains(&kept(1.0)) && (499..=501).contains(&kept(50.0)));
    }
}
