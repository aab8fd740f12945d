//! What is odd about a PEM file that can be used.

use std::fmt;

use super::pem_error::Part;

/// What is odd about a PEM file that can be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Remark {
    /// The chain was put in order; where its certificates begin, in that order.
    Reordered {
        /// Lines, from 1.
        lines: Vec<usize>,
    },
    /// A certificate that issued no other of its file.
    Unrelated {
        /// The line it begins in, from 1.
        line: usize,
    },
    /// A certificate that stands in the file already.
    Twice {
        /// The line it begins in, from 1.
        line: usize,
    },
    /// A private key in a file of certificates.
    KeyInChain {
        /// The line it begins in, from 1.
        line: usize,
    },
    /// A certificate in a file of a key: it is not read.
    ChainInKey {
        /// The line it begins in, from 1.
        line: usize,
    },
    /// A trusted certificate that may not issue others.
    Pinned {
        /// The line it begins in, from 1.
        line: usize,
    },
}

impl Remark {
    /// Which file it is about.
    pub const fn part(&self) -> Part {
        match self {
            Remark::ChainInKey { .. } => Part::Key,
            _ => Part::Certificates,
        }
    }

    /// What can be done about it.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Remark::Reordered { .. } => Some("the leaf stands first, behind each its issuer"),
            Remark::Unrelated { .. } => Some("it is sent last; remove it, or add what it issued"),
            Remark::Twice { .. } => Some("it is sent once"),
            Remark::KeyInChain { .. } => Some("who may read the certificates may read it too"),
            Remark::ChainInKey { .. } => Some("`chain` names the file whose certificates are sent"),
            Remark::Pinned { .. } => None,
        }
    }
}

impl fmt::Display for Remark {
    /// The end of a sentence that begins with the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remark::Reordered { lines } => {
                let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
                let lines = lines.join(", ");
                write!(
                    f,
                    "has its chain out of order: its certificates are sent in the order of lines \
                     {lines}"
                )
            }
            Remark::Unrelated { line } => {
                write!(f, "holds a certificate that is not part of the chain (line {line})")
            }
            Remark::Twice { line } => write!(f, "holds a certificate twice (line {line})"),
            Remark::KeyInChain { line } => write!(f, "holds a private key too (line {line})"),
            Remark::ChainInKey { line } => {
                write!(f, "holds a certificate too, which is not read (line {line})")
            }
            Remark::Pinned { line } => write!(
                f,
                "holds a certificate that is no authority's (line {line}): it is pinned, only a \
                 backend that shows it itself is trusted"
            ),
        }
    }
}
