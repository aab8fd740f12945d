//! What the directory of state has of names, for who does not order: looks before a start.

use std::fs;
use std::io;
use std::sync::Arc;

use super::order_error::OrderError;
use super::ordering;
use super::schedule;
use super::state_dir::{self, StateDir};
use super::stored;
use super::wanted::AcmeWanted;
use crate::acme::states::NameState;
use crate::base::clock;
use crate::config::plan::Plan;
use crate::tls::IssuedCertificates;

/// How each name stands that the plan orders for, by what is kept of it. When it is renewed is said
/// without the authority's own window, which is not kept. Nothing is made or changed.
///
/// # Errors
/// The directory of state is there, and cannot be looked into.
pub fn stored_names(plan: &Plan) -> io::Result<Vec<NameState>> {
    let Some(AcmeWanted { acme, names, .. }) = AcmeWanted::of(plan) else {
        return Ok(Vec::new());
    };
    match fs::read_dir(&acme.state) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let state = StateDir::new(&acme.state, &acme.directory.url);
    names.iter().map(|name| stored_name(&state, name)).collect()
}

/// Shows what is kept of the names that the plan orders for, before anybody asks for it. What
/// cannot be read now is looked at again by who orders.
pub fn show_stored(plan: &Plan, issued: &IssuedCertificates) {
    let Some(AcmeWanted { acme, names, .. }) = AcmeWanted::of(plan) else { return };
    let state = StateDir::new(&acme.state, &acme.directory.url);
    for name in &names {
        let path = state.certificate(name);
        let Ok(text) = state_dir::read(&path) else { continue };
        let Ok(pem) = ordering::check(&text, name) else { continue };
        issued.set(name, stored::certificate(&path, pem));
    }
}

fn stored_name(state: &StateDir, name: &Arc<str>) -> io::Result<NameState> {
    let now = clock::since_1970().as_secs() as i64;
    let mut stands = NameState { name: Arc::clone(name), due: now, ..NameState::default() };
    let kept = match state_dir::read(&state.certificate(name)) {
        Ok(text) => Some(ordering::check(&text, name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        // It is none of text.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Some(Err(OrderError::Certificate(error.to_string())))
        }
        Err(error) => return Err(error),
    };
    match kept {
        Some(Ok(pem)) => {
            stands.not_after = Some(pem.validity.not_after);
            stands.due = schedule::renewal(pem.validity, None, 0.0);
        }
        Some(Err(error)) => stands.error = Some(error.to_string().into()),
        None => {}
    }
    if let Some(note) = state.noted_failure(name) {
        stands.due = stands.due.max(note.not_before);
        (stands.failures, stands.error) = (note.failures, Some(note.error.into()));
    }
    Ok(stands)
}
