//! What there is to see of the names that certificates are ordered for.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// How one name stands. Times are seconds since 1970.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NameState {
    /// The name.
    pub name: Arc<str>,
    /// When its certificate expires; `None` where clients are shown the stand-in.
    pub not_after: Option<i64>,
    /// When the next order is due.
    pub due: i64,
    /// Orders that failed since one succeeded.
    pub failures: u32,
    /// What went wrong with the last one.
    pub error: Option<Arc<str>>,
    /// The process that orders for it, where that is another instance's, as its machine numbers it.
    pub ordered_by: Option<Arc<str>>,
}

/// How all names stand; written by who orders, read by everybody.
#[derive(Debug, Default)]
pub struct NameStates(pub(super) ArcSwap<Vec<NameState>>);

impl NameStates {
    /// All of them, by name.
    pub fn get(&self) -> Arc<Vec<NameState>> {
        self.0.load_full()
    }
}
