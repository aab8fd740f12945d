//! `jwt` of an access rule: where tokens stand, and what they must claim.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::report::{Diagnostic, Span};
use crate::wire::list::is_token;
use crate::wire::token_list::TokenList;

use super::super::fault::Fault;
use super::super::plan::{ClaimMatch, Jwt, RevokedTokens, TokenPlace};
use super::super::tables::{self, ClaimTest, OneOrMany, Spanned, Wait};
use super::{Lower, NamedFiles, condition, entries, opt, sticky, token_keys};

/// The most that clocks may be apart: more would undo the end of short tokens.
const LEEWAY_MAX: Duration = Duration::from_secs(600);

/// The tokens of the rule of this name.
pub fn jwt(
    cx: &mut Lower<'_>,
    written: &Spanned<tables::JwtTable>,
    place: Option<Span>,
    name: &str,
) -> Option<Jwt> {
    let raw = written.get()?;
    let keys = token_keys::source(cx, raw, place, name);
    let issuers = texts(cx, "issuer", &raw.issuer);
    let audiences = texts(cx, "audience", &raw.audience);
    let leeway = cx.take("leeway", &raw.leeway, |Wait(leeway)| match *leeway {
        leeway if leeway <= LEEWAY_MAX => Ok(leeway),
        more => Err(Fault::new(format!("must be at most `10m`, not: `{}`", Wait(more)))),
    });
    let places = cx.take_each("from", &raw.from, |text| token_place(text));
    if places.as_ref().is_some_and(Vec::is_empty) {
        let fault = Fault::new("is an empty list: no token would be found");
        cx.fault("from", raw.from.span(), fault.hint("write `\"header\"`".to_owned()));
    }
    let claims = claims(cx, raw);
    let revoked = opt(raw.revoked.is_written().then(|| revoked(cx, &raw.revoked)));
    let session = raw.session.get().and_then(|session| session.lower(cx.report));
    Some(Jwt {
        keys: keys?,
        issuers: issuers?,
        audiences: audiences?,
        leeway: leeway?,
        places: places?,
        claims: claims?,
        strip: *raw.strip.get()?,
        session: session?,
        revoked: revoked?,
    })
}

/// The tokens that are good no more.
fn revoked(cx: &mut Lower<'_>, written: &Spanned<String>) -> Option<RevokedTokens> {
    written.get()?;
    if cx.named_files == NamedFiles::Skip {
        return Some(RevokedTokens { path: PathBuf::new(), stamp: 0, list: Arc::default() });
    }
    let (path, bytes, stamp) = cx.read("revoked", written)?;
    match TokenList::read(&bytes) {
        Ok(list) => Some(RevokedTokens { path, stamp, list: Arc::new(list) }),
        Err(bad) => {
            let said = format!("line {} of `{}` {}", bad.line, path.display(), bad.what);
            let hint = "a line has the `jti` or the `sub` of a token".to_owned();
            cx.report(Diagnostic::error("revoked", said).at(written.span()).hint(hint));
            None
        }
    }
}

/// Texts of which one is enough; an empty list is none that could be meant.
fn texts(
    cx: &mut Lower<'_>,
    key: &str,
    written: &Spanned<OneOrMany<String>>,
) -> Option<Vec<Box<str>>> {
    let texts = cx.take_each(key, written, |text| match text.is_empty() {
        true => Err(Fault::new("must not be empty")),
        false => Ok(text.as_str().into()),
    })?;
    if texts.is_empty() && written.is_written() {
        let hint = format!("leave `{key}` out to take any");
        cx.fault(key, written.span(), Fault::new("is an empty list: no token would do").hint(hint));
        return None;
    }
    Some(texts)
}

fn token_place(text: &str) -> Result<TokenPlace, Fault> {
    match text.split_once(':') {
        None if text == "header" => Ok(TokenPlace::Header),
        None if text == "protocol" => Ok(TokenPlace::Protocol(TokenPlace::ENCODED_PROTOCOL.into())),
        Some(("cookie", name)) => sticky::cookie_name(name).map(TokenPlace::Cookie),
        Some(("query", name)) if is_parameter(name) => Ok(TokenPlace::Query(name.into())),
        Some(("protocol", prefix)) if is_token(prefix) => Ok(TokenPlace::Protocol(prefix.into())),
        _ => {
            let places = "`header`, `cookie:NAME`, `query:NAME`, `protocol` or `protocol:PREFIX`";
            Err(Fault::new(format!("must be {places}, not: `{text}`")))
        }
    }
}

/// Whether it is a parameter's name as it stands in a query, without escapes.
fn is_parameter(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    !name.is_empty() && name.bytes().all(fits)
}

fn claims(cx: &mut Lower<'_>, raw: &tables::JwtTable) -> Option<Vec<(Box<str>, ClaimMatch)>> {
    let written = entries(&raw.claims);
    let mut claims = Vec::with_capacity(written.len());
    for (name, test) in written {
        let shown = name.get().map_or("claims", String::as_str);
        let wanted = cx.take(shown, test, |test| match test {
            ClaimTest::Boolean(wanted) => Ok(ClaimMatch::Boolean(*wanted)),
            ClaimTest::Number(wanted) => Ok(ClaimMatch::Number(*wanted)),
            ClaimTest::Text(text) => match text.strip_prefix('~') {
                Some(source) => condition::regex(source, false).map(ClaimMatch::Regex),
                None => Ok(ClaimMatch::Exact(text.as_str().into())),
            },
        });
        if let (Some(name), Some(wanted)) = (name.get(), wanted) {
            claims.push((name.as_str().into(), wanted));
        }
    }
    (claims.len() == written.len() && !raw.claims.is_faulty()).then_some(claims)
}
