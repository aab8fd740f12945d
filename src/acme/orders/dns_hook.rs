//! The operator's program that sets records in DNS.

use std::fmt;
use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use super::order_error::OrderError;
use crate::base::clock;
use crate::config::plan::DnsHook;

/// Bytes of what it prints that are kept; the rest is read and thrown away.
const PRINTED_BYTES_MAX: usize = 4096;

/// What it is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum HookCall {
    /// To set the record.
    Present,
    /// To remove it.
    Remove,
}

impl fmt::Display for HookCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HookCall::Present => "present",
            HookCall::Remove => "remove",
        })
    }
}

/// Calls it: with the record's name and its value.
///
/// # Errors
/// It cannot be started, takes too long (it is killed then), or ends with another code than 0.
pub(super) async fn call(
    hook: &DnsHook,
    what: HookCall,
    name: &str,
    value: &str,
) -> Result<(), OrderError> {
    let failed = |why: String| OrderError::Hook(format!("({what}) {why}"));
    let (program, arguments) =
        hook.command.split_first().ok_or_else(|| failed("has no program".to_owned()))?;
    let mut command = Command::new(&**program);
    command.args(arguments.iter().map(|word| &**word));
    command.arg(what.to_string()).arg(name).arg(value);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.kill_on_drop(true);
    let mut child =
        command.spawn().map_err(|error| failed(format!("cannot be started: {error}")))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let work = async {
        let (out, err, ended) = tokio::join!(last_of(out), last_of(err), child.wait());
        let ended = ended.map_err(|error| failed(format!("is lost: {error}")))?;
        match ended.success() {
            true => Ok(()),
            false => {
                let printed = [err, out].into_iter().find(|printed| !printed.is_empty());
                let printed =
                    printed.map_or("nothing".to_owned(), |printed| format!("{printed:?}"));
                Err(failed(format!("ended with {ended} and printed {printed}")))
            }
        }
    };
    let worked = clock::by(clock::now().after(hook.timeout), work).await;
    worked.unwrap_or_else(|| Err(failed(format!("took longer than {:?}", hook.timeout))))
}

/// The last of what is printed.
async fn last_of(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut pipe) = pipe else { return String::new() };
    let (mut kept, mut piece) = (Vec::new(), [0; PRINTED_BYTES_MAX]);
    while let Ok(read @ 1..) = pipe.read(&mut piece).await {
        kept.extend_from_slice(&piece[..read]);
        let excess = kept.len().saturating_sub(PRINTED_BYTES_MAX);
        kept.drain(..excess);
    }
    String::from_utf8_lossy(&kept).trim().to_owned()
}
