//! Configurations are read on a thread of their own: a FIFO without a writer, or a mount that does
//! not answer, holds up that thread and nothing else.

use std::future::Future;
use std::sync::{Arc, Mutex, TryLockError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::options::{ConfigSource, RefusedSource};
use crate::config::plan::Plan;

/// How long the reading of a configuration, with all files it names, may take. What is read later
/// is thrown away.
pub const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// What came of reading: the plan and its warnings as text.
pub(super) type ReadConfig = Result<(Arc<Plan>, String), RefusedSource>;

/// Reads one configuration after the other.
pub(super) struct ConfigReader {
    source: ConfigSource,
    timeout: Duration,
    /// Held by the thread that reads: there is one at most, however often one blocks.
    reading: Arc<Mutex<()>>,
}

impl ConfigReader {
    pub(super) fn new(source: ConfigSource) -> ConfigReader {
        ConfigReader { source, timeout: READ_TIMEOUT, reading: Arc::default() }
    }

    /// Where configurations come from.
    pub(super) fn source(&self) -> &ConfigSource {
        &self.source
    }

    /// Reads it; refused where that takes longer than [`READ_TIMEOUT`], or where an earlier reading
    /// still does.
    pub(super) fn read(&self) -> impl Future<Output = ReadConfig> + use<> {
        let (done, read) = oneshot::channel();
        let (source, reading) = (self.source.clone(), Arc::clone(&self.reading));
        let work = move || {
            let held = match reading.try_lock() {
                Err(TryLockError::WouldBlock) => return,
                // It guards nothing but the number of threads.
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Ok(held) => held,
            };
            let loaded = source.load();
            // Before the answer: who has it may ask again.
            drop(held);
            // Who asked may have given up.
            let _ = done.send(loaded);
        };
        let started = thread::Builder::new().name("config".to_owned()).spawn(work);
        let limit = self.timeout;
        async move {
            let refused = |report: String| RefusedSource { report, files: Vec::new() };
            started
                .map_err(|error| refused(format!("error: no thread to read with: {error}\n")))?;
            match timeout(limit, read).await {
                Ok(Ok(loaded)) => loaded,
                Ok(Err(_)) => Err(refused(blocked("an earlier reading has not ended"))),
                Err(_) => Err(refused(blocked(&format!("not read within {limit:?}")))),
            }
        }
    }
}

fn blocked(what: &str) -> String {
    format!(
        "error: the configuration cannot be read: {what}\n  = help: one of the files that it names \
         is a FIFO that nobody writes, or on a mount that does not answer\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    use crate::live::tests::plan::plan;

    #[tokio::test]
    async fn a_reading_that_blocks_is_given_up_and_the_next_one_waits_for_no_other_thread() {
        let (release, blocked) = mpsc::channel::<()>();
        let source = ConfigSource::made(move || {
            let _ = blocked.recv();
            Ok(Arc::new(plan(&[], &[])))
        });
        let timeout = Duration::from_millis(100);
        let reader = ConfigReader { timeout, ..ConfigReader::new(source) };
        let refused = reader.read().await.err().unwrap();
        assert!(refused.report.contains("not read within 100ms"), "{}", refused.report);
        let refused = reader.read().await.err().unwrap();
        assert!(refused.report.contains("an earlier reading"), "{}", refused.report);
        drop(release);
        // The thread ends, and another may read.
        while reader.read().await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
