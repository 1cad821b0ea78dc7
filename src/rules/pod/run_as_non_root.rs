//! Rule `run-as-non-root`: every process has a numeric user and group that are not root's.
//!
//! Why: root in a container is one fault of the kernel away from root on the node; and a group that
//! nobody names is the image's, often root's. Remedy: the profile's user where the pod names none or root,
//! with a home and a place for temporary files that this user can write.

use serde_json::json;

use super::{BOTH, PodCase, PodRule};
use crate::model::{ContainerKind, ContainerView, Control, Edit, Finding, Json, PodView, Severity};

pub(super) const RULE: PodRule = PodRule {
    id: "run-as-non-root",
    title: "every process has a numeric user and group that are not root's",
    why: "a flaw in kernel or runtime gives a root process the node, and most others nothing",
    severity: Severity::High,
    controls: &[
        Control::Restricted("Running as Non-root"),
        Control::Restricted("Running as Non-root user"),
        Control::Cis("5.2.7"),
    ],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(flag_of_pod(pod));
    findings.extend(user_of_pod(pod, case));
    findings.extend(group_of_pod(pod, case));
    findings.extend(other_groups(pod, case));
    for container in pod.containers() {
        findings.extend(own_values(&container));
    }
    findings
}

/// The pod's own `runAsNonRoot`, needed unless every container has its own.
fn flag_of_pod(pod: &PodView<'_>) -> Option<Finding> {
    let given = pod.at(&["spec", "securityContext", "runAsNonRoot"]);
    let is_true = |value: Option<&Json<'_>>| value.and_then(Json::boolean) == Some(true);
    if is_true(given) || (given.is_none() && every_container(pod, "runAsNonRoot", is_true)) {
        return None;
    }
    let path = pod.path(&["spec", "securityContext", "runAsNonRoot"]);
    Some(Finding::new(RULE.id, path.clone(), given, "set it to true").mended_by([Edit::Set(path, json!(true))]))
}

fn user_of_pod(pod: &PodView<'_>, case: &PodCase<'_>) -> Option<Finding> {
    let given = pod.at(&["spec", "securityContext", "runAsUser"]);
    if is_no_root(given) || (given.is_none() && every_container(pod, "runAsUser", is_no_root)) {
        return None;
    }
    let path = pod.path(&["spec", "securityContext", "runAsUser"]);
    let user = case.profile.security.user;
    let mut edits = vec![Edit::Set(path.clone(), json!(user))];
    if pod.at(&["spec", "securityContext", "fsGroup"]).is_none() {
        edits.push(Edit::Set(pod.path(&["spec", "securityContext", "fsGroup"]), json!(user)));
    }
    edits.extend(home(pod, case));
    let message = "name a numeric user that is not root";
    Some(Finding::new(RULE.id, path, given, message).mended_by(edits))
}

/// What a program needs that its image made for root: a home and a writable `/tmp`.
fn home(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut is_mounted = false;
    let theirs = pod.containers().filter(|container| {
        let user = container.at(&["securityContext", "runAsUser"]);
        container.kind != ContainerKind::Ephemeral && !is_no_root(user)
    });
    for container in theirs {
        if !container.list("env").iter().any(|variable| variable.text_at(&["name"]) == Some(HOME.0)) {
            edits.push(Edit::Add(container.path(&["env"]), json!({"name": HOME.0, "value": HOME.1})));
        }
        let is_at =
            |mount: &Json<'_>| mount.text_at(&["mountPath"]).map(|path| path.trim_end_matches('/')) == Some(TEMPORARY);
        if !container.list("volumeMounts").iter().any(is_at) {
            edits.push(Edit::Add(container.path(&["volumeMounts"]), json!({"name": VOLUME, "mountPath": TEMPORARY})));
            is_mounted = true;
        }
    }
    let has_volume = pod.list("volumes").iter().any(|volume| volume.text_at(&["name"]) == Some(VOLUME));
    if is_mounted && !has_volume {
        let limit = case.profile.resources.empty_dir_default.to_string();
        edits.push(Edit::Add(pod.spec_path("volumes"), json!({"name": VOLUME, "emptyDir": {"sizeLimit": limit}})));
    }
    edits
}

fn group_of_pod(pod: &PodView<'_>, case: &PodCase<'_>) -> Option<Finding> {
    let given = pod.at(&["spec", "securityContext", "runAsGroup"]);
    if is_no_root(given) || (given.is_none() && every_container(pod, "runAsGroup", is_no_root)) {
        return None;
    }
    let path = pod.path(&["spec", "securityContext", "runAsGroup"]);
    let message = "name a numeric group that is not root's; where none is named it is the image's";
    Some(Finding::new(RULE.id, path.clone(), given, message).mended_by([Edit::Set(path, json!(group(pod, case)))]))
}

/// The group that goes with the pod's user.
fn group(pod: &PodView<'_>, case: &PodCase<'_>) -> i64 {
    let user = pod.at(&["spec", "securityContext", "runAsUser"]).and_then(Json::integer);
    user.filter(|user| *user > 0).unwrap_or(case.profile.security.user)
}

/// `fsGroup` and `supplementalGroups`, which may be absent but not root's.
fn other_groups(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(given) = pod.at(&["spec", "securityContext", "fsGroup"]).filter(|given| !is_no_root(Some(given))) {
        let path = pod.path(&["spec", "securityContext", "fsGroup"]);
        let finding = Finding::new(RULE.id, path.clone(), Some(given), "name a group that is not root's");
        findings.push(finding.mended_by([Edit::Set(path, json!(group(pod, case)))]));
    }
    let supplemental = pod.at(&["spec", "securityContext", "supplementalGroups"]);
    for (index, given) in supplemental.map_or(&[][..], |list| list.items()).iter().enumerate() {
        if !is_no_root(Some(given)) {
            let path = pod.path(&["spec", "securityContext", "supplementalGroups"]).index(index);
            let finding = Finding::new(RULE.id, path.clone(), Some(given), "leave root's group out");
            findings.push(finding.mended_by([Edit::Remove(path)]));
        }
    }
    findings
}

/// What a container says for itself wins over what the pod says, so it must not be root's either.
fn own_values(container: &ContainerView<'_>) -> Vec<Finding> {
    let rootly = |key: &'static str, is_bad: fn(&Json<'_>) -> bool| {
        let given = container.at(&["securityContext", key]).filter(|given| is_bad(given))?;
        let path = container.path(&["securityContext", key]);
        let finding = Finding::new(RULE.id, path.clone(), Some(given), "leave it out; the pod's own value holds then");
        Some(finding.mended_by([Edit::Remove(path)]))
    };
    [
        rootly("runAsNonRoot", |given| given.boolean() != Some(true)),
        rootly("runAsUser", |given| !is_no_root(Some(given))),
        rootly("runAsGroup", |given| !is_no_root(Some(given))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Whether every container has a good value of its own, so that the pod needs none.
fn every_container(pod: &PodView<'_>, key: &str, is_good: impl Fn(Option<&Json<'_>>) -> bool) -> bool {
    pod.containers().all(|container| is_good(container.at(&["securityContext", key])))
}

fn is_no_root(id: Option<&Json<'_>>) -> bool {
    id.and_then(Json::integer).is_some_and(|id| id > 0)
}

const VOLUME: &str = "flamewarden-tmp";
const TEMPORARY: &str = "/tmp";
/// The variable that a container of another user than root gets, and its value.
pub const HOME: (&str, &str) = ("HOME", TEMPORARY);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::rules::pod::testing::{expect, is_clean};

    #[test]
    fn a_pod_without_a_user_gets_one_with_a_home() {
        let at = "spec.securityContext";
        expect(
            &RULE,
            &[
                ("/spec/securityContext", json!({})),
                ("/spec/volumes", json!([])),
                ("/spec/containers/0/volumeMounts", json!([])),
            ],
            &[
                &format!("{at}.runAsNonRoot (absent): set {at}.runAsNonRoot = true"),
                &format!(
                    "{at}.runAsUser (absent): set {at}.runAsUser = 65532, set {at}.fsGroup = 65532, \
                     add {{\"name\":\"HOME\",\"value\":\"/tmp\"}} to spec.containers[0].env, \
                     add {{\"mountPath\":\"/tmp\",\"name\":\"flamewarden-tmp\"}} to spec.containers[0].volumeMounts, \
                     add {{\"emptyDir\":{{\"sizeLimit\":\"1Gi\"}},\"name\":\"flamewarden-tmp\"}} to spec.volumes"
                ),
                &format!("{at}.runAsGroup (absent): set {at}.runAsGroup = 65532"),
            ],
        );
    }

    #[test]
    fn what_is_there_already_is_not_added() {
        let at = "spec.securityContext";
        expect(
            &RULE,
            &[
                ("/spec/securityContext/runAsUser", json!(0)),
                ("/spec/securityContext/fsGroup", json!(7)),
                ("/spec/containers/0/env", json!([{"name": "HOME", "value": "/home"}])),
                ("/spec/containers/0/volumeMounts", json!([{"name": "tmp", "mountPath": "/tmp/"}])),
            ],
            &[&format!("{at}.runAsUser (0): set {at}.runAsUser = 65532")],
        );
    }

    #[test]
    fn a_container_may_not_be_root_either() {
        let at = "/spec/containers/0/securityContext";
        let path = "spec.containers[0].securityContext";
        is_clean(&RULE, &[(at, json!({"runAsUser": 1000, "runAsGroup": 1000, "runAsNonRoot": true}))]);
        expect(
            &RULE,
            &[(at, json!({"runAsUser": 0, "runAsGroup": 0, "runAsNonRoot": false}))],
            &[
                &format!("{path}.runAsNonRoot (false): remove {path}.runAsNonRoot"),
                &format!("{path}.runAsUser (0): remove {path}.runAsUser"),
                &format!("{path}.runAsGroup (0): remove {path}.runAsGroup"),
            ],
        );
    }

    #[test]
    fn containers_may_say_it_all_for_themselves() {
        let own = json!({"runAsUser": 1000, "runAsGroup": 1000, "runAsNonRoot": true});
        is_clean(&RULE, &[("/spec/securityContext", json!({})), ("/spec/containers/0/securityContext", own)]);
    }

    #[test]
    fn what_the_pod_says_of_root_counts_whatever_its_containers_say() {
        let at = "spec.securityContext";
        let own = json!({"runAsUser": 1000, "runAsGroup": 1000, "runAsNonRoot": true});
        expect(
            &RULE,
            &[
                (
                    "/spec/securityContext",
                    json!({"runAsNonRoot": false, "runAsUser": 0, "runAsGroup": 0, "fsGroup": 1}),
                ),
                ("/spec/containers/0/securityContext", own),
                ("/spec/containers/0/volumeMounts", json!([])),
            ],
            &[
                &format!("{at}.runAsNonRoot (false): set {at}.runAsNonRoot = true"),
                // The container has a user of its own, so nothing is put into it.
                &format!("{at}.runAsUser (0): set {at}.runAsUser = 65532"),
                &format!("{at}.runAsGroup (0): set {at}.runAsGroup = 65532"),
            ],
        );
    }

    #[test]
    fn a_place_for_temporary_files_is_made_once_and_for_no_ephemeral_container() {
        let at = "spec.securityContext";
        expect(
            &RULE,
            &[
                ("/spec/securityContext/runAsUser", json!(null)),
                ("/spec/volumes", json!([{"name": "flamewarden-tmp", "emptyDir": {}}])),
                ("/spec/containers/0/volumeMounts", json!([])),
                ("/spec/ephemeralContainers", json!([{"name": "b"}])),
            ],
            &[&format!(
                "{at}.runAsUser (absent): set {at}.runAsUser = 65532, \
                 add {{\"name\":\"HOME\",\"value\":\"/tmp\"}} to spec.containers[0].env, \
                 add {{\"mountPath\":\"/tmp\",\"name\":\"flamewarden-tmp\"}} to spec.containers[0].volumeMounts"
            )],
        );
    }

    #[test]
    fn roots_group_is_not_a_group_to_have() {
        let at = "spec.securityContext";
        expect(
            &RULE,
            &[(
                "/spec/securityContext",
                json!({"runAsNonRoot": true, "runAsUser": 1000, "fsGroup": 0, "supplementalGroups": [5, 0]}),
            )],
            &[
                &format!("{at}.runAsGroup (absent): set {at}.runAsGroup = 1000"),
                &format!("{at}.fsGroup (0): set {at}.fsGroup = 1000"),
                &format!("{at}.supplementalGroups[1] (0): remove {at}.supplementalGroups[1]"),
            ],
        );
    }
}
