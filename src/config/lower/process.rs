//! What concerns the whole process.

use std::num::NonZero;
use std::sync::Arc;

use crate::report::Diagnostic;
use crate::wire::host;

use super::super::fault::Fault;
use super::super::plan::{Admin, Control, Drain};
use super::super::tables::{self, Number, OrOff, Size, Spanned, Wait};
use super::{Lower, address, count};

/// As many workers as were asked for, else as there are cores.
pub fn workers<const MAX: u32>(written: &Spanned<Number<1, MAX>>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
    count(written).unwrap_or_else(cores)
}

/// `[drain]`.
pub fn drain(cx: &mut Lower<'_>, raw: &tables::DrainTable) -> Option<Drain> {
    let drain = raw.lower(cx.report)?;
    let least = drain.delay + drain.window;
    if least > drain.timeout {
        let (least, timeout) = (Wait(least), Wait(drain.timeout));
        if let Some(span) = raw.timeout.span() {
            let said = format!(
                "must be at least `delay` and `window` together, {least}, not: `{timeout}`"
            );
            let fault = Fault::new(said).hint(format!("write `\"{least}\"` or more"));
            cx.fault("timeout", Some(span), fault);
        } else {
            // What is written is right by itself; what is missing is to be written.
            let said =
                "`delay` and `window` together, {least}, are more than `timeout`: `{timeout}`"
                    .replace("{least}", &least.to_string())
                    .replace("{timeout}", &timeout.to_string());
            let place = raw.window.span().or(raw.delay.span());
            let finding = Diagnostic::error("value", said).at(place);
            cx.report(finding.hint(format!("add `timeout = \"{least}\"` or more")));
        }
    }
    Some(drain)
}

/// `[admin]`.
pub fn admin(cx: &mut Lower<'_>, raw: &tables::AdminTable) -> Option<Admin> {
    let address = cx.take("address", &raw.address, |text| address::socket(text));
    let allow = cx.take_each("allow", &raw.allow, |one| client_network(one));
    let hosts = cx.take_each("hosts", &raw.hosts, |one| host_name(one));
    if raw.allow.is_written() && allow.as_ref().is_some_and(Vec::is_empty) {
        let fault = Fault::new("is empty: every request would be refused");
        cx.fault("allow", raw.allow.span(), fault);
    }
    let (page, has_operators) = (*raw.page.get()?, !raw.operators.is_absent());
    if has_operators && !page {
        let fault = Fault::new("is for the page, and there is none");
        cx.fault("operators", raw.operators.span(), fault.hint("add `page = true`".to_owned()));
    }
    let (address, allow) = (address?, address::networks(allow?));
    Some(Admin { address, allow, hosts: hosts?, page, has_operators })
}

/// A network that clients of a TCP listener can be in.
fn client_network(text: &str) -> Result<address::Network, Fault> {
    match address::network(text)? {
        address::Network::Unix => {
            let fault = Fault::new("must be a network or an IP address, not: `unix`");
            Err(fault.hint("only the owner of `[control]`'s socket may open that".to_owned()))
        }
        network => Ok(network),
    }
}

/// A name as requests have it, in one spelling and without a port.
fn host_name(text: &str) -> Result<Arc<str>, Fault> {
    let said = |why: &str| Fault::new(format!("must be a host's name, not: `{text}`: {why}"));
    let host = host::canonical(text).map_err(|error| said(&error.to_string()))?;
    match host.port {
        Some(_) => Err(said("the port does not count").hint(format!("write `\"{}\"`", host.name))),
        None => Ok(host.name.as_ref().into()),
    }
}

/// The most of `control.tail_payload`: a person reads it, and many frames wait to be shown.
const TAIL_PAYLOAD_MAX: Size = Size(4 << 10);

fn tail_payload(size: &OrOff<Size>) -> Result<usize, Fault> {
    match size.on() {
        None => Ok(0),
        Some(size) if size.0 > TAIL_PAYLOAD_MAX.0 => {
            Err(Fault::new(format!("must be at most `{TAIL_PAYLOAD_MAX}`, not: `{size}`")))
        }
        // cannot fail: it is at most 4096.
        Some(size) => Ok(usize::try_from(size.0).unwrap_or_default()),
    }
}

/// `[control]`.
pub fn control(cx: &mut Lower<'_>, raw: &tables::ControlTable) -> Option<Control> {
    let mode = *raw.mode.get()?;
    if mode.is_for_everyone() {
        let said = format!("`mode` lets everyone on this machine give commands: `{mode}`");
        let hint = "`0660` is for the socket's group".to_owned();
        cx.report(Diagnostic::warning("value", said).at(raw.mode.span()).hint(hint));
    }
    let tail_payload = cx.take("tail_payload", &raw.tail_payload, tail_payload)?;
    Some(Control { socket: cx.path(raw.socket.get()?, raw.socket.span()), mode, tail_payload })
}
