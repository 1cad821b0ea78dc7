//! What both pods of a bundle have in common: everything that the profile would fill in is said.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::policy::{Profile, Quantity, Want};

/// The spec of a pod as its profile wants it, for these containers and volumes.
pub(super) fn spec(profile: &Profile, containers: Vec<Value>, mut volumes: Vec<Value>) -> Map<String, Value> {
    let user = profile.security.user;
    volumes
        .push(json!({"name": TEMPORARY, "emptyDir": {"sizeLimit": profile.resources.empty_dir_default.to_string()}}));
    let mut spec = Map::new();
    let mut set = |key: &str, value: Value| spec.insert(key.to_owned(), value);
    set("automountServiceAccountToken", json!(false));
    set("enableServiceLinks", json!(false));
    set("restartPolicy", json!("Always"));
    set("terminationGracePeriodSeconds", json!(profile.security.grace_maximum));
    set(
        "securityContext",
        json!({
            "runAsNonRoot": true, "runAsUser": user, "runAsGroup": user, "fsGroup": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        }),
    );
    if profile.security.user_namespace == Want::Required {
        set("hostUsers", json!(false));
    }
    if let Some(class) = &profile.security.runtime_class {
        set("runtimeClassName", json!(class));
    }
    let scheduling = &profile.scheduling;
    if !scheduling.node_selector.is_empty() {
        set("nodeSelector", json!(scheduling.node_selector));
    }
    if !scheduling.tolerations.is_empty() {
        set("tolerations", json!(scheduling.tolerations));
    }
    if let Some(class) = &scheduling.priority_class {
        set("priorityClassName", json!(class));
    }
    set("containers", json!(containers));
    set("volumes", json!(volumes));
    spec
}

/// A container with the profile's resources, no rights, a place for temporary files, and these mounts and fields.
pub(super) fn container<const N: usize>(
    profile: &Profile,
    what: &Runs<'_>,
    mounts: Vec<Value>,
    fields: [(&str, Value); N],
) -> Value {
    let amounts = |amounts: &BTreeMap<String, Quantity>| {
        amounts.iter().map(|(name, amount)| (name.clone(), json!(amount.to_string()))).collect::<Map<_, _>>()
    };
    let read_only =
        what.root == RootFilesystem::ReadOnly || profile.security.read_only_root_filesystem == Want::Required;
    let mut all_mounts = vec![json!({"name": TEMPORARY, "mountPath": "/tmp"})];
    all_mounts.extend(mounts);
    let common = [
        ("name", json!(what.name)),
        ("image", json!(what.image)),
        ("imagePullPolicy", json!("Always")),
        (
            "resources",
            json!({
                "requests": amounts(&profile.resources.requests), "limits": amounts(&profile.resources.limits),
            }),
        ),
        (
            "securityContext",
            json!({
                "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": read_only,
            }),
        ),
        ("volumeMounts", json!(all_mounts)),
    ];
    common.into_iter().chain(fields).map(|(key, value)| (key.to_owned(), value)).collect()
}

/// What a container runs.
pub(super) struct Runs<'a> {
    /// The container's name.
    pub(super) name: &'a str,
    /// Its image.
    pub(super) image: &'a str,
    /// Whether it may write outside its volumes.
    pub(super) root: RootFilesystem,
}

/// Whether a container may write outside its volumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RootFilesystem {
    /// Never: we know what runs there.
    ReadOnly,
    /// As the profile says.
    AsProfileSays,
}

const TEMPORARY: &str = "flamewarden-tmp";
