//! The macros that tables and their words are declared with.

use super::super::fault::Fault;
use super::{OrOff, Percent, Rate, Size, Spanned, Time, Wait};
use crate::report::Report;

/// Declares a table: a key's documentation, type, default, example and reload class, once.
///
/// ```text
/// table! {
///     /// What the table is for.
///     HealthTable "Health", "a table" => Health;
///
///     /// What the key does: the reference prints this.
///     next failures_max: Number<1> as u32 = Number(3), as in 5;
/// }
/// ```
///
/// The first line names the struct of what is written, the table's name in the schema, and what a
/// value of another kind is refused with. Each key begins with its reload class (`now`, `next`,
/// `drains`, `restart`; `each` where the keys inside say it); `[required]` behind its name says
/// that it must be written. The rest is optional: a default behind `=`, an example behind `as in`.
///
/// With `=> Health` the plan's struct is made, too. It has the keys with an `as`: the type behind
/// it is what [`ToPlan`] makes of the value, or the function behind `by` where it can be wrong;
/// `=> name` there gives the field another name. A key without a default is `None` when it is not
/// written. `=> Pool, PoolParts { … }` adds fields that no single key gives; whoever calls
/// `PoolTable::lower` brings them.
macro_rules! table {
    ($(#[$about:meta])* $table:ident $name:literal, $kind:literal; $($keys:tt)*) => {
        table! { @file [$(#[$about])*] $table $name $kind $($keys)* }
    };
    (
        $(#[$about:meta])*
        $table:ident $name:literal, $kind:literal => $plan:ident $([$derive:ident])?
            $(, $parts:ident { $($(#[$part_doc:meta])* $part:ident: $part_type:ty,)* })?;
        $($keys:tt)*
    ) => {
        table! { @file [$(#[$about])*] $table $name $kind $($keys)* }
        table! {
            @plan [
                [$(#[$about])*] $table $plan [$($derive)?]
                $([$parts $($(#[$part_doc])* $part: $part_type,)*])?
            ] [] $($keys)*
        }
        table! { @all_defaults $table $plan $([$parts])? }
    };

    // A table whose fields all come of its keys has a plan of defaults.
    (@all_defaults $table:ident $plan:ident) => {
        impl Default for $plan {
            /// What holds where nothing is written.
            fn default() -> $plan {
                let mut faults = $crate::report::Report::default();
                let all = $table::default().lower(&mut faults);
                all.expect("cannot fail: a test reads every table without a key")
            }
        }
    };
    (@all_defaults $table:ident $plan:ident [$parts:ident]) => {};

    // The struct of what is written, and its defaults.
    (@file [$(#[$about:meta])*] $table:ident $name:literal $kind:literal $(
        $(#[$doc:meta])*
        $reload:ident $key:ident $([$required:ident])?: $type:ty
            $(as $meaning:ty $(=> $field:ident)?)? $(= $default:expr)? $(, by $by:expr)?
            $(, as in $example:expr)?;
    )*) => {
        #[derive(Clone, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
        $(#[$about])*
        #[serde(default, expecting = $kind)]
        #[schemars(rename = $name)]
        pub struct $table {
            $(
                $(#[$doc])*
                $(#[schemars(example = &$example)])?
                $(#[schemars(extend("x-required" = stringify!($required)))])?
                #[schemars(extend("x-reload" = stringify!($reload)))]
                pub $key: $crate::config::tables::Spanned<$type>,
            )*
        }

        impl Default for $table {
            fn default() -> $table {
                $table { $($key: table!(@default $($default)?),)* }
            }
        }

        impl $table {
            /// Each key that is written here, else as it is in `below`.
            #[allow(dead_code, reason = "few tables stand over others of their kind")]
            pub fn over(&self, below: &$table) -> $table {
                $table { $($key: self.$key.or(&below.$key).clone(),)* }
            }
        }
    };
    (@default) => { $crate::config::tables::Spanned::UNSET };
    (@default $default:expr) => { $crate::config::tables::Spanned::by_default($default) };

    // The keys that the plan has, gathered one by one.
    (@plan $head:tt [$($found:tt)*]
        $(#[$doc:meta])*
        $reload:ident $key:ident $([$required:ident])?: $type:ty as $meaning:ty => $field:ident
            $(= $default:expr)? $(, by $by:expr)? $(, as in $example:expr)?;
        $($rest:tt)*
    ) => {
        table! { @plan $head [
            $($found)* { $(#[$doc])* $key $field: $meaning, [$($default)?] [$($by)?] }
        ] $($rest)* }
    };
    (@plan $head:tt [$($found:tt)*]
        $(#[$doc:meta])*
        $reload:ident $key:ident $([$required:ident])?: $type:ty as $meaning:ty
            $(= $default:expr)? $(, by $by:expr)? $(, as in $example:expr)?;
        $($rest:tt)*
    ) => {
        table! { @plan $head [
            $($found)* { $(#[$doc])* $key $key: $meaning, [$($default)?] [$($by)?] }
        ] $($rest)* }
    };
    (@plan $head:tt $found:tt
        $(#[$doc:meta])*
        $reload:ident $key:ident $([$required:ident])?: $type:ty
            $(= $default:expr)? $(, as in $example:expr)?;
        $($rest:tt)*
    ) => {
        table! { @plan $head $found $($rest)* }
    };
    // The plan's struct, and how it is made of what is written.
    (@plan [
        [$(#[$about:meta])*] $table:ident $plan:ident [$($derive:ident)?]
        $([$parts:ident $($(#[$part_doc:meta])* $part:ident: $part_type:ty,)*])?
    ] [$({ $(#[$doc:meta])* $key:ident $field:ident: $meaning:ty, $default:tt $by:tt })*]) => {
        $(#[$about])*
        #[derive(Clone, PartialEq, Eq, Debug $(, $derive)?)]
        pub struct $plan {
            $($($(#[$part_doc])* pub $part: $part_type,)*)?
            $($(#[$doc])* pub $field: $meaning,)*
        }

        $(
            #[doc = concat!("The fields of [`", stringify!($plan), "`] that no single key gives.")]
            pub struct $parts {
                $($(#[$part_doc])* pub $part: Option<$part_type>,)*
            }
        )?

        impl $table {
            /// What is written, as the plan has it; `None` where something is wrong, which is
            /// reported.
            pub fn lower(
                &self, report: &mut $crate::report::Report, $(parts: $parts)?
            ) -> Option<$plan> {
                $(let $field: Option<$meaning> = table!(@lower $default $by self report $key);)*
                Some($plan {
                    $($($part: parts.$part?,)*)?
                    $($field: $field?,)*
                })
            }
        }
    };
    (@lower [] [] $self:ident $report:ident $key:ident) => {
        $crate::config::tables::table::if_any(&$self.$key)
    };
    (@lower [$default:expr] [] $self:ident $report:ident $key:ident) => {
        $crate::config::tables::table::checked($report, stringify!($key), &$self.$key, |value| {
            Ok($crate::config::tables::table::ToPlan::to_plan(value))
        })
    };
    (@lower [$default:expr] [$by:expr] $self:ident $report:ident $key:ident) => {
        $crate::config::tables::table::checked($report, stringify!($key), &$self.$key, $by)
    };
}

/// Declares an enum of words, and how it is read, written and described.
macro_rules! words {
    (
        $(#[$about:meta])*
        $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            const WORDS: &'static [&'static str] = &[$($word),*];
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let all = [$($name::$variant),*];
                $crate::config::tables::scalar::word(from, Self::WORDS).map(|at| all[at])
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(match self { $($name::$variant => $word,)* })
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": Self::WORDS })
            }
        }
    };
}

/// A value as it is written becomes what a plan has.
pub trait ToPlan<P> {
    /// The plan's value.
    fn to_plan(&self) -> P;
}

impl<T: Clone> ToPlan<T> for T {
    fn to_plan(&self) -> T {
        self.clone()
    }
}

impl<P, T: ToPlan<P>> ToPlan<Option<P>> for OrOff<T> {
    fn to_plan(&self) -> Option<P> {
        match self {
            OrOff::Off => None,
            OrOff::On(value) => Some(value.to_plan()),
        }
    }
}

/// Quantities are numbers in the plan.
macro_rules! to_plan {
    ($($from:ty => $to:ty: |$value:ident| $number:expr;)*) => {$(
        impl ToPlan<$to> for $from {
            fn to_plan(&self) -> $to {
                let $value = self.0;
                $number
            }
        }
    )*};
}

to_plan! {
    Time => std::time::Duration: |time| time;
    Wait => std::time::Duration: |time| time;
    Percent => u32: |percent| percent;
    Rate => u32: |rate| rate;
    Size => u64: |bytes| bytes;
    Size => usize: |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
    Size => u32: |bytes| u32::try_from(bytes).unwrap_or(u32::MAX);
}

impl<const MIN: u32, const MAX: u32> ToPlan<u32> for super::Number<MIN, MAX> {
    fn to_plan(&self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> ToPlan<usize> for super::Number<MIN, MAX> {
    fn to_plan(&self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// The value of a key without a default: `None` inside when it is not written, outside when it is
/// faulty.
pub fn if_any<P, T: ToPlan<P>>(written: &Spanned<T>) -> Option<Option<P>> {
    match written.get() {
        Some(value) => Some(Some(value.to_plan())),
        None => written.is_absent().then_some(None),
    }
}

/// The value of a key that may be wrong in itself.
pub fn checked<P, T>(
    report: &mut Report,
    key: &str,
    written: &Spanned<T>,
    by: impl FnOnce(&T) -> Result<P, Fault>,
) -> Option<P> {
    match by(written.get()?) {
        Ok(value) => Some(value),
        Err(fault) => {
            report.push(fault.finding("value", &format!("`{key}`"), written.span()));
            None
        }
    }
}
