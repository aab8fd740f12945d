//! How fast a client must send its bodies and take its answers: a byte every other minute holds a
//! backend for ever.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::{Sleep, sleep};

use crate::base::body::{Body, BoxError, TooSlow};
use crate::base::clock::{self, Moment};
use crate::session::AnswerCut;

/// Time that a client may be waited for in one body before its rate counts.
pub const RATE_GRACE: Duration = Duration::from_secs(60);

/// The bytes of one body, and how long they were waited for. Only that counts: a client that waits
/// for us is not slow.
#[derive(Clone, Copy, Debug)]
pub(super) struct RateMeter {
    /// Bytes per second; 0 is no limit.
    min: u64,
    grace: Duration,
    bytes: u64,
    awaited: Duration,
}

impl RateMeter {
    /// A meter for a body that has so many bytes per second at least.
    pub(super) fn new(min: Option<u64>) -> RateMeter {
        RateMeter { min: min.unwrap_or(0), grace: RATE_GRACE, bytes: 0, awaited: Duration::ZERO }
    }

    /// So many bytes moved after the client was waited for.
    pub(super) fn moved(&mut self, bytes: usize, after: Duration) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        self.awaited += after;
    }

    /// How long the client may be waited for until more must have moved.
    pub(super) fn left(&self) -> Duration {
        match self.bytes.checked_div(self.min) {
            Some(seconds) => {
                self.grace.max(Duration::from_secs(seconds)).saturating_sub(self.awaited)
            }
            None => Duration::MAX,
        }
    }
}

impl RateMeter {
    /// Why an answer is cut whose client was waited for as long as this meter and `patience` allow.
    pub(super) fn verdict(&self, patience: Duration) -> AnswerCut {
        if self.left() < patience { AnswerCut::TooSlow } else { AnswerCut::Untaken }
    }
}

/// A request's body that ends with [`TooSlow`] when its bytes come more slowly than they must.
pub(super) fn rated(body: Body, min: Option<u64>) -> Body {
    match min {
        Some(_) if !body.is_end_stream() => {
            Rated { body, meter: RateMeter::new(min), since: None, timer: None }.boxed_unsync()
        }
        _ => body,
    }
}

struct Rated {
    body: Body,
    meter: RateMeter,
    /// Since when the client is waited for.
    since: Option<Moment>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl HttpBody for Rated {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            let after = this.since.take().map(|since| clock::now().since(since));
            let bytes = match &frame {
                Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
                Some(Err(_)) | None => 0,
            };
            this.meter.moved(bytes, after.unwrap_or_default());
            this.timer = None;
            return Poll::Ready(frame);
        }
        this.since.get_or_insert_with(clock::now);
        let meter = &this.meter;
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(meter.left())));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Some(Err(TooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::StreamBody;

    use super::*;

    #[test]
    fn a_rate_counts_after_its_grace_and_by_the_time_the_client_was_waited_for() {
        let mut meter = RateMeter::new(Some(100));
        assert_eq!(meter.left(), RATE_GRACE);
        meter.moved(1, RATE_GRACE / 2);
        assert_eq!(meter.left(), RATE_GRACE / 2);
        // 20,000 bytes are 200 seconds' worth.
        meter.moved(20_000, RATE_GRACE);
        assert_eq!(meter.left(), Duration::from_secs(200) - RATE_GRACE / 2 * 3);
        meter.moved(0, Duration::from_secs(1000));
        assert_eq!(meter.left(), Duration::ZERO);
        assert_eq!(RateMeter::new(None).left(), Duration::MAX);
    }

    /// A body of pieces that come one after the other, at a hundred bytes per second at least.
    fn dripping(piece: &'static [u8]) -> Rated {
        let frames = futures_util::stream::unfold(0, move |number| async move {
            sleep(Duration::from_millis(20)).await;
            (number < 20).then(|| (Ok(Frame::data(Bytes::from_static(piece))), number + 1))
        });
        let meter = RateMeter { grace: Duration::from_millis(100), ..RateMeter::new(Some(100)) };
        let body = StreamBody::new(frames).boxed_unsync();
        Rated { body, meter, since: None, timer: None }
    }

    #[tokio::test]
    async fn a_body_that_drips_ends_as_too_slow_and_an_even_one_does_not() {
        assert!(dripping(b"x").collect().await.unwrap_err().is::<TooSlow>());
        let whole = dripping(&[0; 4000]).collect().await.unwrap();
        assert_eq!(whole.to_bytes().len(), 20 * 4000);
    }
}
