//! Edge: who makes a scan: a child process, or a Job in the cluster.

use super::{Child, Errand, Evidence, ScanProblem};

/// Who makes scans.
#[derive(Debug)]
pub enum Runner {
    /// A child process of this one, with bounds.
    Child(Child),
}

impl Runner {
    /// Has an image scanned, and takes what was brought. Whoever stops waiting stops the scan.
    ///
    /// # Errors
    /// There is no whole report, which says nothing of the image.
    pub async fn run(&self, errand: &Errand) -> Result<Evidence, ScanProblem> {
        match self {
            Runner::Child(child) => child.run(errand).await,
        }
    }
}
