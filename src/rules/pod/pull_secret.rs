//! Rule `pull-secret`: images are pulled with the profile's pull secret and no other.
//!
//! Why: another secret pulls other people's images, or names a Secret that is none
//! of the analysis's business. Remedy: the named one alone.

use serde_json::json;

use super::{ANALYSIS, PodCase, PodRule};
use crate::model::{Control, Edit, Finding, PodView, Severity};

pub(super) const RULE: PodRule = PodRule {
    id: "pull-secret",
    title: "images are pulled with the profile's pull secret and no other",
    why: "another pull secret brings images from where nobody has looked, or is shown to whom it is not for",
    severity: Severity::Medium,
    controls: &[Control::Nsa("Kubernetes Pod security: hardened images")],
    roles: ANALYSIS,
    check,
};

fn check(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    let Some(wanted) = &case.profile.pull_secret else { return Vec::new() };
    let path = pod.spec_path("imagePullSecrets");
    let given = pod.spec("imagePullSecrets");
    let items = given.map_or(&[][..], |list| list.items());
    let mut fitting = items.iter().filter(|item| item.text_at(&["name"]).is_some_and(|name| wanted.pattern.fits(name)));
    let kept = fitting.next().and_then(|item| item.text_at(&["name"]));
    if items.len() == 1 && kept.is_some() {
        return Vec::new();
    }
    let name = kept.unwrap_or(&wanted.name);
    let message = format!("name exactly one pull secret that fits `{}`", wanted.pattern.source());
    vec![Finding::new(RULE.id, path.clone(), given, message).mended_by([Edit::Set(path, json!([{"name": name}]))])]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::policy::Role;
    use crate::rules::pod::testing::{expect, expect_with, is_clean};

    const AT: &str = "/spec/imagePullSecrets";
    const PROJECT: &str = "flame-harbor-0123abcd-0000-4000-8000-0123456789ab";

    #[test]
    fn exactly_the_fitting_secret_is_named() {
        is_clean(&RULE, &[(AT, json!([{"name": PROJECT}]))]);
        let path = "spec.imagePullSecrets";
        let usual = "flame-harbor-credentials";
        for (given, kept) in [
            (json!([]), usual),
            (json!([{"name": "others"}]), usual),
            (json!([{}]), usual),
            (json!([{"name": usual}, {"name": "others"}]), usual),
            (json!([{"name": "others"}, {"name": PROJECT}]), PROJECT),
            (json!([{"name": PROJECT}, {"name": usual}]), PROJECT),
        ] {
            let wanted = format!(r#"{path} ({given}): set {path} = [{{"name":"{kept}"}}]"#);
            expect(&RULE, &[(AT, given)], &[&wanted]);
        }
        let absent = format!(r#"{path} (absent): set {path} = [{{"name":"{usual}"}}]"#);
        expect(&RULE, &[(AT, json!(null))], &[&absent]);
    }

    #[test]
    fn a_profile_without_a_secret_asks_for_none() {
        let others = (AT, json!([{"name": "others"}]));
        expect_with(&RULE, Role::Analysis, |profile| profile.pull_secret = None, &[others], &[]);
    }
}
