//! `POST /enable`: a backend gets work again.

use std::sync::Arc;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::everywhere::{Asker, CommandOutcome, Everywhere};
use super::orders::{BackendName, lines};
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

pub(super) async fn enable(
    process: &impl Process,
    asker: Asker,
    request: EnableRequest,
) -> Result<Reply, Reply> {
    let here = async |_| enable_here(process, &request);
    let mut done = Everywhere::run(process, asker, &request, here).await?;
    let enabled = &done.total.enabled;
    done.total.outcome = if enabled.is_empty() { "unchanged" } else { "enabled" }.to_owned();
    let text = match enabled.as_slice() {
        [] => format!("backend `{}` was not disabled by a command", request.backend),
        enabled => lines(enabled, "gets new sessions again"),
    };
    Ok(done.reply(text))
}

/// Backends that get work again.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(default)]
struct EnabledBackends {
    outcome: String,
    enabled: Vec<BackendName>,
}

impl CommandOutcome for EnabledBackends {
    fn add(&mut self, other: EnabledBackends) {
        BackendName::add(&mut self.enabled, other.enabled);
    }

    /// It is about backends.
    fn sessions(&self) -> usize {
        0
    }
}

fn enable_here(process: &impl Process, request: &EnableRequest) -> Result<EnabledBackends, Reply> {
    let snapshot = process.snapshot();
    let (pool, address) = (request.pool.as_deref(), request.backend.as_str());
    let found: Vec<&Arc<Backend>> = backends(&snapshot, pool, address).collect();
    if found.is_empty() {
        return Err(no_backend(&snapshot, pool, address));
    }
    let enabled: Vec<&Arc<Backend>> = found.into_iter().filter(|one| one.enable()).collect();
    Ok(EnabledBackends { enabled: BackendName::of(&enabled), ..EnabledBackends::default() })
}
