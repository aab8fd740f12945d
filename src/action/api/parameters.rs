//! The query of a request: each of its parameters is known, and those that are one are there once.
//! What is ignored would be a message to more sessions than its caller means.

use super::context::ApiRefusal;
use crate::config::did_you_mean;
use crate::wire::query;

/// Parameters with their values, decoded.
#[derive(Debug)]
pub(super) struct QueryParameters(Vec<(&'static str, String)>);

impl QueryParameters {
    /// Reads a query of which these may be the parameters.
    ///
    /// # Errors
    /// It has another, or a value that is no text.
    pub(super) fn read(text: &str, known: &[&'static str]) -> Result<QueryParameters, ApiRefusal> {
        let written = text.split('&').filter(|part| !part.is_empty());
        let parameter = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let Some(known) = known.iter().find(|known| **known == name) else {
                return Err(unknown(name, known));
            };
            let decoded = query::decoded(value).ok_or_else(|| {
                ApiRefusal::BadRequest(format!("the value of `{name}` is no text: `{value}`"))
            })?;
            Ok((*known, decoded))
        };
        written.map(parameter).collect::<Result<_, _>>().map(QueryParameters)
    }

    /// All values of a parameter.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that has one.
    ///
    /// # Errors
    /// It is there twice.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, ApiRefusal> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(ApiRefusal::BadRequest(format!("`{name}` is there more than once"))),
        }
    }

    /// The first parameter that is none of these.
    pub(super) fn beside(&self, known: &[&str]) -> Option<&'static str> {
        self.0.iter().map(|(name, _)| *name).find(|name| !known.contains(name))
    }
}

fn unknown(name: &str, known: &[&'static str]) -> ApiRefusal {
    let names = || match known {
        [] => "this request has none".to_owned(),
        known => format!("there are `{}`", known.join("`, `")),
    };
    let hint = did_you_mean(name, known.iter().copied()).unwrap_or_else(names);
    ApiRefusal::BadRequest(format!("no such parameter: `{name}`; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parameter_is_known_and_one_that_is_one_is_there_once() {
        let read = |text| QueryParameters::read(text, &["label", "route", "limit"]);
        let parameters = read("label=a:1&&label=b%3A2&route=x+y&").unwrap();
        assert_eq!(parameters.all("label").collect::<Vec<_>>(), ["a:1", "b:2"]);
        assert_eq!(parameters.one("route"), Ok(Some("x y")));
        assert_eq!(parameters.one("limit"), Ok(None));
        assert!(parameters.one("label").unwrap_err().reason().contains("more than once"));
        assert_eq!(
            (parameters.beside(&["label"]), read("").unwrap().beside(&[])),
            (Some("route"), None)
        );
        for (wrong, why) in [
            ("lable=a:1", "`lable`; did you mean `label`?"),
            ("x", "`x`; there are `label`, `route`, `limit`"),
            ("Label=a:1", "no such parameter"),
            ("=1", "no such parameter"),
            ("l%61bel=a:1", "no such parameter"),
            ("label=%ff", "is no text"),
        ] {
            let refused = read(wrong).unwrap_err().reason();
            assert!(refused.contains(why), "{wrong}: {refused}");
        }
    }
}
