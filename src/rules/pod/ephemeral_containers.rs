//! Rule `ephemeral-containers`: nobody debugs inside a guarded pod.
//!
//! Why: an ephemeral container is any image in the middle of an analysis. No remedy: it is another image.

use super::{BOTH, PodCase, PodRule};
use crate::model::{Control, Finding, PodView, Severity};

pub(super) const RULE: PodRule = PodRule {
    id: "ephemeral-containers",
    title: "guarded pods have no ephemeral containers",
    why: "a container that is added later runs inside the pod's network and beside its data, with an image of its own",
    severity: Severity::Critical,
    controls: &[Control::Nsa("Kubernetes Pod security")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, _: &PodCase<'_>) -> Vec<Finding> {
    let items = pod.list("ephemeralContainers").iter().enumerate();
    items
        .map(|(index, item)| {
            let path = pod.spec_path("ephemeralContainers").index(index);
            Finding::new(RULE.id, path.key("name"), item.get("name"), "no ephemeral containers")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::rules::pod::testing::{expect, is_clean};

    #[test]
    fn ephemeral_containers_are_refused() {
        is_clean(&RULE, &[("/spec/ephemeralContainers", json!([]))]);
        expect(
            &RULE,
            &[("/spec/ephemeralContainers", json!([{"name": "debug", "image": "busybox"}]))],
            &[r#"spec.ephemeralContainers[0].name ("debug"): no remedy"#],
        );
    }
}
