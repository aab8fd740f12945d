//! A fixed response.

use http::Response;
use http::header::CONTENT_TYPE;

use crate::base::body::{self, Body};
use crate::config::plan::Respond;

/// The response the plan holds.
pub fn respond(plan: &Respond) -> Response<Body> {
    let mut answer = Response::new(body::full(plan.page.body.clone()));
    *answer.status_mut() = plan.status;
    answer.headers_mut().insert(CONTENT_TYPE, plan.page.content_type.clone());
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan::StoredPage;
    use http::{HeaderValue, StatusCode};
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_fixed_response_is_given_as_planned() {
        let plan = Respond {
            status: StatusCode::GONE,
            page: StoredPage {
                body: "moved out\n".into(),
                content_type: HeaderValue::from_static("text/plain"),
            },
        };
        let answer = respond(&plan);
        assert_eq!(answer.status(), StatusCode::GONE);
        assert_eq!(answer.headers()[CONTENT_TYPE], "text/plain");
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "moved out\n");
    }
}
