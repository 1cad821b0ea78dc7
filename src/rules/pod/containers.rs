//! Rule `containers`: a guarded pod holds the container that bears its name, and known sidecars.
//!
//! Why: whatever else runs in the pod has its network and its data. No remedy: it is another image.

use super::{BOTH, PodCase, PodRule};
use crate::model::{ContainerKind, Control, Finding, Hold, PodView, Severity};

pub(super) const RULE: PodRule = PodRule {
    id: "containers",
    title: "a guarded pod holds the container that bears its name, and known sidecars",
    why: "a further container shares the pod's network and volumes, and nobody has asked for it",
    severity: Severity::High,
    controls: &[Control::Nsa("Kubernetes Pod security")],
    roles: BOTH,
    check,
};

/// The one finding about a pod of so many containers that all that could be said of each would be a burden.
pub(super) fn crowd(pod: &PodView<'_>) -> Option<Finding> {
    let count = pod.containers().count();
    let message = format!("{count} containers; no pod of an analysis has more than {MOST}");
    let path = pod.spec_path("containers");
    (count > MOST)
        .then(|| RULE.stamped(Finding::new(RULE.id, path, None, message)))
        .map(|crowd| Finding { hold: Hold::Always, ..crowd })
}

fn check(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut has_main = false;
    // Ephemeral containers have a rule of their own.
    for container in pod.containers().filter(|container| container.kind != ContainerKind::Ephemeral) {
        if container.kind == ContainerKind::Main && container.name() == case.app && !case.app.is_empty() {
            has_main = true;
        } else if case.sidecar(container.name()).is_none() {
            let message = "neither named as the pod's label `app` nor a sidecar of the profile";
            findings.push(Finding::new(RULE.id, container.path(&["name"]), container.at(&["name"]), message));
        }
    }
    if !has_main {
        let message = format!("one container must be named as the pod's label `app` (`{}`)", case.app);
        findings.push(Finding::new(RULE.id, pod.spec_path("containers"), None, message));
    }
    findings
}

/// One that bears the name, and sidecars: a handful. Each can be wrong in more than ten ways.
const MOST: usize = 32;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::rules::pod::testing::{expect, is_clean};

    #[test]
    fn only_the_analysis_and_known_sidecars_run() {
        let main = json!({"name": "analysis-1"});
        is_clean(&RULE, &[("/spec/containers", json!([main, {"name": "net-stats-analysis-1"}]))]);
        is_clean(&RULE, &[("/spec/initContainers", json!([{"name": "net-stats-analysis-1"}]))]);
        expect(
            &RULE,
            &[
                ("/spec/containers", json!([main, {"name": "net-stats-analysis-2"}, {}])),
                ("/spec/initContainers", json!([main])),
            ],
            &[
                r#"spec.containers[1].name ("net-stats-analysis-2"): no remedy"#,
                "spec.containers[2].name (absent): no remedy",
                r#"spec.initContainers[0].name ("analysis-1"): no remedy"#,
            ],
        );
        expect(&RULE, &[("/spec/containers", json!([]))], &["spec.containers (absent): no remedy"]);
        is_clean(&RULE, &[("/spec/ephemeralContainers", json!([{"name": "debug"}]))]);
        expect(
            &RULE,
            &[("/metadata/labels/app", json!("")), ("/spec/containers", json!([{"name": ""}]))],
            &[r#"spec.containers[0].name (""): no remedy"#, "spec.containers (absent): no remedy"],
        );
    }
}
