//! Finds clients that do not take their answer: a window that stays shut holds a connection, and
//! what is behind it, for ever.

use std::cell::Cell;
use std::rc::Rc;
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio::time::sleep;

use super::rate::RateMeter;
use crate::base::body::{Body, BoxError, Observed, Observer};
use crate::base::clock::{self, Moment};
use crate::config::plan::ListenerLimits;
use crate::session::AnswerCut;

/// How long a client may leave a piece of an answer untaken (or `keep_alive_timeout`, when that is
/// longer). A quiet stream with nothing to send does not count: there the client waits for us.
pub const TAKE_TIMEOUT: Duration = Duration::from_secs(60);

/// How an HTTP/1.1 connection's answers are taken.
pub(super) struct TakeProgress {
    /// Since when the connection has had a piece and not asked for the next, and its bytes.
    untaken: Cell<Option<(Moment, usize)>>,
    patience: Duration,
    rate_min: Option<u64>,
    meter: Cell<RateMeter>,
}

impl TakeProgress {
    /// Of a connection within these limits.
    pub(super) fn new(limits: &ListenerLimits) -> Rc<TakeProgress> {
        let patience = limits.keep_alive_timeout.max(TAKE_TIMEOUT);
        Rc::new(TakeProgress::of(patience, limits.answer_rate_min))
    }

    fn of(patience: Duration, rate_min: Option<u64>) -> TakeProgress {
        let meter = Cell::new(RateMeter::new(rate_min));
        TakeProgress { untaken: Cell::new(None), patience, rate_min, meter }
    }

    /// A request has come: its client has taken the answer before.
    pub(super) fn asked(&self) {
        self.untaken.set(None);
        self.meter.set(RateMeter::new(self.rate_min));
    }

    /// The connection has taken the piece it had.
    fn taken(&self) {
        if let Some((since, bytes)) = self.untaken.take() {
            let mut meter = self.meter.get();
            meter.moved(bytes, clock::now().since(since));
            self.meter.set(meter);
        }
    }

    /// How long the client may take for the piece it has.
    fn patience(&self) -> Duration {
        self.patience.min(self.meter.get().left())
    }

    /// Waits until the client has left a piece untaken for too long, or is too slow altogether;
    /// which.
    pub(super) async fn stalls(&self) -> AnswerCut {
        let mut wait = self.patience();
        loop {
            sleep(wait).await;
            let waited = self.untaken.get().map(|(since, _)| clock::now().since(since));
            wait = match waited {
                Some(waited) => self.patience().saturating_sub(waited),
                None => self.patience(),
            };
            if wait.is_zero() && waited.is_some() {
                return self.meter.get().verdict(self.patience);
            }
            // A meter that is used up by pieces that were taken late ends with the next piece.
            wait = wait.max(LOOK_INTERVAL);
        }
    }
}

/// How often at most it is looked whether a client is too slow.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Goes along with an answer's body, and notes its progress.
pub(super) struct Paced(Rc<TakeProgress>);

impl Paced {
    /// The body, with its progress noted.
    pub(super) fn body(body: Body, progress: Rc<TakeProgress>) -> Observed<Body, Paced> {
        Observed::new(body, Paced(progress))
    }
}

impl Observer for Paced {
    fn on_poll(&mut self, _cx: &mut Context<'_>) {
        // A connection that asks for more has taken what there was.
        self.0.taken();
    }

    fn on_frame(&mut self, frame: Option<&mut Result<Frame<Bytes>, BoxError>>) {
        let bytes = match frame {
            Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
            Some(Err(_)) | None => 0,
        };
        self.0.untaken.set(Some((clock::now(), bytes)));
    }

    fn on_drop(&mut self, _is_complete: bool) {
        // The connection has the last piece. Once it is taken the connection is idle, and that
        // ends earlier than patience does.
        self.0.untaken.set(Some((clock::now(), 0)));
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::time::timeout;

    use super::*;
    use crate::base::body;

    fn pace(millis: u64) -> Rc<TakeProgress> {
        Rc::new(TakeProgress::of(Duration::from_millis(millis), None))
    }

    #[tokio::test]
    async fn a_piece_that_is_left_untaken_is_a_stall() {
        let pace = pace(20);
        let mut paced = Paced::body(body::full("piece"), Rc::clone(&pace));
        paced.frame().await.unwrap().unwrap();
        let cut = timeout(Duration::from_secs(20), pace.stalls()).await.unwrap();
        assert_eq!(cut, AnswerCut::Untaken);
    }

    #[tokio::test]
    async fn a_stream_with_nothing_to_send_is_none() {
        let pace = pace(20);
        pace.asked();
        timeout(Duration::from_millis(100), pace.stalls()).await.unwrap_err();
    }
}
