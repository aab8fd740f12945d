//! Metrics as OpenMetrics text, which Prometheus reads.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::catalogue::{self as is, Kind, Metric};
use super::cells::{CLASSES, Cells, LONG, RouteCells, SHORT, Times, TimesSum};
use super::{Metrics, lock};
use crate::base::side::Side;

/// The content type of what [`Metrics::render`] writes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Values of one metric: its labels' values and the value.
type Rows<'a, V> = Vec<(Vec<&'a str>, V)>;

impl Metrics {
    /// Everything, as OpenMetrics text.
    pub fn render(self: &Arc<Metrics>) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Scrape(Arc::clone(self))));
        let mut text = String::new();
        // Writing to a `String` cannot fail: it grows.
        let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
        text
    }
}

#[derive(Debug)]
struct Scrape(Arc<Metrics>);

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut page = Page(encoder);
        page.process(&self.0)?;
        page.listeners(&self.0)?;
        // The cells are shared out first, so that no worker waits for a long page to be written.
        let routes: Vec<Arc<RouteCells>> = lock(&self.0.routes).values().cloned().collect();
        page.routes(&routes)?;
        page.pools(&self.0)
    }
}

struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn process(&mut self, metrics: &Metrics) -> fmt::Result {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        self.describe(&is::BUILD)?.encode_info(&version)?;
        let process = &metrics.process;
        self.describe(&is::START)?.encode_gauge(&metrics.started)?;
        self.describe(&is::WORKERS)?.encode_gauge(&metrics.workers)?;
        let loads = lock(&metrics.loads).clone();
        let names: Vec<String> = (0..loads.len()).map(|worker| worker.to_string()).collect();
        let loads = names.iter().zip(loads).map(|(worker, n)| (vec![&**worker], n as i64));
        self.gauges(&is::WORKER_CONNECTIONS, loads.collect())?;
        self.describe(&is::GENERATION)?.encode_gauge(&process.generation.get())?;
        let outcomes = process.reloads.all();
        self.counters(&is::RELOADS, outcomes.iter().map(|(word, n)| (vec![*word], *n)).collect())?;
        self.describe(&is::PROCESS)?.encode_gauge(&process.number.get())?;
        let outcomes = process.upgrades.all();
        self.counters(&is::UPGRADES, outcomes.iter().map(|(word, n)| (vec![*word], *n)).collect())?;
        self.describe(&is::OLDER)?.encode_gauge(&process.older.get())?;
        self.describe(&is::OLDER_SESSIONS)?.encode_gauge(&process.older_sessions.get())?;
        self.describe(&is::SNAPSHOTS)?.encode_gauge(&process.snapshots.get())?;
        self.describe(&is::HOLD_BYTES)?.encode_gauge(&process.hold_bytes.get())?;
        let drains = lock(&metrics.drains).clone();
        self.gauges(&is::DRAIN_LEFT, drains.iter().map(|(w, n)| (vec![*w], *n as i64)).collect())?;
        let dropped = metrics.dropped.get().map_or(0, |dropped| dropped.lines());
        self.describe(&is::LOG_DROPPED)?.encode_counter::<NoLabelSet, u64, u64>(&dropped, None)
    }

    fn listeners(&mut self, metrics: &Metrics) -> fmt::Result {
        let listeners: Vec<_> = lock(&metrics.listeners).clone().into_iter().collect();
        let each = || listeners.iter().map(|(name, cells)| (vec![&**name], cells));
        let by_word = |words: &dyn Fn(&super::ListenerCells) -> Vec<(&'static str, u64)>| {
            let rows = listeners.iter().flat_map(|(name, cells)| {
                words(cells).into_iter().map(move |(word, n)| (vec![&**name, word], n))
            });
            rows.collect::<Rows<_>>()
        };
        self.gauges(&is::CONNECTIONS, each().map(|(l, c)| (l, c.open.get())).collect())?;
        let versions = listeners.iter().flat_map(|(name, cells)| {
            let levels = [("http/1.1", &cells.http1), ("h2", &cells.http2)];
            levels.map(|(protocol, level)| (vec![&**name, protocol], level.get()))
        });
        self.gauges(&is::HTTP, versions.collect())?;
        self.gauges(&is::STREAMS, each().map(|(l, c)| (l, c.streams.get())).collect())?;
        let resets = listeners.iter().flat_map(|(name, cells)| {
            let by =
                [("client", cells.resets_received.all()), ("tidegate", cells.resets_sent.all())];
            by.into_iter().flat_map(move |(by, codes)| {
                codes.into_iter().map(move |(code, n)| (vec![&**name, by, code], n))
            })
        });
        self.counters(&is::STREAMS_RESET, resets.collect())?;
        self.counters(&is::HTTP2_FAILURES, by_word(&|cells| cells.http2_failed.all()))?;
        self.counters(&is::ACCEPTED, each().map(|(l, c)| (l, c.accepted.get())).collect())?;
        self.counters(&is::REFUSED, by_word(&|cells| cells.refused.all()))?;
        self.counters(&is::BACKOFFS, each().map(|(l, c)| (l, c.backoffs.get())).collect())?;
        let handshakes = each().map(|(l, c)| (l, c.tls_handshakes.get())).collect();
        self.counters(&is::TLS_HANDSHAKES, handshakes)?;
        self.counters(&is::TLS_FAILURES, by_word(&|cells| cells.tls_failures.all()))
    }

    fn routes(&mut self, routes: &[Arc<RouteCells>]) -> fmt::Result {
        let each = || routes.iter().map(|route| (vec![&**route.name()], route));
        let mut requests = Vec::new();
        let mut ended = Vec::new();
        let mut failed = Vec::new();
        let (mut holds, mut holds_ended) = (Vec::new(), Vec::new());
        for route in routes {
            let name: &str = route.name();
            for (index, class) in CLASSES.iter().enumerate() {
                requests.push((vec![name, class], route.sum(|cells| &cells.requests[index])));
            }
            ended.extend(route.ended.all().into_iter().map(|(word, n)| (vec![name, word], n)));
            let failures = route.handshakes_failed.all().into_iter();
            failed.extend(failures.map(|(word, n)| (vec![name, word], n)));
            holds.extend(route.holds.all().into_iter().map(|(word, n)| (vec![name, word], n)));
            let results = route.holds_ended.all().into_iter();
            holds_ended.extend(results.map(|(word, n)| (vec![name, word], n)));
        }
        self.counters(&is::REQUESTS, requests)?;
        self.times(&is::HANDSHAKE_SECONDS, &SHORT, each(), |cells| &cells.handshake)?;
        self.counters(&is::HANDSHAKES_FAILED, failed)?;
        self.gauges(&is::QUEUED, each().map(|(l, r)| (l, r.queued.get())).collect())?;
        self.gauges(&is::SESSIONS, each().map(|(l, r)| (l, r.live() as i64)).collect())?;
        self.counters(&is::OPENED, each().map(|(l, r)| (l, r.sum(|c| &c.opened))).collect())?;
        self.counters(&is::ENDED, ended)?;
        self.gauges(&is::HELD, each().map(|(l, r)| (l, r.held() as i64)).collect())?;
        self.counters(&is::HOLDS, holds)?;
        self.counters(&is::HOLDS_ENDED, holds_ended)?;
        self.times(&is::HOLD_SECONDS, &SHORT, each(), |cells| &cells.away)?;
        self.counters(&is::HOLD_CUT, each().map(|(l, r)| (l, r.sum(|c| &c.cut))).collect())?;
        self.times(&is::SESSION_SECONDS, &LONG, each(), |cells| &cells.session)?;
        let by_side = |cell: &dyn Fn(&Cells, usize) -> u64| {
            let rows = routes.iter().flat_map(|route| {
                Side::BOTH.map(|side| {
                    let sum = route.each().map(|cells| cell(cells, side as usize)).sum();
                    (vec![&**route.name(), side.word()], sum)
                })
            });
            rows.collect::<Rows<u64>>()
        };
        self.counters(&is::MESSAGES, by_side(&|cells, side| cells.messages[side].get()))?;
        self.counters(&is::BYTES, by_side(&|cells, side| cells.bytes[side].get()))?;
        self.counters(&is::VIOLATIONS, by_side(&|cells, side| cells.violations[side].get()))?;
        let mut out = self.describe(&is::PING_SECONDS)?;
        for route in routes {
            for side in Side::BOTH {
                let sum = route.times(&SHORT, |cells| &cells.ping[side as usize]);
                write_times(&mut out, &is::PING_SECONDS, &[route.name(), side.word()], &sum)?;
            }
        }
        Ok(())
    }

    fn pools(&mut self, metrics: &Metrics) -> fmt::Result {
        let backends = lock(&metrics.backends).clone();
        let each = || backends.iter().map(|facts| (vec![&*facts.pool, &*facts.backend], facts));
        let sessions = each().map(|(l, facts)| (l, facts.sessions as i64)).collect();
        self.gauges(&is::BACKEND_SESSIONS, sessions)?;
        let waiting = each().map(|(l, facts)| (l, facts.handshakes_waiting as i64)).collect();
        self.gauges(&is::HANDSHAKES_WAITING, waiting)?;
        self.gauges(&is::BACKEND_UP, each().map(|(l, f)| (l, f.up.into())).collect())?;
        let disabled = each().map(|(l, f)| (l, f.disabled.into())).collect();
        self.gauges(&is::BACKEND_DISABLED, disabled)?;
        let pools: Vec<_> = lock(&metrics.pools).clone().into_iter().collect();
        let failures: Vec<_> = pools.iter().map(|(_, pool)| lock(&pool.dial_failures)).collect();
        let mut rows = Vec::new();
        for ((name, _), failures) in pools.iter().zip(&failures) {
            let each = failures.iter();
            rows.extend(each.map(|((b, reason), n)| (vec![&**name, b, reason], *n)));
        }
        self.counters(&is::DIAL_FAILURES, rows)?;
        let each = || pools.iter().map(|(name, cells)| (vec![&**name], cells));
        let exhausted = each().map(|(l, c)| (l, c.sources_exhausted.get())).collect();
        self.counters(&is::SOURCES_EXHAUSTED, exhausted)?;
        self.counters(&is::RETRIES, each().map(|(l, c)| (l, c.retries.get())).collect())?;
        let would = each().map(|(l, cells)| (l, cells.would_move.get())).collect();
        self.gauges(&is::WOULD_MOVE, would)?;
        let asked = each().map(|(l, cells)| (l, cells.asked_to_move.get())).collect();
        self.counters(&is::ASKED_TO_MOVE, asked)?;
        self.counters(&is::POOL_FULL, each().map(|(l, c)| (l, c.full.get())).collect())?;
        let lost: Vec<_> =
            pools.iter().map(|(name, cells)| (name, cells.sticky_lost.all())).collect();
        let each = lost.iter().flat_map(|(name, words)| {
            words.iter().map(move |(word, n)| (vec![&***name, *word], *n))
        });
        self.counters(&is::STICKY_LOST, each.collect())
    }

    fn describe(&mut self, metric: &'static Metric) -> Result<MetricEncoder<'_>, fmt::Error> {
        let kind = match metric.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
            Kind::Info => MetricType::Info,
        };
        self.0.encode_descriptor(metric.name, metric.help, None, kind)
    }

    fn counters(&mut self, metric: &'static Metric, rows: Rows<u64>) -> fmt::Result {
        let mut out = self.describe(metric)?;
        for (values, value) in rows {
            let labels = labels(metric, &values);
            let mut one = out.encode_family(&labels)?;
            one.encode_counter::<NoLabelSet, u64, u64>(&value, None)?;
        }
        Ok(())
    }

    fn gauges(&mut self, metric: &'static Metric, rows: Rows<i64>) -> fmt::Result {
        let mut out = self.describe(metric)?;
        for (values, value) in rows {
            out.encode_family(&labels(metric, &values))?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn times<'r>(
        &mut self,
        metric: &'static Metric,
        bounds: &[f64],
        routes: impl Iterator<Item = (Vec<&'r str>, &'r Arc<RouteCells>)>,
        times: impl Fn(&Cells) -> &Times + Copy,
    ) -> fmt::Result {
        let mut out = self.describe(metric)?;
        for (values, route) in routes {
            write_times(&mut out, metric, &values, &route.times(bounds, times))?;
        }
        Ok(())
    }
}

fn write_times(
    out: &mut MetricEncoder,
    metric: &'static Metric,
    values: &[&str],
    sum: &TimesSum,
) -> fmt::Result {
    let labels = labels(metric, values);
    let mut one = out.encode_family(&labels)?;
    one.encode_histogram::<NoLabelSet>(sum.seconds, sum.count(), &sum.buckets, None)
}

fn labels<'v>(metric: &'static Metric, values: &[&'v str]) -> Vec<(&'static str, &'v str)> {
    debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
    metric.labels.iter().copied().zip(values.iter().copied()).collect()
}
