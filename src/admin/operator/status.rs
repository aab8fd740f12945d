//! `GET /status`: what lives in the process, and in those before it.

use clap::Args;
use serde::Serialize;

use super::everywhere::{Asker, Everywhere};
use super::process_status::ProcessStatus;
use super::reply::Reply;
use super::request::OperatorRequest;
use super::status_view;
use crate::admin::process::Process;

/// Says what lives in the process.
#[derive(Args, Serialize, Debug)]
pub struct StatusRequest {}

impl OperatorRequest for StatusRequest {
    const METHOD: &'static str = "GET";
    const PATH: &'static str = "/status";
}

/// Tells what lives, how every backend stands, and how far every drain is.
pub(super) async fn status(process: &impl Process, asker: Asker) -> Result<Reply, Reply> {
    let here = async |_| Ok(ProcessStatus::of(process).await);
    let status = Everywhere::run(process, asker, &StatusRequest {}, here).await?;
    let text = status_view::text(&status.total, status.older());
    let json = serde_json::json!(status.total);
    Ok(status.reply_json(text, json))
}
