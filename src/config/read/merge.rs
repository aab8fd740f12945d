//! Several files as one: named tables, routes and sites are added, every other key stands in one.

use crate::report::{Diagnostic, Report};

use super::super::tables::{FileTable, Named, Spanned};

/// Adds what an included file says; what was said before is reported with both places.
pub fn merge(into: &mut FileTable, from: FileTable, report: &mut Report) {
    if let Some(span) = from.include.span() {
        let finding = Diagnostic::error("include", "an included file may not include others");
        report.push(finding.at(span).hint("include it from the first file".to_owned()));
    }
    named(&mut into.listeners, from.listeners, "listener", report);
    named(&mut into.pools, from.pools, "pool", report);
    named(&mut into.access, from.access, "rule of access", report);
    let routes = from.routes.into_value().unwrap_or_default();
    into.routes.value_or_default().extend(routes);
    let sites = from.sites.into_value().unwrap_or_default();
    into.sites.value_or_default().extend(sites);
    one(&mut into.workers, from.workers, "workers", report);
    one(&mut into.relay, from.relay, "relay", report);
    one(&mut into.limits, from.limits, "limits", report);
    one(&mut into.drain, from.drain, "drain", report);
    one(&mut into.upgrade, from.upgrade, "upgrade", report);
    one(&mut into.reload, from.reload, "reload", report);
    one(&mut into.admin, from.admin, "admin", report);
    one(&mut into.control, from.control, "control", report);
    one(&mut into.log, from.log, "log", report);
}

fn named<T>(
    into: &mut Spanned<Named<T>>,
    from: Spanned<Named<T>>,
    what: &str,
    report: &mut Report,
) {
    let into = into.value_or_default();
    for (name, table) in from.into_value().unwrap_or_default().0 {
        let text = name.get().map_or("", String::as_str);
        let same = |(known, _): &&(Spanned<String>, _)| known.get() == name.get();
        if let Some((first, _)) = into.0.iter().find(same) {
            let said = format!("a {what} of this name was written before: `{text}`");
            let finding = Diagnostic::error("duplicate", said).at(name.span()).label("again");
            report.push(finding.also(first.span(), "first here"));
        } else {
            into.0.push((name, table));
        }
    }
}

fn one<T>(into: &mut Spanned<T>, from: Spanned<T>, key: &str, report: &mut Report) {
    if !from.is_written() {
        return;
    }
    if into.is_written() {
        let said = format!("this was written in another file before: `{key}`");
        let finding = Diagnostic::error("duplicate", said).at(from.span()).label("again");
        report.push(finding.also(into.span(), "first here"));
    } else {
        *into = from;
    }
}
