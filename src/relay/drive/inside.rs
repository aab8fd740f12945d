//! What tests see of a relay from inside.

use super::{Core, Leg, Relay, Side};

impl Relay {
    pub(in crate::relay) fn core_mut(&mut self) -> &mut Core {
        &mut self.core
    }

    pub(in crate::relay) fn leg(&self, side: Side) -> Option<&Leg> {
        self.legs[side as usize].as_ref()
    }
}
