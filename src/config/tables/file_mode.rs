//! The mode of a unix socket's file.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

/// Who may connect to a unix socket: its file's mode (chmod(2)), written in octal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileMode(u32);

impl FileMode {
    /// Only its owner may connect.
    pub const PRIVATE: FileMode = FileMode(0o600);

    /// The bits, as chmod(2) takes them.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Whether everyone on the machine may connect.
    pub fn is_for_everyone(self) -> bool {
        self.0 & 0o002 != 0
    }

    /// Reads it; the error is the rest of a sentence that begins with the key's name, and may have
    /// a hint on a second line.
    fn parse(text: &str) -> Result<FileMode, String> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        let digits = if digits.len() == 4 { digits.strip_prefix('0') } else { Some(digits) };
        let octal = |digits: &&str| digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit());
        let bits = digits.filter(octal).and_then(|digits| u32::from_str_radix(digits, 8).ok());
        match bits {
            None => Err(format!("must be the mode of a file, such as `0660`, not: `{text}`")),
            Some(bits) if bits & 0o222 == 0 => {
                Err(format!("would let nobody connect, which is to write: `{text}`"))
            }
            Some(bits) => Ok(FileMode(bits)),
        }
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl<'de> Deserialize<'de> for FileMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ModeVisitor;

        impl Visitor<'_> for ModeVisitor {
            type Value = FileMode;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the mode of a file, such as `0660`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<FileMode, E> {
                FileMode::parse(text).map_err(E::custom)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<FileMode, E> {
                let said = "must be the mode of a file in quotes, not a number";
                Err(E::custom(format!("{said}: {number}\nas in `\"0660\"`")))
            }
        }
        deserializer.deserialize_any(ModeVisitor)
    }
}

impl Serialize for FileMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for FileMode {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "file_mode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^0?[0-7]{3}$|\$\{" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal_and_let_somebody_connect() {
        for (text, bits) in [("0660", 0o660), ("600", 0o600), ("0o777", 0o777), ("0002", 0o002)] {
            assert_eq!(FileMode::parse(text), Ok(FileMode(bits)));
        }
        for wrong in ["", "0", "66", "0668", "4755", "00660", "+660", "rw-rw----", "0444", "000"] {
            assert!(FileMode::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(FileMode(0o60).to_string(), "0060");
    }
}
