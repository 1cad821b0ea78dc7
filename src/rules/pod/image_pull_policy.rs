//! Rule `image-pull-policy`: images are pulled each time.
//!
//! Why: what lies on a node was perhaps pulled with somebody else's credentials, or put there by hand.
//! Remedy: `Always`.

use serde_json::json;

use super::{BOTH, PodCase, PodRule};
use crate::model::{Control, Edit, Finding, Json, PodView, Severity};

pub(super) const RULE: PodRule = PodRule {
    id: "image-pull-policy",
    title: "images are pulled each time",
    why: "an image that is already on the node runs without anybody asking whether its user may have it",
    severity: Severity::Medium,
    controls: &[Control::Cis("1.2.11")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, _: &PodCase<'_>) -> Vec<Finding> {
    pod.containers()
        .filter_map(|container| {
            let given = container.at(&["imagePullPolicy"]);
            if given.and_then(Json::text) == Some("Always") {
                return None;
            }
            let path = container.path(&["imagePullPolicy"]);
            let finding = Finding::new(RULE.id, path.clone(), given, "set it to Always");
            Some(finding.mended_by([Edit::Set(path, json!("Always"))]))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::rules::pod::testing::{expect, is_clean};

    #[test]
    fn images_are_always_pulled() {
        let path = "spec.containers[0].imagePullPolicy";
        is_clean(&RULE, &[]);
        for (given, shown) in
            [(json!(null), "absent"), (json!("IfNotPresent"), r#""IfNotPresent""#), (json!("Never"), r#""Never""#)]
        {
            let wanted = format!(r#"{path} ({shown}): set {path} = "Always""#);
            expect(&RULE, &[("/spec/containers/0/imagePullPolicy", given)], &[&wanted]);
        }
    }
}
