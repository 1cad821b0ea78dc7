//! Rule `service-links`: the names and addresses of other Services are not put into the environment.
//!
//! Why: they are a map of the cluster for who breaks in. Remedy: `enableServiceLinks: false`.

use serde_json::json;

use super::{BOTH, PodCase, PodRule};
use crate::model::{Control, Edit, Finding, Json, PodView, Severity};

pub(super) const RULE: PodRule = PodRule {
    id: "service-links",
    title: "the names and addresses of other Services are not put into the environment",
    why: "the environment tells an analysis which other Services there are, and where",
    severity: Severity::Low,
    controls: &[Control::Nsa("Network separation and hardening")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, _: &PodCase<'_>) -> Vec<Finding> {
    let given = pod.spec("enableServiceLinks");
    if given.and_then(Json::boolean) == Some(false) {
        return Vec::new();
    }
    let path = pod.spec_path("enableServiceLinks");
    vec![Finding::new(RULE.id, path.clone(), given, "set it to false").mended_by([Edit::Set(path, json!(false))])]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::rules::pod::testing::{expect, is_clean};

    #[test]
    fn service_links_are_off() {
        let path = "spec.enableServiceLinks";
        is_clean(&RULE, &[]);
        for (given, shown) in [(json!(null), "absent"), (json!(true), "true")] {
            let wanted = format!("{path} ({shown}): set {path} = false");
            expect(&RULE, &[("/spec/enableServiceLinks", given)], &[&wanted]);
        }
    }
}
