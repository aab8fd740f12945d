//! A value of TOML's tree, to be read by serde on after a fault.
//!
//! serde stops at the first error; here each [`Spanned`] value is a place where an error is
//! reported and reading goes on. Because a struct tells its keys when it asks to be read, all its
//! unknown keys are reported too, each with the word that was probably meant.
//!
//! [`Spanned`]: crate::config::tables::Spanned

use std::borrow::Cow;
use std::ops::Range;

use serde::de::Error as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::reader::Reader;
use super::unknown::unknown;
use super::variables::{BrokenVariable, expand};
use super::{Fault, nginx_variables};
use crate::config::redact::Expanded;

/// A value and what it is called in messages.
pub struct Node<'r, 'i> {
    pub(super) reader: &'r Reader<'r>,
    pub(super) value: Value<'r, 'i>,
    pub(super) span: Range<usize>,
    pub(super) subject: Subject<'r>,
}

/// What a node holds.
pub enum Value<'r, 'i> {
    One(&'r DeValue<'i>),
    Table(&'r DeTable<'i>),
    /// A string that stands for a table's first key.
    OrString(&'r DeValue<'i>),
    /// None: what stands for it was reported.
    Faulty,
}

/// What a node is called in messages.
#[derive(Clone, Copy)]
pub enum Subject<'r> {
    File,
    Key(&'r str),
    /// An entry of a table of names, under its name.
    Named(&'r str, &'r str),
    EntryOf(&'r str),
}

impl Subject<'_> {
    pub(super) fn text(self) -> String {
        match self {
            Subject::File => "the file".to_owned(),
            Subject::Key(key) => format!("`{key}`"),
            Subject::Named(table, name) => format!("`{table}.{name}`"),
            Subject::EntryOf(key) => format!("an entry of `{key}`"),
        }
    }
}

impl<'r, 'i> Node<'r, 'i> {
    /// The table of a whole file.
    pub(super) fn root(
        reader: &'r Reader<'r>,
        table: &'r DeTable<'i>,
        span: Range<usize>,
    ) -> Node<'r, 'i> {
        Node { reader, value: Value::Table(table), span, subject: Subject::File }
    }

    pub(super) fn child(
        &self,
        value: &'r Spanned<DeValue<'i>>,
        subject: Subject<'r>,
    ) -> Node<'r, 'i> {
        let (reader, span) = (self.reader, value.span());
        Node { reader, value: Value::One(value.get_ref()), span, subject }
    }

    pub(super) fn table(&self) -> Option<&'r DeTable<'i>> {
        match &self.value {
            Value::Table(table) => Some(table),
            Value::One(DeValue::Table(table)) => Some(table),
            _ => None,
        }
    }

    /// The name under which list elements are spoken of.
    pub(super) fn key(&self) -> &'r str {
        match self.subject {
            Subject::File => "the file",
            Subject::Key(key) | Subject::Named(_, key) | Subject::EntryOf(key) => key,
        }
    }

    /// A string with its variables in place.
    pub(super) fn expanded(&self, text: &'r str) -> Result<Cow<'r, str>, Fault> {
        // A body of text may say what it likes.
        if !matches!(self.key(), "body" | "respond")
            && let Some(warning) = nginx_variables::warning(&self.subject.text(), text)
        {
            self.reader.report(warning.at(self.reader.span(self.span.clone())));
        }
        let mut variables = Vec::new();
        let expanded = expand(text, self.reader.environment, &mut variables);
        if let (Ok(whole), false) = (&expanded, variables.is_empty()) {
            let (span, whole) = (self.reader.span(self.span.clone()), whole.clone().into_owned());
            self.reader.expanded.borrow_mut().push(Expanded { span, whole, variables });
        }
        expanded.map_err(|broken| {
            let (said, part) = match broken {
                BrokenVariable::Undefined(name, part) => {
                    let said = format!(
                        "needs an environment variable that is not set: `{name}`\n\
                         set it where tidegate is started, or write `$${{` where none is meant"
                    );
                    (said, part)
                }
                BrokenVariable::Form(part) => {
                    let said = "has a `${` without a variable's name and a `}`\n\
                                write `$${` where no variable is meant";
                    (said.to_owned(), part)
                }
            };
            // It stands in the source as it was parsed, unless escapes were part of it.
            let (start, part) = (self.span.start, &text[part]);
            let written = self.reader.text.get(self.span.clone()).unwrap_or("");
            let range = match written.find(part) {
                Some(at) => start + at..start + at + part.len(),
                None => self.span.clone(),
            };
            Fault::custom(said).of("environment", self.reader.span(range))
        })
    }

    /// What to write where text is wanted, and something else stands.
    pub(super) fn text_hint(&self) -> Option<String> {
        let Value::One(value) = &self.value else { return None };
        let written = self.reader.text.get(self.span.clone())?;
        match value {
            DeValue::Integer(_) if self.key() == "address" && written.parse::<u16>().is_ok() => {
                Some(format!("write `\"0.0.0.0:{written}\"`"))
            }
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_) => {
                Some(format!("write `\"{written}\"`"))
            }
            DeValue::Boolean(_) | DeValue::String(_) | DeValue::Array(_) | DeValue::Table(_) => {
                None
            }
        }
    }

    /// What to write where the table of this name is wanted, and something else stands.
    pub(super) fn table_hint(&self, name: &str) -> Option<String> {
        let Value::One(value) = &self.value else { return None };
        let (key, written) = (self.key(), self.reader.text.get(self.span.clone())?);
        match (name, value) {
            ("ServerTlsTable", _) => {
                let one = "{ chain = \"site.pem\", key = \"site.key\" }";
                Some(format!("write `tls.certificates = [{one}]`"))
            }
            ("BackendTable", DeValue::Integer(_)) => {
                Some(format!("write `\"127.0.0.1:{written}\"`"))
            }
            (_, DeValue::Boolean(true)) => Some(format!("write `{key} = {{}}`")),
            (_, DeValue::Boolean(false)) => Some("what is off is left out".to_owned()),
            _ => None,
        }
    }

    /// Reports a key that the table does not have; the one that was probably in mind.
    pub(super) fn unknown(
        &self,
        key: &Spanned<Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
        known: &'static [&'static str],
    ) -> Option<&'static str> {
        let table = match self.subject {
            Subject::File => "a configuration".to_owned(),
            subject => subject.text(),
        };
        let holds_table = matches!(value.get_ref(), DeValue::Table(_));
        let found = unknown(key.get_ref(), &table, known, holds_table);
        self.reader.report(found.finding.at(self.reader.span(key.span())));
        found.instead
    }
}
