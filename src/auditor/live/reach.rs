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
    /// How many bytes these are.
    held: usize,
    /// Those that are no longer held, since whoever writes policies decides how many and how long they are.
    left_out: usize,
}

impl<'p> Reaches<'p> {
    /// No policy was seen yet.
    pub(crate) fn of(namespace: &'p str, policies: &'p PolicySet) -> Self {
        Reaches { policies, namespace, intact: HashSet::new(), open: Vec::new(), held: 0, left_out: 0 }
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
            self.hold(text);
        }
        findings.extend(excess);
        findings
    }

    fn hold(&mut self, text: &[u8]) {
        if self.held.saturating_add(text.len()) > HELD {
            self.left_out += 1;
            return;
        }
        self.held += text.len();
        self.open.push(text.to_vec());
    }

    /// What of the policies no pod is held against; none where that is nothing.
    pub(crate) fn missing(&self) -> Option<String> {
        let (count, namespace) = (self.left_out, self.namespace);
        (count > 0).then(|| {
            format!(
                "NetworkPolicies in {namespace}: {count} that open something are left out of what pods may reach, since \
                 all of them are more than {} MiB; each was judged by itself",
                HELD >> 20
            )
        })
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

/// Every pod is held against all of it.
const HELD: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn policies() -> PolicySet {
        PolicySet::parse([
            ("a", include_str!("../../../policies/flame-analysis.yaml")),
            ("g", include_str!("../../../policies/flame-gateway.yaml")),
            ("i", include_str!("../../../tests/fixtures/installation.yaml")),
        ])
        .unwrap()
    }

    #[test]
    fn of_policies_only_so_much_is_held_and_what_is_not_is_told() {
        let policies = policies();
        let mut reaches = Reaches::of("flame", &policies);
        let text = format!(
            r#"{{"metadata": {{"name": "a"}}, "spec": {{"podSelector": {{}}, "x": "{}"}}}}"#,
            "x".repeat(1 << 20)
        );
        let policy = parse(text.as_bytes()).unwrap();
        let mut findings = 0;
        for _ in 0..9 {
            findings += reaches.take(text.as_bytes(), &policy).len();
        }
        assert!(findings >= 9, "each is found");
        assert_eq!((reaches.open.len(), reaches.left_out), (3, 6));
        assert!(reaches.missing().unwrap().contains("6 that open something are left out"));
    }
}
