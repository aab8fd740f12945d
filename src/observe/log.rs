//! Log lines: text for people on a terminal, JSON otherwise, written by a thread of their own
//! behind a bounded queue, so that who logs never waits.
//!
//! Lines about requests and sessions are events of the target [`ACCESS`].

use std::io::{self, IsTerminal, Write};

use tracing::Subscriber;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt, reload};

/// The target of events that tell of a request or a session.
pub const ACCESS: &str = "access";

/// How lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct LogOptions<'a> {
    /// A `tracing` filter, such as `info` or `info,tidegate::pool=debug`.
    pub filter: &'a str,
    /// How lines look; applies at the start only.
    pub format: LineFormat,
    /// Whether lines about requests and sessions are written.
    pub access: bool,
    /// Lines that may wait to be written before more are dropped; applies at the start only.
    pub queue_max: usize,
}

/// A log that could not be started.
#[derive(Debug)]
pub enum LogError {
    /// The filter is none.
    Filter(ParseError),
    /// The process has a log already.
    Second(TryInitError),
}

impl std::fmt::Display for LogError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LogError::Filter(error) => write!(f, "the log filter does not parse: {error}"),
            LogError::Second(error) => write!(f, "the process has a log already: {error}"),
        }
    }
}

impl std::error::Error for LogError {}

/// Keeps the writing thread; its drop writes what still waits (for a second at most).
#[derive(Debug)]
pub struct LogGuard {
    handle: LogHandle,
    dropped: Dropped,
    _writer: WorkerGuard,
}

impl LogGuard {
    /// Through which the filter changes while the log runs.
    pub fn handle(&self) -> LogHandle {
        self.handle.clone()
    }

    /// The count of lines dropped.
    pub fn dropped(&self) -> Dropped {
        self.dropped.clone()
    }
}

/// Changes what is logged.
#[derive(Clone, Debug)]
pub struct LogHandle(reload::Handle<EnvFilter, Registry>);

impl LogHandle {
    /// Takes a new filter; from the next event on it is the one that counts.
    ///
    /// # Errors
    /// When the filter does not parse: the old one stays.
    pub fn apply(&self, options: &LogOptions<'_>) -> Result<(), ParseError> {
        let filter = filter(options)?;
        // An error says that the log has ended, and then there is nothing to filter.
        let _ = self.0.reload(filter);
        Ok(())
    }
}

/// How many lines were dropped because the queue was full.
#[derive(Clone, Debug)]
pub struct Dropped(ErrorCounter);

impl Dropped {
    /// The lines dropped since the start.
    pub fn lines(&self) -> u64 {
        self.0.dropped_lines() as u64
    }
}

/// Starts the process's log, on standard error.
///
/// # Errors
/// When the filter does not parse, or the process has a log already.
pub fn start(options: &LogOptions<'_>) -> Result<LogGuard, LogError> {
    let terminal = io::stderr().is_terminal();
    let (subscriber, guard) = build(options, terminal, io::stderr()).map_err(LogError::Filter)?;
    subscriber.try_init().map_err(LogError::Second)?;
    Ok(guard)
}

/// Whether a filter parses, for who checks a configuration.
///
/// # Errors
/// What is wrong with it.
pub fn check(filter: &str) -> Result<(), String> {
    EnvFilter::try_new(filter).map(drop).map_err(|error| error.to_string())
}

type Built = (Box<dyn Subscriber + Send + Sync>, LogGuard);

fn build(
    options: &LogOptions<'_>,
    terminal: bool,
    out: impl Write + Send + 'static,
) -> Result<Built, ParseError> {
    let lossy = NonBlockingBuilder::default().lossy(true).thread_name("log");
    let (writer, thread) = lossy.buffered_lines_limit(options.queue_max.max(1)).finish(out);
    let (filter, handle) = reload::Layer::new(filter(options)?);
    let guard = LogGuard {
        handle: LogHandle(handle),
        dropped: Dropped(writer.error_counter()),
        _writer: thread,
    };
    let is_json = match options.format {
        LineFormat::Auto => !terminal,
        LineFormat::Text => false,
        LineFormat::Json => true,
    };
    let lines = fmt::layer().with_writer(writer).with_ansi(terminal);
    let lines = if is_json {
        lines.json().flatten_event(true).with_current_span(false).boxed()
    } else {
        lines.boxed()
    };
    Ok((Box::new(tracing_subscriber::registry().with(filter).with(lines)), guard))
}

/// `access` is decided by its own key; a directive for it in the filter is overruled.
fn filter(options: &LogOptions<'_>) -> Result<EnvFilter, ParseError> {
    let filter = EnvFilter::try_new(options.filter)?;
    let level = if options.access { "info" } else { "off" };
    Ok(filter.add_directive(format!("{ACCESS}={level}").parse()?))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::sync::{Arc, Mutex};

    use super::*;

    const OPTIONS: LogOptions<'_> =
        LogOptions { filter: "info", format: LineFormat::Auto, access: true, queue_max: 100 };

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(options: &LogOptions<'_>, terminal: bool, log: impl FnOnce(&LogGuard)) -> String {
        let lines = Lines::default();
        let (subscriber, guard) = build(options, terminal, lines.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || log(&guard));
        drop(guard);
        String::from_utf8(std::mem::take(&mut lines.0.lock().unwrap())).unwrap()
    }

    #[test]
    fn lines_are_json_unless_a_person_reads_them() {
        let log = |_: &LogGuard| tracing::info!(target: ACCESS, route = "chat", "open");
        let line = logged(&OPTIONS, false, log);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&value["route"], &value["message"]), (&"chat".into(), &"open".into()));
        let line = logged(&OPTIONS, true, log);
        assert!(line.contains("open") && !line.starts_with('{'), "{line}");
    }

    #[test]
    fn access_lines_follow_their_own_key() {
        let log = |_: &LogGuard| {
            tracing::info!(target: ACCESS, "seen");
            tracing::info!("other");
        };
        let quiet = LogOptions { filter: "error", ..OPTIONS };
        let lines = logged(&quiet, false, log);
        assert!(lines.contains("seen") && !lines.contains("other"), "{lines}");
        let lines = logged(&LogOptions { access: false, ..OPTIONS }, false, log);
        assert!(lines.contains("other") && !lines.contains("seen"), "{lines}");
    }

    #[test]
    fn a_new_filter_counts_from_the_next_event_on() {
        let lines = logged(&OPTIONS, false, |guard| {
            tracing::debug!("before");
            guard.handle().apply(&LogOptions { filter: "debug", ..OPTIONS }).unwrap();
            tracing::debug!("after");
            guard.handle().apply(&LogOptions { filter: "a=b=c", ..OPTIONS }).unwrap_err();
            tracing::debug!("still");
        });
        assert!(!lines.contains("before"), "{lines}");
        assert!(lines.contains("after") && lines.contains("still"), "{lines}");
    }

    #[test]
    fn a_log_nobody_reads_drops_lines_and_counts_them() {
        /// A disk that is stuck until the sender is dropped.
        struct Stuck(mpsc::Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (go_on, stuck) = mpsc::channel();
        let options = LogOptions { queue_max: 4, ..OPTIONS };
        let (subscriber, guard) = build(&options, false, Stuck(stuck)).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..20 {
                tracing::info!("line");
            }
        });
        // One line may be in the writer's hands, four wait, the others are lost.
        assert!((15..=16).contains(&guard.dropped().lines()), "{}", guard.dropped().lines());
        drop(go_on);
    }
}
