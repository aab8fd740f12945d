//! Another end of the right to a session, as a caller asks for it.

use tokio::sync::mpsc;

use crate::base::clock::Moment;

/// Changes of a session's end that may wait for it; beyond them the oldest is dropped.
pub(super) const RENEWALS_MAX: usize = 16;

/// When the right to a session is to end, and where it is said what came of that: a right that has
/// an end is put off so far only as its rule lets it. A session that ends first says nothing.
#[derive(Clone, Debug)]
pub struct ExpiryRenewal {
    said: Moment,
    most: Moment,
    told: mpsc::Sender<Moment>,
}

impl ExpiryRenewal {
    /// To this moment; where that is later than before, to `most` at the latest.
    pub(super) fn new(said: Moment, most: Moment) -> (ExpiryRenewal, mpsc::Receiver<Moment>) {
        let (told, receiver) = mpsc::channel(1);
        (ExpiryRenewal { said, most, told }, receiver)
    }

    /// The moment that is asked for, and the latest.
    pub fn asked(&self) -> (Moment, Moment) {
        (self.said, self.most)
    }

    /// The right ends then; `NEVER` where it has no end.
    pub fn tell(self, expires: Moment) {
        // There is room for one; that nobody waits any longer is no fault.
        let _ = self.told.try_send(expires);
    }
}
