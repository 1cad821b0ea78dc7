//! Rule `service-account`: pods run as one of the profile's service accounts.
//!
//! Why: a service account is an identity for the API server and for everything that trusts it.
//! No remedy: it asks for another identity.

use super::{BOTH, PodCase, PodRule};
use crate::model::{Control, Finding, PodView, Severity};

pub(super) const RULE: PodRule = PodRule {
    id: "service-account",
    title: "pods run as one of the profile's service accounts",
    why: "a service account is what the pod may do at the API server, and which secrets its images are pulled with",
    severity: Severity::High,
    controls: &[Control::Cis("5.1.5"), Control::Nsa("Authentication and authorization")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    let allowed = &case.profile.service_accounts;
    let is_allowed = |name: &str| allowed.iter().any(|allowed| allowed == name);
    let message = || format!("allowed are: {}", allowed.join(", "));
    let mut findings = Vec::new();
    let mut is_named = false;
    for key in ["serviceAccountName", "serviceAccount"] {
        let Some(given) = pod.spec(key).filter(|given| !given.is_unset()) else { continue };
        is_named = true;
        if !given.text().is_some_and(is_allowed) {
            findings.push(Finding::new(RULE.id, pod.spec_path(key), Some(given), message()));
        }
    }
    // Without a name it is the one that the API server fills in.
    if !is_named && !is_allowed("default") {
        findings.push(Finding::new(RULE.id, pod.spec_path("serviceAccountName"), None, message()));
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::policy::{Profile, Role};
    use crate::rules::pod::testing::{expect, expect_with, is_clean};

    #[test]
    fn other_service_accounts_are_refused() {
        is_clean(&RULE, &[("/spec/serviceAccountName", json!(null))]);
        is_clean(&RULE, &[("/spec/serviceAccount", json!("default"))]);
        expect(
            &RULE,
            &[("/spec/serviceAccountName", json!("admin")), ("/spec/serviceAccount", json!("other"))],
            &[r#"spec.serviceAccountName ("admin"): no remedy"#, r#"spec.serviceAccount ("other"): no remedy"#],
        );
        for (given, wanted) in [
            (json!(null), vec!["spec.serviceAccountName (absent): no remedy"]),
            (json!(""), vec!["spec.serviceAccountName (absent): no remedy"]),
            (json!("analysis"), vec![]),
        ] {
            let named = |profile: &mut Profile| profile.service_accounts = vec!["analysis".to_owned()];
            expect_with(&RULE, Role::Analysis, named, &[("/spec/serviceAccountName", given)], &wanted);
        }
    }
}
