//! Rule `identity`: a guarded pod says what it is, and which analysis it belongs to.
//!
//! Why: policies, Services and the other parts of FLAME trust these two labels. No remedy: it would be another identity.

use super::{BOTH, PodCase, PodRule};
use crate::model::{Control, Finding, PodView, Severity, labels};
use crate::policy::Role;

pub(super) const RULE: PodRule = PodRule {
    id: "identity",
    title: "a guarded pod says what it is, and which analysis it belongs to",
    why: "network policies select by these labels: a pod with another's label has what that one may reach",
    severity: Severity::Critical,
    controls: &[Control::Nsa("Network separation and hardening: network policies")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    let guards = &case.profile.guards;
    let mut findings = Vec::new();
    let label = |key: &str| (pod.path(&["metadata", "labels", key]), pod.at(&["metadata", "labels", key]));
    if pod.label(labels::COMPONENT) != Some(guards.component.as_str()) {
        let (path, given) = label(labels::COMPONENT);
        findings.push(Finding::new(RULE.id, path, given, format!("must be `{}`", guards.component)));
    }
    if pod.label(labels::APP).and_then(|app| case.profile.analysis_of(app)).is_none() {
        let (path, given) = label(labels::APP);
        let prefix = if case.profile.role == Role::Gateway { labels::GATEWAY_PREFIX } else { "" };
        let message = format!("must fit `{prefix}{}`", guards.app.source());
        findings.push(Finding::new(RULE.id, path, given, message));
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::policy::Role;
    use crate::rules::pod::testing::{expect, expect_with, is_clean};

    #[test]
    fn an_analysis_has_a_name_that_fits() {
        is_clean(&RULE, &[("/metadata/labels/app", json!("analysis-2f1c-1"))]);
        for (app, shown) in [
            (json!(null), "absent"),
            (json!(""), r#""""#),
            (json!("kong"), r#""kong""#),
            (json!("analysis-A"), r#""analysis-A""#),
            (json!("nginx-analysis-1"), r#""nginx-analysis-1""#),
            (json!("analysis-1\n"), r#""analysis-1\n""#),
        ] {
            expect(&RULE, &[("/metadata/labels/app", app)], &[&format!("metadata.labels.app ({shown}): no remedy")]);
        }
    }

    #[test]
    fn a_gateway_has_both_labels() {
        for (component, app, wanted) in [
            (json!("flame-analysis-nginx"), json!("nginx-analysis-1"), vec![]),
            (json!(null), json!("nginx-analysis-1"), vec!["metadata.labels.component (absent): no remedy"]),
            (json!("kong"), json!("nginx-analysis-1"), vec![r#"metadata.labels.component ("kong"): no remedy"#]),
            (
                json!("flame-analysis-nginx"),
                json!("analysis-1"),
                vec![r#"metadata.labels.app ("analysis-1"): no remedy"#],
            ),
        ] {
            let changes = [("/metadata/labels/component", component), ("/metadata/labels/app", app)];
            expect_with(&RULE, Role::Gateway, |_| {}, &changes, &wanted);
        }
    }
}
