//! Rule `image-digest`: where the profile asks for it, images are pinned by digest.
//!
//! Why: a tag can be moved to other content after review. No remedy here: which content was meant
//! is looked up outside of admission.

use super::{BOTH, PodCase, PodRule};
use crate::model::{Control, Finding, ImageRef, Json, PodView, Severity};
use crate::policy::Want;

pub(super) const RULE: PodRule = PodRule {
    id: "image-digest",
    title: "images are pinned by digest where the profile asks for it",
    why: "a tag can lead to other bytes tomorrow than those that were looked at today",
    severity: Severity::High,
    controls: &[Control::Cis("5.5.1")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    if case.profile.images.digest != Want::Required {
        return Vec::new();
    }
    pod.containers()
        .filter_map(|container| {
            let given = container.at(&["image"]);
            let image = ImageRef::parse(given.and_then(Json::text).unwrap_or_default());
            let is_pinned = image.is_ok_and(|image| image.digest.is_some_and(|digest| digest.starts_with("sha256:")));
            let path = || container.path(&["image"]);
            (!is_pinned).then(|| Finding::new(RULE.id, path(), given, "pin it with `@sha256:…`"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::model::Json;
    use crate::policy::{Role, Want};
    use crate::rules::pod::testing::{expect_with, is_clean};

    #[test]
    fn tags_are_not_pins() {
        let at = "/spec/containers/0/image";
        is_clean(&RULE, &[(at, json!("nginx:1.27"))]);
        let (short, long) = ("f".repeat(64), "f".repeat(128));
        for (image, is_good) in [
            ("nginx:1.27".to_owned(), false),
            (format!("nginx@sha256:{short}"), true),
            (format!("nginx:1.27@sha256:{short}"), true),
            (format!("nginx@sha512:{long}"), false),
            ("nginx@sha256:ab".to_owned(), false),
        ] {
            let shown = Json::of(&json!(image)).to_string();
            let wanted = format!("spec.containers[0].image ({shown}): no remedy");
            let wanted: &[&str] = if is_good { &[] } else { &[&wanted] };
            expect_with(
                &RULE,
                Role::Analysis,
                |profile| profile.images.digest = Want::Required,
                &[(at, json!(image))],
                wanted,
            );
        }
    }
}
