//! `POST /reload` and `POST /upgrade`: what the process does as a whole.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use clap::Args;
use http::StatusCode;
use serde::{Serialize, Serializer};

use super::reply::Reply;
use super::request::OperatorRequest;
use crate::admin::process::Process;
use crate::admin::report::{
    NoUpgrade, ReloadRefused, ReloadRequest, Reloaded, UpgradeFailure, Upgraded,
};

/// Has another process take over.
#[derive(Args, Serialize, Debug)]
pub struct UpgradeRequest {}

impl OperatorRequest for UpgradeRequest {
    const PATH: &'static str = "/upgrade";
}

impl Serialize for ReloadRequest {
    /// It has no body: what it asks for is in the query.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl OperatorRequest for ReloadRequest {
    const PATH: &'static str = "/reload";

    fn target(&self) -> String {
        let ReloadRequest { force, dry_run, recheck, config, .. } = self;
        let config = config.as_ref().map(|path| format!("&config={}", escaped(path)));
        let config = config.unwrap_or_default();
        format!("{}?force={force}&dry_run={dry_run}&recheck={recheck}{config}", Self::PATH)
    }
}

pub(super) async fn reload(process: &impl Process, query: Option<&str>) -> Result<Reply, Reply> {
    let request = asked(query).map_err(|unknown| {
        let text = format!(
            "not known: `{unknown}` (`force=true`, `dry_run=true`, `recheck=true` and \
                     `config=/PATH` are)"
        );
        Reply::no(StatusCode::BAD_REQUEST, text)
    })?;
    let reloaded = process.reload(request).await;
    let status = match &reloaded {
        Reloaded::Taken(_) | Reloaded::Unchanged => StatusCode::OK,
        Reloaded::Refused(refusal) => match refusal.why {
            ReloadRefused::Drain { .. }
            | ReloadRefused::OtherFile { .. }
            | ReloadRefused::Passed(_) => StatusCode::CONFLICT,
            ReloadRefused::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            ReloadRefused::Config(_) | ReloadRefused::Build(_) | ReloadRefused::Listeners(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
        },
    };
    Ok(Reply { status, text: reloaded.to_string(), json: reloaded.json() })
}

pub(super) async fn upgrade(process: &impl Process) -> Reply {
    let upgraded = process.upgrade().await;
    let status = match &upgraded {
        Upgraded::Done { .. } => StatusCode::OK,
        Upgraded::Refused(NoUpgrade::Stopping) => StatusCode::SERVICE_UNAVAILABLE,
        Upgraded::Refused(_) => StatusCode::CONFLICT,
        Upgraded::Failed(UpgradeFailure::Config(_)) => StatusCode::UNPROCESSABLE_ENTITY,
        Upgraded::Failed(_) => StatusCode::BAD_GATEWAY,
    };
    Reply { status, text: upgraded.to_string(), json: upgraded.json() }
}

/// What the query asks for; a word that is not known is refused, lest a typing error forces.
fn asked(query: Option<&str>) -> Result<ReloadRequest, &str> {
    let mut request = ReloadRequest::default();
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        match pair {
            "force=true" => request.force = true,
            "force=false" => request.force = false,
            "dry_run=true" => request.dry_run = true,
            "dry_run=false" => request.dry_run = false,
            "recheck=true" => request.recheck = true,
            "recheck=false" => request.recheck = false,
            unknown => {
                let path = unknown.strip_prefix("config=").and_then(unescaped);
                request.config = Some(path.filter(|path| path.is_absolute()).ok_or(unknown)?);
            }
        }
    }
    Ok(request)
}

/// A path as a part of a query (RFC 3986 §3.4).
fn escaped(path: &Path) -> String {
    let mut text = String::new();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(*byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// The path that was escaped so; `None` where a `%` has not two hexadecimal digits.
fn unescaped(text: &str) -> Option<PathBuf> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        let (byte, after) = match (byte, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                (u8::try_from(digit(high)? * 16 + digit(low)?).ok()?, after)
            }
            (b'%', _) => return None,
            (byte, after) => (*byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    Some(PathBuf::from(OsString::from_vec(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_not_known_is_refused() {
        let forced = ReloadRequest { force: true, dry_run: true, ..ReloadRequest::default() };
        assert_eq!(asked(Some("force=true&dry_run=true")), Ok(forced.clone()));
        let config = OsString::from_vec(b"/etc/tide gate/%\xFF&=.toml".to_vec());
        let rechecked = ReloadRequest { recheck: true, ..ReloadRequest::default() };
        let named = ReloadRequest { config: Some(config.into()), ..forced.clone() };
        for request in [forced, rechecked, named] {
            let target = request.target();
            assert_eq!(asked(Some(target.split_once('?').unwrap().1)), Ok(request.clone()));
        }
        for wrong in ["config=new.toml", "config=/a%2", "config=/a%2g", "config="] {
            assert_eq!(asked(Some(wrong)), Err(wrong));
        }
        assert_eq!(asked(None), Ok(ReloadRequest::default()));
        assert_eq!(asked(Some("forse=true")), Err("forse=true"));
    }
}
