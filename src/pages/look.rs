//! Who looks at what.

use std::sync::Arc;

use jiff::Timestamp;

use super::access::Access;
use super::frame::Frame;
use super::query::Query;
use crate::policy::PolicySet;

/// One look at a page.
pub(super) struct Look {
    /// What stands around every page.
    pub(super) frame: Frame,
    /// The policies in force.
    pub(super) policies: Arc<PolicySet>,
    /// What may be seen.
    pub(super) access: Access,
    /// What is wanted.
    pub(super) query: Query,
    /// When.
    pub(super) now: Timestamp,
}
