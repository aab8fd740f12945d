//! Who a request comes from, as the rules know that let it pass.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

/// What a token claims.
pub(super) type Claims = Map<String, Value>;

/// Whose a request is: its user, and what its tokens claim. Empty where no rule asks for either.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Identity {
    user: Option<Arc<str>>,
    /// Of each rule of tokens, in the order they were asked.
    claims: Vec<Claims>,
}

impl Identity {
    /// Nobody's.
    pub const UNKNOWN: Identity = Identity { user: None, claims: Vec::new() };

    /// A user's.
    pub(super) fn of_user(name: &str) -> Identity {
        Identity { user: Some(name.into()), claims: Vec::new() }
    }

    /// The owner's of a token that claims this; its user is the subject (RFC 7519 §4.1.2).
    pub(super) fn of_token(claims: Claims) -> Identity {
        let user = claims.get("sub").and_then(Value::as_str).map(Arc::from);
        Identity { user, claims: vec![claims] }
    }

    /// What both know; where both know a user, the first one's.
    pub(super) fn and(mut self, other: Identity) -> Identity {
        self.claims.extend(other.claims);
        Identity { user: self.user.or(other.user), claims: self.claims }
    }

    /// The user's name.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// A claim as text, by its name, or by the names that lead to it with dots between them: text,
    /// a number, `true` or `false`, or a list of such with commas between them. Where several
    /// tokens have it, the first one's.
    pub fn claim(&self, path: &str) -> Option<Cow<'_, str>> {
        self.claims.iter().find_map(|claims| text(claim(claims, path)?))
    }
}

/// A claim by its name, or by the names that lead to it with dots between them.
pub(super) fn claim<'a>(claims: &'a Claims, path: &str) -> Option<&'a Value> {
    if let Some(claimed) = claims.get(path) {
        return Some(claimed);
    }
    let (first, rest) = path.split_once('.')?;
    claim(claims.get(first)?.as_object()?, rest)
}

/// A claim as text, where it can be one.
pub(super) fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(text.as_str().into()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string().into()),
        Value::Array(list) => {
            let plain = |one| text(one).filter(|_| !matches!(one, Value::Array(_)));
            let parts: Vec<_> = list.iter().filter_map(plain).collect();
            (!parts.is_empty()).then(|| parts.join(",").into())
        }
        Value::Null | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Claims {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn claims_are_text_and_what_has_none_is_none() {
        let identity = Identity::of_token(claims(json!({
            "sub": "ada", "n": 7, "on": true, "none": null, "deep": { "er": "x", "a.b": 1 },
            "roles": ["user", 3, ["inner"], {}], "empty": [],
        })));
        let is = |path: &str, text: Option<&str>| {
            assert_eq!(identity.claim(path).as_deref(), text, "{path}");
        };
        is("sub", Some("ada"));
        is("n", Some("7"));
        is("on", Some("true"));
        is("deep.er", Some("x"));
        is("deep.a.b", Some("1"));
        is("roles", Some("user,3"));
        for path in ["none", "deep", "empty", "other", "sub.x", ""] {
            is(path, None);
        }
        assert_eq!(identity.user(), Some("ada"));
    }

    #[test]
    fn the_first_rule_that_knows_decides() {
        let token = |value| Identity::of_token(claims(value));
        let all = Identity::of_user("bob")
            .and(token(json!({ "sub": "ada", "a": 1 })))
            .and(token(json!({ "a": 2, "b": 3 })));
        assert_eq!(
            (all.user(), all.claim("a"), all.claim("b")),
            (Some("bob"), Some("1".into()), Some("3".into()))
        );
        assert_eq!(Identity::UNKNOWN.and(token(json!({ "sub": "ada" }))).user(), Some("ada"));
        assert_eq!(token(json!({ "sub": 5 })).user(), None);
    }
}
