//! Which sessions a request is for: in its query, or in JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::context::ApiRefusal;
use crate::base::id::{SessionId, SessionName};
use crate::registry::Selector;
use crate::wire::label::{self, LABELS_MAX};
use crate::wire::query;
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

/// Sessions, by what is true of them: all of it. Nothing is no one's.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Default, Debug)]
#[serde(default, deny_unknown_fields)]
pub struct PushTargets {
    /// One of these, by their ids or tokens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<String>,
    /// All of these labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
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
    /// `label=NAME:VALUE` (each of them), `route=NAME`, `all=true`.
    ///
    /// # Errors
    /// A value that cannot be one.
    pub fn from_query(text: &str) -> Result<PushTargets, ApiRefusal> {
        let mut targets = PushTargets::default();
        for value in decoded(text, "session")? {
            targets.sessions.push(value);
        }
        for value in decoded(text, "label")? {
            let (name, value) = label::parse(&value, ':').map_err(|error| {
                ApiRefusal::BadRequest(format!("`label` is NAME:VALUE, not `{value}`: {error}"))
            })?;
            targets.labels.insert(name.to_owned(), value.to_owned());
        }
        targets.route = decoded(text, "route")?.pop();
        targets.all = match decoded(text, "all")?.pop().as_deref() {
            None | Some("false") => false,
            Some("true" | "") => true,
            Some(other) => {
                let why = format!("`all` is `true`, not `{other}`");
                return Err(ApiRefusal::BadRequest(why));
            }
        };
        Ok(targets)
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
            parts.push(Selector::Route(route.as_str().into()));
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

/// The values of a parameter, decoded.
pub(super) fn decoded(text: &str, name: &str) -> Result<Vec<String>, ApiRefusal> {
    let decode = |value: &str| {
        query::decoded(value).ok_or_else(|| {
            ApiRefusal::BadRequest(format!("the value of `{name}` is no text: `{value}`"))
        })
    };
    query::values(text, name).map(decode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_who_is_meant_and_nothing_is_no_one() {
        let targets = PushTargets::from_query("label=user:42&label=room:a%20b&route=chat").unwrap();
        let selector = targets.selector().unwrap();
        assert_eq!(selector.to_string(), "label `room=a b` and label `user=42` and route `chat`");
        assert!(PushTargets::from_query("all=true").unwrap().selector().is_ok());
        for wrong in ["", "all=false", "wait=read"] {
            let targets = PushTargets::from_query(wrong).unwrap();
            assert!(targets.is_empty() && targets.selector().is_err(), "{wrong}");
        }
        for wrong in ["label=user", "label=:1", "label=a:%ff", "all=no"] {
            assert!(PushTargets::from_query(wrong).is_err(), "{wrong}");
        }
        let many: Vec<String> = (0..10).map(|name| format!("label=n{name}:1")).collect();
        assert!(PushTargets::from_query(&many.join("&")).unwrap().selector().is_err());
        assert!(PushTargets::from_query("session=x").unwrap().selector().is_err());
    }
}
