//! The right to pass, and what comes with it.

use http::{HeaderName, HeaderValue};

use super::identity::Identity;
use super::proof::AccessProof;
use crate::base::clock::Moment;

/// The right to pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pass {
    /// When a session that is opened with it has to end; `NEVER` where it need not.
    pub expires: Moment,
    /// Whose it is.
    pub identity: Identity,
    /// What it takes along; mostly nothing.
    pub grants: Option<Box<Grants>>,
    /// What it rests on, where that has an end or can be judged again.
    pub proofs: Vec<AccessProof>,
}

impl Pass {
    /// One without an end.
    pub const FOR_GOOD: Pass = Pass {
        expires: Moment::NEVER,
        identity: Identity::UNKNOWN,
        grants: None,
        proofs: Vec::new(),
    };

    /// The right to pass by both.
    pub(super) fn and(mut self, other: Pass) -> Pass {
        self.proofs.extend(other.proofs);
        Pass {
            proofs: self.proofs,
            expires: self.expires.min(other.expires),
            identity: self.identity.and(other.identity),
            grants: match (self.grants, other.grants) {
                (Some(mut own), Some(more)) => {
                    own.fields.extend(more.fields);
                    own.cookies.extend(more.cookies);
                    Some(own)
                }
                (own, more) => own.or(more),
            },
        }
    }
}

/// What a request takes along that was let pass.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Grants {
    /// Fields for the request, in place of the client's.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    /// Cookies for the client: each `Set-Cookie` of the server.
    pub cookies: Vec<HeaderValue>,
}
