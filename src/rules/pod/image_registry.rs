//! Rule `image-registry`: images come from where the profile says.
//!
//! Why: what nobody has reviewed lies in other registries. No remedy: it is another image source.

use super::{BOTH, PodCase, PodRule};
use crate::model::{ContainerView, Control, Finding, ImageRef, Json, PodView, Severity};
use crate::policy::Role;

pub(super) const RULE: PodRule = PodRule {
    id: "image-registry",
    title: "images come from where the profile says",
    why: "what comes from elsewhere was built, approved and scanned by nobody that the node knows",
    severity: Severity::Critical,
    controls: &[Control::Cis("5.5.1"), Control::Nsa("Kubernetes Pod security: building secure container images")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    pod.containers()
        .filter_map(|container| {
            let given = container.at(&["image"]);
            let says = wrong(&container, given.and_then(Json::text).unwrap_or_default(), case)?;
            Some(Finding::new(RULE.id, container.path(&["image"]), given, says))
        })
        .collect()
}

fn wrong(container: &ContainerView<'_>, text: &str, case: &PodCase<'_>) -> Option<String> {
    let image = match ImageRef::parse(text) {
        Ok(image) => image,
        Err(problem) => return Some(problem.to_string()),
    };
    let is_allowed = |listed: &[String]| listed.iter().any(|listed| image.is_listed(listed));
    if let Some(sidecar) = case.sidecar(container.name()) {
        return (!is_allowed(&sidecar.images)).then(|| format!("allowed for it: {}", sidecar.images.join(", ")));
    }
    let registries = &case.profile.images.registries;
    let is_good = match case.profile.role {
        Role::Analysis => registries.iter().any(|registry| image.is_below(registry)),
        Role::Gateway => is_allowed(registries),
    };
    (!is_good).then(|| format!("allowed are: {}", registries.join(", ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::policy::Role;
    use crate::rules::pod::testing::{expect, expect_with, is_clean};

    const AT: &str = "/spec/containers/0/image";
    const DIGEST: &str = "sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

    #[test]
    fn analyses_come_from_the_nodes_registry() {
        is_clean(&RULE, &[(AT, json!("harbor.example/node/a/b"))]);
        is_clean(&RULE, &[(AT, json!(format!("harbor.example/node/a:1@{DIGEST}")))]);
        for image in [
            "nginx",
            "harbor.example/node",
            "harbor.example/nodes/a",
            "harbor.example/node2/a",
            "harbor.example:443/node/a",
            "HARBOR.example/node/a",
            "harbor.example./node/a",
            "harbor.example.evil.org/node/a",
            "user@harbor.example/node/a",
            "harbor.example/node/../other/a",
            "harbor.example//node/a",
            "https://harbor.example/node/a",
            "harbor.еxample/node/a",
            " harbor.example/node/a",
            "",
        ] {
            let wanted = format!("spec.containers[0].image ({}): no remedy", json!(image));
            expect(&RULE, &[(AT, json!(image))], &[&wanted]);
        }
        expect(&RULE, &[(AT, json!(null))], &["spec.containers[0].image (absent): no remedy"]);
    }

    #[test]
    fn sidecars_have_images_of_their_own() {
        let containers = |image: &str| {
            let main = json!({"name": "analysis-1", "image": "harbor.example/node/a"});
            json!([main, {"name": "net-stats-analysis-1", "image": image}])
        };
        is_clean(&RULE, &[("/spec/containers", containers("docker.io/library/busybox:1.37"))]);
        for image in ["busybox:1.36", "harbor.example/node/a"] {
            let wanted = format!(r#"spec.containers[1].image ("{image}"): no remedy"#);
            expect(&RULE, &[("/spec/containers", containers(image))], &[&wanted]);
        }
    }

    #[test]
    fn gateways_run_listed_images() {
        for (image, is_good) in [
            ("nginx", true),
            ("nginx:latest", true),
            ("docker.io/library/nginx:1.29.8", true),
            ("nginx:1.29", false),
            ("harbor.example/node/nginx:latest", false),
        ] {
            let wanted = format!(r#"spec.containers[0].image ("{image}"): no remedy"#);
            let wanted: &[&str] = if is_good { &[] } else { &[&wanted] };
            expect_with(&RULE, Role::Gateway, |_| {}, &[(AT, json!(image))], wanted);
        }
    }
}
