//! Rule `volumes`: only sized emptyDirs, and the ConfigMaps that the profile names.
//!
//! Why: every other volume brings in what belongs to the node or to somebody else. An emptyDir
//! without a limit fills the node's disk. Remedy: a missing limit is filled in. What the API server's
//! ServiceAccount plugin mounts belongs to the rule `service-account-token`.

use serde_json::json;

use super::field_table::{CONTAINER, VOLUME, VOLUME_MOUNT, refusals};
use super::{BOTH, PodCase, PodRule};
use crate::model::{ContainerView, Control, Edit, FieldPath, Finding, Json, PodView, Severity};
use crate::policy::{Quantity, Role};

pub(super) const RULE: PodRule = PodRule {
    id: "volumes",
    title: "only sized emptyDirs, and the ConfigMaps that the profile names, are mounted",
    why: "a volume from elsewhere brings in what others keep there, or carries results out",
    severity: Severity::Critical,
    controls: &[Control::Baseline("HostPath Volumes"), Control::Restricted("Volume Types"), Control::Cis("5.2.11")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, volume) in pod.list("volumes").iter().enumerate() {
        volume_findings(volume, || pod.spec_path("volumes").index(index), case, &mut findings);
    }
    for container in pod.containers() {
        findings.extend(
            refusals(CONTAINER, RULE.id, container.json)
                .map(|(key, given)| Finding::new(RULE.id, container.path(&[key]), Some(given), "leave it out")),
        );
        for (index, mount) in container.list("volumeMounts").iter().enumerate() {
            findings.extend(mount_findings(&container, index, mount, case));
        }
    }
    findings
}

/// Whether a volume is the one that the API server's ServiceAccount plugin puts into every pod.
pub(super) fn is_injected(volume: &Json<'_>) -> bool {
    let has_name = volume.text_at(&["name"]).is_some_and(|name| name.starts_with("kube-api-access-"));
    let Some(sources) = volume.at(&["projected", "sources"]) else { return false };
    let is_alone = volume.entries().iter().all(|(key, _)| key == "name" || key == "projected");
    has_name && is_alone && sources.items().iter().all(is_injected_source)
}

fn is_injected_source(source: &Json<'_>) -> bool {
    let [(kind, value)] = source.entries() else { return false };
    match kind.as_ref() {
        "serviceAccountToken" => value.get("audience").is_none_or(Json::is_unset),
        "configMap" => matches!(value.text_at(&["name"]), Some("kube-root-ca.crt" | "openshift-service-ca.crt")),
        "downwardAPI" => true,
        _ => false,
    }
}

fn volume_findings(volume: &Json<'_>, path: impl Fn() -> FieldPath, case: &PodCase<'_>, findings: &mut Vec<Finding>) {
    if is_injected(volume) {
        return;
    }
    findings.extend(refusals(VOLUME, RULE.id, volume).map(|(key, given)| {
        Finding::new(RULE.id, path().key(key), Some(given), "volumes of this kind are not allowed")
    }));
    if let Some(given) = volume.get("projected") {
        findings.push(Finding::new(
            RULE.id,
            path().key("projected"),
            Some(given),
            "volumes of this kind are not allowed",
        ));
    }
    if let Some(given) = volume.get("configMap") {
        let is_named =
            given.text_at(&["name"]).is_some_and(|name| case.is_source(&case.profile.sources.config_maps, name));
        if !is_named {
            let path = path().keys(&["configMap", "name"]);
            findings.push(Finding::new(RULE.id, path, given.get("name"), "not one of the profile's ConfigMaps"));
        }
    }
    let has_source = volume.entries().iter().any(|(key, value)| key != "name" && *value != Json::Null);
    if volume.get("emptyDir").is_some() || !has_source {
        findings.extend(size_finding(volume, &path, case));
        findings.extend(medium_finding(volume, &path));
    }
}

/// A volume that names no source is an emptyDir for the API server too.
fn size_finding(volume: &Json<'_>, path: impl Fn() -> FieldPath, case: &PodCase<'_>) -> Option<Finding> {
    let resources = &case.profile.resources;
    let given = volume.at(&["emptyDir", "sizeLimit"]);
    let path = || path().keys(&["emptyDir", "sizeLimit"]);
    let Some(value) = given else {
        let default = resources.empty_dir_default.to_string();
        let finding = Finding::new(RULE.id, path(), None, "name a size limit");
        return Some(finding.mended_by([Edit::Set(path(), json!(default))]));
    };
    let in_memory = volume.text_at(&["emptyDir", "medium"]) == Some("Memory");
    let memory = resources.maximum.get("memory").filter(|_| in_memory);
    let bounds = [Some(&resources.empty_dir_maximum), memory];
    match Quantity::of(value).filter(|size| !size.is_zero()) {
        None => Some(Finding::new(RULE.id, path(), given, "no size; write it like 1Gi")),
        Some(size) => bounds
            .into_iter()
            .flatten()
            .find(|bound| size.exceeds(bound))
            .map(|bound| Finding::new(RULE.id, path(), given, format!("at most {bound}"))),
    }
}

fn medium_finding(volume: &Json<'_>, path: impl Fn() -> FieldPath) -> Option<Finding> {
    let given = volume.at(&["emptyDir", "medium"]).filter(|given| !given.is_unset())?;
    let path = || path().keys(&["emptyDir", "medium"]);
    (given.text() != Some("Memory"))
        .then(|| Finding::new(RULE.id, path(), Some(given), "only the node's disk or `Memory`"))
}

fn mount_findings(container: &ContainerView<'_>, index: usize, mount: &Json<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    let path = |key: &str| container.path(&["volumeMounts"]).index(index).key(key);
    let mut findings: Vec<Finding> = refusals(VOLUME_MOUNT, RULE.id, mount)
        .map(|(key, given)| Finding::new(RULE.id, path(key), Some(given), "leave it out"))
        .collect();
    let set = |key: &str| mount.get(key).filter(|given| !given.is_unset());
    if let Some(given) = set("mountPropagation").filter(|given| given.text() != Some("None")) {
        findings.push(Finding::new(RULE.id, path("mountPropagation"), Some(given), "only `None` is allowed"));
    }
    // A subPath is followed by the kubelet, on the node, through what the pod may have written.
    if let Some(given) = set("subPath").filter(|_| case.profile.role == Role::Analysis) {
        findings.push(Finding::new(RULE.id, path("subPath"), Some(given), "mount the whole volume"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::RULE;
    use crate::policy::Role;
    use crate::rules::pod::testing::{expect, expect_with, is_clean};

    #[test]
    fn only_named_kinds_of_volume_are_mounted() {
        for (volume, wanted) in [
            (json!({"hostPath": {"path": "/"}}), r#"spec.volumes[0].hostPath ({"path":"/"}): no remedy"#),
            (json!({"csi": {"driver": "x"}}), r#"spec.volumes[0].csi ({"driver":"x"}): no remedy"#),
            (json!({"secret": {"secretName": "x"}}), r#"spec.volumes[0].secret ({"secretName":"x"}): no remedy"#),
            (json!({"image": {"reference": "x"}}), r#"spec.volumes[0].image ({"reference":"x"}): no remedy"#),
            (json!({"nfs": {"server": "x"}}), r#"spec.volumes[0].nfs ({"server":"x"}): no remedy"#),
            (json!({"downwardAPI": {"items": [1]}}), r#"spec.volumes[0].downwardAPI ({"items":[1]}): no remedy"#),
            (json!({"projected": {"sources": []}}), r#"spec.volumes[0].projected ({"sources":[]}): no remedy"#),
            (json!({"configMap": {"name": "x"}}), r#"spec.volumes[0].configMap.name ("x"): no remedy"#),
            (
                json!({"persistentVolumeClaim": {"claimName": "x"}}),
                r#"spec.volumes[0].persistentVolumeClaim ({"claimName":"x"}): no remedy"#,
            ),
            (
                json!({"ephemeral": {"volumeClaimTemplate": {"spec": 1}}}),
                r#"spec.volumes[0].ephemeral ({"volumeClaimTemplate":{"spec":1}}): no remedy"#,
            ),
        ] {
            expect(&RULE, &[("/spec/volumes", json!([volume]))], &[wanted]);
        }
    }

    #[test]
    fn every_empty_directory_has_a_size() {
        let at = "spec.volumes[0].emptyDir";
        let fill = format!(r#"{at}.sizeLimit (absent): set {at}.sizeLimit = "1Gi""#);
        for (volume, wanted) in [
            (json!({"name": "a"}), fill.as_str()),
            (json!({"emptyDir": {}}), &fill),
            (json!({"emptyDir": {"sizeLimit": "65Gi"}}), r#"spec.volumes[0].emptyDir.sizeLimit ("65Gi"): no remedy"#),
            (json!({"emptyDir": {"sizeLimit": "0"}}), r#"spec.volumes[0].emptyDir.sizeLimit ("0"): no remedy"#),
            (json!({"emptyDir": {"sizeLimit": "much"}}), r#"spec.volumes[0].emptyDir.sizeLimit ("much"): no remedy"#),
            (
                json!({"emptyDir": {"medium": "Memory", "sizeLimit": "33Gi"}}),
                r#"spec.volumes[0].emptyDir.sizeLimit ("33Gi"): no remedy"#,
            ),
            (
                json!({"emptyDir": {"medium": "HugePages", "sizeLimit": "1Gi"}}),
                r#"spec.volumes[0].emptyDir.medium ("HugePages"): no remedy"#,
            ),
        ] {
            expect(&RULE, &[("/spec/volumes", json!([volume]))], &[wanted]);
        }
        for good in [
            json!({"emptyDir": {"medium": "Memory", "sizeLimit": 1_000_000}}),
            json!({"emptyDir": {"medium": "Memory", "sizeLimit": "32Gi"}}),
            json!({"emptyDir": {"medium": "", "sizeLimit": "64Gi"}}),
        ] {
            is_clean(&RULE, &[("/spec/volumes", json!([good]))]);
        }
        let emptied = json!({"name": "a", "hostPath": null});
        expect(&RULE, &[("/spec/volumes", json!([emptied]))], &[&fill]);
    }

    #[test]
    fn mounts_stay_inside_the_pod() {
        let at = "/spec/containers/0/volumeMounts";
        is_clean(&RULE, &[(at, json!([{"name": "tmp", "mountPropagation": "None", "subPath": ""}]))]);
        for (mount, wanted) in [
            (json!({"mountPropagation": "Bidirectional"}), r#"mountPropagation ("Bidirectional")"#),
            (json!({"subPathExpr": "$(A)"}), r#"subPathExpr ("$(A)")"#),
            (json!({"subPath": "a"}), r#"subPath ("a")"#),
            (json!({"bindMountOptions": ["a"]}), r#"bindMountOptions (["a"])"#),
        ] {
            expect(
                &RULE,
                &[(at, json!([mount]))],
                &[&format!("spec.containers[0].volumeMounts[0].{wanted}: no remedy")],
            );
        }
        expect(
            &RULE,
            &[("/spec/containers/0/volumeDevices", json!([{"name": "x"}]))],
            &[r#"spec.containers[0].volumeDevices ([{"name":"x"}]): no remedy"#],
        );
    }

    #[test]
    fn a_gateway_mounts_its_configuration() {
        let volume = |name: &str| json!([{"name": "nginx-vol", "configMap": {"name": name, "defaultMode": 420}}]);
        let mount: Value =
            json!([{"name": "nginx-vol", "mountPath": "/etc/nginx/nginx.conf", "subPath": "nginx.conf"}]);
        for (name, wanted) in [
            ("nginx-analysis-1-config", vec![]),
            (
                "nginx-analysis-2-config",
                vec![r#"spec.volumes[0].configMap.name ("nginx-analysis-2-config"): no remedy"#],
            ),
        ] {
            expect_with(
                &RULE,
                Role::Gateway,
                |_| {},
                &[("/spec/volumes", volume(name)), ("/spec/containers/0/volumeMounts", mount.clone())],
                &wanted,
            );
        }
    }

    #[test]
    fn only_what_the_api_server_injects_is_left_to_the_token_rule() {
        let injected = |source: Value| json!([{"name": "kube-api-access-x", "projected": {"sources": [source]}}]);
        is_clean(&RULE, &[("/spec/volumes", injected(json!({"serviceAccountToken": {"path": "token"}})))]);
        for source in [
            json!({"serviceAccountToken": {"path": "token", "audience": "vault"}}),
            json!({"secret": {"name": "x"}}),
            json!({"configMap": {"name": "x"}}),
        ] {
            let wanted = format!(r#"spec.volumes[0].projected ({{"sources":[{source}]}}): no remedy"#);
            expect(&RULE, &[("/spec/volumes", injected(source))], &[&wanted]);
        }
        let token = json!({"sources": [{"serviceAccountToken": {"path": "token"}}]});
        let projected = format!("spec.volumes[0].projected ({token}): no remedy");
        let other_name = json!([{"name": "mine", "projected": token}]);
        expect(&RULE, &[("/spec/volumes", other_name)], &[&projected]);
        let more = json!([{"name": "kube-api-access-x", "projected": token, "hostPath": {"path": "/"}}]);
        let host = r#"spec.volumes[0].hostPath ({"path":"/"}): no remedy"#;
        expect(&RULE, &[("/spec/volumes", more)], &[host, &projected]);
    }
}
