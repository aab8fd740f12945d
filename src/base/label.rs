//! The one word that stands for a value in log lines, metrics and JSON.

/// A value that log lines, metric labels and JSON name by one word of a small fixed set.
pub trait Label {
    /// The word: lower case, `_` between its parts, the same in every place it is written.
    fn label(&self) -> &'static str;
}

impl<T: Label + ?Sized> Label for &T {
    fn label(&self) -> &'static str {
        (**self).label()
    }
}
