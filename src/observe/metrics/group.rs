//! Metrics that are declared together, and belong to one thing.

use super::exposition::Page;
use super::instrument::Owner;
use super::metric::Metric;

/// Metrics that belong to one thing, such as a route; `catalogue` declares them.
pub trait MetricGroup: Sized {
    /// The metrics, in the order of the fields that hold them.
    const METRICS: &'static [Metric];

    /// Writes every metric of the group, for all `owners`.
    fn write(owners: &[Owner<'_, Self>], page: &mut Page);
}

/// Declares groups: the labels and the prefix of all their metrics; then each field is one metric,
/// with its name, its own labels and its help, which is the field's documentation as well.
macro_rules! groups {
    ($(
        $(#[$attribute:meta])*
        pub struct $group:ident $owner:tt $prefix:literal {
            $($field:ident: $instrument:ty = $name:literal [$($label:literal),*] $help:literal;)*
        }
    )*) => {
        $(
            $(#[$attribute])*
            pub struct $group {
                $(#[doc = $help] pub $field: $instrument,)*
            }

            impl MetricGroup for $group {
                const METRICS: &'static [Metric] = &[$(Metric {
                    name: concat!($prefix, $name),
                    help: $help,
                    kind: <$instrument as Instrument>::KIND,
                    owner_labels: &$owner,
                    labels: &[$($label),*],
                }),*];

                fn write(owners: &[Owner<'_, Self>], page: &mut Page) {
                    let mut metrics = Self::METRICS.iter();
                    $(if let Some(metric) = metrics.next() {
                        page.family(metric, owners, |group| &group.$field);
                    })*
                }
            }
        )*

        /// Every metric there is, group by group.
        pub const ALL: &[&[Metric]] = &[$($group::METRICS),*];
    };
}
pub(super) use groups;
