//! Raw to plan: defaults applied, names resolved, files read, everything checked.
//!
//! Each function takes what was written and gives what it means, or nothing when something in it
//! is wrong. All that is wrong was then reported; nothing stops at the first.

mod access;
mod acme;
mod action;
mod address;
mod api;
mod auth_server;
mod condition;
mod development;
mod discovery;
mod fields;
mod hold;
mod jwt;
mod key;
mod known;
mod label;
mod limit;
mod listener;
mod loops;
mod origins;
mod overlap;
mod page;
mod path_change;
mod pool;
mod probe;
mod process;
mod rebalance;
mod relay;
mod route;
mod site;
mod sticky;
mod template;
mod tls;
mod token_keys;
mod traces;
mod unfilled;

use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use overlap::ListenedOn;

use crate::report::{Diagnostic, Report, Sources, Span};

use super::fault::Fault;
use super::hint::unreadable;
use super::plan;
use super::read::SourceFiles;
use super::tables::{self, Named, Number, OneOrMany, Spanned, Time, checked};

/// A plan, and where its parts were written.
pub struct Lowered {
    pub plan: plan::Plan,
    pub route_spans: Vec<Span>,
    pub certificate_spans: Vec<(PathBuf, Span)>,
    pub listened_on: Vec<ListenedOn>,
}

/// Whether the files that a configuration names are looked at: certificates, keys, directories.
/// Included files are part of the configuration, and always are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NamedFiles {
    /// They are read, and what is wrong with them is told.
    Read,
    /// They may be on another machine. The plan has no certificates then, and cannot be run.
    Skip,
}

/// Checks all of `file`; the plan is worth something only when the report has no errors.
pub fn lower(
    mut file: tables::FileTable,
    sources: &Sources,
    files: &mut SourceFiles,
    report: &mut Report,
    named_files: NamedFiles,
) -> Option<Lowered> {
    let mut cx = Lower { sources, files, report, named_files, certificate_spans: Vec::new() };
    site::flatten(&mut cx, &mut file);
    let file = &file;
    let mut listeners = listener::listeners(&mut cx, file);
    let pools = pool::pools(&mut cx, file);
    let access = access::rules(&mut cx, file);
    let operators = access::operators(&mut cx, file);
    let routes = route::routes(&mut cx, file);
    let drain = file.drain.get().map(|drain| process::drain(&mut cx, drain));
    let upgrade = file.upgrade.get().map(|upgrade| upgrade.lower(cx.report));
    let limits = file.limits.get().map(|limits| limits.lower(cx.report));
    let reload = file.reload.get().map(|reload| reload.lower(cx.report));
    let admin = file.admin.get().map(|admin| process::admin(&mut cx, admin));
    let control = file.control.get().map(|control| process::control(&mut cx, control));
    let log = file.log.get().map(|log| log.lower(cx.report));
    let traces = file.traces.get().map(|raw| traces::traces(&mut cx, raw, file.traces.span()));
    let (admin, control) = (opt(admin), opt(control));
    let acme = acme::acme(&mut cx, file);
    if let Some(listeners) = &mut listeners {
        acme::names(&mut cx, file, listeners, &routes);
        development::names(&mut cx, file, listeners, &routes);
        api::guarded(&mut cx, listeners, &routes);
    }
    if let (Some(listeners), Some(pools)) = (&listeners, &pools) {
        loops::backends(&mut cx, file, listeners, pools);
    }
    let mut listened_on = Vec::new();
    if let (Some(listeners), Some(admin), Some(control)) = (&listeners, &admin, &control) {
        listened_on =
            overlap::addresses(&mut cx, file, listeners, admin.as_ref(), control.as_ref());
    }
    let certificate_spans = cx.certificate_spans;
    let (routes, route_spans) = routes.into_iter().unzip();
    let plan = plan::Plan {
        workers: process::workers(&file.workers),
        listeners: listeners?,
        pools: pools?,
        access: access?.into_iter().chain(operators).collect(),
        routes,
        acme: acme?,
        limits: limits??,
        drain: drain??,
        reload: reload??,
        upgrade: upgrade??,
        admin: admin?,
        control: control?,
        log: log??,
        traces: opt(traces)?,
        files: cx.files.named().to_owned(),
    };
    Some(Lowered { plan, route_spans, certificate_spans, listened_on })
}

/// Where the operator's socket is.
pub fn control_socket(raw: &tables::ControlTable, sources: &Sources) -> Option<PathBuf> {
    let (mut files, mut report) = (SourceFiles::default(), Report::default());
    let (files, report, certificate_spans) = (&mut files, &mut report, Vec::new());
    let named_files = NamedFiles::Skip;
    let cx = Lower { sources, files, report, named_files, certificate_spans };
    Some(cx.path(raw.socket.get()?, raw.socket.span()))
}

/// Where the admin listener is.
pub fn admin_address(raw: &tables::AdminTable, report: &mut Report) -> Option<SocketAddr> {
    checked(report, "address", &raw.address, |text| address::socket(text))
}

/// A backend's address from its text.
pub fn backend_address(text: &str) -> Result<plan::BackendAddress, String> {
    address::backend(text).map_err(|fault| fault.finding("value", "it", None).message)
}

/// What is at hand while a configuration is lowered.
struct Lower<'a> {
    sources: &'a Sources,
    files: &'a mut SourceFiles,
    report: &'a mut Report,
    named_files: NamedFiles,
    /// Where each certificate's chain was named.
    certificate_spans: Vec<(PathBuf, Span)>,
}

impl Lower<'_> {
    /// Reports a finding.
    fn report(&mut self, finding: Diagnostic) {
        self.report.push(finding);
    }

    /// Reports a fault of a key.
    fn fault(&mut self, key: &str, span: Option<Span>, fault: Fault) {
        self.report.push(fault.finding("value", &format!("`{key}`"), span));
    }

    /// What `written` means; a fault is reported as one of `key`. `None` also when it is absent
    /// or was reported before.
    fn take<T, U>(
        &mut self,
        key: &str,
        written: &Spanned<T>,
        meaning: impl FnOnce(&T) -> Result<U, Fault>,
    ) -> Option<U> {
        checked(self.report, key, written, meaning)
    }

    /// What each element means; `None` when one is wrong. An absent list is empty.
    fn take_each<T, U>(
        &mut self,
        key: &str,
        list: &Spanned<OneOrMany<T>>,
        mut meaning: impl FnMut(&T) -> Result<U, Fault>,
    ) -> Option<Vec<U>> {
        let Some(elements) = list.get() else {
            return list.is_absent().then(Vec::new);
        };
        let mut meant = Vec::with_capacity(elements.0.len());
        for element in &elements.0 {
            match element.get().map(&mut meaning) {
                Some(Ok(value)) => meant.push(value),
                Some(Err(fault)) => {
                    let subject = format!("an entry of `{key}`");
                    self.report.push(fault.finding("value", &subject, element.span()));
                }
                None => {}
            }
        }
        (meant.len() == elements.0.len()).then_some(meant)
    }

    /// Reports a key that must be there, when it is absent; `as_in` is how it may be written.
    fn need<T>(&mut self, key: (&Spanned<T>, &str), owner: &str, of: Option<Span>, as_in: &str) {
        let (written, key) = key;
        if written.is_absent() {
            let said = format!("{owner} has no `{key}`");
            let hint = format!("write `{key} = {as_in}`");
            self.report.push(Diagnostic::error("missing", said).at(of).hint(hint));
        }
    }

    /// A path as it was meant: relative to the file it was written in.
    fn path(&self, text: impl AsRef<Path>, span: Option<Span>) -> PathBuf {
        let written_in = span.map_or(Path::new(""), |span| self.sources.path(span.file));
        let path = written_in.parent().unwrap_or(Path::new("")).join(text);
        // `./a` is `a`: one file has one name.
        let named: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
        if named.as_os_str().is_empty() { path } else { named }
    }

    /// A file's bytes and their hash.
    fn read(&mut self, key: &str, written: &Spanned<String>) -> Option<(PathBuf, Vec<u8>, u64)> {
        let path = self.path(written.get()?, written.span());
        match self.files.bytes(&path) {
            Ok((bytes, stamp)) => Some((path, bytes, stamp)),
            Err(error) => {
                let said = format!("`{key}` cannot be read: {error}: `{}`", path.display());
                // A fresh clone has a sample that names them.
                let hint = path.parent().is_some_and(|parent| parent.ends_with("certs/dev"));
                let hint = match hint {
                    true => Some("`tidegate demo` makes certificates there"),
                    false => unreadable(written.get()?, &error),
                };
                let hint = hint.map(str::to_owned);
                self.report.push(Diagnostic::error("file", said).at(written.span()).hint(hint));
                None
            }
        }
    }
}

/// A name for logs, metrics and commands, which have words of their own in parentheses.
fn named(name: &str) -> Result<Arc<str>, Fault> {
    let fits = |c: char| !c.is_control() && !c.is_whitespace();
    if name.is_empty() || !name.chars().all(fits) {
        return Err(Fault::new(format!("must be a word without spaces, not: `{name}`")));
    }
    if name.starts_with('(') {
        let said = format!("must not begin with a parenthesis: `{name}`");
        let hint = "logs and metrics have words of their own in parentheses, as `(none)`";
        return Err(Fault::new(said).hint(hint.to_owned()));
    }
    Ok(name.into())
}

/// An optional part: absent is fine, wrong is not.
fn opt<T>(part: Option<Option<T>>) -> Option<Option<T>> {
    match part {
        None => Some(None),
        Some(Some(part)) => Some(Some(part)),
        Some(None) => None,
    }
}

fn time(written: &Spanned<Time>) -> Option<Duration> {
    written.get().map(|time| time.0)
}

fn number<const MIN: u32, const MAX: u32>(written: &Spanned<Number<MIN, MAX>>) -> Option<u32> {
    written.get().map(|number| number.0)
}

fn count<const MIN: u32, const MAX: u32>(written: &Spanned<Number<MIN, MAX>>) -> Option<usize> {
    number(written).and_then(|number| usize::try_from(number).ok())
}

/// The entries of a table of names; none when it is absent.
fn entries<T>(named: &Spanned<Named<T>>) -> &[(Spanned<String>, Spanned<T>)] {
    named.get().map_or(&[], |named| &named.0)
}
