//! What every kind of metric has in common.

use std::array;
use std::marker::PhantomData;
use std::ops::Index;

use super::metric::MetricKind;
use super::sample::SampleWriter;
use crate::base::label::Label;

/// What holds a metric's value, and writes its samples.
pub trait Instrument {
    /// The kind of metric it makes.
    const KIND: MetricKind;

    /// Writes the samples of all `shards` together: one of each worker, where every worker counts
    /// for itself, else just one.
    fn write(shards: &[&Self], sample: &mut SampleWriter<'_>);
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
