//! Rule `service-account-token`: no pod gets a token for the API server.
//!
//! Why: a token is a key to the API server. Remedy: the mount is switched off, and what the API
//! server's ServiceAccount plugin has mounted by then is taken away.

use serde_json::json;

use super::volumes::is_injected;
use super::{BOTH, PodCase, PodRule};
use crate::model::{Control, Edit, Finding, Json, PodView, Severity};

pub(super) const RULE: PodRule = PodRule {
    id: "service-account-token",
    title: "no pod gets a token for the API server",
    why: "with a token an analysis speaks to the API server as the node's software does",
    severity: Severity::High,
    controls: &[Control::Cis("5.1.6"), Control::Nsa("Kubernetes Pod security: protecting Pod service account tokens")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, _: &PodCase<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let given = pod.spec("automountServiceAccountToken");
    if given.and_then(Json::boolean) != Some(false) {
        let path = pod.spec_path("automountServiceAccountToken");
        let finding = Finding::new(RULE.id, path.clone(), given, "set it to false");
        findings.push(finding.mended_by([Edit::Set(path, json!(false))]));
    }
    for (index, volume) in pod.list("volumes").iter().enumerate().filter(|(_, volume)| is_injected(volume)) {
        let path = pod.spec_path("volumes").index(index);
        let name = volume.text_at(&["name"]).unwrap_or_default();
        let finding = Finding::new(RULE.id, path.key("name"), volume.get("name"), "no token is mounted; leave it out");
        findings.push(finding.mended_by([Edit::Remove(path)]).mended_by(unmount(pod, name)));
    }
    findings
}

fn unmount(pod: &PodView<'_>, volume: &str) -> Vec<Edit> {
    let mut edits = Vec::new();
    for container in pod.containers() {
        for (index, mount) in container.list("volumeMounts").iter().enumerate() {
            if mount.text_at(&["name"]) == Some(volume) {
                edits.push(Edit::Remove(container.path(&["volumeMounts"]).index(index)));
            }
        }
    }
    edits
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::rules::pod::testing::expect;

    #[test]
    fn the_token_and_its_mounts_are_taken_away() {
        let switch = "spec.automountServiceAccountToken";
        for (given, shown) in [(json!(null), "absent"), (json!(true), "true")] {
            let wanted = format!("{switch} ({shown}): set {switch} = false");
            expect(&RULE, &[("/spec/automountServiceAccountToken", given)], &[&wanted]);
        }
        let token = json!({"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}, "name": "kube-api-access-x"});
        expect(
            &RULE,
            &[
                ("/spec/volumes", json!([{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}, token])),
                ("/spec/containers/0/volumeMounts", json!([{"name": "kube-api-access-x"}, {"name": "tmp"}])),
                ("/spec/initContainers", json!([{"volumeMounts": [{"name": "tmp"}, {"name": "kube-api-access-x"}]}])),
            ],
            &[concat!(
                r#"spec.volumes[1].name ("kube-api-access-x"): remove spec.volumes[1], "#,
                "remove spec.containers[0].volumeMounts[0], remove spec.initContainers[0].volumeMounts[1]"
            )],
        );
    }
}
