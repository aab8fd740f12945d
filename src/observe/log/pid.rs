//! The process's id on every line: after an upgrade several processes write one log.

use std::fmt::{self, Write};

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Lines of another format, with the process's id: in JSON behind the time, in text at the end.
pub(super) struct WithPid<F> {
    format: F,
    place: PidPlace,
}

#[derive(Clone, Copy)]
enum PidPlace {
    /// Before the first comma, which stands behind the time.
    FirstComma,
    /// Before the end of the line.
    End,
}

impl<F> WithPid<F> {
    pub(super) fn json(format: F) -> WithPid<F> {
        WithPid { format, place: PidPlace::FirstComma }
    }

    pub(super) fn text(format: F) -> WithPid<F> {
        WithPid { format, place: PidPlace::End }
    }
}

impl<S, N, F> FormatEvent<S, N> for WithPid<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = LineWithPid { line, place: Some(self.place), pid: std::process::id() };
        self.format.format_event(context, Writer::new(&mut line), event)
    }
}

/// A line that is written piece by piece.
struct LineWithPid<'w> {
    line: Writer<'w>,
    /// `None` once it is there.
    place: Option<PidPlace>,
    pid: u32,
}

impl Write for LineWithPid<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let (pattern, place) = match self.place {
            Some(place @ PidPlace::FirstComma) => (',', place),
            // What is inside of the line is escaped.
            Some(place @ PidPlace::End) => ('\n', place),
            None => return self.line.write_str(piece),
        };
        let Some((before, after)) = piece.split_once(pattern) else {
            return self.line.write_str(piece);
        };
        self.place = None;
        let pid = self.pid;
        match place {
            PidPlace::FirstComma => write!(self.line, "{before},\"pid\":{pid},{after}"),
            PidPlace::End => write!(self.line, "{before} pid={pid}\n{after}"),
        }
    }
}
