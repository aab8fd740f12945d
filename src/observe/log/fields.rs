//! Fields of lines for people, written so that what a client sends stays inside its own field:
//! control and bidirectional characters are escaped everywhere, quotes in every value.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

/// `message key=value key="text"`.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextFields;

impl<'w> FormatFields<'w> for TextFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = TextVisitor { writer, result: Ok(()), is_first: true };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct TextVisitor<'w> {
    writer: Writer<'w>,
    result: fmt::Result,
    is_first: bool,
}

impl TextVisitor<'_> {
    fn put(&mut self, field: &Field, value: fmt::Arguments<'_>, quote: &str) {
        let space = if self.is_first { "" } else { " " };
        self.is_first = false;
        let name = field.name();
        let is_message = name == "message";
        let write = |out: &mut Writer<'_>| {
            out.write_str(space)?;
            if !is_message {
                write!(out, "{}={quote}", name.strip_prefix("r#").unwrap_or(name))?;
            }
            Escaped { out, quotes: !is_message }.write_fmt(value)?;
            out.write_str(quote)
        };
        self.result = self.result.and_then(|()| write(&mut self.writer));
    }
}

impl Visit for TextVisitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        let quote = if field.name() == "message" { "" } else { "\"" };
        self.put(field, format_args!("{value}"), quote);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format_args!("{value:?}"), "");
    }
}

/// Escapes what could end its field or line, or change the order in which it is read.
struct Escaped<'o, 'w> {
    out: &'o mut Writer<'w>,
    quotes: bool,
}

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '"' | '\\' if self.quotes => write!(self.out, "\\{character}")?,
                _ if is_unsafe(character) => write!(self.out, "{}", character.escape_default())?,
                _ => self.out.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// Control characters, and those that set the direction of text (Unicode's Bidi_Control) or end a
/// line or paragraph.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}
