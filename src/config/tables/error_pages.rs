//! A route's `errors`: pages by status, and one switch beside them.

use super::by_kind::by_kind;

by_kind! {
    /// A value of `errors`: the file of a page, or whether `from_backend` holds.
    pub enum ErrorsValue "errors_value", "a page's file, or of `from_backend` true or false" {
        /// The switch.
        Switch(bool),
        /// A page's file.
        File(String),
    }
}
