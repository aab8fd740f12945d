//! What may be asked, in one table, by which requests are answered and the document is made.

use http::Method;

use super::context::ApiRefusal;
use crate::config::plan::ApiRight;

/// What stands for a session in a path.
pub(super) const SESSION: &str = "{session}";

/// Something that may be asked.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) method: Method,
    /// Below the route's own; [`SESSION`] is what follows.
    pub(super) path: &'static str,
    /// What its route must let be asked; `None` where that hangs on the body.
    pub(super) right: Option<ApiRight>,
    pub(super) kind: OperationKind,
}

/// What it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum OperationKind {
    /// Sends a message.
    Push,
    /// Lists sessions.
    List,
    /// Ends them.
    Kick,
    /// Shows one.
    ShowOne,
    /// Changes one.
    PatchOne,
    /// Ends one.
    KickOne,
    /// Counts them.
    Count,
    /// Streams what becomes of them.
    Follow,
    /// As API Gateway does, where the route has `aws`: sends one a message,
    AwsPost,
    /// shows it,
    AwsGet,
    /// ends it.
    AwsDelete,
}

impl OperationKind {
    /// Whether it is one of API Gateway's.
    pub(super) fn is_aws(self) -> bool {
        matches!(self, OperationKind::AwsPost | OperationKind::AwsGet | OperationKind::AwsDelete)
    }
}

const fn operation(
    method: Method,
    path: &'static str,
    right: Option<ApiRight>,
    kind: OperationKind,
) -> Operation {
    Operation { method, path, right, kind }
}

const SESSION_PATH: &str = "/v1/sessions/{session}";
const CONNECTION_PATH: &str = "/@connections/{session}";

/// All that may be asked.
pub(super) static OPERATIONS: [Operation; 11] = [
    operation(Method::POST, "/v1/push", Some(ApiRight::Push), OperationKind::Push),
    operation(Method::GET, "/v1/sessions", Some(ApiRight::List), OperationKind::List),
    operation(Method::DELETE, "/v1/sessions", Some(ApiRight::Kick), OperationKind::Kick),
    operation(Method::GET, SESSION_PATH, Some(ApiRight::List), OperationKind::ShowOne),
    operation(Method::PATCH, SESSION_PATH, None, OperationKind::PatchOne),
    operation(Method::DELETE, SESSION_PATH, Some(ApiRight::Kick), OperationKind::KickOne),
    operation(Method::GET, "/v1/count", Some(ApiRight::List), OperationKind::Count),
    operation(Method::GET, "/v1/events", Some(ApiRight::Events), OperationKind::Follow),
    operation(Method::POST, CONNECTION_PATH, Some(ApiRight::Push), OperationKind::AwsPost),
    operation(Method::GET, CONNECTION_PATH, Some(ApiRight::List), OperationKind::AwsGet),
    operation(Method::DELETE, CONNECTION_PATH, Some(ApiRight::Kick), OperationKind::AwsDelete),
];

impl Operation {
    /// The session that a path for this names, or nothing where it names none; `None` where the
    /// path is another's.
    fn session<'a>(&self, path: &'a str) -> Option<&'a str> {
        match self.path.strip_suffix(SESSION) {
            Some(before) => path.strip_prefix(before).filter(|session| !session.is_empty()),
            None => (path == self.path).then_some(""),
        }
    }
}

/// What is asked by this method of this path, and of which session.
///
/// # Errors
/// There is no such path, or it is asked by other methods.
pub(super) fn find<'a>(
    method: &Method,
    path: &'a str,
    has_aws: bool,
) -> Result<(&'static Operation, &'a str), ApiRefusal> {
    let here = OPERATIONS.iter().filter(|operation| has_aws || !operation.kind.is_aws());
    let mut allowed = Vec::new();
    for operation in here {
        let Some(session) = operation.session(path) else { continue };
        if operation.method == *method {
            return Ok((operation, session));
        }
        allowed.push(operation.method.clone());
    }
    match allowed.is_empty() {
        true => Err(ApiRefusal::NotFound),
        false => Err(ApiRefusal::Method(allowed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_by_its_method_or_says_which_it_has() {
        let kind = |method, path: &'static str| {
            find(&method, path, true).map(|(found, session)| (found.kind, session))
        };
        assert_eq!(kind(Method::GET, "/v1/sessions/a-b"), Ok((OperationKind::ShowOne, "a-b")));
        assert_eq!(kind(Method::GET, "/v1/sessions"), Ok((OperationKind::List, "")));
        let both = ApiRefusal::Method(vec![Method::GET, Method::DELETE]);
        assert_eq!(kind(Method::PUT, "/v1/sessions"), Err(both));
        for path in ["/v1/sessions/", "/v1/pus", "/", "", "/@connections/", "/v1/push/x"] {
            assert_eq!(kind(Method::GET, path), Err(ApiRefusal::NotFound), "{path}");
        }
        let aws = |has_aws| find(&Method::POST, "/@connections/x", has_aws).map(|_| ());
        assert_eq!((aws(true), aws(false)), (Ok(()), Err(ApiRefusal::NotFound)));
    }
}
