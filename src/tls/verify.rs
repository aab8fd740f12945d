//! Who a backend is: verified by an authority, or known by its own certificate.

use std::sync::{Arc, Once};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::wire::x509::CertificateFacts;

use super::error::TlsError;

/// Verifies backends' certificates as rustls does (RFC 5280 §6, RFC 9525), but for one that was
/// itself given as trusted: it needs no issuer.
///
/// rustls would refuse a self-signed certificate that may issue others, as `openssl req -x509`
/// makes them, from a server. To trust the one and only certificate that a peer can show is
/// stricter than to trust all that it could issue. A pinned certificate must be in its time, and
/// for the name asked for if it has names at all.
#[derive(Debug)]
pub(super) struct BackendVerifier {
    authorities: Arc<WebPkiServerVerifier>,
    pinned: Vec<CertificateDer<'static>>,
    told: Once,
}

impl BackendVerifier {
    /// Trusts what `roots` issued, and who shows one of `pinned`.
    pub(super) fn build(
        roots: Arc<RootCertStore>,
        pinned: Vec<CertificateDer<'static>>,
    ) -> Result<BackendVerifier, TlsError> {
        let authorities = WebPkiServerVerifier::builder_with_provider(roots, super::provider())
            .build()
            .map_err(|error| TlsError::Refused(Error::General(error.to_string())))?;
        Ok(BackendVerifier { authorities, pinned, told: Once::new() })
    }
}

impl ServerCertVerifier for BackendVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.pinned.iter().any(|pinned| pinned == end_entity) {
            let authorities = &self.authorities;
            return authorities.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            );
        }
        is_in_time(end_entity, now)?;
        match verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name) {
            Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext {
                presented,
                ..
            })) if presented.is_empty() => {}
            verified => verified?,
        }
        self.told.call_once(|| {
            tracing::info!(
                server_name = %server_name.to_str(),
                "a backend is known by its own certificate, which is pinned"
            );
        });
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

fn is_in_time(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let facts = CertificateFacts::read(certificate).ok_or(CertificateError::BadEncoding)?;
    let time = |seconds: i64| {
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds.try_into().unwrap_or(0)))
    };
    let (not_before, not_after) = (time(facts.validity.not_before), time(facts.validity.not_after));
    if now < not_before {
        return Err(CertificateError::NotValidYetContext { time: now, not_before }.into());
    }
    if now > not_after {
        return Err(CertificateError::ExpiredContext { time: now, not_after }.into());
    }
    Ok(())
}
