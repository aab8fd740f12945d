//! Waiting for several things at once.

use std::future::{Future, poll_fn};
use std::task::Poll;

/// Waits for all of them on this task; what they give is in their order.
pub async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let started = futures.into_iter().map(|future| (Box::pin(future), None));
    let mut all: Vec<_> = started.collect();
    poll_fn(|cx| {
        for (future, output) in all.iter_mut().filter(|(_, output)| output.is_none()) {
            if let Poll::Ready(ready) = future.as_mut().poll(cx) {
                *output = Some(ready);
            }
        }
        match all.iter().all(|(_, output)| output.is_some()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    all.into_iter().filter_map(|(_, output)| output).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn all_are_waited_for_and_none_waits_for_another() {
        let (first, waits_for_second) = oneshot::channel();
        let (second, waits_for_nothing) = oneshot::channel();
        second.send("second").unwrap();
        let steps = [waits_for_second, waits_for_nothing].map(|step| async { step.await.unwrap() });
        let mut first = Some(first);
        let steps = steps.into_iter().enumerate().map(|(at, step)| {
            let first = (at == 1).then(|| first.take()).flatten();
            async move {
                let said = step.await;
                first.into_iter().for_each(|first| first.send("first").unwrap());
                said
            }
        });
        assert_eq!(join_all(steps).await, ["first", "second"]);
        assert!(join_all(Vec::<std::future::Ready<()>>::new()).await.is_empty());
    }
}
