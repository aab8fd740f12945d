//! Labels of sessions: names with values, by which sessions are found again; and `Tidegate-Label`,
//! by which a backend gives some in its 101.

use std::fmt;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::list::{is_token, split_quoted, unquote};

/// In a backend's 101: `Tidegate-Label: user=42, room="a, b"`.
pub const TIDEGATE_LABEL: HeaderName = HeaderName::from_static("tidegate-label");

/// Labels that a session has at most.
pub const LABELS_MAX: usize = 8;

/// Bytes of a label's name.
pub const NAME_BYTES_MAX: usize = 32;

/// Bytes of a label's value.
pub const VALUE_BYTES_MAX: usize = 128;

/// The labels of a session, sorted by name. A pointer; none costs nothing.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SessionLabels(Option<Arc<Vec<SessionLabel>>>);

/// One of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionLabel {
    name: Box<str>,
    value: Box<str>,
    source: LabelSource,
}

/// Who gave a label.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LabelSource {
    /// The session's backend, in its 101. It counts until another backend takes its place.
    Backend,
    /// The route.
    Route,
    /// Whoever may change the labels of live sessions.
    Operator,
}

/// Why a label cannot be given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LabelError {
    /// Its name is empty, too long, or has a character that a name has not.
    Name,
    /// Its value is empty, too long, or has a control character.
    Value,
    /// The session has as many as it may.
    TooMany,
    /// One of this name was given by who is believed more.
    Taken,
}

impl fmt::Display for LabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LabelError::Name => write!(
                f,
                "the name of a label is 1 to {NAME_BYTES_MAX} letters, digits, `_`, `-` and `.`"
            ),
            LabelError::Value => write!(
                f,
                "the value of a label is 1 to {VALUE_BYTES_MAX} bytes without control characters"
            ),
            LabelError::TooMany => write!(f, "a session has at most {LABELS_MAX} labels"),
            LabelError::Taken => f.write_str("a label of this name was given by the route"),
        }
    }
}

/// Whether a label can have this name.
pub fn is_label(name: &str) -> bool {
    let may = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(may)
}

/// Whether a label can have this value.
pub fn is_label_value(value: &str) -> bool {
    (1..=VALUE_BYTES_MAX).contains(&value.len()) && !value.chars().any(char::is_control)
}

/// Name and value of a label, with this sign between them.
///
/// # Errors
/// Which of them cannot be one.
pub fn parse(text: &str, sign: char) -> Result<(&str, &str), LabelError> {
    let (name, value) = text.split_once(sign).ok_or(LabelError::Name)?;
    check(name, value).map(|()| (name, value))
}

fn check(name: &str, value: &str) -> Result<(), LabelError> {
    if !is_label(name) {
        return Err(LabelError::Name);
    }
    if is_label_value(value) { Ok(()) } else { Err(LabelError::Value) }
}

impl SessionLabel {
    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl SessionLabels {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &SessionLabel> {
        self.0.iter().flat_map(|labels| labels.iter())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The value of the label of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|label| *label.name == *name).map(|label| &*label.value)
    }

    /// Gives a label; it takes the place of one of its name that was given by who is believed no
    /// more than `source`.
    ///
    /// # Errors
    /// Why it cannot be given; then nothing has changed.
    pub fn set(&mut self, name: &str, value: &str, source: LabelSource) -> Result<(), LabelError> {
        check(name, value)?;
        let place = self.place(name);
        if let Ok(at) = place
            && self.0.as_ref().is_some_and(|labels| labels[at].source > source)
        {
            return Err(LabelError::Taken);
        }
        let labels = Arc::make_mut(self.0.get_or_insert_default());
        let label = SessionLabel { name: name.into(), value: value.into(), source };
        match place {
            Ok(at) => labels[at] = label,
            Err(_) if labels.len() >= LABELS_MAX => return Err(LabelError::TooMany),
            Err(at) => labels.insert(at, label),
        }
        Ok(())
    }

    /// Takes the label of this name away, if there is one.
    pub fn remove(&mut self, name: &str) {
        self.retain(|label| *label.name != *name);
    }

    /// Where the label of this name is, or would be.
    fn place(&self, name: &str) -> Result<usize, usize> {
        let labels = self.0.as_ref().map_or(&[][..], |labels| labels);
        labels.binary_search_by(|label| (*label.name).cmp(name))
    }

    fn retain(&mut self, stays: impl Fn(&SessionLabel) -> bool) {
        if self.iter().all(&stays) {
            return;
        }
        let left: Vec<_> = self.iter().filter(|label| stays(label)).cloned().collect();
        self.0 = (!left.is_empty()).then(|| Arc::new(left));
    }

    /// Gives those of a backend's 101 in place of what the backend before gave; how many of them
    /// cannot be given.
    pub fn on_answer<'a>(
        &mut self,
        fields: impl IntoIterator<Item = (&'a HeaderName, &'a HeaderValue)>,
    ) -> usize {
        self.retain(|label| label.source != LabelSource::Backend);
        let lines = fields.into_iter().filter(|(name, _)| **name == TIDEGATE_LABEL);
        lines.map(|(_, line)| self.on_line(line)).sum()
    }

    fn on_line(&mut self, line: &HeaderValue) -> usize {
        let text = str::from_utf8(line.as_bytes()).ok();
        let Some(parts) = text.and_then(|text| split_quoted(text, b',')) else { return 1 };
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        let give = |part: &str| {
            let (name, value) = part.split_once('=')?;
            let value = value.trim();
            let value = match value.starts_with('"') {
                true => unquote(value)?,
                false => value.into(),
            };
            self.set(name.trim(), &value, LabelSource::Backend).ok()
        };
        parts.map(give).filter(Option::is_none).count()
    }
}

/// As [`TIDEGATE_LABEL`] has them.
impl fmt::Display for SessionLabels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, SessionLabel { name, value, .. }) in self.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            match is_token(value) {
                true => write!(f, "{comma}{name}={value}")?,
                false => {
                    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
                    write!(f, "{comma}{name}=\"{value}\"")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> (HeaderName, HeaderValue) {
        (TIDEGATE_LABEL, HeaderValue::from_bytes(text.as_bytes()).unwrap())
    }

    fn answer(labels: &mut SessionLabels, lines: &[&str]) -> usize {
        let lines: Vec<_> = lines.iter().map(|text| line(text)).collect();
        labels.on_answer(lines.iter().map(|(name, value)| (name, value)))
    }

    #[test]
    fn a_backend_gives_labels_in_place_of_those_of_the_one_before_and_of_no_one_else() {
        let mut labels = SessionLabels::default();
        labels.set("user", "ada", LabelSource::Route).unwrap();
        assert_eq!(answer(&mut labels, &["room=7, seat = \"a, \\\"b\\\"\"", ",place=élan,"]), 0);
        assert_eq!(labels.to_string(), "place=\"élan\", room=7, seat=\"a, \\\"b\\\"\", user=ada");
        let mut again = SessionLabels::default();
        assert_eq!(answer(&mut again, &[&labels.to_string()]), 0);
        assert_eq!(again.to_string(), labels.to_string(), "it is read as it is shown");
        assert_eq!(answer(&mut labels, &["user=bob, lobby=1"]), 1);
        assert_eq!(labels.to_string(), "lobby=1, user=ada");
        assert_eq!(answer(&mut labels, &[]), 0);
        assert_eq!((labels.get("user"), labels.get("lobby")), (Some("ada"), None));
        labels.remove("user");
        assert_eq!(labels, SessionLabels::default());
    }

    #[test]
    fn what_is_no_label_is_refused_and_the_others_are_given() {
        let mut labels = SessionLabels::default();
        let long = "x".repeat(VALUE_BYTES_MAX + 1);
        let longer = format!("{}=1", "n".repeat(NAME_BYTES_MAX + 1));
        let wrong = ["a", "=1", "a=", "a b=1", "ä=1", "a=\"", &format!("a={long}"), &longer];
        for text in wrong {
            assert_eq!(answer(&mut labels, &[text]), 1, "{text}");
            assert!(labels.is_empty(), "{text}");
        }
        let many: Vec<String> = (0..10).map(|name| format!("n{name}=1")).collect();
        assert_eq!(answer(&mut labels, &[&many.join(",")]), 2);
        assert_eq!(labels.iter().count(), LABELS_MAX);
        assert_eq!(labels.set("n9", "1", LabelSource::Operator), Err(LabelError::TooMany));
        assert_eq!(labels.set("n1", "2", LabelSource::Operator), Ok(()));
        assert_eq!(labels.set("n1", "3", LabelSource::Route), Err(LabelError::Taken));
        assert_eq!(labels.set("n1", "a\nb", LabelSource::Operator), Err(LabelError::Value));
        assert_eq!(parse("user=a=b", '='), Ok(("user", "a=b")));
        assert_eq!(parse("user", '='), Err(LabelError::Name));
        assert_eq!(size_of::<SessionLabels>(), 8);
    }
}
