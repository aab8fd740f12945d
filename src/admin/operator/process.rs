//! `POST /reload` and `POST /upgrade`: what the process does as a whole.

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
        format!("{}?force={}&dry_run={}", Self::PATH, self.force, self.dry_run)
    }
}

pub(super) async fn reload(process: &impl Process, query: Option<&str>) -> Result<Reply, Reply> {
    let request = asked(query).map_err(|unknown| {
        let text = format!("not known: `{unknown}` (`force=true` and `dry_run=true` are)");
        Reply::no(StatusCode::BAD_REQUEST, text)
    })?;
    let reloaded = process.reload(request).await;
    let status = match &reloaded {
        Reloaded::Taken(_) | Reloaded::Unchanged => StatusCode::OK,
        Reloaded::Refused(ReloadRefused::Drain { .. } | ReloadRefused::Passed(_)) => {
            StatusCode::CONFLICT
        }
        Reloaded::Refused(ReloadRefused::Stopping) => StatusCode::SERVICE_UNAVAILABLE,
        Reloaded::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
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
            unknown => return Err(unknown),
        }
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_not_known_is_refused() {
        let forced = ReloadRequest { force: true, dry_run: true, if_changed: false };
        assert_eq!(asked(Some("force=true&dry_run=true")), Ok(forced));
        assert_eq!(asked(Some(forced.target().split_once('?').unwrap().1)), Ok(forced));
        assert_eq!(asked(None), Ok(ReloadRequest::default()));
        assert_eq!(asked(Some("forse=true")), Err("forse=true"));
    }
}
