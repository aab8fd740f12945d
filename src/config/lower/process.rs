//! What concerns the whole process.

use std::num::NonZero;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::super::fault::Fault;
use super::super::plan::{Admin, Control, Drain, Limits, Log, LogFormat, Reload, Upgrade};
use super::super::raw::{self, Number, Time, Wait, Written};
use super::{Lower, address, count, time, wait};

/// The longest `upgrade.timeout`: who asked waits on the operator's socket for as long.
const UPGRADE_TIMEOUT_MAX: Duration = Duration::from_secs(100);

/// As many workers as were asked for, else as there are cores.
pub fn workers(written: &Written<Number<1>>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
    count(written).unwrap_or_else(cores)
}

/// `[limits]`.
pub fn limits(raw: &raw::Limits) -> Option<Limits> {
    Some(Limits {
        connections_max: count(&raw.connections_max)?,
        connections_per_address_max: count(&raw.connections_per_address_max),
        hold_bytes_max: raw.hold_bytes_max.get()?.0,
    })
}

/// `[drain]`.
pub fn drain(cx: &mut Lower<'_>, raw: &raw::Drain) -> Option<Drain> {
    let (delay, window, timeout) = (wait(&raw.delay)?, wait(&raw.window)?, time(&raw.timeout)?);
    let least = delay + window;
    if least > timeout {
        let (least, timeout) = (Wait(least), Wait(timeout));
        let said =
            format!("must be at least `delay` and `window` together, {least}, not: `{timeout}`");
        let place = raw.timeout.span().or(raw.window.span()).or(raw.delay.span());
        cx.fault("timeout", place, Fault::new(said).hint(format!("write `\"{least}\"` or more")));
    }
    let rate_max = raw.rate_max.get()?.0;
    Some(Drain { delay, window, timeout, rate_max })
}

/// `[reload]`.
pub fn reload(raw: &raw::Reload) -> Option<Reload> {
    Some(Reload {
        watch: *raw.watch.get()?,
        quiet: time(&raw.quiet)?,
        drain_max_percent: raw.drain_max.get()?.0,
    })
}

/// `[upgrade]`.
pub fn upgrade(cx: &mut Lower<'_>, raw: &raw::Upgrade) -> Option<Upgrade> {
    let timeout = cx.take("timeout", &raw.timeout, |time| {
        let most = Time(UPGRADE_TIMEOUT_MAX);
        let said = || Fault::new(format!("must be at most {most}, not: `{time}`"));
        if time.0 <= UPGRADE_TIMEOUT_MAX { Ok(time.0) } else { Err(said()) }
    });
    Some(Upgrade {
        keep: matches!(raw.sessions.get()?, raw::UpgradeSessions::Keep),
        timeout: timeout?,
        keep_timeout: time(&raw.keep_timeout)?,
        older_max: count(&raw.older_max)?,
    })
}

/// `[admin]`.
pub fn admin(cx: &mut Lower<'_>, raw: &raw::Admin) -> Option<Admin> {
    let address = cx.take("address", &raw.address, |text| address::socket(text))?;
    Some(Admin { address })
}

/// `[control]`.
pub fn control(cx: &Lower<'_>, raw: &raw::Control) -> Option<Control> {
    Some(Control { socket: cx.path(raw.socket.get()?, raw.socket.span()) })
}

/// `[log]`.
pub fn log(cx: &mut Lower<'_>, raw: &raw::Log) -> Option<Log> {
    let filter = cx.take("filter", &raw.filter, |text| match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.clone()),
        Err(_) => {
            let said = format!("must be a filter of `tracing`, not: `{text}`");
            let hint = "as in `info` or `info,tidegate::pool=debug`".to_owned();
            Err(Fault::new(said).hint(hint))
        }
    });
    Some(Log {
        filter: filter?,
        format: match raw.format.get()? {
            raw::LogFormat::Auto => LogFormat::Auto,
            raw::LogFormat::Text => LogFormat::Text,
            raw::LogFormat::Json => LogFormat::Json,
        },
        access: *raw.access.get()?,
        queue_max: count(&raw.queue_max)?,
    })
}
