//! The record of a session: a line when it opens, one when it has ended, and counts.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use tracing::field::DisplayValue;

use super::record::{ShownAddr, millis};
use super::request_facts::RequestFacts;
use super::request_trace::{RequestTrace, known, session_ended, text};
use crate::base::clock::{self, Moment};
use crate::base::id::SessionId;
use crate::base::label::Label;
use crate::base::worker;
use crate::end::{End, Reason};
use crate::handshake::Agreed;
use crate::observe::log::ACCESS;
use crate::observe::metrics::RouteMetrics;
use crate::observe::spans::SpanValue;
use crate::pool::Backend;
use crate::registry::{self, DueReport, Facts, SessionChange};
use crate::relay::{HoldCause, Relay, Rtt, SessionStats};
use crate::wire::answer::Fields;
use crate::wire::label::SessionLabels;

/// What is written down of a session. Nothing is kept for it: what is known of a session stays in
/// its relay and in the registry.
pub(super) struct SessionRecord<'a> {
    id: SessionId,
    cells: &'a RouteMetrics,
}

impl<'a> SessionRecord<'a> {
    /// Of the session of this relay.
    pub(super) fn of(relay: &'a Relay) -> SessionRecord<'a> {
        SessionRecord { id: relay.seat().id(), cells: relay.cells() }
    }

    /// Writes down that it has opened.
    pub(super) fn opened(
        &self,
        facts: &Facts,
        asked: Option<&RequestFacts>,
        agreed: &Agreed,
        now: Moment,
    ) {
        let took = now.since(facts.opened);
        self.cells.session_opened(took);
        tracing::info!(
            target: ACCESS,
            event = "session_opened",
            session = %self.id,
            request_id = asked.and_then(|asked| asked.id().to_str().ok()),
            listener = &*facts.listener,
            client = %ShownAddr(facts.client.get()),
            host = asked.and_then(|asked| asked.host.as_deref()),
            uri = asked.map(|asked| tracing::field::display(&asked.target)),
            origin = asked.and_then(RequestFacts::origin),
            user_agent = asked.and_then(RequestFacts::user_agent),
            protocol = asked.map(RequestFacts::protocol),
            tls = asked.and_then(RequestFacts::tls),
            route = &*facts.route,
            pool = &*facts.pool,
            backend = &*facts.backend,
            labels = shown(&facts.labels),
            subprotocol = agreed.protocol().and_then(|chosen| chosen.to_str().ok()),
            deflate = agreed.is_deflate(),
            ms = millis(took),
        );
        registry::tell(self.id, SessionChange::Opened);
    }

    /// Reports what passed until now.
    pub(super) fn report(&self, report: DueReport, stats: &SessionStats) {
        let now = clock::now();
        let SessionStats { client, upstream, pushed, .. } = stats;
        if report.watched {
            registry::reported(self.id, stats.traffic(), now);
        }
        let Some(facts) = registry::facts(self.id).filter(|_| report.logged) else { return };
        tracing::info!(
            target: ACCESS,
            event = "session_live",
            session = %self.id,
            listener = &*facts.listener,
            client = %ShownAddr(facts.client.get()),
            route = &*facts.route,
            pool = &*facts.pool,
            backend = &*facts.backend,
            labels = shown(&facts.labels),
            ms = millis(now.since(facts.opened)),
            client_messages = client.messages,
            client_bytes = client.bytes,
            client_rtt_ms = client.rtt.last().map(millis),
            upstream_messages = upstream.messages,
            upstream_bytes = upstream.bytes,
            upstream_rtt_ms = upstream.rtt.last().map(millis),
            pushed_messages = Some(*pushed).filter(|pushed| *pushed > 0),
        );
    }

    /// Writes down that its upstream is away.
    pub(super) fn held(&self, backend: &str, why: HoldCause) {
        tracing::info!(
            target: ACCESS,
            event = "session_held",
            session = %self.id,
            route = &**self.cells.name(),
            backend,
            why = why.label(),
        );
        registry::tell(self.id, SessionChange::Held);
    }

    /// Writes down that it has another upstream: by which attempt, after how long.
    pub(super) fn resumed(&self, backend: &str, attempt: u32, away: Duration) {
        tracing::info!(
            target: ACCESS,
            event = "session_resumed",
            session = %self.id,
            route = &**self.cells.name(),
            backend,
            attempt,
            ms = millis(away),
        );
        registry::tell(self.id, SessionChange::Resumed);
    }

    /// Writes down why it will have no other upstream.
    pub(super) fn not_resumed(&self, why: &dyn fmt::Display) {
        tracing::info!(
            target: ACCESS,
            event = "session_not_resumed",
            session = %self.id,
            route = &**self.cells.name(),
            %why,
        );
    }

    /// Writes down that it was dropped at work, by a panic or with its worker: it has ended too.
    pub(super) fn dropped(&self) {
        let end = if worker::is_ending() { End::Drained(Reason::Stop) } else { End::Fault };
        self.ended(end, &SessionStats::default());
    }

    /// Writes down why it stays where it is, or ends, when it was asked to move.
    pub(super) fn not_moved(&self, backend: &str, why: &dyn fmt::Display) {
        tracing::info!(
            target: ACCESS,
            event = "session_not_moved",
            session = %self.id,
            route = &**self.cells.name(),
            backend,
            %why,
        );
    }

    /// Notes why an attempt has failed that will be followed by others.
    pub(super) fn tried(&self, why: &dyn fmt::Display) {
        tracing::debug!(session = %self.id, %why, "no upstream yet");
    }

    /// Writes down how it ended; to be called while it still has its seat.
    pub(super) fn ended(&self, end: End, stats: &SessionStats) {
        registry::tell(self.id, SessionChange::Ended(end.label()));
        let facts = registry::facts(self.id);
        let facts = facts.as_ref();
        let lasted = facts.map_or(Duration::ZERO, |facts| clock::now().since(facts.opened));
        self.cells.session_ended(end, lasted);
        let number = |number: u64| Some(SpanValue::Number(number));
        session_ended(self.id, matches!(end, End::Fault | End::Lost { .. }), || {
            known([
                ("tidegate.session", text(self.id)),
                ("http.route", text(&**self.cells.name())),
                ("tidegate.end", text(end.label())),
                ("tidegate.ended_by", text(end.by().map_or("tidegate", |side| side.label()))),
                ("tidegate.lasted_ms", number(millis(lasted))),
                ("tidegate.client_messages", number(stats.client.messages)),
                ("tidegate.client_bytes", number(stats.client.bytes)),
                ("tidegate.upstream_messages", number(stats.upstream.messages)),
                ("tidegate.upstream_bytes", number(stats.upstream.bytes)),
            ])
        });
        let rtt = |rtt: Rtt| rtt.last().map(millis);
        tracing::info!(
            target: ACCESS,
            event = "session_ended",
            session = %self.id,
            listener = facts.map(|facts| &*facts.listener),
            client = facts.map(|facts| tracing::field::display(ShownAddr(facts.client.get()))),
            route = &**self.cells.name(),
            pool = facts.map(|facts| &*facts.pool),
            backend = facts.map(|facts| &*facts.backend),
            labels = facts.and_then(|facts| shown(&facts.labels)),
            end = end.label(),
            by = end.by().map_or("tidegate", |side| side.label()),
            client_sent = stats.client.close.get(),
            client_was_sent = stats.client.close_sent.get(),
            upstream_sent = stats.upstream.close.get(),
            upstream_was_sent = stats.upstream.close_sent.get(),
            cut = stats.cut,
            ms = millis(lasted),
            client_messages = stats.client.messages,
            client_bytes = stats.client.bytes,
            client_rtt_ms = rtt(stats.client.rtt),
            upstream_messages = stats.upstream.messages,
            upstream_bytes = stats.upstream.bytes,
            upstream_rtt_ms = rtt(stats.upstream.rtt),
            pushed_messages = Some(stats.pushed).filter(|pushed| *pushed > 0),
        );
    }
}

/// Ends the span of a session's opening.
pub(super) fn trace_open(trace: RequestTrace, id: SessionId, facts: &Facts) {
    let attributes = [
        ("tidegate.session", text(id)),
        ("http.route", text(&facts.route)),
        ("client.address", text(ShownAddr(facts.client.get()))),
        ("tidegate.pool", text(&facts.pool)),
        ("tidegate.backend", text(&facts.backend)),
    ];
    trace.open(id, known(attributes));
}

/// Gives a session the labels of a backend's 101, in place of those of the backend before.
pub(super) fn labels_given(labels: &mut SessionLabels, answer: &Fields, backend: &Backend) {
    let refused = labels.on_answer(answer.iter().map(|(name, value)| (name, value)));
    if refused > 0 {
        let (pool, backend) = (&**backend.pool(), &**backend.address());
        tracing::debug!(pool, backend, refused, "a backend gives what is no label");
    }
}

fn shown(labels: &SessionLabels) -> Option<DisplayValue<&SessionLabels>> {
    (!labels.is_empty()).then(|| tracing::field::display(labels))
}

/// Writes down that a client was promised a session, and none began.
pub(super) fn not_begun(facts: &Facts, why: &(impl Label + fmt::Display)) {
    tracing::info!(
        target: ACCESS,
        event = "session_not_begun",
        listener = &*facts.listener,
        client = %ShownAddr(facts.client.get()),
        route = &*facts.route,
        pool = &*facts.pool,
        backend = &*facts.backend,
        why = why.label(),
        detail = %why,
        ms = millis(clock::now().since(facts.opened)),
    );
}

/// Writes down that a session of a holding route cannot be held: its stored handshake would be over
/// this limit.
pub(super) fn not_holdable(
    client: Option<SocketAddr>,
    route: &str,
    limit: &'static str,
    bytes: u64,
) {
    tracing::info!(
        target: ACCESS,
        event = "session_not_holdable",
        client = %ShownAddr(client),
        route,
        limit,
        bytes,
    );
}
