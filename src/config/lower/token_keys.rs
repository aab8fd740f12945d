//! The keys that tokens are verified with: written, in files, or fetched by URL.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};

use crate::report::{Diagnostic, Span};
use crate::wire::token_keys::{self, TokenKey};

use super::super::fault::Fault;
use super::super::plan::{BackendAddress, KeysUrl, Roots, TokenKeySource, TokenKeys, UpstreamTls};
use super::super::tables::{self, OneOrMany, OrString, Spanned, Time};
use super::{Lower, NamedFiles, time, tls};

/// Files of a directory of keys at most.
const FILES_MAX: usize = 64;

/// Where the keys are for the tokens of the rule of this name.
pub fn source(
    cx: &mut Lower<'_>,
    raw: &tables::JwtTable,
    place: Option<Span>,
    name: &str,
) -> Option<TokenKeySource> {
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
        (None, Some(_)) => secrets(cx, &raw.secret).map(TokenKeySource::Read),
        (Some(span), None) => {
            let OrString(table) = raw.keys.get()?;
            let owner = format!("`keys` of access rule `{name}`");
            cx.need((&table.source, "source"), &owner, Some(span), "\"keys.json\"");
            let source = table.source.get()?;
            match source.contains("://") {
                true => url(cx, table).map(Box::new).map(TokenKeySource::Url),
                false => {
                    of_url_alone(cx, table);
                    read(cx, &table.source, span).map(TokenKeySource::Read)
                }
            }
        }
    }
}

/// Keys of a file, or of a directory of files.
fn read(cx: &mut Lower<'_>, source: &Spanned<String>, span: Span) -> Option<TokenKeys> {
    if cx.named_files == NamedFiles::Skip {
        return Some(TokenKeys { path: PathBuf::new(), stamp: 0, loaded: Arc::default() });
    }
    let span = source.span().unwrap_or(span);
    let path = cx.path(source.get()?, Some(span));
    if path.is_dir() {
        return directory(cx, path, span);
    }
    let (path, bytes, stamp) = cx.read("keys", source)?;
    let loaded = Arc::new(file(cx, &path, &bytes, span)?);
    Some(TokenKeys { path, stamp, loaded })
}

/// Keys that say nothing of a file are an error: whoever wrote them thought of a URL.
fn of_url_alone(cx: &mut Lower<'_>, raw: &tables::TokenKeysTable) {
    let times = [
        ("refresh", &raw.refresh),
        ("refresh_min", &raw.refresh_min),
        ("stale_max", &raw.stale_max),
        ("fetch_timeout", &raw.fetch_timeout),
    ];
    let written = times.map(|(key, written)| (key, written.span()));
    for (key, span) in written.into_iter().chain([("ca", raw.ca.span())]) {
        if span.is_some() {
            let fault = Fault::new("is for keys that are fetched by URL, and these are in a file");
            cx.fault(
                key,
                span,
                fault.hint("leave it out: a file is read with `reload`".to_owned()),
            );
        }
    }
}

/// A set of keys that is fetched.
fn url(cx: &mut Lower<'_>, raw: &tables::TokenKeysTable) -> Option<KeysUrl> {
    let source = cx.take("keys", &raw.source, |text| place(text));
    let is_secure = source.as_ref().is_none_or(|place| place.is_secure);
    if !is_secure && raw.ca.is_written() {
        let fault = Fault::new("is for `https`, and the URL is one of `http`");
        cx.fault("ca", raw.ca.span(), fault);
        return None;
    }
    let roots = match raw.ca.is_absent() || cx.named_files == NamedFiles::Skip {
        true => Some(Roots::System),
        false => tls::roots(cx, &raw.ca),
    };
    let (refresh, refresh_min) = (time(&raw.refresh), time(&raw.refresh_min));
    if let (Some(refresh), Some(least)) = (refresh, refresh_min)
        && refresh < least
    {
        let said = format!("must be at least `refresh_min`, which is `{}`", Time(least));
        let span = raw.refresh.span().or(raw.refresh_min.span());
        cx.fault("refresh", span, Fault::new(said));
        return None;
    }
    let UrlPlace { shown, address, host, target, is_secure } = source?;
    let tls = UpstreamTls { server_name: None, roots: roots? };
    Some(KeysUrl {
        shown,
        address,
        host,
        target,
        tls: is_secure.then_some(tls),
        refresh: refresh?,
        refresh_min: refresh_min?,
        stale_max: time(&raw.stale_max)?,
        fetch_timeout: time(&raw.fetch_timeout)?,
    })
}

/// What a URL says.
struct UrlPlace {
    shown: Arc<str>,
    address: BackendAddress,
    host: HeaderValue,
    target: PathAndQuery,
    is_secure: bool,
}

fn place(text: &str) -> Result<UrlPlace, Fault> {
    let shown = text.split(['?', '#']).next().unwrap_or(text);
    // What stands before an `@` may be a password.
    let as_shown = if shown.contains('@') { "(with a user)" } else { shown };
    let fault = |what: &str| Fault::new(format!("{what}: `{as_shown}`"));
    let no_url = || fault("must be a URL with a host, as `https://login.example.com/jwks.json`");
    let uri: Uri = text.parse().map_err(|_| no_url())?;
    let authority = uri.authority().ok_or_else(no_url)?;
    if authority.as_str().contains('@') {
        return Err(fault("must be a URL without user and password"));
    }
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    let port_written = authority.as_str().get(authority.host().len()..).unwrap_or_default();
    if name.is_empty() || !port_written.is_empty() && authority.port_u16().is_none() {
        return Err(no_url());
    }
    if text.contains('#') {
        return Err(fault("must be a URL without `#`"));
    }
    let is_here = name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    let (is_secure, default_port) = match uri.scheme_str() {
        Some("https") => (true, 443),
        Some("http") if is_here => (false, 80),
        Some("http") => {
            let hint = "over `http` anybody on the way could put keys in, and sign tokens";
            return Err(fault("must be a URL of `https`").hint(hint.to_owned()));
        }
        _ => return Err(fault("must be a URL of `https`, or the name of a file")),
    };
    let port = authority.port_u16().unwrap_or(default_port);
    Ok(UrlPlace {
        shown: shown.into(),
        address: BackendAddress::Inet { host: name.into(), port },
        host: HeaderValue::try_from(authority.as_str()).map_err(|_| no_url())?,
        target: uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")),
        is_secure,
    })
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
