//! What a route does: pool, files, redirect or response.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};

use crate::report::{Diagnostic, Span};

use super::super::fault::Fault;
use super::super::hint::{did_you_mean, listed};
use super::super::plan::{Action, Files, PoolTarget, Redirect, Respond, StoredPage};
use super::super::tables::{self, Named, OrString, Spanned};
use super::condition::field_value;
use super::{Lower, NamedFiles, api, entries, number, opt, page, path_change, template};
use crate::wire::template::{REDIRECT, Template};

/// The one action of a route.
pub fn action(
    cx: &mut Lower<'_>,
    file: &tables::FileTable,
    raw: &tables::RouteTable,
    at: Option<Span>,
) -> Option<Action> {
    one_of(cx, raw, at);
    only_with(cx, raw);
    if raw.pool.is_written() {
        return to_pool(cx, file, raw).map(Action::Pool);
    }
    if let Some(OrString(written)) = raw.files.get() {
        return files(cx, file, written, raw);
    }
    if let Some(OrString(written)) = raw.redirect.get() {
        return redirect(cx, written, raw.redirect.span());
    }
    if let Some(written) = raw.api.get() {
        return api::api(cx, file, written, raw.api.span()).map(Action::Api);
    }
    raw.respond.get().and_then(|OrString(written)| respond(cx, written))
}

/// Exactly one action is written.
fn one_of(cx: &mut Lower<'_>, raw: &tables::RouteTable, at: Option<Span>) {
    let written = [
        ("pool", raw.pool.span(), raw.pool.is_faulty()),
        ("files", raw.files.span(), raw.files.is_faulty()),
        ("redirect", raw.redirect.span(), raw.redirect.is_faulty()),
        ("respond", raw.respond.span(), raw.respond.is_faulty()),
        ("api", raw.api.span(), raw.api.is_faulty()),
    ];
    let is_any_faulty = written.iter().any(|(.., is_faulty)| *is_faulty);
    let sound = written.into_iter().filter(|(.., is_faulty)| !is_faulty);
    let mut found = sound.filter_map(|(key, span, _)| Some((key, span?)));
    let Some((first, place)) = found.next() else {
        if is_any_faulty {
            return;
        }
        let said = "a route says nothing about what is done";
        let hint = "write one of `pool`, `files`, `redirect`, `respond` and `api`".to_owned();
        cx.report(Diagnostic::error("missing", said).at(at).hint(hint));
        return;
    };
    for (other, span) in found {
        let said = format!("a route does one thing, not both `{first}` and `{other}`");
        cx.report(Diagnostic::error("conflict", said).at(span).also(place, "the other"));
    }
}

/// The pool that requests of a route may go to: as written, and its place.
pub fn pool_of(raw: &tables::RouteTable) -> Option<(&str, Span)> {
    if let Some((name, span)) = raw.pool.written() {
        return Some((name, span));
    }
    let OrString(files) = raw.files.get()?;
    let (fallback, span) = files.fallback.written()?;
    Some((fallback.strip_prefix(POOL)?, span))
}

/// What a fallback begins with that is a pool.
const POOL: &str = "pool:";

/// Keys that mean something with a pool only, written without one.
fn only_with(cx: &mut Lower<'_>, raw: &tables::RouteTable) {
    if raw.pool.is_written() || pool_of(raw).is_some() {
        return;
    }
    let is_unclear = [
        raw.files.is_faulty(),
        raw.redirect.is_faulty(),
        raw.respond.is_faulty(),
        raw.api.is_faulty(),
    ];
    if is_unclear.contains(&true) {
        return;
    }
    let of_pool =
        |key: fn(&tables::RouteLimitsTable) -> Option<Span>| raw.limits.get().and_then(key);
    let keys = [
        ("websocket", raw.websocket.span()),
        ("allowed_origins", raw.allowed_origins.span()),
        ("upstream_host", raw.upstream_host.span()),
        ("upstream_origin", raw.upstream_origin.span()),
        ("replace_prefix", raw.replace_prefix.span()),
        ("rewrite", raw.rewrite.span()),
        ("reverse_mapping", raw.reverse_mapping.span()),
        ("raw_path", raw.raw_path.span()),
        ("relay", raw.relay.span()),
        ("hold", raw.hold.span()),
        ("push", raw.push.span()),
        ("backend_labels", raw.backend_labels.span()),
        ("request_headers", raw.request_headers.span()),
        ("trailers", raw.trailers.span()),
        ("limits.handshakes", of_pool(|limits| limits.handshakes.span())),
        ("limits.sessions", of_pool(|limits| limits.sessions.span())),
        ("limits.body_bytes_max", of_pool(|limits| limits.body_bytes_max.span())),
        ("strip_prefix", raw.strip_prefix.span().filter(|_| !raw.files.is_written())),
    ];
    for (key, span) in keys {
        if span.is_some() {
            let also = if key == "strip_prefix" { " or `files`" } else { "" };
            let said = format!("`{key}` means nothing without `pool`{also}");
            cx.report(Diagnostic::error("conflict", said).at(span));
        }
    }
}

fn to_pool(
    cx: &mut Lower<'_>,
    file: &tables::FileTable,
    raw: &tables::RouteTable,
) -> Option<PoolTarget> {
    let host = cx.take("upstream_host", &raw.upstream_host, |host| field_value(host));
    let origin_follows = *raw.upstream_origin.get()?;
    if origin_follows && raw.upstream_host.is_absent() {
        let said = "`upstream_origin` needs an `upstream_host` that it follows";
        cx.report(Diagnostic::error("conflict", said).at(raw.upstream_origin.span()));
    }
    let path = path_change::path_change(cx, raw);
    let (name, span) = pool_of(raw)?;
    let known = || entries(&file.pools).iter().filter_map(|(name, _)| name.get());
    if !known().any(|pool| pool == name) {
        let address = name.split_once("://").map_or(name, |(_, rest)| rest);
        let address = address.split('/').next().unwrap_or(address);
        let in_a_pool = format!(
            "write `[pools.app]` with `backends = [\"{address}\"]`, and here `pool = \"app\"`"
        );
        let in_a_pool = name.contains(':').then_some(in_a_pool);
        let names = || format!("the pools are {}", listed(known().map(String::as_str), "and"));
        let none = "write `[pools.NAME]` and its `backends`".to_owned();
        let hint = in_a_pool
            .or_else(|| did_you_mean(name, known().map(String::as_str)))
            .unwrap_or_else(|| if known().next().is_some() { names() } else { none });
        let said = format!("no pool has this name: `{name}`");
        cx.report(Diagnostic::error("undefined", said).at(span).hint(hint));
        return None;
    }
    let reverse_mapping = *raw.reverse_mapping.get()?;
    let name = name.into();
    Some(PoolTarget { name, path: path?, host, origin_follows, reverse_mapping })
}

fn files(
    cx: &mut Lower<'_>,
    file: &tables::FileTable,
    written: &tables::FilesTable,
    route: &tables::RouteTable,
) -> Option<Action> {
    cx.need((&written.root, "root"), "`files`", route.files.span(), "\"/var/www/site\"");
    let index = cx.take("index", &written.index, |name| below_root(name));
    let has_pool = pool_of(route).is_some();
    let pool = opt(has_pool.then(|| to_pool(cx, file, route)));
    let fallback = match has_pool {
        true => None,
        false => cx.take("fallback", &written.fallback, |name| below_root(name)),
    };
    let cache = cache(cx, &written.cache);
    let root = cx.path(written.root.get()?, written.root.span());
    if cx.named_files == NamedFiles::Read && !root.is_dir() {
        let said = format!("this is not a directory: `{}`", root.display());
        let finding = Diagnostic::warning("file", said).at(written.root.span());
        cx.report(finding.hint("until it is, every request is answered 404".to_owned()));
    }
    let strip_prefix = *route.strip_prefix.get()?;
    let precompressed = *written.precompressed.get()?;
    let (pool, cache) = (pool?, cache?);
    let index = index?;
    Some(Action::Files(Files { root, index, fallback, pool, strip_prefix, precompressed, cache }))
}

/// `Cache-Control` by endings.
fn cache(
    cx: &mut Lower<'_>,
    written: &Spanned<Named<String>>,
) -> Option<Vec<(Option<Box<str>>, HeaderValue)>> {
    let mut found = Vec::new();
    let mut is_whole = !written.is_faulty();
    for (ending, value) in entries(written) {
        let ending = cx.take("cache", ending, |text| match text.as_str() {
            "*" => Ok(None),
            text => {
                let name = text.strip_prefix("*.").or(text.strip_prefix('.')).unwrap_or(text);
                match !name.is_empty() && !name.contains(['/', '.', '*']) {
                    true => Ok(Some(name.to_ascii_lowercase().into_boxed_str())),
                    false => {
                        Err(Fault::new(format!("must be an ending, as `html`, not: `{text}`")))
                    }
                }
            }
        });
        let value = cx.take("cache", value, |text| field_value(text));
        match ending.zip(value) {
            Some(rule) => found.push(rule),
            None => is_whole = false,
        }
    }
    // Whichever is for all others is looked at last.
    found.sort_by_key(|(ending, _)| ending.is_none());
    is_whole.then_some(found)
}

/// A file below `root`, wherever that is.
fn below_root(name: &str) -> Result<Arc<str>, Fault> {
    let outside = name.starts_with('/') || name.split('/').any(|part| part == "..");
    if name.is_empty() || outside {
        let said = format!("must be the name of a file below `root`, not: `{name}`");
        let meant = name.trim_start_matches('/');
        let hint =
            (name.starts_with('/') && !meant.is_empty()).then(|| format!("write `\"{meant}\"`"));
        return Err(Fault::new(said).hint(hint));
    }
    Ok(name.into())
}

fn redirect(
    cx: &mut Lower<'_>,
    written: &tables::RedirectTable,
    at: Option<Span>,
) -> Option<Action> {
    cx.need((&written.to, "to"), "`redirect`", at, "\"https://{host}{path}{query}\"");
    let to = target(cx, &written.to);
    let status = cx.take("status", &written.status, |status| match status.0 {
        301 | 302 | 303 | 307 | 308 => status_of(status.0),
        other => Err(Fault::new(format!("must be 301, 302, 303, 307 or 308, not: {other}"))),
    });
    Some(Action::Redirect(Redirect { to: to?, status: status? }))
}

/// Names in braces are those that are filled in; the rest can stand in a `Location`.
fn target(cx: &mut Lower<'_>, written: &Spanned<String>) -> Option<Template> {
    let text = written.get()?;
    let made = template::template(cx, written, &REDIRECT)?.and_then(|made| {
        if text.is_empty() || text.contains(char::is_whitespace) {
            return Err(Fault::new(format!("must be a URL or a path, not: `{text}`")));
        }
        made.texts().try_for_each(|text| field_value(text).map(drop))?;
        Ok(made)
    });
    made.map_err(|fault| cx.fault("to", written.span(), fault)).ok()
}

fn respond(cx: &mut Lower<'_>, written: &tables::RespondTable) -> Option<Action> {
    let status = cx.take("status", &written.status, |status| match status.0 {
        200..=599 => status_of(status.0),
        other => Err(Fault::new(format!("must be from 200 to 599, not: {other}"))),
    });
    let has_body =
        written.file.is_written() || written.body.get().is_some_and(|one| !one.is_empty());
    if let (Some(204 | 304), true) = (number(&written.status), has_body) {
        let fault = Fault::new("has no place in an answer 204 or 304 (RFC 9110 §6.4.1)");
        cx.fault("body", written.file.span().or(written.body.span()), fault);
    }
    let content_type = cx.take("content_type", &written.content_type, |text| field_value(text));
    let page = match written.file.written() {
        Some((file, at)) => {
            if written.body.is_written() {
                let said = "a fixed response has a `body` or a `file`, not both";
                let finding = Diagnostic::error("conflict", said).at(Some(at));
                cx.report(finding.also(written.body.span(), "the other"));
            }
            page::page(cx, "file", &written.file, file)
        }
        None => written.body.get().map(|body| StoredPage {
            body: body.clone().into(),
            content_type: HeaderValue::from_static("text/plain; charset=utf-8"),
        }),
    };
    let is_known = written.content_type.is_absent() || content_type.is_some();
    let page = page.filter(|_| is_known && !written.file.is_faulty())?;
    let content_type = content_type.unwrap_or(page.content_type);
    Some(Action::Respond(Respond { status: status?, page: StoredPage { content_type, ..page } }))
}

fn status_of(number: u32) -> Result<StatusCode, Fault> {
    let code = u16::try_from(number).ok().and_then(|code| StatusCode::from_u16(code).ok());
    code.ok_or_else(|| Fault::new(format!("must be a status, not: {number}")))
}
