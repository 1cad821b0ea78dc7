//! Edge: reads the API server's audit log.

use std::fs::File;
use std::path::Path;

use super::access::Trusted;
use super::calls::Calls;
use super::violated;
use crate::auditor::Collection;
use crate::policy::PolicySet;
use crate::report::Problem;

/// Adds what the API server's audit log tells of calls that admission never sees. What cannot be read is a problem of the
/// report.
pub fn audit_log(file: &Path, policies: &PolicySet, system: &str, collection: &mut Collection) {
    let named = file.display().to_string();
    let miss = |line, message: String| Problem { file: named.clone(), document: None, line, message };
    let mut calls = Calls::default();
    let read = File::open(file).and_then(|log| calls.read(log, &Trusted { policies, system }));
    if let Err(problem) = read {
        collection.miss(miss(None, format!("cannot be read: {problem}")));
    }
    for (line, why) in &calls.unread {
        collection.miss(miss(Some(*line), why.clone()));
    }
    let told = u64::try_from(calls.unread.len()).unwrap_or(u64::MAX);
    if calls.unread_lines > told {
        collection.miss(miss(None, format!("{} more lines are no events", calls.unread_lines - told)));
    }
    if calls.left_out > 0 {
        collection.miss(miss(None, format!("{} more calls went round admission and are not told", calls.left_out)));
    }
    // An empty log tells nothing, and nobody knows whether it should.
    if calls.events == 0 {
        collection.miss(miss(None, "there is no event in it".to_owned()));
    }
    for (object, finding) in calls.found() {
        collection.add_stored(object, violated(vec![finding]));
    }
}
