//! Tasks on a worker: every one is named and counted, so that "nothing is left" can be asked.

use std::cell::RefCell;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

/// How many tasks are alive on a worker; written by that worker only, read by anyone.
#[derive(Debug, Default)]
pub struct TaskCount(AtomicUsize);

impl TaskCount {
    /// The number of live tasks.
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

thread_local! {
    static HERE: RefCell<Arc<TaskCount>> = RefCell::default();
}

impl TaskCount {
    /// Has tasks that are started on this thread counted here; until then they are counted where
    /// nothing reads it.
    pub(super) fn count_here(self: &Arc<TaskCount>) {
        HERE.set(Arc::clone(self));
    }
}

/// Counts one task from its start to its drop, however it ends. It takes no room: a task is dropped
/// on the worker that started it.
struct Counted(PhantomData<*const ()>);

impl Counted {
    fn new() -> Counted {
        HERE.with_borrow(|count| count.0.fetch_add(1, Ordering::Relaxed));
        Counted(PhantomData)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // A thread that ends has nobody left who would read the count.
        let _ = HERE.try_with(|count| count.borrow().0.fetch_sub(1, Ordering::Relaxed));
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
    tracing::trace!(task = name, "task starts");
    // The handle is dropped: a task ends by itself or with its worker.
    drop(tokio::task::spawn_local(Task { future, _counted: Counted::new() }));
}

/// Starts a large task: its future is made on the heap and stays there. One that is spawned as it
/// is would be copied on its way into its task, and twice more when the task has ended.
pub fn spawn_boxed<F>(name: &'static str, future: F)
where
    F: Future<Output = ()> + 'static,
{
    spawn(name, Box::pin(future));
}

/// A future and its count. An `async` block around the future would take its memory twice: once as
/// captured, once as awaited.
struct Task<F> {
    future: F,
    _counted: Counted,
}

impl<F: Future<Output = ()>> Future for Task<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: `future` is pinned with its task: it is never moved out, `Task` has no `Drop` of
        // its own, and it is `Unpin` only where `F` is.
        unsafe { self.map_unchecked_mut(|task| &mut task.future) }.poll(cx)
    }
}

/// Starts a boxed future as it is: what a hot task's size assertion measured is what is allocated.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_costs_its_future() {
        let future = async {
            let held = std::hint::black_box([0u8; 400]);
            std::future::pending::<()>().await;
            std::hint::black_box(&held);
        };
        let size = size_of_val(&future);
        let task = Task { future, _counted: Counted::new() };
        assert_eq!(size_of_val(&task), size);
    }
}
