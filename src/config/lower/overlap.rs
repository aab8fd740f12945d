//! Addresses that cannot all be listened on: the process would not start.

use crate::report::{Diagnostic, Span};

use super::super::plan::{Address, Admin, Control, Listener};
use super::super::tables::FileTable;
use super::{Lower, entries};

/// What listens, and where that was written.
#[derive(Clone, Debug)]
pub struct ListenedOn {
    /// Whose address it is, as the beginning of a sentence.
    pub what: String,
    /// The address.
    pub address: Address,
    /// Where it was written.
    pub span: Option<Span>,
    /// Whether the directory of its socket is made where there is none.
    pub makes_directory: bool,
}

/// All that will be listened on. Reports every address that another one takes: the same, or the
/// same port of all addresses.
pub fn addresses(
    cx: &mut Lower<'_>,
    file: &FileTable,
    listeners: &[std::sync::Arc<Listener>],
    admin: Option<&Admin>,
    control: Option<&Control>,
) -> Vec<ListenedOn> {
    let admin = admin.map(|admin| Address::Inet(admin.address));
    let control = control.map(|control| Address::Unix(control.socket.clone()));
    let mut bound: Vec<ListenedOn> = Vec::new();
    for listener in listeners {
        let mut named = entries(&file.listeners).iter();
        let table = named.find(|(name, _)| name.get().is_some_and(|name| **name == *listener.name));
        let span = table.and_then(|(_, raw)| raw.get()?.address.span());
        let what = format!("listener `{}`", listener.name);
        bound.push(ListenedOn {
            what,
            address: listener.address.clone(),
            span,
            makes_directory: false,
        });
    }
    if let Some(address) = admin {
        let table = file.admin.get();
        let span = table.and_then(|table| table.address.span()).or(file.admin.span());
        bound.push(ListenedOn {
            what: "`[admin]`".to_owned(),
            address,
            span,
            makes_directory: false,
        });
    }
    if let Some(address) = control {
        let table = file.control.get();
        let span = table.and_then(|table| table.socket.span()).or(file.control.span());
        bound.push(ListenedOn {
            what: "`[control]`".to_owned(),
            address,
            span,
            makes_directory: true,
        });
    }
    for (at, second) in bound.iter().enumerate() {
        let Some(first) = bound[..at].iter().find(|first| first.address.clashes(&second.address))
        else {
            continue;
        };
        let said = match first.address == second.address {
            true => format!(
                "{} and {} have the same address: `{}`",
                first.what, second.what, second.address
            ),
            false => format!(
                "the address of {} takes that of {}: `{}`, `{}`",
                first.what, second.what, first.address, second.address
            ),
        };
        let finding = Diagnostic::error("duplicate", said).at(second.span).label("again");
        cx.report(finding.also(first.span, "first here"));
    }
    bound
}
