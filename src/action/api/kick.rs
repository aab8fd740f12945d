//! `DELETE /v1/sessions`: sessions end, each with a Close.

use http::request::Parts;
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::context::{ApiContext, ApiRefusal};
use super::instances::{ApiOutcome, ApiRequest, INSTANCE_ANSWER_TIMEOUT, everywhere, wherever};
use super::json;
use super::parameters::QueryParameters;
use super::targets::{NamedSession, PushTargets};
use crate::base::body::Body;
use crate::wire::control::{CLOSE_REASON_BYTES_MAX, close_code_is_valid};

/// The parameters of a query that say with which Close.
const CLOSE: [&str; 2] = ["code", "reason"];

/// Sessions that are to end.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub struct ApiKickRequest {
    /// Which.
    pub targets: PushTargets,
    /// With this close code.
    pub code: Option<u16>,
    /// And with these words beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl ApiRequest for ApiKickRequest {
    const ASK: &'static str = "kick";
}

/// How many were told to end.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub(super) struct KickOutcome {
    kicked: usize,
}

impl ApiOutcome for KickOutcome {
    fn add(&mut self, other: KickOutcome) {
        self.kicked += other.kicked;
    }
}

/// Ends the sessions that a query names.
pub(super) async fn several(
    context: &ApiContext,
    head: &Parts,
) -> Result<Response<Body>, ApiRefusal> {
    let (targets, parameters) = PushTargets::of_query(head, &CLOSE)?;
    let (code, reason) = (code(&parameters)?, reason(&parameters)?);
    let request = ApiKickRequest { targets, code, reason };
    // What is wrong with it is wrong everywhere.
    request.targets.selector()?;
    let own = async { kick_here(context, &request).await.unwrap_or(KickOutcome { kicked: 0 }) };
    let asked = || request.clone();
    let kicked = everywhere(context, asked, INSTANCE_ANSWER_TIMEOUT, own).await?;
    Ok(json::answer(StatusCode::OK, &json!(kicked)))
}

/// Ends one session.
pub(super) async fn one(
    context: &ApiContext,
    head: &Parts,
    session: NamedSession,
) -> Result<Response<Body>, ApiRefusal> {
    let parameters = QueryParameters::read(head.uri.query().unwrap_or_default(), &CLOSE)?;
    let kicked = end(context, session, code(&parameters)?, reason(&parameters)?).await?;
    Ok(json::answer(StatusCode::OK, &json!(kicked)))
}

/// Ends one session with this code, or its route's, and with these words, or the usual one.
pub(super) async fn end(
    context: &ApiContext,
    session: NamedSession,
    code: Option<u16>,
    reason: Option<String>,
) -> Result<KickOutcome, ApiRefusal> {
    let request = ApiKickRequest { targets: PushTargets::one(session), code, reason };
    let own = kick_here(context, &request);
    wherever(context, session, &request, own).await
}

/// Ends those of this process.
pub(super) async fn kick_here(
    context: &ApiContext,
    request: &ApiKickRequest,
) -> Result<KickOutcome, ApiRefusal> {
    let selector = context.only_covered(request.targets.selector()?);
    let words = request.reason.as_deref().map(Into::into);
    let kicked = context.sessions.kick_all(selector, request.code, words).await;
    match kicked {
        0 if request.targets.is_single() => Err(ApiRefusal::Gone),
        kicked => Ok(KickOutcome { kicked }),
    }
}

/// What a Close says beside its code.
fn reason(parameters: &QueryParameters) -> Result<Option<String>, ApiRefusal> {
    match parameters.one("reason")? {
        Some(reason) if reason.len() > CLOSE_REASON_BYTES_MAX => {
            let why = format!(
                "`reason` has {} bytes, and a Close has room for {CLOSE_REASON_BYTES_MAX} \
                 (RFC 6455 §5.5)",
                reason.len()
            );
            Err(ApiRefusal::BadRequest(why))
        }
        reason => Ok(reason.map(str::to_owned)),
    }
}

fn code(parameters: &QueryParameters) -> Result<Option<u16>, ApiRefusal> {
    let code = parameters.one("code")?.map(|text| {
        let code = text.parse().ok().filter(|code| close_code_is_valid(*code));
        let why = || format!("no close code that may be sent (RFC 6455 §7.4): `{text}`");
        code.ok_or_else(|| ApiRefusal::BadRequest(why()))
    });
    code.transpose()
}
