//! `jwt` of an access rule: its keys, and what tokens must claim.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::report::{Diagnostic, Span};
use crate::wire::list::is_token;
use crate::wire::token_keys::{self, TokenKey};

use super::super::fault::Fault;
use super::super::plan::{ClaimMatch, Jwt, TokenKeys, TokenPlace};
use super::super::tables::{self, ClaimTest, OneOrMany, Spanned, Wait};
use super::{Lower, NamedFiles, condition, entries, sticky};

/// The most that clocks may be apart: more would undo the end of short tokens.
const LEEWAY_MAX: Duration = Duration::from_secs(600);

/// Files of a directory of keys at most.
const FILES_MAX: usize = 64;

/// The tokens of the rule of this name.
pub fn jwt(
    cx: &mut Lower<'_>,
    written: &Spanned<tables::JwtTable>,
    place: Option<Span>,
    name: &str,
) -> Option<Jwt> {
    let raw = written.get()?;
    let keys = keys(cx, raw, place, name);
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
    })
}

fn keys(
    cx: &mut Lower<'_>,
    raw: &tables::JwtTable,
    place: Option<Span>,
    name: &str,
) -> Option<TokenKeys> {
    match (raw.keys.span(), raw.secret.span()) {
        (Some(first), Some(second)) => {
            let said = format!("`jwt` of access rule `{name}` has both `keys` and `secret`");
            let hint = "a secret can stand among the keys, as a JWK of `kty` `oct`".to_owned();
            let finding = Diagnostic::error("conflict", said).at(second).hint(hint);
            cx.report(finding.also(Some(first), "the other"));
            None
        }
        (None, None) => {
            let said = format!("`jwt` of access rule `{name}` has no `keys`");
            let hint = "write `keys = \"keys.json\"`, or `secret = \"${JWT_SECRET}\"`".to_owned();
            cx.report(Diagnostic::error("missing", said).at(place).hint(hint));
            None
        }
        (None, Some(_)) => secrets(cx, &raw.secret),
        (Some(_), None) if cx.named_files == NamedFiles::Skip => {
            Some(TokenKeys { path: PathBuf::new(), stamp: 0, loaded: Arc::default() })
        }
        (Some(span), None) => {
            let path = cx.path(raw.keys.get()?, Some(span));
            match path.is_dir() {
                true => directory(cx, path, span),
                false => {
                    let (path, bytes, stamp) = cx.read("keys", &raw.keys)?;
                    let loaded = Arc::new(file(cx, &path, &bytes, span)?);
                    Some(TokenKeys { path, stamp, loaded })
                }
            }
        }
    }
}

/// Secrets; what they are stays unsaid.
fn secrets(cx: &mut Lower<'_>, written: &Spanned<OneOrMany<String>>) -> Option<TokenKeys> {
    let read = |secret: &String| {
        let key = TokenKey::secret(secret.as_bytes()).map_err(Fault::new);
        let hint = "`openssl rand -base64 32` makes one".to_owned();
        key.map(|key| (key, secret.clone())).map_err(|fault| fault.hint(hint))
    };
    let (keys, secrets): (Vec<_>, Vec<_>) =
        cx.take_each("secret", written, read)?.into_iter().unzip();
    if keys.is_empty() {
        cx.fault("secret", written.span(), Fault::new("must have at least one secret"));
        return None;
    }
    let mut hasher = DefaultHasher::new();
    secrets.hash(&mut hasher);
    Some(TokenKeys { path: PathBuf::new(), stamp: hasher.finish(), loaded: Arc::new(keys) })
}

fn file(cx: &mut Lower<'_>, path: &Path, bytes: &[u8], at: Span) -> Option<Vec<TokenKey>> {
    token_keys::read(bytes)
        .map_err(|what| {
            let said = format!("the file `{}` {what}", path.display());
            cx.report(Diagnostic::error("keys", said).at(at));
        })
        .ok()
}

/// The keys of every file of a directory, but for hidden ones: a mounted secret has such beside
/// its own.
fn directory(cx: &mut Lower<'_>, path: PathBuf, at: Span) -> Option<TokenKeys> {
    cx.files.remember(&path.join("*"));
    let error = |cx: &mut Lower<'_>, what: String| {
        let said = format!("the directory `{}` {what}", path.display());
        cx.report(Diagnostic::error("keys", said).at(at));
        None
    };
    let is_hidden = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.as_encoded_bytes().starts_with(b"."));
        name.unwrap_or(true)
    };
    let listed = fs::read_dir(&path).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()
    });
    let mut names = match listed {
        Ok(names) => names,
        Err(cause) => return error(cx, format!("cannot be read: {cause}")),
    };
    names.retain(|name| !is_hidden(name) && name.is_file());
    names.sort();
    if names.is_empty() || names.len() > FILES_MAX {
        let number = names.len();
        return error(cx, format!("must have 1 to {FILES_MAX} files of keys, not: {number}"));
    }
    let (mut loaded, mut hasher, mut is_whole) = (Vec::new(), DefaultHasher::new(), true);
    for name in names {
        match cx.files.bytes(&name) {
            Ok((bytes, stamp)) => {
                stamp.hash(&mut hasher);
                match file(cx, &name, &bytes, at) {
                    Some(keys) => loaded.extend(keys),
                    None => is_whole = false,
                }
            }
            Err(cause) => {
                let said = format!("`keys` cannot be read: {cause}: `{}`", name.display());
                cx.report(Diagnostic::error("file", said).at(at));
                is_whole = false;
            }
        }
    }
    let stamp = hasher.finish();
    is_whole.then(|| TokenKeys { path, stamp, loaded: Arc::new(loaded) })
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
