//! What orders let others see: answers to an authority, and how names stand.

use std::sync::Arc;

use crate::acme::challenges::{Answers, Challenges};
use crate::acme::states::{NameState, NameStates};

impl Challenges {
    /// Changes the answers of orders that this process has under way.
    pub(super) fn change(&self, change: impl Fn(&mut Answers)) {
        self.own.rcu(|answers| {
            let mut next = Answers::clone(answers);
            change(&mut next);
            next
        });
    }

    /// Somebody orders from now on, and looks when [`Challenges::asked`] ends; or nobody does.
    pub(super) fn set_open(&self, is_open: bool) {
        self.looks.send_if_modified(|looks| {
            let was_open = looks.is_some();
            *looks = is_open.then(|| looks.unwrap_or_default());
            was_open != is_open
        });
        if !is_open {
            self.of_others.store(Arc::default());
        }
    }

    /// Whether other instances' answers are known, which end with their orders.
    pub(super) fn has_others(&self) -> bool {
        let others = self.of_others.load_full();
        !others.tokens.is_empty() || !others.acceptors.is_empty()
    }

    /// Waits until somebody asks for what is not known.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Begins a look.
    pub(super) fn begin_look(&self) {
        self.looks.send_modify(|looks| looks.iter_mut().for_each(|looks| looks.begun += 1));
    }

    /// Ends it: this is what other instances answer with.
    pub(super) fn end_look(&self, found: Answers) {
        self.of_others.store(Arc::new(found));
        self.looks.send_modify(|looks| looks.iter_mut().for_each(|looks| looks.ended += 1));
    }
}

impl NameStates {
    /// They stand so from now on.
    pub(super) fn set(&self, states: Vec<NameState>) {
        self.0.store(Arc::new(states));
    }
}
