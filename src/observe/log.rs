//! Log lines: text for people on a terminal, JSON otherwise, written by a thread of their own
//! behind a bounded queue, so that who logs never waits.
//!
//! Lines about requests and sessions are events of the target [`ACCESS`].

mod fields;
mod panics;
mod pid;
mod queue;

use std::io::{self, IsTerminal, Write};

use tracing::Subscriber;
use tracing::subscriber::{SetGlobalDefaultError, set_global_default};
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::{Layer, fmt, reload};

use fields::TextFields;
use pid::WithPid;
use queue::LogQueue;

pub use queue::Dropped;

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
    /// Bytes of lines that may wait to be written before more are dropped; applies at the start
    /// only.
    pub queue_bytes_max: usize,
}

/// A log that could not be started.
#[derive(Debug)]
pub enum LogError {
    /// The filter is none.
    Filter(ParseError),
    /// The process has a log already.
    Second(SetGlobalDefaultError),
    /// The system gives no thread to write it.
    Thread(io::Error),
}

impl std::fmt::Display for LogError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LogError::Filter(error) => write!(f, "the log filter does not parse: {error}"),
            LogError::Second(error) => write!(f, "the process has a log already: {error}"),
            LogError::Thread(error) => write!(f, "the log has no thread to write it: {error}"),
        }
    }
}

impl std::error::Error for LogError {}

/// Keeps the writing thread; its drop writes what still waits (for a second at most).
#[derive(Debug)]
pub struct LogGuard {
    handle: LogHandle,
    queue: LogQueue,
}

impl LogGuard {
    /// Through which the filter changes while the log runs.
    pub fn handle(&self) -> LogHandle {
        self.handle.clone()
    }

    /// The count of lines dropped.
    pub fn dropped(&self) -> Dropped {
        self.queue.dropped()
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.queue.flush();
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

/// Starts the process's log, on standard error; panics go there too.
///
/// # Errors
/// When the filter does not parse, or the process has a log already.
pub fn start(options: &LogOptions<'_>) -> Result<LogGuard, LogError> {
    let terminal = io::stderr().is_terminal();
    let (subscriber, guard) = build(options, terminal, io::stderr())?;
    // What libraries write with the crate `log` is not taken: it names the files they were built
    // from, as they are called on the machine that built them.
    set_global_default(subscriber).map_err(LogError::Second)?;
    panics::log_them();
    Ok(guard)
}

type Built = (Box<dyn Subscriber + Send + Sync>, LogGuard);

fn build(
    options: &LogOptions<'_>,
    terminal: bool,
    out: impl Write + Send + 'static,
) -> Result<Built, LogError> {
    let queue = LogQueue::start(options.queue_bytes_max, out).map_err(LogError::Thread)?;
    let (filter, handle) = reload::Layer::new(filter(options).map_err(LogError::Filter)?);
    let guard = LogGuard { handle: LogHandle(handle), queue: queue.clone() };
    let is_json = match options.format {
        LineFormat::Auto => !terminal,
        LineFormat::Text => false,
        LineFormat::Json => true,
    };
    let lines = fmt::layer().with_writer(queue);
    let lines = if is_json {
        let format = fmt::format().json().flatten_event(true).with_current_span(false);
        lines.fmt_fields(JsonFields::new()).event_format(WithPid::json(format)).boxed()
    } else {
        let format = fmt::format().with_ansi(terminal);
        lines.fmt_fields(TextFields).event_format(WithPid::text(format)).boxed()
    };
    Ok((Box::new(tracing_subscriber::registry().with(filter).with(lines)), guard))
}

/// Libraries that log what they also return: it is said once, by who has asked them.
const SILENT_LIBRARIES: [&str; 2] = ["hickory_net", "hickory_resolver"];

/// `access` is decided by its own key; a directive for it in the filter is overruled.
fn filter(options: &LogOptions<'_>) -> Result<EnvFilter, ParseError> {
    let mut filter = EnvFilter::try_new(options.filter)?;
    for library in SILENT_LIBRARIES.iter().filter(|name| !options.filter.contains(**name)) {
        filter = filter.add_directive(format!("{library}=off").parse()?);
    }
    let level = if options.access { "info" } else { "off" };
    Ok(filter.add_directive(format!("{ACCESS}={level}").parse()?))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::sync::{Arc, Mutex};

    use super::*;

    const OPTIONS: LogOptions<'_> = LogOptions {
        filter: "info",
        format: LineFormat::Auto,
        access: true,
        queue_bytes_max: 1 << 20,
    };

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
    fn every_line_says_which_process_wrote_it() {
        let pid = std::process::id();
        let log = |_: &LogGuard| {
            tracing::info!(target: ACCESS, uri = "/a,b\n,c", "open");
            tracing::info!("again");
        };
        for line in logged(&OPTIONS, false, log).lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(value["pid"], pid, "{line}");
            assert!(line.starts_with("{\"timestamp\":"), "{line}");
        }
        for terminal in [false, true] {
            let text = LogOptions { format: LineFormat::Text, ..OPTIONS };
            let lines = logged(&text, terminal, log);
            assert_eq!(lines.lines().count(), 2, "{lines}");
            assert!(lines.lines().all(|line| line.ends_with(&format!(" pid={pid}"))), "{lines}");
        }
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
    fn what_a_client_sends_stays_inside_its_field() {
        let target = "/a\" status=200\u{1b}[2J\u{202e}x\r\nnext";
        let log = |_: &LogGuard| {
            tracing::info!(target: ACCESS, uri = %target, host = target, "a \"quoted\" word");
        };
        let lines = logged(&LogOptions { format: LineFormat::Text, ..OPTIONS }, false, log);
        let escaped = r#"/a\" status=200\u{1b}[2J\u{202e}x\r\nnext"#;
        assert_eq!(lines.lines().count(), 1, "{lines}");
        assert!(lines.contains(&format!("uri={escaped} host=\"{escaped}\"")), "{lines}");
        assert!(lines.contains("a \"quoted\" word"), "{lines}");
    }

    #[test]
    fn a_log_that_is_not_read_drops_lines_by_their_bytes_and_counts_them() {
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
        let (release, stuck) = mpsc::channel::<()>();
        let options = LogOptions { queue_bytes_max: 16 << 10, ..OPTIONS };
        let (subscriber, guard) = build(&options, false, Stuck(stuck)).unwrap();
        let long = "x".repeat(5 << 10);
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..20 {
                tracing::info!(long, "line");
            }
        });
        // Three lines of more than 5 KiB fit, the one in the writer's hands included.
        assert_eq!(guard.dropped().lines(), 17);
        drop(release);
    }
}
