//! Workers: one thread and one single-threaded runtime per core. What is made on a worker stays
//! there; the only way in from outside is a bounded queue of jobs.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use super::task::TaskCount;

/// Jobs that may wait in front of one worker before [`Queues::try_run_on`] refuses.
pub const JOBS_WAITING_MAX: usize = 1024;

type Job = Box<dyn FnOnce() + Send>;

thread_local! {
    static INDEX: Cell<Option<u8>> = const { Cell::new(None) };
    static IS_ENDING: Cell<bool> = const { Cell::new(false) };
}

/// The index of the worker this thread is, or `None` on any other thread.
pub fn index() -> Option<u8> {
    INDEX.get()
}

/// Whether this thread is a worker that has ended: what is dropped now was at work.
pub fn is_ending() -> bool {
    IS_ENDING.get()
}

struct Worker {
    jobs: mpsc::Sender<Job>,
    tasks: Arc<TaskCount>,
    thread: Option<JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
}

/// A job could not be queued: the worker's queue is full, or it has stopped.
#[derive(Debug, PartialEq, Eq)]
pub struct JobRefused;

/// A cheap handle to every worker's queue; it does not keep the workers alive.
#[derive(Clone)]
pub struct Queues(Arc<[mpsc::Sender<Job>]>);

impl Queues {
    /// Number of workers.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never true: there is at least one worker.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Queues `job` on worker `index`, to run inside its runtime, where it may spawn tasks.
    ///
    /// # Errors
    /// [`JobRefused`] when [`JOBS_WAITING_MAX`] jobs wait already or the worker has stopped.
    pub fn try_run_on(
        &self,
        index: usize,
        job: impl FnOnce() + Send + 'static,
    ) -> Result<(), JobRefused> {
        self.0[index].try_send(Box::new(job)).map_err(|_| JobRefused)
    }

    /// Runs `ask` on worker `index` and waits for the answer; none when the worker has stopped.
    pub async fn ask<T: Send + 'static>(
        &self,
        index: usize,
        ask: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move || drop(answer.send(ask())));
        self.0.get(index)?.send(job).await.ok()?;
        answered.await.ok()
    }

    /// Runs `ask` on every worker and waits for the answers, in the workers' order. A worker that
    /// has stopped gives none.
    pub async fn ask_all<T: Send + 'static>(
        &self,
        ask: impl Fn(usize) -> T + Clone + Send + 'static,
    ) -> Vec<T> {
        let mut waiting = Vec::with_capacity(self.0.len());
        for (index, jobs) in self.0.iter().enumerate() {
            let (answer, answered) = oneshot::channel();
            let ask = ask.clone();
            let job: Job = Box::new(move || drop(answer.send(ask(index))));
            if jobs.send(job).await.is_ok() {
                waiting.push(answered);
            }
        }
        let mut answers = Vec::with_capacity(waiting.len());
        for answered in waiting {
            answers.extend(answered.await);
        }
        answers
    }
}

/// The worker threads. Dropping them drops every task, then joins the threads.
pub struct Workers {
    workers: Vec<Worker>,
    queues: Queues,
}

impl Workers {
    /// Most workers one process can have: a session id has eight bits for its worker.
    pub const COUNT_MAX: usize = 256;

    /// Starts `count` workers (1 to [`Workers::COUNT_MAX`]).
    ///
    /// # Errors
    /// The system's, when a thread or its runtime cannot be made.
    pub fn start(count: usize) -> io::Result<Workers> {
        let count = count.clamp(1, Self::COUNT_MAX);
        let workers = (0..count).map(|i| Worker::start(i as u8)).collect::<io::Result<Vec<_>>>()?;
        let queues = Queues(workers.iter().map(|worker| worker.jobs.clone()).collect());
        Ok(Workers { workers, queues })
    }

    /// Handles to the queues.
    pub fn queues(&self) -> &Queues {
        &self.queues
    }

    /// Live tasks on all workers.
    pub fn tasks(&self) -> usize {
        self.workers.iter().map(|worker| worker.tasks.get()).sum()
    }
}

impl Worker {
    fn start(index: u8) -> io::Result<Worker> {
        let (jobs, mut waiting) = mpsc::channel::<Job>(JOBS_WAITING_MAX);
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let tasks = Arc::new(TaskCount::default());
        let counted = Arc::clone(&tasks);
        let run = move || {
            INDEX.set(Some(index));
            counted.count_here();
            // A LocalRuntime cannot leave its thread, so it is built here and the outcome reported.
            let built = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build_local(Default::default());
            let runtime = match built {
                Ok(runtime) => runtime,
                Err(error) => return drop(ready.send(Err(error))),
            };
            drop(ready.send(Ok(())));
            runtime.block_on(async move {
                tokio::select! {
                    _ = stopped => {}
                    () = async { while let Some(job) = waiting.recv().await { job() } } => {}
                }
            });
            IS_ENDING.set(true);
            // A call that blocks (a FIFO opened, a name looked up) may never return.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(run)?;
        is_ready.recv().map_err(|_| io::Error::other("a worker died at its start"))??;
        Ok(Worker { jobs, tasks, thread: Some(thread), stop: Some(stop) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A worker that panicked has already printed its panic.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn jobs_run_on_the_worker_they_were_given_to() {
        let workers = Workers::start(2).unwrap();
        let seen = workers.queues().ask_all(|asked| (asked, index())).await;
        assert_eq!(seen, [(0, Some(0)), (1, Some(1))]);
        assert_eq!(index(), None);
    }

    #[tokio::test]
    async fn tasks_are_counted_until_they_end() {
        let workers = Workers::start(1).unwrap();
        let (end, ended) = oneshot::channel::<()>();
        let slot = std::sync::Mutex::new(Some(ended));
        let job = move || {
            let ended = slot.lock().unwrap().take().unwrap();
            super::super::task::spawn("test", async move { drop(ended.await) });
        };
        workers.queues().try_run_on(0, job).unwrap();
        workers.queues().ask_all(|_| ()).await;
        assert_eq!(workers.tasks(), 1);
        drop(end);
        while workers.tasks() != 0 {
            tokio::task::yield_now().await;
        }
    }
}
