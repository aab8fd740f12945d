//! `tls = "dev"`: a plan gets the certificates that are made for it before it is taken, and they
//! are like those that it names from then on.

use std::sync::Arc;

use crate::config::plan::Plan;
use crate::tls::{DevelopmentAuthority, Keeping, MadeCertificate, TlsError};

/// Gives listeners the certificates for development that they want.
///
/// # Errors
/// One cannot be made.
pub(super) fn add_certificates(
    plan: &mut Arc<Plan>,
    authority: &DevelopmentAuthority,
    keeping: Keeping,
) -> Result<(), TlsError> {
    let mut tls = plan.listeners.iter().filter_map(|listener| listener.tls.as_ref());
    if tls.all(|tls| tls.development.is_none()) {
        return Ok(());
    }
    for listener in &mut Arc::make_mut(plan).listeners {
        let Some(tls) = &mut Arc::make_mut(listener).tls else { continue };
        let Some(wanted) = &tls.development else { continue };
        let made = authority.certificate(wanted, keeping)?;
        if keeping == Keeping::Kept && made.is_given_first {
            tell(&made);
        }
        tls.certificates.push(made.certificate);
    }
    Ok(())
}

/// Says what to trust.
fn tell(made: &MadeCertificate) {
    let names = made.certificate.names.join(", ");
    match &made.not_kept {
        None => tracing::info!(
            authority = %made.authority.display(),
            names,
            made = made.is_new,
            "certificate for development: let your browser trust its authority"
        ),
        Some(error) => tracing::warn!(
            authority = %made.authority.display(),
            names,
            %error,
            "certificate for development cannot be kept; a restart makes another"
        ),
    }
}
