//! Certificates, keys and authorities, read from their files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::ServerName;

use crate::report::{Diagnostic, Span};
use crate::wire::pem::{self, Part, PemError, Remark, RevocationList, TrustedCertificates};
use crate::wire::x509::CertificateFacts;
use crate::wire::x509_name;

use super::super::fault::Fault;
use super::super::plan;
use super::super::tables::{self, OrString, ServerTlsParts, Spanned};
use super::{Lower, NamedFiles, opt};

/// TLS towards clients.
pub fn server(
    cx: &mut Lower<'_>,
    written: &Spanned<OrString<tables::ServerTlsTable>>,
    owner: &str,
) -> Option<plan::ServerTls> {
    let OrString(tls) = written.get()?;
    let as_in = "[{ chain = \"site.pem\", key = \"site.key\" }]";
    let owner = format!("`tls` of {owner}");
    let has_acme = !matches!(tls.acme.get(), None | Some(tables::AcmeNames::Off));
    let is_made = !tls.issuer.is_absent();
    let list = match has_acme || tls.acme.is_faulty() || is_made {
        true => tls.certificates.get().map_or(&[][..], |list| &list.0),
        false => {
            cx.need((&tls.certificates, "certificates"), &owner, written.span(), as_in);
            &tls.certificates.get()?.0
        }
    };
    if list.is_empty() && tls.certificates.is_written() {
        let said = format!("`certificates` in {owner} is empty");
        cx.report(Diagnostic::error("missing", said).at(tls.certificates.span()));
    }
    let read: Vec<_> = list.iter().map(|one| certificate(cx, one)).collect();
    let certificates: Option<Vec<_>> = match cx.named_files {
        NamedFiles::Read => read.into_iter().collect(),
        NamedFiles::Skip => Some(Vec::new()),
    };
    let clients = opt(tls.clients.is_written().then(|| clients(cx, &tls.clients, &owner)));
    // The names come of routes too, which are not known yet.
    let (acme, development) = (Some(Vec::new()), Some(None));
    tls.lower(cx.report, ServerTlsParts { certificates, acme, development, clients })
}

/// The certificates of clients.
fn clients(
    cx: &mut Lower<'_>,
    written: &Spanned<tables::ClientCertificatesTable>,
    owner: &str,
) -> Option<plan::ClientCertificates> {
    let raw = written.get()?;
    let owner = format!("`clients` of {owner}");
    cx.need((&raw.roots, "roots"), &owner, written.span(), "\"certs/devices-ca.pem\"");
    let required = *raw.required.get()?;
    if cx.named_files == NamedFiles::Skip {
        let (files, crls) = Default::default();
        let roots = Arc::new(RootCertStore::empty());
        return Some(plan::ClientCertificates { files, roots, crls, required });
    }
    let plan::Roots::File { path, stamp, loaded } = roots_of(cx, "roots", &raw.roots)? else {
        return None;
    };
    let (mut files, mut crls) = (vec![(path, stamp)], Vec::new());
    for written in raw.crls.get().map_or(&[][..], |list| &list.0) {
        let (path, bytes, stamp) = cx.read("crls", written)?;
        cx.certificate_spans.extend(written.span().map(|span| (path.clone(), span)));
        let said = |what: &str| format!("the file `{}` {what}", path.display());
        let error = |what: &str| Diagnostic::error("certificate", said(what)).at(written.span());
        let lists = match pem::revocation_lists(&bytes) {
            Ok(lists) => lists,
            Err(what) => {
                let hint = what.hint().map(str::to_owned);
                cx.report(error(&what.to_string()).hint(hint));
                return None;
            }
        };
        for list in lists {
            let hidden = crls.iter().find(|(_, before): &&Crl| before.hides(&list));
            if let Some((before, _)) = hidden {
                let line = list.line;
                let before = before.display();
                let what = format!("has a second list of an authority (line {line})");
                let hint = format!("only the first counts, which is in `{before}`: name the newer");
                cx.report(error(&what).hint(hint));
                return None;
            }
            crls.push((path.clone(), list));
        }
        files.push((path, stamp));
    }
    warn_of_missing_lists(cx, raw, &loaded, &crls);
    Some(plan::ClientCertificates { files, roots: Arc::clone(&loaded.roots), crls, required })
}

/// A list of revoked certificates, and its file.
type Crl = (PathBuf, RevocationList);

/// Where there are lists, what an authority without one has issued is refused, since it may have
/// been revoked.
fn warn_of_missing_lists(
    cx: &mut Lower<'_>,
    raw: &tables::ClientCertificatesTable,
    trusted: &TrustedCertificates,
    crls: &[Crl],
) {
    for authority in &trusted.certificates {
        let Some(facts) = CertificateFacts::read(authority) else { continue };
        let has_list = crls.iter().any(|(_, list)| *list.issuer == *facts.subject);
        if facts.is_authority && !has_list && !crls.is_empty() {
            let name = x509_name::text(facts.subject).unwrap_or_default();
            let said = format!("`crls` has no list of this authority: `{name}`");
            let hint = "clients whose certificates it has issued are refused";
            let warning = Diagnostic::warning("certificate", said).at(raw.crls.span());
            cx.report(warning.hint(hint.to_owned()));
        }
    }
}

fn certificate(
    cx: &mut Lower<'_>,
    written: &Spanned<tables::CertificateTable>,
) -> Option<plan::Certificate> {
    let tables::CertificateTable { chain, key } = written.get()?;
    cx.need((chain, "chain"), "a certificate", written.span(), "\"site.pem\"");
    cx.need((key, "key"), "a certificate", written.span(), "\"site.key\"");
    if cx.named_files == NamedFiles::Skip {
        return None;
    }
    let (chain_file, key_file) = (cx.read("chain", chain), cx.read("key", key));
    let (chain_path, chain_bytes, chain_stamp) = chain_file?;
    let (key_path, key_bytes, key_stamp) = key_file?;
    cx.certificate_spans.extend(chain.span().map(|span| (chain_path.clone(), span)));
    match pem::certified(&chain_bytes, &key_bytes) {
        Ok(read) => {
            for remark in &read.remarks {
                let (path, span) = match remark.part() {
                    Part::Certificates => (&chain_path, chain.span()),
                    Part::Key => (&key_path, key.span()),
                };
                warn(cx, remark, path, span);
            }
            Some(plan::Certificate {
                chain: chain_path,
                key: key_path,
                // Rotated, so that a chain and key in one file do not cancel each other out.
                stamp: chain_stamp.rotate_left(1) ^ key_stamp,
                names: read.names,
                validity: read.validity,
                loaded: Arc::new(read.key),
            })
        }
        Err(error) => {
            let (path, span) = match error.part() {
                Part::Certificates => (&chain_path, chain.span()),
                Part::Key => (&key_path, key.span()),
            };
            let said = format!("the file `{}` {error}", path.display());
            let other = if error == PemError::Mismatch { chain.span() } else { None };
            let hint = match pem::are_swapped(&chain_bytes, &key_bytes) {
                true => Some("`chain` names a key, and `key` a certificate: swap them"),
                false => error.hint(),
            };
            let finding = Diagnostic::error("certificate", said).at(span);
            let finding = finding.hint(hint.map(str::to_owned));
            cx.report(finding.also(other, "the certificate"));
            None
        }
    }
}

/// Warns of what is odd about a PEM file.
fn warn(cx: &mut Lower<'_>, remark: &Remark, path: &Path, span: Option<Span>) {
    let said = format!("the file `{}` {remark}", path.display());
    let hint = remark.hint().map(str::to_owned);
    cx.report(Diagnostic::warning("certificate", said).at(span).hint(hint));
}

/// TLS towards backends.
pub fn upstream(cx: &mut Lower<'_>, tls: &tables::UpstreamTlsTable) -> Option<plan::UpstreamTls> {
    let name = cx.take("server_name", &tls.server_name, |name| {
        let said = || format!("must be a host name or an IP address, not: `{name}`");
        match ServerName::try_from(name.as_str()) {
            Ok(_) => Ok(Arc::from(name.as_str())),
            Err(_) => Err(Fault::new(said())),
        }
    });
    let roots = match tls.ca.is_absent() || cx.named_files == NamedFiles::Skip {
        true => plan::Roots::System,
        false => roots(cx, &tls.ca)?,
    };
    Some(plan::UpstreamTls { server_name: name, roots })
}

/// The authorities of `ca`.
pub fn roots(cx: &mut Lower<'_>, written: &Spanned<String>) -> Option<plan::Roots> {
    roots_of(cx, "ca", written)
}

/// The authorities of this key.
pub fn roots_of(cx: &mut Lower<'_>, key: &str, written: &Spanned<String>) -> Option<plan::Roots> {
    let (path, bytes, stamp) = cx.read(key, written)?;
    match pem::trusted(&bytes) {
        Ok((trusted, remarks)) => {
            for remark in &remarks {
                warn(cx, remark, &path, written.span());
            }
            Some(plan::Roots::File { path, stamp, loaded: Arc::new(trusted) })
        }
        Err(error) => {
            let said = format!("the file `{}` {error}", path.display());
            let hint = error.hint().map(str::to_owned);
            cx.report(Diagnostic::error("certificate", said).at(written.span()).hint(hint));
            None
        }
    }
}
