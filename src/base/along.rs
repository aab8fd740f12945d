//! A connection that is driven for as long as one answer takes.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Awaits `answer`, moving the bytes of its `connection` meanwhile. Both end with it, whichever way
/// it ends: no task is left.
pub async fn along<T>(connection: impl Future, answer: impl Future<Output = T>) -> T {
    let (mut connection, mut answer) = (pin!(connection), pin!(answer));
    let mut is_open = true;
    poll_fn(|cx| {
        if is_open && connection.as_mut().poll(cx).is_ready() {
            is_open = false;
        }
        match answer.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(answer),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
