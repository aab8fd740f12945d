//! Labels of which each value has an instrument of its own.

use http::StatusCode;

use super::instrument::Labels;
use crate::base::label::Label;
use crate::base::side::Side;

impl Labels<2> for Side {
    const ALL: [Side; 2] = Side::BOTH;

    fn index(self) -> usize {
        self as usize
    }
}

/// A class of status: its first digit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatusClass(u8);

impl From<StatusCode> for StatusClass {
    fn from(status: StatusCode) -> StatusClass {
        StatusClass((status.as_u16() / 100).clamp(1, 5) as u8)
    }
}

impl Label for StatusClass {
    fn label(&self) -> &'static str {
        match self.0 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        }
    }
}

impl Labels<5> for StatusClass {
    const ALL: [StatusClass; 5] =
        [StatusClass(1), StatusClass(2), StatusClass(3), StatusClass(4), StatusClass(5)];

    fn index(self) -> usize {
        usize::from(self.0) - 1
    }
}
