//! What an order needs.

use std::sync::Arc;

use super::ca_client::CaClient;
use super::challenge_kind::ChallengeKind;
use super::state_dir::StateDir;
use crate::acme::challenges::Challenges;
use crate::config::plan::Acme;

/// What an order needs.
pub(super) struct OrderContext<'a> {
    pub(super) acme: &'a Acme,
    pub(super) client: &'a CaClient,
    pub(super) state: &'a StateDir,
    pub(super) challenges: &'a Arc<Challenges>,
    /// The ways to show that the name is ours, the first to be tried first.
    pub(super) kinds: &'a [ChallengeKind],
    /// The leaf of the certificate that is replaced.
    pub(super) replaces: Option<&'a [u8]>,
}
