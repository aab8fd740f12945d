//! The places that a session has of its route's limits.

use crate::base::id::SessionId;
use crate::base::task;
use crate::limit::{SessionPlace, SharedAllowance};
use crate::registry::LiveSessions;

/// The places of a session, or of one to come.
pub(super) struct HeldPlaces {
    places: Vec<SessionPlace>,
    /// What its client may send with others.
    messages: Option<SharedAllowance>,
    sessions: LiveSessions,
}

impl HeldPlaces {
    /// These; `None` where there are none and nothing is shared.
    pub(super) fn of(
        places: Vec<SessionPlace>,
        messages: Option<SharedAllowance>,
        sessions: &LiveSessions,
    ) -> Option<Box<HeldPlaces>> {
        let has_some = !places.is_empty() || messages.is_some();
        has_some.then(|| Box::new(HeldPlaces { places, messages, sessions: sessions.clone() }))
    }

    /// What the session's client may send with others of its key.
    pub(super) fn take_messages(&mut self) -> Option<SharedAllowance> {
        self.messages.take()
    }

    /// The session has begun; those whose places it got end.
    pub(super) fn seated(&self, session: SessionId) {
        for oldest in self.places.iter().filter_map(|place| place.seated(session)) {
            let sessions = self.sessions.clone();
            task::spawn("excess", async move { sessions.kick(oldest).await });
        }
    }
}
