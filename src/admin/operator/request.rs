//! What all requests to the operator's socket have in common.

use http::StatusCode;
use serde::de::value::{Error, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::reply::Reply;

/// Bytes a request's body may have.
pub const BODY_BYTES_MAX: usize = 64 << 10;

/// A request to the operator's socket: its body, and where it is sent.
pub trait OperatorRequest: Serialize {
    /// The method.
    const METHOD: &'static str = "POST";

    /// The path.
    const PATH: &'static str;

    /// Whether it is to be waited for what it begins.
    fn waits(&self) -> bool {
        false
    }

    /// The body for older processes, where this one has agreed already.
    fn for_older(&self) -> Value {
        // cannot fail: requests are strings, numbers and flags; an empty one asks for nothing.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The path with its query.
    fn target(&self) -> String {
        Self::PATH.to_owned()
    }
}

/// What a request's body asks for; nothing at all is all the defaults. A field that is not known
/// is refused, lest a typing error kicks too many.
pub(super) fn read<T: DeserializeOwned + Serialize>(body: &[u8]) -> Result<T, Reply> {
    let refused = |why: &dyn std::fmt::Display| Reply::no(StatusCode::BAD_REQUEST, why);
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
    let written: Value = serde_json::from_slice(body).map_err(|error| refused(&error))?;
    // From the text: its errors say where.
    let request: T = serde_json::from_slice(body).map_err(|error| refused(&error))?;
    let understood = serde_json::to_value(&request).map_err(|error| refused(&error))?;
    match unknown(&written, &understood) {
        Some(field) => Err(refused(&format!("unknown field `{field}`"))),
        None => Ok(request),
    }
}

/// A field that is written and was not understood, unless it is an empty list, which asks for
/// nothing. (`deny_unknown_fields` does not go with fields
/// that several requests share.)
fn unknown<'a>(written: &'a Value, understood: &Value) -> Option<&'a str> {
    let (Value::Object(written), Value::Object(understood)) = (written, understood) else {
        return None;
    };
    written.iter().find_map(|(name, value)| match understood.get(name) {
        Some(same) => unknown(value, same),
        None => (*value != Value::Array(Vec::new())).then_some(&**name),
    })
}

/// For the command line: reads a value as a body's JSON has it.
pub(super) fn value<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let text: StrDeserializer<'_, Error> = text.into_deserializer();
    T::deserialize(text).map_err(|error| error.to_string())
}

/// For a body: writes a value as it is shown.
pub(super) fn shown<T: ToString, S: Serializer>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value.as_ref().map(T::to_string).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::super::kick::KickRequest;
    use super::*;
    use crate::config::Wait;

    #[test]
    fn a_body_with_a_word_that_is_not_known_is_refused_and_none_is_the_defaults() {
        assert!(read::<KickRequest>(b" ").is_ok());
        let refused = read::<KickRequest>(br#"{"who": {"rout": "a"}}"#).err().unwrap();
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        assert!(refused.text.contains("unknown field `rout`"), "{}", refused.text);
    }

    #[test]
    fn the_command_line_and_a_body_read_a_value_alike() {
        assert_eq!(value::<Wait>("1m30s").unwrap().to_string(), "90s");
        assert!(value::<Wait>("5").unwrap_err().contains("5s"));
    }
}
