//! Values with holes: what is wrong with one, where, and what was probably intended.

use super::super::fault::Fault;
use super::super::hint::{did_you_mean, listed};
use super::super::tables::Spanned;
use super::Lower;
use crate::report::Span;
use crate::wire::template::{Template, TemplateError, TemplateErrorKind};

/// Names that other proxies have, each with ours.
const FOREIGN: [(&str, &str); 15] = [
    ("remote_addr", "{client_ip}"),
    ("remote_host", "{client_ip}"),
    ("remote_ip", "{client_ip}"),
    ("remote_port", "{client_port}"),
    ("hostname", "{host}"),
    ("http_host", "{host}"),
    ("hostport", "{host}:{port}"),
    ("server_port", "{port}"),
    ("request_method", "{method}"),
    ("uri", "{path}{query}"),
    ("request_uri", "{path}{query}"),
    ("query_string", "{query}"),
    ("args", "{query}"),
    ("ssl_protocol", "{tls.version}"),
    ("remote_user", "{access.user}"),
];

/// The template that is written; its holes have these `names`.
pub fn template(
    cx: &Lower<'_>,
    written: &Spanned<String>,
    names: &[&str],
) -> Option<Result<Template, Fault>> {
    let text = written.get()?;
    Some(Template::parse(text, names).map_err(|error| {
        let fault = fault(text, &error, names);
        match written.span().and_then(|span| within(cx, text, span, &error)) {
            Some(place) => fault.of("value", place),
            None => fault,
        }
    }))
}

fn fault(text: &str, error: &TemplateError, names: &[&str]) -> Fault {
    let part = &text[error.at.clone()];
    match error.kind {
        TemplateErrorKind::TooLong => Fault::new(error.kind.to_string()),
        TemplateErrorKind::Open => Fault::new(format!("{}: `{part}`", error.kind))
            .hint("names stand in braces, as `{host}`; `{{` is a brace".to_owned()),
        TemplateErrorKind::Name => Fault::new(format!("{}: `{part}`", error.kind)),
        TemplateErrorKind::Unknown => {
            let name = part.trim_matches(['{', '}']);
            Fault::new(format!("{}: `{part}`", error.kind)).hint(probably(name, names))
        }
    }
}

/// The name that was probably intended, else all there are.
fn probably(name: &str, names: &[&str]) -> String {
    let ours = |name: &str| names.contains(&name) || names.iter().any(|one| one.ends_with('.'));
    let foreign = FOREIGN.iter().find(|(known, _)| *known == name).map(|(_, ours)| *ours);
    let of_fields =
        [("http_", "header"), ("cookie_", "cookie"), ("arg_", "query"), ("jwt_claim_", "claim")];
    let of_fields = of_fields.iter().find_map(|(prefix, kind)| {
        let rest = name.strip_prefix(prefix).filter(|rest| !rest.is_empty() && ours(kind))?;
        Some(format!(
            "`{{{kind}.{}}}`",
            rest.replace('_', if *kind == "header" { "-" } else { "_" })
        ))
    });
    if let Some(intended) = foreign.map(|ours| format!("`{ours}`")).or(of_fields) {
        return format!("write {intended}");
    }
    let rest = name.split_once('.').map_or("NAME", |(_, rest)| rest);
    let whole = |known: &&str| match known.strip_suffix('.') {
        Some(kind) => format!("{kind}.{rest}"),
        None => (*known).to_owned(),
    };
    let known: Vec<String> = names.iter().map(whole).collect();
    did_you_mean(name, known.iter().map(String::as_str)).unwrap_or_else(|| {
        let known = names.iter().map(|known| match known.strip_suffix('.') {
            Some(kind) => format!("{{{kind}.NAME}}"),
            None => format!("{{{known}}}"),
        });
        let known: Vec<String> = known.collect();
        let names = listed(known.iter().map(String::as_str), "and");
        format!("there are {names}; `{{{{` is a brace")
    })
}

/// The place of an error where the text is written as it is: without escapes and variables.
pub fn within(cx: &Lower<'_>, text: &str, span: Span, error: &TemplateError) -> Option<Span> {
    let written = cx.sources.slice(span);
    let quote = written.len().checked_sub(text.len())? / 2;
    if written.get(quote..quote + text.len()) != Some(text) || error.at.is_empty() {
        return None;
    }
    let place = |at: usize| u32::try_from(quote + at).ok().map(|at| span.start + at);
    Some(Span { start: place(error.at.start)?, end: place(error.at.end)?, ..span })
}
