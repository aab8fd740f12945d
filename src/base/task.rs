//! Tasks on a worker: every one is named and counted, so that "nothing is left" can be asked.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::worker;

/// How many tasks are alive on a worker; written by that worker only, read by anyone.
#[derive(Debug, Default)]
pub struct TaskCount(AtomicUsize);

impl TaskCount {
    /// The number of live tasks.
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts one task from its start to its drop, however it ends.
struct Counted(Arc<TaskCount>);

impl Counted {
    fn new(count: Arc<TaskCount>) -> Counted {
        count.0.fetch_add(1, Ordering::Relaxed);
        Counted(count)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Starts a task on the worker this is called on; `name` appears in the tracing of a debug build.
///
/// The future need not be `Send`: it stays on its worker until it ends.
#[allow(clippy::disallowed_methods)]
pub fn spawn<F>(name: &'static str, future: F)
where
    F: Future<Output = ()> + 'static,
{
    let counted = Counted::new(worker::task_count());
    tracing::trace!(task = name, "task starts");
    // The handle is dropped: a task ends by itself or with its worker.
    drop(tokio::task::spawn_local(async move {
        let _counted = counted;
        future.await;
    }));
}

/// Starts a boxed future as it is: what a hot task's size assertion measured is what is allocated,
/// but for the eight bytes of the count.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tracked;

impl<F> hyper::rt::Executor<F> for Tracked
where
    F: Future + 'static,
{
    fn execute(&self, future: F) {
        spawn("http", async move {
            future.await;
        });
    }
}

/// A boxed future that stays on its worker.
pub type LocalBox<T> = Pin<Box<dyn Future<Output = T>>>;
