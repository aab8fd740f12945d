//! `POST /enable`: a backend gets work again.

use std::sync::Arc;

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::orders::{lines, names};
use super::reply::Reply;
use super::request::OperatorRequest;
use super::selectors::{backends, no_backend};
use crate::admin::process::Process;
use crate::pool::Backend;

/// Gives a backend work again that a command disabled.
#[derive(Args, Serialize, Deserialize, Debug)]
pub struct EnableRequest {
    /// The backend, by its address
    #[arg(long, value_name = "ADDRESS")]
    backend: String,
    /// Its pool, where it is in several
    #[arg(long, value_name = "POOL")]
    #[serde(default)]
    pool: Option<String>,
}

impl OperatorRequest for EnableRequest {
    const PATH: &'static str = "/enable";
}

pub(super) fn enable(process: &impl Process, request: &EnableRequest) -> Result<Reply, Reply> {
    let snapshot = process.snapshot();
    let (pool, address) = (request.pool.as_deref(), request.backend.as_str());
    let found: Vec<&Arc<Backend>> = backends(&snapshot, pool, address).collect();
    if found.is_empty() {
        return Err(no_backend(&snapshot, pool, address));
    }
    let enabled: Vec<&Arc<Backend>> = found.into_iter().filter(|one| one.enable()).collect();
    let outcome = if enabled.is_empty() { "unchanged" } else { "enabled" };
    let text = match enabled.as_slice() {
        [] => format!("backend `{address}` was not disabled by a command"),
        enabled => lines(enabled, "gets new sessions again"),
    };
    Ok(Reply::yes(text, json!({ "outcome": outcome, "enabled": names(&enabled) })))
}
