//! Which sessions a request is for: in its query, or in JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use http::request::Parts;
use serde::{Deserialize, Serialize};

use super::context::ApiRefusal;
use super::objects::unique_keys;
use super::parameters::QueryParameters;
use crate::base::id::{SessionId, SessionName};
use crate::registry::Selector;
use crate::wire::label::{self, LABELS_MAX};
use crate::wire::resume::Token;

/// A session by what it is called: by people its id, by its backends its token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NamedSession {
    Id(SessionName),
    Token(Token),
}

impl FromStr for NamedSession {
    type Err = ApiRefusal;

    fn from_str(text: &str) -> Result<NamedSession, ApiRefusal> {
        let token = || text.parse().map(NamedSession::Token);
        text.parse().map(NamedSession::Id).or_else(|_| token()).map_err(|_| {
            ApiRefusal::BadRequest(format!(
                "not the id of a session, nor its token: `{text}`; an id is 12 and 16 hexadecimal \
                 digits with `-` between, as the log shows it, a token the 32 of \
                 `Tidegate-Session`"
            ))
        })
    }
}

impl fmt::Display for NamedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NamedSession::Id(name) => name.fmt(f),
            NamedSession::Token(token) => token.fmt(f),
        }
    }
}

/// Sessions named in one request at most.
const SESSIONS_MAX: usize = 1_000;

/// The parameters of a query that say which sessions.
pub(super) const TARGETS: [&str; 4] = ["label", "session", "route", "all"];

/// Sessions, by what is true of them: all of it. Nothing is no one's.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Default, Debug)]
#[serde(default, deny_unknown_fields)]
pub struct PushTargets {
    /// One of these, by their ids or tokens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<String>,
    /// All of these labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique_keys")]
    pub labels: BTreeMap<String, String>,
    /// Of this route, by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Every one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
}

impl PushTargets {
    /// What a query says: `session=ID`, or its token (more than once: any of them),
    /// `label=NAME:VALUE` (each of them), `route=NAME`, `all=true`; and its parameters, of which
    /// these may be beside those.
    ///
    /// # Errors
    /// A value that cannot be one, or a parameter that is not known.
    pub(super) fn of_query(
        head: &Parts,
        beside: &[&'static str],
    ) -> Result<(PushTargets, QueryParameters), ApiRefusal> {
        let text = head.uri.query().unwrap_or_default();
        let parameters = QueryParameters::read(text, &[&TARGETS[..], beside].concat())?;
        let mut targets = PushTargets::default();
        targets.sessions.extend(parameters.all("session").map(str::to_owned));
        for value in parameters.all("label") {
            let (name, value) = label::parse(value, ':').map_err(|error| {
                ApiRefusal::BadRequest(format!("`label` is NAME:VALUE, not `{value}`: {error}"))
            })?;
            targets.add_label(name, value)?;
        }
        targets.route = parameters.one("route")?.map(str::to_owned);
        targets.all = match parameters.one("all")? {
            None | Some("false") => false,
            Some("true" | "") => true,
            Some(other) => {
                let why = format!("`all` is `true`, not `{other}`");
                return Err(ApiRefusal::BadRequest(why));
            }
        };
        Ok((targets, parameters))
    }

    /// Only those with this label, too.
    ///
    /// # Errors
    /// They are to have it with another value already.
    pub fn add_label(&mut self, name: &str, value: &str) -> Result<(), ApiRefusal> {
        match self.labels.insert(name.to_owned(), value.to_owned()) {
            Some(other) if other != value => Err(ApiRefusal::BadRequest(format!(
                "no session has the label `{name}` twice, as `{other}` and as `{value}`"
            ))),
            _ => Ok(()),
        }
    }

    /// One session.
    pub(super) fn one(name: NamedSession) -> PushTargets {
        PushTargets { sessions: vec![name.to_string()], ..PushTargets::default() }
    }

    /// Whether it names no one.
    pub fn is_empty(&self) -> bool {
        let PushTargets { sessions, labels, route, all } = self;
        !all && sessions.is_empty() && labels.is_empty() && route.is_none()
    }

    /// Whether it names single sessions and nothing else.
    pub(super) fn is_single(&self) -> bool {
        !self.sessions.is_empty() && self.labels.is_empty() && self.route.is_none()
    }

    /// The sessions.
    ///
    /// # Errors
    /// It names no one, too many, or what cannot be a name.
    pub fn selector(&self) -> Result<Selector, ApiRefusal> {
        let bad = |why: String| Err(ApiRefusal::BadRequest(why));
        if self.is_empty() {
            return bad("say to whom: `label`, `session`, `route` or `all`".to_owned());
        }
        if self.labels.len() > LABELS_MAX {
            return bad(format!("a session has at most {LABELS_MAX} labels"));
        }
        let mut parts = Vec::new();
        for (name, value) in &self.labels {
            if !label::is_label(name) || !label::is_label_value(value) {
                return bad(format!("no session has a label like this: `{name}`"));
            }
            let (name, value) = (name.as_str().into(), value.as_str().into());
            parts.push(Selector::Label { name, value });
        }
        if let Some(route) = &self.route {
            parts.push(Selector::NamedRoute(route.as_str().into()));
        }
        if !self.sessions.is_empty() {
            parts.push(named(&self.sessions)?);
        }
        Ok(Selector::AllOf(parts.into()))
    }
}

/// Sessions by what they are called; ids of other processes are none here.
fn named(names: &[String]) -> Result<Selector, ApiRefusal> {
    if names.len() > SESSIONS_MAX {
        let why = format!("at most {SESSIONS_MAX} sessions are named in one request");
        return Err(ApiRefusal::BadRequest(why));
    }
    let (mut ids, mut tokens): (Vec<SessionId>, Vec<Token>) = Default::default();
    for name in names {
        match name.parse()? {
            NamedSession::Id(name) => ids.extend(name.here()),
            NamedSession::Token(token) => tokens.push(token),
        }
    }
    ids.sort_unstable();
    Ok(match tokens.is_empty() {
        true => Selector::Sessions(ids.into()),
        false => Selector::Named { tokens: tokens.into(), ids: ids.into() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Result<PushTargets, ApiRefusal> {
        let uri = format!("/v1/push?{query}");
        let (head, ()) = http::Request::get(uri).body(()).unwrap().into_parts();
        PushTargets::of_query(&head, &["wait"]).map(|(targets, _)| targets)
    }

    #[test]
    fn a_query_says_who_is_meant_and_nothing_is_no_one() {
        let targets = of("label=user:42&label=room:a%20b&route=chat&label=user:42").unwrap();
        let selector = targets.selector().unwrap();
        assert_eq!(selector.to_string(), "label `room=a b` and label `user=42` and route `chat`");
        assert!(of("all=true").unwrap().selector().is_ok());
        for wrong in ["", "all=false", "wait=read"] {
            let targets = of(wrong).unwrap();
            assert!(targets.is_empty() && targets.selector().is_err(), "{wrong}");
        }
        for wrong in ["label=user", "label=:1", "label=a:%ff", "all=no"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
        let many: Vec<String> = (0..10).map(|name| format!("label=n{name}:1")).collect();
        assert!(of(&many.join("&")).unwrap().selector().is_err());
        assert!(of("session=x").unwrap().selector().is_err());
    }

    #[test]
    fn what_could_be_more_sessions_than_are_meant_is_refused() {
        for wrong in [
            "label=user:1&label=user:2",
            "route=a&route=b",
            "all=false&all=true",
            "all=true&limit=1",
            "all=true&except=user:1",
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
        let read = serde_json::from_str::<PushTargets>;
        assert!(read(r#"{"labels":{"user":"1","room":"1"}}"#).is_ok());
        let twice = read(r#"{"labels":{"user":"1","user":"2"}}"#).unwrap_err().to_string();
        assert!(twice.contains("`user` is there more than once"), "{twice}");
    }
}
