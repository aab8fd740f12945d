//! Configurations are read on a thread of their own: a FIFO without a writer, or a mount that does
//! not answer, holds up that thread and nothing else.

use std::future::Future;
use std::sync::{Arc, Mutex, TryLockError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::options::{ConfigSource, ReadConfig, RefusedSource};
use crate::admin::{ReloadRefused, ReloadRequest};
use crate::report::Diagnostic;
use crate::tls::{DevelopmentAuthority, Keeping};

/// How long the reading of a configuration, with all files it names, may take. What is read later
/// is thrown away.
pub const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads one configuration after the other.
pub(super) struct ConfigReader {
    source: ConfigSource,
    development: Arc<DevelopmentAuthority>,
    timeout: Duration,
    /// Held by the thread that reads: there is one at most, however often one blocks.
    reading: Arc<Mutex<()>>,
}

impl ConfigReader {
    pub(super) fn new(
        source: ConfigSource,
        development: Arc<DevelopmentAuthority>,
    ) -> ConfigReader {
        ConfigReader { source, development, timeout: READ_TIMEOUT, reading: Arc::default() }
    }

    /// Where configurations come from.
    pub(super) fn source(&self) -> &ConfigSource {
        &self.source
    }

    /// Reads what the request asks for; refused where that takes longer than [`READ_TIMEOUT`], or
    /// where an earlier reading still does.
    pub(super) fn read(&self, request: &ReloadRequest) -> impl Future<Output = ReadConfig> + use<> {
        let (done, read) = oneshot::channel();
        let (source, reading) = (self.source.clone(), Arc::clone(&self.reading));
        let (request, development) = (request.clone(), Arc::clone(&self.development));
        let work = move || {
            let held = match reading.try_lock() {
                Err(TryLockError::WouldBlock) => return,
                // It guards nothing but the number of threads.
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Ok(held) => held,
            };
            let loaded = load(&source, &development, &request);
            // Before the answer: who has it may ask again.
            drop(held);
            // Who asked may have given up.
            let _ = done.send(loaded);
        };
        let started = thread::Builder::new().name("config".to_owned()).spawn(work);
        let limit = self.timeout;
        async move {
            let no_thread = |error| format!("there is no thread to read with: {error}");
            started
                .map_err(|error| RefusedSource::of(Diagnostic::error("file", no_thread(error))))?;
            match timeout(limit, read).await {
                Ok(Ok(loaded)) => loaded,
                Ok(Err(_)) => Err(blocked("an earlier reading has not ended")),
                Err(_) => Err(blocked(&format!("not read within {limit:?}"))),
            }
        }
    }
}

/// Reads the source, or for a dry run the file that it names; a reload that names another file than
/// the source's is refused.
fn load(
    source: &ConfigSource,
    development: &DevelopmentAuthority,
    request: &ReloadRequest,
) -> ReadConfig {
    let keeping = if request.dry_run { Keeping::Discarded } else { Keeping::Kept };
    match &request.config {
        Some(named) if source.is_file(named) => source.load(development, keeping),
        Some(named) if request.dry_run => {
            ConfigSource::File(source.alike(named)).load(development, keeping).map_err(with_hint)
        }
        Some(named) => {
            let (own, named) = (source.to_string(), named.clone());
            Err(RefusedSource { why: ReloadRefused::OtherFile { own, named }, files: Vec::new() })
        }
        None => source.load(development, keeping),
    }
}

/// Who names a file may see another one there than the process does.
fn with_hint(mut refused: RefusedSource) -> RefusedSource {
    if let ReloadRefused::Config(findings) = &mut refused.why
        && let [only] = &mut findings.report.findings[..]
        && only.span.is_none()
        && only.code == "file"
    {
        let hint = "the running process reads it, as its own user, and with a `/tmp` of its own \
                    where its service has `PrivateTmp`";
        only.hint = Some(hint.to_owned());
    }
    refused
}

fn blocked(what: &str) -> RefusedSource {
    let hint = "one of the files that it names is a FIFO that nobody writes, or on a mount that \
                does not answer";
    let said = format!("the configuration cannot be read: {what}");
    RefusedSource::of(Diagnostic::error("file", said).hint(hint.to_owned()))
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
        let reader = ConfigReader { timeout, ..ConfigReader::new(source, Arc::default()) };
        let refused = reader.read(&ReloadRequest::default()).await.err().unwrap();
        assert!(refused.why.to_string().contains("not read within 100ms"), "{}", refused.why);
        let refused = reader.read(&ReloadRequest::default()).await.err().unwrap();
        assert!(refused.why.to_string().contains("an earlier reading"), "{}", refused.why);
        drop(release);
        // The thread ends, and another may read.
        while reader.read(&ReloadRequest::default()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
