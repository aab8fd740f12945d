//! The live sessions of a worker: mailboxes and deadlines.
//!
//! **In:** a session's facts; notes from above. **Out:** a seat, through which a session hears
//! notes and its deadline. **Never here:** a session's bytes; a lock, channel or timer per session.
//!
//! Each worker has one slab of its own, which no other thread ever sees. Who wants something of
//! the sessions sends one job to every worker; it runs the functions of this module there, which
//! sweep the slab once and leave notes. Deadlines are kept by one coarse wheel per worker,
//! and what is nearer than its tick by a queue beside it.

mod delivery;
mod drain;
mod events;
mod everywhere;
mod facts;
mod fine_timers;
mod label_index;
mod leaving;
mod local;
mod locations;
mod lookup;
mod note;
mod overslept;
mod push;
mod push_budget;
mod push_order;
mod renewal;
mod reports;
mod schedule;
mod seat;
mod subset;
mod sweeps;
mod tap;
mod taps;
mod targets;
mod token_index;
mod traffic;
mod wheel;
mod withdrawal;

pub use delivery::{Delivery, PushReceipt};
pub use drain::{Disposition, Drain, Share};
pub use events::{EVENT_READERS_MAX, EventBatch, SessionChange, SessionEvent, SessionEvents};
pub use everywhere::{Count, LiveSessions};
pub use facts::{Facts, Location, NOBODY, Pushable, Seen, Selector};
pub use leaving::DrainCount;
pub use local::{Full, SESSIONS_MAX};
pub use locations::LocationCount;
pub use note::{DueReport, EndOrder, MoveOrder, Names, Note, RuleChanges};
pub use push::{PushLevel, PushMessage, PushOutcome};
pub use push_budget::{PushBudget, PushRoom};
pub use push_order::{PushCount, PushOrder};
pub use renewal::ExpiryRenewal;
pub use reports::{Activity, BusiestBy, reported};
pub use schedule::{Schedule, Stretch};
pub use seat::{
    ExpectedSession, Seat, announce, ask_traffic, count, drain, drained, enter, facts,
    forget_drain, keep_pace, list, live, rename_listeners, revoke, set_expiry, tell, update_rules,
    withdraw,
};
pub use subset::{Subset, SubsetOrder};
pub use tap::{FrameParty, TapFrame, TapLink, TapOrder, TapReading, TapTicket};
pub use taps::TapsFull;
pub use traffic::{SessionTraffic, SideTraffic, TrafficReport};
pub use wheel::TICK;
pub use withdrawal::Withdrawal;

#[cfg(test)]
pub(crate) mod tests;
