//! What every kind of metric has in common, and what a group of them is declared as.

use std::array;
use std::marker::PhantomData;
use std::ops::Index;

use super::exposition::{Page, SampleWriter};
use crate::base::label::Label;

/// How a metric's samples are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MetricKind {
    /// Only grows; its sample's name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Sum, count and buckets.
    Histogram,
    /// Always 1, told by its labels; its sample's name ends in `_info`.
    Info,
}

/// A metric's declaration.
#[derive(Debug)]
pub struct Metric {
    /// Its name, without a counter's `_total`.
    pub name: &'static str,
    /// What it tells, without a final stop.
    pub help: &'static str,
    /// How its samples are read.
    pub kind: MetricKind,
    /// The names of its group's labels, in order.
    pub owner_labels: &'static [&'static str],
    /// The names of its own labels, which come after those.
    pub labels: &'static [&'static str],
}

impl Metric {
    /// The names of all its labels, in order.
    pub fn all_labels(&self) -> impl Iterator<Item = &'static str> {
        self.owner_labels.iter().chain(self.labels).copied()
    }
}

/// What holds a metric's value, and writes its samples.
pub trait Instrument {
    /// The kind of metric it makes.
    const KIND: MetricKind;

    /// Writes the samples of all `shards` together: one of each worker, where every worker counts
    /// for itself, else just one.
    fn write(shards: &[&Self], sample: &mut SampleWriter<'_>);
}

/// Metrics that belong to one thing, such as a route; `catalogue` declares them.
pub trait MetricGroup: Sized {
    /// The metrics, in the order of the fields that hold them.
    const METRICS: &'static [Metric];

    /// Writes every metric of the group, for all `owners`.
    fn write(owners: &[Owner<'_, Self>], page: &mut Page);
}

/// A fact that may not be known: then it has no sample.
impl<T: Instrument> Instrument for Option<T> {
    const KIND: MetricKind = T::KIND;

    fn write(shards: &[&Self], sample: &mut SampleWriter<'_>) {
        let known: Vec<&T> = shards.iter().filter_map(|shard| shard.as_ref()).collect();
        if !known.is_empty() {
            T::write(&known, sample);
        }
    }
}

/// One of the things that have a group of metrics.
#[derive(Debug)]
pub struct Owner<'a, G> {
    /// What the group's own labels say of it.
    pub labels: Vec<&'a str>,
    /// Its metrics: one of each worker, or just one.
    pub shards: Vec<&'a G>,
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

/// A label with `N` values, each of which has an instrument of its own.
pub trait Labels<const N: usize>: Label + Copy + 'static {
    /// Every value, in the order of [`Labels::index`].
    const ALL: [Self; N];

    /// The value's place in [`Labels::ALL`].
    fn index(self) -> usize;
}

/// One instrument for each value of a label.
#[derive(Debug)]
pub struct By<L, T, const N: usize> {
    each: [T; N],
    label: PhantomData<fn(L)>,
}

impl<L, T: Default, const N: usize> Default for By<L, T, N> {
    fn default() -> By<L, T, N> {
        By { each: array::from_fn(|_| T::default()), label: PhantomData }
    }
}

impl<L: Labels<N>, T, const N: usize> Index<L> for By<L, T, N> {
    type Output = T;

    fn index(&self, label: L) -> &T {
        &self.each[label.index()]
    }
}

impl<L: Labels<N>, T: Instrument, const N: usize> Instrument for By<L, T, N> {
    const KIND: MetricKind = T::KIND;

    fn write(shards: &[&Self], sample: &mut SampleWriter<'_>) {
        for label in L::ALL {
            let shards: Vec<&T> = shards.iter().map(|by| &by[label]).collect();
            sample.labelled(label.label(), |sample| T::write(&shards, sample));
        }
    }
}
