//! `[access.NAME]`, and what routes demand of them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::report::{Diagnostic, Span};
use crate::wire::htpasswd::Users;

use super::super::fault::Fault;
use super::super::hint::{did_you_mean, listed};
use super::super::plan::{
    ADMIN_OPERATORS, AccessDemand, AccessRule, AccessTest, AddressLists, Basic, CertificateMatch,
    Networks,
};
use super::super::tables::{self, OneOrMany, OrString, RouteAccess, Spanned};
use super::{Lower, NamedFiles, address, auth_server, entries, jwt, named};

/// All rules, in file order.
pub fn rules(cx: &mut Lower<'_>, file: &tables::FileTable) -> Option<Vec<Arc<AccessRule>>> {
    let written = entries(&file.access);
    let rules: Vec<_> =
        written.iter().filter_map(|(name, raw)| rule(cx, file, name, raw)).map(Arc::new).collect();
    unused(cx, file);
    (rules.len() == written.len() && !file.access.is_faulty()).then_some(rules)
}

fn rule(
    cx: &mut Lower<'_>,
    file: &tables::FileTable,
    name: &Spanned<String>,
    written: &Spanned<tables::AccessTable>,
) -> Option<AccessRule> {
    let place = name.span();
    let name = cx.take("access", name, |name| named(name))?;
    let raw = written.get()?;
    let test = match kind(cx, raw, &name, place)? {
        "basic" => basic(cx, &raw.basic, &name).map(AccessTest::Basic),
        "jwt" => jwt::jwt(cx, &raw.jwt, place, &name).map(Box::new).map(AccessTest::Jwt),
        "forward" => auth_server::forward(cx, file, &raw.forward, &name)
            .map(Box::new)
            .map(AccessTest::Forward),
        "certificate" => certificate(cx, &raw.certificate).map(AccessTest::Certificate),
        _ => addresses(cx, raw).map(AccessTest::Addresses),
    };
    Some(AccessRule { test: test?, name })
}

/// The key that says what kind of rule it is; it has exactly one.
fn kind(
    cx: &mut Lower<'_>,
    raw: &tables::AccessTable,
    name: &str,
    place: Option<Span>,
) -> Option<&'static str> {
    let addresses = raw.allow.span().or(raw.deny.span());
    let written: Vec<(&str, Span)> = [
        ("allow", addresses),
        ("basic", raw.basic.span()),
        ("jwt", raw.jwt.span()),
        ("forward", raw.forward.span()),
        ("certificate", raw.certificate.span()),
    ]
    .into_iter()
    .filter_map(|(key, span)| Some((key, span?)))
    .collect();
    match written[..] {
        [(kind, _)] => Some(kind),
        [] => {
            let said = format!("access rule `{name}` does not say who may pass");
            let hint = "write `allow = [\"10.0.0.0/8\"]`, or another of its keys".to_owned();
            cx.report(Diagnostic::error("missing", said).at(place).hint(hint));
            None
        }
        [(_, first), (_, second), ..] => {
            let said = format!("access rule `{name}` says in two ways who may pass");
            let hint = "make two rules of it, and write `access = [\"one\", \"other\"]` in routes";
            let finding = Diagnostic::error("conflict", said).at(second).hint(hint.to_owned());
            cx.report(finding.also(Some(first), "the other"));
            None
        }
    }
}

/// Certificates by name or hash.
fn certificate(
    cx: &mut Lower<'_>,
    written: &Spanned<tables::CertificateMatchTable>,
) -> Option<CertificateMatch> {
    let raw = written.get()?;
    let names = cx.take_each("names", &raw.names, |name| {
        let rest = name.strip_prefix("*.").unwrap_or(name);
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        match !rest.is_empty() && rest.chars().all(fits) {
            true => Ok(name.to_ascii_lowercase().into()),
            false => Err(Fault::new(format!("must be a DNS name, or `*.` and one: `{name}`"))),
        }
    });
    let sha256 = cx.take_each("sha256", &raw.sha256, |text| {
        let digits: String = text.chars().filter(|c| *c != ':').collect();
        let byte = |at: usize| u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..32).map(byte).collect();
        bytes
            .filter(|_| digits.len() == 64)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| Fault::new(format!("must be 64 hexadecimal digits, not: `{text}`")))
    });
    let (names, sha256): (Vec<Box<str>>, Vec<[u8; 32]>) = (names?, sha256?);
    for (key, list, is_empty) in [
        ("names", raw.names.span(), names.is_empty()),
        ("sha256", raw.sha256.span(), sha256.is_empty()),
    ] {
        if list.is_some() && is_empty {
            let fault = Fault::new("is an empty list: no certificate would do");
            cx.fault(key, list, fault.hint(format!("leave `{key}` out to take any")));
            return None;
        }
    }
    Some(CertificateMatch { names, sha256 })
}

fn addresses(cx: &mut Lower<'_>, raw: &tables::AccessTable) -> Option<AddressLists> {
    let (allow, deny) = (networks(cx, "allow", &raw.allow), networks(cx, "deny", &raw.deny));
    let (allow, deny) = (allow?, deny?);
    let allow = raw.allow.is_written().then_some(allow);
    Some(AddressLists { allow, deny })
}

fn basic(
    cx: &mut Lower<'_>,
    written: &Spanned<OrString<tables::BasicTable>>,
    name: &Arc<str>,
) -> Option<Basic> {
    let OrString(raw) = written.get()?;
    let owner = format!("`basic` of access rule `{name}`");
    cx.need((&raw.users, "users"), &owner, written.span(), "\"users.htpasswd\"");
    let realm = match raw.realm.is_absent() {
        true => realm(&name.chars().filter(|c| may_be_quoted(*c)).collect::<String>()),
        false => cx.take("realm", &raw.realm, |text| {
            realm(text).ok_or_else(|| {
                Fault::new(format!("must be text without quotes or control characters: `{text}`"))
            })
        }),
    };
    let strip = *raw.strip.get()?;
    read_users(cx, &raw.users, realm?, strip)
}

/// Users of the file that is named, and what else is to be said of their rule.
fn read_users(
    cx: &mut Lower<'_>,
    file: &Spanned<String>,
    realm: Arc<str>,
    strip: bool,
) -> Option<Basic> {
    if cx.named_files == NamedFiles::Skip {
        return Some(Basic { path: PathBuf::new(), stamp: 0, users: Arc::default(), realm, strip });
    }
    let (path, bytes, stamp) = cx.read("users", file)?;
    let users = users(cx, &path, &bytes, file.span())?;
    Some(Basic { path, stamp, users: Arc::new(users), realm, strip })
}

/// The rule for operators of the admin page, where there are some.
pub fn operators(cx: &mut Lower<'_>, file: &tables::FileTable) -> Option<Arc<AccessRule>> {
    let written = &file.admin.get()?.operators;
    let raw = written.get()?;
    cx.need(
        (&raw.users, "users"),
        "`operators` of `[admin]`",
        written.span(),
        "\"operators.htpasswd\"",
    );
    let users = read_users(cx, &raw.users, "tidegate".into(), true)?;
    let test = AccessTest::Basic(users);
    Some(Arc::new(AccessRule { name: ADMIN_OPERATORS.into(), test }))
}

/// Text that can stand in a quoted string as it is.
fn realm(text: &str) -> Option<Arc<str>> {
    text.chars().all(may_be_quoted).then(|| text.into())
}

fn may_be_quoted(c: char) -> bool {
    c.is_ascii() && !c.is_ascii_control() && !matches!(c, '"' | '\\')
}

/// Findings about one file at most; a file of another kind has no good line.
const BAD_LINES_MAX: usize = 5;

fn users(cx: &mut Lower<'_>, path: &Path, bytes: &[u8], at: Option<Span>) -> Option<Users> {
    let file = path.display();
    match Users::read(bytes) {
        Ok(users) if users.is_empty() => {
            let said = format!("the file `{file}` names no user: no client could pass");
            let hint = format!("`htpasswd -B {file} NAME` adds one");
            cx.report(Diagnostic::error("users", said).at(at).hint(hint));
            None
        }
        Ok(users) => Some(users),
        Err(bad) => {
            let more = bad.len().saturating_sub(BAD_LINES_MAX);
            for (number, line) in bad.iter().take(BAD_LINES_MAX).enumerate() {
                let mut said = format!("line {} of `{file}` {}", line.line, line.what);
                if more > 0 && number + 1 == BAD_LINES_MAX {
                    said += &format!("; so it is with {more} more");
                }
                let hint = line.wants_other_hash.then(|| {
                    format!(
                        "make it anew with `htpasswd -B {file} NAME`, which asks for the password"
                    )
                });
                cx.report(Diagnostic::error("users", said).at(at).hint(hint));
            }
            None
        }
    }
}

/// One of the lists; an empty one says nothing that could be meant.
fn networks(
    cx: &mut Lower<'_>,
    key: &str,
    written: &Spanned<OneOrMany<String>>,
) -> Option<Networks> {
    let networks = cx.take_each(key, written, |one| address::network(one))?;
    if networks.is_empty() && written.is_written() {
        let said = match key {
            "allow" => "is an empty list: no client could pass",
            _ => "is an empty list: it denies no client",
        };
        let hint = format!("name networks, or leave `{key}` out");
        cx.fault(key, written.span(), Fault::new(said).hint(hint));
        return None;
    }
    Some(address::networks(networks))
}

/// What a route demands; `None` inside where all may pass.
pub fn demand(
    cx: &mut Lower<'_>,
    file: &tables::FileTable,
    raw: &tables::RouteTable,
) -> Option<Option<AccessDemand>> {
    let Some(demand) = raw.access.get() else {
        return raw.access.is_absent().then_some(None);
    };
    let at = raw.access.span();
    let of_rules: fn(Vec<Arc<str>>) -> AccessDemand = match demand {
        RouteAccess::All(_) => AccessDemand::All,
        RouteAccess::Any(_) => AccessDemand::Any,
        RouteAccess::Open => return Some(None),
    };
    if demand.names().is_empty() {
        let fault = Fault::new("is an empty list: it demands nothing");
        cx.fault("access", at, fault.hint("leave `access` out to let all pass".to_owned()));
        return None;
    }
    let known: Vec<&str> = names(file).map(|(name, _)| name).collect();
    let mut found: Vec<Arc<str>> = Vec::new();
    for written in demand.names() {
        let Some(name) = written.get() else { continue };
        let place = written.span().or(at);
        if found.iter().any(|one| **one == *name.as_str()) {
            cx.fault("access", place, Fault::new(format!("names a rule twice: `{name}`")));
        } else if known.contains(&name.as_str()) {
            found.push(name.as_str().into());
        } else {
            let all = || match known.is_empty() {
                true => format!("there is none: write `[access.{name}]`"),
                false => format!("the rules are {}", listed(known.iter().copied(), "and")),
            };
            let hint = did_you_mean(name, known.iter().copied()).unwrap_or_else(all);
            let said = format!("no access rule has this name: `{name}`");
            cx.report(Diagnostic::error("undefined", said).at(place).hint(hint));
        }
    }
    let all_found = found.len() == demand.names().len();
    all_found.then(|| Some(of_rules(found)))
}

/// The pools of servers that say who may pass.
pub fn pools(file: &tables::FileTable) -> impl Iterator<Item = &str> {
    let rules = entries(&file.access).iter().filter_map(|(_, rule)| rule.get());
    rules.filter_map(|rule| Some(rule.forward.get()?.pool.get()?.as_str()))
}

/// The names of all rules, with their places.
fn names(file: &tables::FileTable) -> impl Iterator<Item = (&str, Span)> {
    let names = entries(&file.access).iter().filter_map(|(name, _)| name.written());
    names.map(|(name, span)| (name.as_str(), span))
}

/// A rule that no route names guards nothing, which is hardly meant.
fn unused(cx: &mut Lower<'_>, file: &tables::FileTable) {
    let routes = file.routes.get().map_or(&[][..], Vec::as_slice);
    let all_read = !file.routes.is_faulty()
        && routes.iter().all(|route| route.get().is_some_and(|route| !route.access.is_faulty()));
    let used: HashSet<&String> = routes
        .iter()
        .filter_map(|route| route.get()?.access.get())
        .flat_map(|access| access.names().iter().filter_map(Spanned::get))
        .collect();
    let unused: Vec<_> =
        names(file).filter(|(name, _)| all_read && !used.iter().any(|one| one == name)).collect();
    for (name, span) in unused {
        let said = format!("no route names this access rule, so it guards nothing: `{name}`");
        let hint = format!("write `access = \"{name}\"` in a route");
        cx.report(Diagnostic::warning("unused", said).at(span).hint(hint));
    }
}
