//! What is in the directory of state and is shown: certificates, and other instances' answers.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::challenge_answer::unhex;
use super::name_record::{NameRecord, ShownCertificate};
use super::order_error::OrderError;
use super::order_task::OrderShared;
use super::ordering;
use super::state_dir::{self, ChallengeFor, StateDir};
use crate::acme::challenges::Answers;
use crate::base::clock;
use crate::config::plan::Certificate;
use crate::tls::Acceptor;
use crate::wire::pem::Pem;

/// Answers of a dead instance are removed when they are so old.
const CHALLENGE_AGE_MAX: Duration = Duration::from_secs(60 * 60);

/// Loads a name's certificate where its file has changed, and writes one that could not be.
pub(super) fn load(shared: &OrderShared, name: &Arc<str>, record: &mut NameRecord) {
    let path = shared.state.certificate(name);
    let unsaved = record.shown.as_ref().and_then(|shown| shown.unsaved.clone());
    if let Some(text) = unsaved {
        if state_dir::write(&path, &text).is_err() {
            return;
        }
        tracing::info!(certificate = %name, "certificate is written at last");
        record.shown.iter_mut().for_each(|shown| shown.unsaved = None);
        record.version = state_dir::version(&path).ok().flatten();
    }
    // What cannot be looked at now is as it was.
    let Ok(version) = state_dir::version(&path) else { return };
    if version == record.version {
        return;
    }
    record.version = version;
    let Some(_) = version else { return };
    let read = state_dir::read(&path).map_err(OrderError::State);
    match read.and_then(|text| ordering::check(&text, name)) {
        Ok(pem) => {
            record.show(show(shared, name, &path, pem, None));
            tracing::info!(certificate = %name, "certificate loaded");
        }
        Err(error) => {
            let file = path.display();
            tracing::warn!(certificate = %name, %file, %error, "stored certificate is of no use");
        }
    }
}

/// Shows a certificate from the next handshake on; `unsaved` is what could not be written of it.
pub(super) fn show(
    shared: &OrderShared,
    name: &Arc<str>,
    path: &Path,
    pem: Pem,
    unsaved: Option<Arc<str>>,
) -> ShownCertificate {
    let leaf: Arc<[u8]> = pem.key.cert.first().map_or(&[][..], |leaf| leaf.as_ref()).into();
    let validity = pem.validity;
    shared.issued.set(name, certificate(path, pem));
    ShownCertificate { validity, leaf, unsaved }
}

/// What was read of this file, as it is shown.
pub(super) fn certificate(path: &Path, pem: Pem) -> Certificate {
    Certificate {
        chain: path.to_owned(),
        key: path.to_owned(),
        stamp: 0,
        names: pem.names,
        validity: pem.validity,
        loaded: Arc::new(pem.key),
    }
}

/// The answers that other instances have put there; old ones are removed.
pub(super) fn challenges(state: &StateDir) -> Answers {
    let mut found = Answers::default();
    let now = clock::wall();
    for stored in state.read_challenges().unwrap_or_default() {
        let age = now.duration_since(stored.written).unwrap_or_default();
        match stored.kind {
            ChallengeFor::Token(token) if age > CHALLENGE_AGE_MAX => {
                let _ = fs::remove_file(state.token(&token));
            }
            ChallengeFor::Name(name) if age > CHALLENGE_AGE_MAX => {
                let _ = fs::remove_file(state.digest(&name));
            }
            ChallengeFor::Token(token) => {
                found.tokens.insert((*token).into(), stored.text.trim().into());
            }
            ChallengeFor::Name(name) => {
                let digest = unhex(&stored.text).unwrap_or_default();
                if let Ok(acceptor) = Acceptor::answering(&name, &digest) {
                    found.acceptors.insert((*name).into(), Arc::new(acceptor));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_half_written_or_of_another_kind_is_none_and_the_others_are() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path(), "https://a.example/d");
        state.make().unwrap();
        let whole = "ab".repeat(32);
        for (number, text) in ["", "00ff", "ab", &whole[2..], &format!("{whole}ab"), "no digits"]
            .into_iter()
            .enumerate()
        {
            fs::write(state.digest(&format!("{number}.example")), text).unwrap();
        }
        fs::write(state.digest("no name \u{e4}"), &whole).unwrap();
        state_dir::write(&state.digest("a.example"), &whole).unwrap();
        state_dir::write(&state.token("token"), "token.key").unwrap();
        let found = challenges(&state);
        let names: Vec<&str> = found.acceptors.keys().map(|name| &**name).collect();
        assert_eq!((names, found.tokens.len()), (vec!["a.example"], 1));
    }
}
