//! What a judgement may depend on besides the request.

use jiff::Timestamp;

use crate::model::Json;
use crate::policy::PolicySet;

/// Everything besides the request that a judgement may depend on.
pub struct Case<'a> {
    /// The policies in force.
    pub policies: &'a PolicySet,
    /// The object that a request names without bringing it along; [`target_of`](super::target_of) says which.
    pub target: Target<'a>,
    /// The moment of the judgement.
    pub now: Timestamp,
}

/// The stored object that a CONNECT, an eviction, a binding or a token names.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// The request brings all that is judged.
    Unneeded,
    /// Read from the API server for this request.
    Found(&'a Json<'a>),
    /// The API server knows no such object.
    Missing,
    /// It could not be read; nobody knows.
    Unread,
}
