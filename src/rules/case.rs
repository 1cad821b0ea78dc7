//! What a judgement may depend on besides the request.

use jiff::Timestamp;

use crate::facts::Scans;
use crate::model::Json;
use crate::policy::PolicySet;

/// Everything besides the request that a judgement may depend on.
pub struct Case<'a> {
    /// The policies in force.
    pub policies: &'a PolicySet,
    /// The object that a request names without bringing it along; [`target_of`](super::target_of) says which.
    pub target: Target<'a>,
    /// What is known of the scans of images.
    pub scans: ScanKnowledge<'a>,
    /// The moment of the judgement.
    pub now: Timestamp,
}

/// What is known of the scans of images.
#[derive(Debug, Clone, Copy)]
pub enum ScanKnowledge<'a> {
    /// Objects are judged without a cluster, which alone knows of scans: what is said of them says nothing of scans.
    OutOfReach,
    /// What the cluster's `ImageScan` objects tell; nothing else passes.
    Known(&'a Scans),
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
