//! Quantities with their units: a bare number says nothing about what it counts.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

/// A value written as a string of numbers and units.
pub trait Quantity: Sized + fmt::Display {
    /// What it is, with an example, as in "must be …".
    const IS: &'static str;
    /// Its name in the schema.
    const NAME: &'static str;
    /// Which strings it is, as a regular expression of JSON Schema.
    const PATTERN: &'static str;

    /// Reads it; the error is the rest of a sentence that begins with the key's name.
    fn parse(text: &str) -> Result<Self, String>;

    /// A bare number with the unit that it probably has.
    fn suggestion(number: u64) -> String;
}

/// A length of time, more than none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Time(pub Duration);

/// A length of time that may be none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wait(pub Duration);

/// A number of bytes, at least one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Size(pub u64);

/// A number per second, at least one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate(pub u32);

/// A number in a second, a minute or an hour, at least one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Pacing {
    /// How many.
    pub count: u32,
    /// In which time.
    pub per: Duration,
}

/// A share of a hundred, 0 to 100.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Percent(pub u32);

/// A length of time in seconds.
pub const fn seconds(seconds: u64) -> Time {
    Time(Duration::from_secs(seconds))
}

const TIMES: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const SIZES: [(&str, u64); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// The longest time that may be written: sums of a few never overflow.
const DAYS_MAX: u64 = 36_500;

impl Quantity for Wait {
    const IS: &'static str = "a duration with its unit, such as `30s`";
    const NAME: &'static str = "duration";
    const PATTERN: &'static str = r"^([0-9]+(ms|s|m|h|d))+$|\$\{";

    fn parse(text: &str) -> Result<Wait, String> {
        let millis = sum(text, &TIMES).map_err(|fault| fault.say::<Self>(text))?;
        if millis > DAYS_MAX * 86_400_000 {
            return Err(format!("must be at most `{DAYS_MAX}d`, not: `{text}`"));
        }
        Ok(Wait(Duration::from_millis(millis)))
    }

    fn suggestion(number: u64) -> String {
        format!("{number}s")
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX), &TIMES, f)
    }
}

impl Quantity for Time {
    const IS: &'static str = Wait::IS;
    const NAME: &'static str = Wait::NAME;
    const PATTERN: &'static str = Wait::PATTERN;

    fn parse(text: &str) -> Result<Time, String> {
        match Wait::parse(text)? {
            Wait(Duration::ZERO) => Err(format!("must be more than zero, not: `{text}`")),
            Wait(time) => Ok(Time(time)),
        }
    }

    fn suggestion(number: u64) -> String {
        Wait::suggestion(number)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Wait(self.0).fmt(f)
    }
}

impl Quantity for Size {
    const IS: &'static str = "a size with its unit, such as `64KiB`";
    const NAME: &'static str = "size";
    const PATTERN: &'static str = r"^([0-9]+(B|KiB|MiB|GiB|KB|MB|GB))+$|\$\{";

    fn parse(text: &str) -> Result<Size, String> {
        match sum(text, &SIZES).map_err(|fault| fault.say::<Self>(text))? {
            0 => Err(format!("must be more than zero, not: `{text}`")),
            bytes => Ok(Size(bytes)),
        }
    }

    fn suggestion(number: u64) -> String {
        format!("{number}B")
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self.0, &SIZES[..4], f)
    }
}

impl Quantity for Rate {
    const IS: &'static str = "a rate per second, such as `100/s`";
    const NAME: &'static str = "rate";
    const PATTERN: &'static str = r"^[0-9]+/s$|\$\{";

    fn parse(text: &str) -> Result<Rate, String> {
        let number = text.strip_suffix("/s").and_then(digits);
        match number {
            Some(0) => Err(format!("must be more than zero, not: `{text}`")),
            Some(number) => Ok(Rate(number)),
            None => Err(Broken::of(text).say::<Self>(text)),
        }
    }

    fn suggestion(number: u64) -> String {
        format!("{number}/s")
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.0)
    }
}

const PERIODS: [(&str, Time); 3] = [("/s", seconds(1)), ("/m", seconds(60)), ("/h", seconds(3600))];

impl Quantity for Pacing {
    const IS: &'static str = "a rate, such as `10/s`, `30/m` or `100/h`";
    const NAME: &'static str = "pacing";
    const PATTERN: &'static str = r"^[0-9]+/[smh]$|\$\{";

    fn parse(text: &str) -> Result<Pacing, String> {
        let read = |(unit, per): (&str, Time)| Some((digits(text.strip_suffix(unit)?)?, per.0));
        match PERIODS.into_iter().find_map(read) {
            Some((0, _)) => Err(format!("must be more than zero, not: `{text}`")),
            Some((count, per)) => Ok(Pacing { count, per }),
            None => Err(Broken::of(text).say::<Self>(text)),
        }
    }

    fn suggestion(number: u64) -> String {
        format!("{number}/s")
    }
}

impl fmt::Display for Pacing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = PERIODS.iter().find(|(_, per)| self.per == per.0);
        write!(f, "{}{}", self.count, unit.map_or("/s", |(unit, _)| unit))
    }
}

impl Quantity for Percent {
    const IS: &'static str = "a percentage, such as `10%`";
    const NAME: &'static str = "percentage";
    const PATTERN: &'static str = r"^([0-9]{1,2}|100)%$|\$\{";

    fn parse(text: &str) -> Result<Percent, String> {
        let number = text.strip_suffix('%').and_then(digits);
        match number {
            Some(number @ 0..=100) => Ok(Percent(number)),
            Some(_) => Err(format!("must be from `0%` to `100%`, not: `{text}`")),
            None => Err(Broken::of(text).say::<Self>(text)),
        }
    }

    fn suggestion(number: u64) -> String {
        format!("{number}%")
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// Why a text is no sum of numbers and units.
enum Broken {
    /// It ends with a number.
    NoUnit(u64),
    /// A unit that there is not.
    Unit(String, &'static str),
    /// Spaces; this is it without them.
    Spaces(String),
    /// Something else.
    Form,
}

impl Broken {
    /// Why a text with one possible unit is none.
    fn of(text: &str) -> Broken {
        text.parse().map_or(Broken::Form, Broken::NoUnit)
    }

    /// The rest of a sentence that begins with the key's name; a hint follows a line break.
    fn say<Q: Quantity>(self, text: &str) -> String {
        match self {
            Broken::NoUnit(number) => bare::<Q>(&text, number),
            Broken::Unit(unit, units) => {
                format!("has no such unit: `{unit}`\nthe units are {units}")
            }
            Broken::Spaces(without) => {
                format!("must have no spaces, not: `{text}`\nwrite `\"{without}\"`")
            }
            Broken::Form => format!("must be {}, not: `{text}`", Q::IS),
        }
    }
}

/// What is said of a number without its unit.
fn bare<Q: Quantity>(written: &dyn fmt::Display, number: u64) -> String {
    format!("must be {}, not: {written}\nwrite `\"{}\"`", Q::IS, Q::suggestion(number))
}

/// A number of digits alone: `parse` takes a sign, too.
fn digits(text: &str) -> Option<u32> {
    text.chars().all(|c| c.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Adds up `1h30m`.
fn sum(text: &str, units: &[(&'static str, u64)]) -> Result<u64, Broken> {
    let mut rest = text;
    let mut total: u64 = 0;
    if rest.is_empty() {
        return Err(Broken::Form);
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| Broken::Form)?;
        let tail = match tail.trim_start() {
            // The unit is told first where it is wrong, too.
            unit if unit.len() < tail.len() && is_unit(unit, units) => {
                return Err(Broken::Spaces(text.split_whitespace().collect()));
            }
            unit => unit,
        };
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        if unit.is_empty() {
            return Err(if tail.is_empty() { Broken::NoUnit(number) } else { Broken::Form });
        }
        let known = units.iter().find(|(name, _)| *name == unit);
        let names =
            if units == TIMES { "ms, s, m, h and d" } else { "B, KiB, MiB, GiB, KB, MB, GB" };
        let (_, worth) = known.ok_or_else(|| Broken::Unit(unit.to_owned(), names))?;
        let part = number.checked_mul(*worth).ok_or(Broken::Form)?;
        total = total.checked_add(part).ok_or(Broken::Form)?;
        rest = tail;
        if rest.starts_with(char::is_whitespace) {
            return Err(Broken::Spaces(text.split_whitespace().collect()));
        }
    }
    Ok(total)
}

/// Whether `text` begins with a unit.
fn is_unit(text: &str, units: &[(&str, u64)]) -> bool {
    let word = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    units.iter().any(|(name, _)| *name == &text[..word])
}

/// Writes a number in the largest unit that divides it.
fn show(number: u64, units: &[(&str, u64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let fits = |unit: &&(&str, u64)| number.is_multiple_of(unit.1) && number > 0;
    let (unit, worth) = units.iter().rev().find(fits).unwrap_or(&units[0]);
    write!(f, "{}{unit}", number / worth)
}

struct Text<Q>(PhantomData<Q>);

impl<Q: Quantity> Visitor<'_> for Text<Q> {
    type Value = Q;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Q::IS)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Q, E> {
        Q::parse(text).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Q, E> {
        Err(E::custom(bare::<Q>(&number, number.unsigned_abs())))
    }
}

macro_rules! quantities {
    ($($name:ident),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Text(PhantomData))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                Self::NAME.into()
            }

            fn schema_id() -> Cow<'static, str> {
                Self::NAME.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": Self::PATTERN })
            }
        }
    )*};
}

quantities!(Time, Wait, Size, Rate, Pacing, Percent);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_and_shown_with_their_units() {
        fn shown<Q: Quantity>(text: &str) -> String {
            Q::parse(text).unwrap().to_string()
        }
        assert_eq!(
            ["500ms", "7d", "90s", "1h30m"].map(shown::<Time>),
            ["500ms", "7d", "90s", "90m"]
        );
        assert_eq!(shown::<Wait>("0s"), "0ms");
        assert_eq!([shown::<Size>("64KiB"), shown::<Size>("2048B")], ["64KiB", "2KiB"]);
        assert_eq!([shown::<Rate>("100/s"), shown::<Pacing>("30/m")], ["100/s", "30/m"]);
        assert_eq!([shown::<Percent>("10%"), shown::<Pacing>("9/h")], ["10%", "9/h"]);
    }

    #[test]
    fn a_number_without_its_unit_is_refused_with_its_probable_unit() {
        let said = Time::parse("30").unwrap_err();
        assert!(said.ends_with("not: 30\nwrite `\"30s\"`"), "{said}");
        assert!(Time::parse("30 sec").unwrap_err().contains("no such unit: `sec`"));
        let none = ["", "0s", "-1s", "1.5s", "9999999999999999999999s", "99999999999d"];
        assert_eq!(none.map(|text| Time::parse(text).is_err()), [true; 6]);
        assert!(Rate::parse("100").unwrap_err().contains("`100/s`"));
        assert_eq!(["10/d", "0/h", "9"].map(|text| Pacing::parse(text).is_err()), [true; 3]);
        assert!(Percent::parse("101%").is_err() && Size::parse("1").is_err());
        assert!(Size::parse("64kb").unwrap_err().contains("no such unit"));
    }
}
