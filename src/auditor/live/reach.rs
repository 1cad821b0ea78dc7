//! What the network policies of a namespace let through for its analysis pods. Pure.
//!
//! Of the policies only those are kept that could add something for some guarded pod: a namespace may have as many
//! policies as it has analyses, and each pod is held against what is kept alone.

use std::collections::HashSet;

use crate::auditor::rules::ISOLATION;
use crate::isolation::{Union, app_of_policy, differs, judge_policy, policy};
use crate::model::{FieldPath, Finding, Json, PodView, labels, parse};
use crate::policy::PolicySet;

/// The policies of one namespace.
pub(crate) struct Reaches<'p> {
    policies: &'p PolicySet,
    namespace: &'p str,
    /// The analyses whose own policy is as the guard writes it.
    intact: HashSet<String>,
    /// The texts of those that add something for somebody, and of our own that are not as they should be.
    open: Vec<Vec<u8>>,
}

impl<'p> Reaches<'p> {
    /// No policy was seen yet.
    pub(crate) fn of(namespace: &'p str, policies: &'p PolicySet) -> Self {
        Reaches { policies, namespace, intact: HashSet::new(), open: Vec::new() }
    }

    /// One policy, and what is wrong with it.
    pub(crate) fn take(&mut self, text: &[u8], found: &Json<'_>) -> Vec<Finding> {
        let name = found.text_at(&["metadata", "name"]).unwrap_or_default();
        let app = app_of_policy(name).filter(|app| self.policies.analysis.guards.app.fits(app));
        let mut findings = Vec::new();
        if let Some(app) = app {
            let desired = policy(app, self.namespace, &self.policies.analysis, &self.policies.gateway);
            let goes = found.at(&["metadata", "deletionTimestamp"]).is_some();
            if !goes && !differs(&found.to_value(), &desired) {
                self.intact.insert(app.to_owned());
                return findings;
            }
            // One that is on its way out stays in force until its finalizer goes, which is the guard's business.
            if !goes {
                let why = "is not what the guard writes for this analysis; it repairs it";
                findings.push(ISOLATION.finds(FieldPath::of(&["spec"]), found.get("spec"), why));
            }
        }
        let excess = judge_policy(found, self.policies);
        if !excess.is_empty() || app.is_some() {
            self.open.push(text.to_vec());
        }
        findings.extend(excess);
        findings
    }

    /// What is wrong with what an analysis pod may reach.
    pub(crate) fn judge(&self, pod: &PodView<'_>) -> Vec<Finding> {
        let app = pod.label(labels::APP).unwrap_or_default();
        let mut union = Union::of(pod, self.policies);
        for text in &self.open {
            match parse(text) {
                Ok(policy) => union.add(&policy),
                Err(_) => union.add_text(text),
            }
        }
        let intact = self.intact.contains(app);
        let problems = union.problems().into_iter();
        // The union knows of an own policy only what was kept, which is none that is intact.
        let is_own = |finding: &Finding| finding.path == FieldPath::of(&["metadata", "name"]);
        let problems = problems.filter(|finding| !(intact && is_own(finding)));
        problems.map(|finding| Finding { rule: ISOLATION.id.into(), severity: ISOLATION.severity, ..finding }).collect()
    }
}
