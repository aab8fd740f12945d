//! Finds clients that do not take their answer: a window that stays shut holds a connection, and
//! what is behind it, for ever.

use std::cell::Cell;
use std::rc::Rc;
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio::time::sleep;

use crate::base::body::{Body, BoxError, Observed, Observer};
use crate::base::clock::{self, Moment};

/// How long a client may leave a piece of an answer untaken (or `keep_alive_timeout`, when that is
/// longer). A quiet stream with nothing to send does not count: there the client waits for us.
pub const TAKE_TIMEOUT: Duration = Duration::from_secs(60);

/// Since when the connection has had a piece and not asked for the next.
#[derive(Debug)]
pub(super) struct TakeProgress {
    untaken: Cell<Option<Moment>>,
    patience: Duration,
}

impl TakeProgress {
    /// The pace of a connection that may be idle so long.
    pub(super) fn new(keep_alive: Duration) -> Rc<TakeProgress> {
        Rc::new(TakeProgress { untaken: Cell::new(None), patience: keep_alive.max(TAKE_TIMEOUT) })
    }

    /// A request has come: its client has taken the answer before.
    pub(super) fn asked(&self) {
        self.untaken.set(None);
    }

    /// Waits until the client has left a piece untaken for too long.
    pub(super) async fn stalls(&self) {
        let mut wait = self.patience;
        loop {
            sleep(wait).await;
            let waited = self.untaken.get().map(|since| clock::now().since(since));
            wait = self.patience.saturating_sub(waited.unwrap_or_default());
            if wait.is_zero() {
                return;
            }
        }
    }
}

/// Goes along with an answer's body, and tells its pace.
pub(super) struct Paced(Rc<TakeProgress>);

impl Paced {
    /// The body, with its progress noted.
    pub(super) fn body(body: Body, pace: Rc<TakeProgress>) -> Observed<Body, Paced> {
        Observed::new(body, Paced(pace))
    }
}

impl Observer for Paced {
    fn on_poll(&mut self, _cx: &mut Context<'_>) {
        // Who asks for more has taken what there was.
        self.0.untaken.set(None);
    }

    fn on_frame(&mut self, _frame: Option<&mut Result<Frame<Bytes>, BoxError>>) {
        self.0.untaken.set(Some(clock::now()));
    }

    fn on_drop(&mut self, _is_complete: bool) {
        // The connection has the last piece. Once it is taken the connection is idle, and that
        // ends earlier than patience does.
        self.0.untaken.set(Some(clock::now()));
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::time::timeout;

    use super::*;
    use crate::base::body;

    fn pace(millis: u64) -> Rc<TakeProgress> {
        let patience = Duration::from_millis(millis);
        Rc::new(TakeProgress { untaken: Cell::new(None), patience })
    }

    #[tokio::test]
    async fn a_piece_that_is_left_untaken_is_a_stall() {
        let pace = pace(20);
        let mut paced = Paced::body(body::full("piece"), Rc::clone(&pace));
        paced.frame().await.unwrap().unwrap();
        timeout(Duration::from_secs(20), pace.stalls()).await.unwrap();
    }

    #[tokio::test]
    async fn a_stream_with_nothing_to_send_is_none() {
        let pace = pace(20);
        pace.asked();
        timeout(Duration::from_millis(100), pace.stalls()).await.unwrap_err();
    }
}
