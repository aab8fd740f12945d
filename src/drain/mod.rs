//! The drain engine: sessions close or move together, at one pace for the whole process.
//!
//! **In:** orders, from a reload, a stop, an upgrade, the operator, and from what is seen of the
//! pools here: backends that stay out, pools that are uneven. **Out:** orders to the registries of
//! all workers, and how far each has come. **Never here:** HTTP, a snapshot, the decision to reload
//! or to stop.
//!
//! Whoever gives a [`DrainOrder`], it is carried out in the same way: its sessions are spread over
//! a window and under a rate, it is followed until none is left, and it is seen, as log lines when
//! it begins, while it is in progress and when it has finished, as a gauge by reason, and as a row
//! of the status. What gives orders by the clock ([`Unhealthy`], [`Rebalances`]) is a value that is
//! asked with the moment.

mod engine;
mod order;
mod progress;
mod rebalance;
mod spread;
mod unhealthy;

pub use engine::Drains;
pub use order::{Begun, DrainOrder};
pub use progress::Progress;
pub use rebalance::Rebalances;
pub use spread::Pace;
pub use unhealthy::Unhealthy;

/// How often backends that stay out and pools that are uneven are looked for.
pub const LOOK_INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);
