//! Questions of the process after this one about sessions that live here, and what they come to.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::change::{self, PatchRequest};
use super::context::{ApiContext, ApiRefusal};
use super::instances::INSTANCE_ANSWER_TIMEOUT;
use super::kick::{self, ApiKickRequest};
use super::list::{self, CountRequest, ListRequest};
use super::send::{self, PushRequest, TIMEOUT_MAX};

/// The longest that an older process takes to answer.
pub const INSTANCE_TIMEOUT_MAX: Duration = TIMEOUT_MAX.saturating_add(INSTANCE_ANSWER_TIMEOUT);

/// What an older process is asked.
#[derive(Deserialize, Debug)]
pub struct InstanceQuestion {
    /// The routes whose sessions it is about, as the configuration names them.
    pub routes: Vec<String>,
    /// What is asked about them.
    pub request: InstanceRequest,
}

/// What one process does of a request.
#[derive(Deserialize, Debug)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum InstanceRequest {
    /// Send a message.
    Push(PushRequest),
    /// List sessions.
    List(ListRequest),
    /// Count them.
    Count(CountRequest),
    /// End them.
    Kick(ApiKickRequest),
    /// Change one.
    #[serde(rename = "label")]
    Patch(PatchRequest),
}

/// Does what the process after this one asks.
///
/// # Errors
/// What its caller would have been refused.
pub async fn answer_newer(
    context: &ApiContext,
    request: InstanceRequest,
) -> Result<Value, ApiRefusal> {
    let answer = match request {
        InstanceRequest::Push(request) => value(send::push_here(context, request).await?),
        InstanceRequest::List(request) => value(list::list_here(context, &request).await?),
        InstanceRequest::Count(request) => value(list::count_here(context, &request).await?),
        InstanceRequest::Kick(request) => value(kick::kick_here(context, &request).await?),
        InstanceRequest::Patch(request) => value(change::patch_here(context, request).await?),
    };
    Ok(answer)
}

fn value(answer: impl Serialize) -> Value {
    // cannot fail: answers are strings, numbers and lists of them.
    serde_json::to_value(answer).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::change::SessionPatch;
    use super::super::instances::{ApiRequest, question};
    use super::super::targets::PushTargets;
    use super::*;

    /// What an older process reads of a question with this request.
    fn asked(request: &impl ApiRequest) -> InstanceRequest {
        let asked: InstanceQuestion =
            serde_json::from_str(&question(&["*".into()], request)).unwrap();
        assert_eq!(asked.routes, ["*"]);
        asked.request
    }

    #[test]
    fn a_question_is_read_as_what_was_asked() {
        let targets = PushTargets { all: true, ..PushTargets::default() };
        let push = PushRequest { to: vec![targets.clone()], ..PushRequest::default() };
        let InstanceRequest::Push(read) = asked(&push) else { panic!("not a push") };
        assert_eq!(read.to, push.to);
        let list = ListRequest { targets: targets.clone(), limit: 3, has_activity: false };
        let InstanceRequest::List(read) = asked(&list) else { panic!("not a list") };
        assert_eq!((read.targets, read.limit), (targets.clone(), 3));
        let count = CountRequest { targets: targets.clone() };
        let InstanceRequest::Count(read) = asked(&count) else { panic!("not a count") };
        assert_eq!(read.targets, targets);
        let reason = Some("bye".to_owned());
        let kick = ApiKickRequest { targets: targets.clone(), code: Some(4000), reason };
        let InstanceRequest::Kick(read) = asked(&kick) else { panic!("not a kick") };
        assert_eq!((read.targets, read.code), (targets, Some(4000)));
        assert_eq!(read.reason.as_deref(), Some("bye"));
        let labels = BTreeMap::from([("room".to_owned(), None)]);
        let patch = SessionPatch { labels, expires: Some(7) };
        let change = PatchRequest { session: "x".to_owned(), patch };
        let InstanceRequest::Patch(read) = asked(&change) else { panic!("not a change") };
        assert_eq!((read.session, read.patch.labels.len()), (change.session, 1));
        assert_eq!(read.patch.expires, Some(7));
    }
}
