//! What came of a reload or of an upgrade: as a value, as text and as JSON.

mod changes;
mod reload;
mod upgrade;

pub use reload::{RefusedReload, ReloadRefused, ReloadRequest, Reloaded, Taken};
pub use upgrade::{NoUpgrade, UpgradeFailure, Upgraded};
