//! Cookies that bring clients back to their backends.

use std::sync::Arc;

use crate::report::Span;
use crate::wire::list::is_token;

use super::super::fault::Fault;
use super::super::plan::{Secret, Sticky};
use super::super::tables::{self, Spanned};
use super::Lower;

/// The `sticky` of the pool of this name.
pub fn sticky(
    cx: &mut Lower<'_>,
    written: &Spanned<tables::StickyTable>,
    pool: &str,
) -> Option<Sticky> {
    let raw = written.get()?;
    let owner = format!("`sticky` of pool `{pool}`");
    cx.need((&raw.secrets, "secrets"), &owner, written.span(), "\"${STICKY_SECRET}\"");
    let secrets = cx.take_each("secrets", &raw.secrets, |text| secret(text));
    if secrets.as_ref().is_some_and(Vec::is_empty) && raw.secrets.is_written() {
        let fault = Fault::new("must have at least one secret");
        cx.fault("secrets", raw.secrets.span(), fault);
    }
    let cookie = match raw.cookie.is_absent() {
        true => default_name(cx, written.span(), pool),
        false => cx.take("cookie", &raw.cookie, |text| cookie_name(text)),
    };
    Some(Sticky { cookie: cookie?, same_site: *raw.same_site.get()?, secrets: secrets? })
}

/// A secret; what it is stays unsaid.
fn secret(text: &str) -> Result<Secret, Fault> {
    if text.len() < Secret::BYTES_MIN {
        let (least, had) = (Secret::BYTES_MIN, text.len());
        let fault = Fault::new(format!("must have at least {least} bytes, not: {had}"));
        return Err(fault.hint("`openssl rand -base64 32` makes one".to_owned()));
    }
    Ok(Secret::new(text.as_bytes()))
}

/// A name of the pool's own: two pools on one host would else take each other's cookies away.
fn default_name(cx: &mut Lower<'_>, at: Option<Span>, pool: &str) -> Option<Arc<str>> {
    let name = format!("tidegate-{pool}");
    if is_token(&name) {
        return Some(name.into());
    }
    let fault = Fault::new(format!("needs a `cookie`: no cookie can have the name `{name}`"));
    cx.fault("sticky", at, fault);
    None
}

/// A cookie's name: a token (RFC 6265 §4.1.1).
pub fn cookie_name(text: &str) -> Result<Arc<str>, Fault> {
    if !is_token(text) {
        return Err(Fault::new(format!("must be the name of a cookie, not: `{text}`")));
    }
    Ok(text.into())
}
