//! Edge: who makes a scan: a child process, or a Job in the cluster.

use jiff::Timestamp;

use super::brought::Holder;
use super::{Brought, Child, Errand, Jobs, ScanProblem};

/// Who makes scans.
pub enum Runner {
    /// A child process of this one, with bounds.
    Child(Child),
    /// A Job in the cluster.
    Jobs(Jobs),
}

impl Runner {
    /// Since when the database is the one that it is; none where only a scan tells.
    pub(super) fn renewed(&self) -> Option<Timestamp> {
        match self {
            Runner::Child(child) => child.renewed(),
            Runner::Jobs(_) => None,
        }
    }

    /// Who gives the right to hold what a scan has brought, in this process.
    pub(super) fn holder(&self) -> Holder {
        match self {
            Runner::Child(child) => child.holder(),
            Runner::Jobs(jobs) => jobs.holder(),
        }
    }

    /// Has an image scanned, and takes what was brought. Whoever stops waiting stops the scan.
    ///
    /// # Errors
    /// There is no whole report, which says nothing of the image.
    pub async fn run(&self, errand: &Errand) -> Result<Brought, ScanProblem> {
        match self {
            Runner::Child(child) => child.run(errand).await,
            Runner::Jobs(jobs) => jobs.run(errand).await,
        }
    }
}
