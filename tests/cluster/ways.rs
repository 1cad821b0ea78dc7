//! Ways in which what Flamewarden protects is changed while nobody watches, one table.

use http::Method;
use serde_json::{Value, json};

use crate::caller::{Caller, PatchKind};
use crate::flamewarden::good_analysis;

macro_rules! policies {
    ($name:literal) => {
        concat!("/apis/networking.k8s.io/v1/namespaces/flame-attacks/networkpolicies", $name)
    };
}
macro_rules! admission {
    ($name:literal) => {
        concat!("/apis/admissionregistration.k8s.io/v1/", $name)
    };
}
macro_rules! access {
    ($name:literal) => {
        concat!("/apis/rbac.authorization.k8s.io/v1/", $name)
    };
}
macro_rules! system {
    ($group:literal, $name:literal) => {
        concat!($group, "/namespaces/flamewarden-system/", $name)
    };
}

/// A binding of a user to everything that a role of the same name says, in the whole cluster.
macro_rules! bound {
    ($name:literal) => {
        concat!(
            r#"{"metadata": {"name": ""#,
            $name,
            r#""}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": ""#,
            $name,
            r#""}, "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "mallory"}]}"#
        )
    };
}
/// One way, and what an audit must say of it.
pub(crate) struct Way {
    pub(crate) what: &'static str,
    /// The object that is told of.
    pub(crate) object: &'static str,
    /// By which rule.
    pub(crate) rule: &'static str,
    /// What path and value have in them, where the object is told of without this change too.
    pub(crate) sign: &'static str,
    change: Change,
}

enum Change {
    /// A pod of that id is created with a value at a JSON pointer.
    Pod(&'static str, &'static str, &'static str),
    /// An object is created in a collection, as JSON.
    Create(&'static str, &'static str),
    /// An object is changed by a JSON merge patch.
    Merge(&'static str, &'static str),
    /// An object is changed by a JSON patch.
    Patch(&'static str, &'static str),
    /// An object is deleted, its finalizers first.
    Delete(&'static str),
}

impl Way {
    /// Goes it; says what was in the way.
    pub(crate) async fn go(&self, admin: &Caller) -> Option<String> {
        let done = match &self.change {
            Pod(id, pointer, value) => admin.create(PODS, &pod(id, pointer, value)).await,
            Create(path, object) => admin.create(path, &read(object)).await,
            Merge(path, patch) => admin.patch(path, PatchKind::Merge, &read(patch)).await,
            Patch(path, patch) => admin.patch(path, PatchKind::Json, &read(patch)).await,
            Delete(path) => {
                let free = json!({"metadata": {"finalizers": null}});
                admin.patch(path, PatchKind::Merge, &free).await.unwrap();
                match admin.call(Method::DELETE, path, None).await {
                    Err(refusal) if refusal.code == 404 => Ok(Value::Null),
                    done => done,
                }
            }
        };
        done.err().map(|refusal| format!("{}: {refusal:?}", self.what))
    }
}

/// What stands in the way of changing anything goes first, and one replica of two.
pub(crate) async fn prepare(admin: &Caller) {
    let gone = json!({"endpoints": []});
    admin
        .patch(system!("/apis/discovery.k8s.io/v1", "endpointslices/webhook-2"), PatchKind::Merge, &gone)
        .await
        .unwrap();
    for (kind, names) in [
        ("validatingwebhookconfigurations", crate::flamewarden::VALIDATING),
        ("mutatingwebhookconfigurations", crate::flamewarden::MUTATING),
    ] {
        for name in names {
            // One that stays is changed instead; it must let everything through first.
            let path = format!("/apis/admissionregistration.k8s.io/v1/{kind}/flamewarden-{name}");
            let ignore = json!([{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"},
                {"op": "replace", "path": "/webhooks/0/clientConfig", "value": {"url": "https://127.0.0.1:1/"}}]);
            admin.patch(&path, PatchKind::Json, &ignore).await.unwrap();
        }
    }
    for name in ["flamewarden-gate", "flamewarden-label"] {
        let path = format!("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/{name}");
        admin.delete(&path, None).await.unwrap();
    }
    for (name, group, resource, verb) in ROLES {
        let rules = json!([{"apiGroups": [group], "resources": [resource], "verbs": [verb]}]);
        let role = json!({"metadata": {"name": name}, "rules": rules});
        admin.create(access!("clusterroles"), &role).await.unwrap();
    }
    crate::shared::wait_until("nothing is judged any more", crate::shared::PATIENCE, async || {
        let mut pod = good_analysis("unjudged");
        pod["metadata"]["name"] = json!("unjudged");
        pod["spec"]["hostNetwork"] = json!(true);
        admin.create(&format!("{PODS}?dryRun=All"), &pod).await.ok()
    })
    .await;
    crate::shared::wait_until("the label is free", crate::shared::PATIENCE, async || {
        let mut pod = good_analysis("unjudged");
        pod["metadata"]["name"] = json!("unjudged");
        admin.create("/api/v1/namespaces/default/pods?dryRun=All", &pod).await.ok()
    })
    .await;
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|problem| panic!("{problem}: {text}"))
}

/// A pod as admission would have left it, but for one thing.
fn pod(id: &str, pointer: &str, value: &str) -> Value {
    let mut pod = good_analysis(id);
    pod["metadata"]["name"] = json!(format!("way-{id}"));
    let amounts = json!({"cpu": "100m", "memory": "256Mi", "ephemeral-storage": "1Gi"});
    let spec = &mut pod["spec"];
    spec["containers"][0]["image"] = json!(crate::scanned::pinned("harbor.example/node/image:1"));
    spec["containers"][0]["imagePullPolicy"] = json!("Always");
    spec["containers"][0]["resources"] = json!({"requests": amounts, "limits": amounts});
    spec["containers"][0]["securityContext"] =
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    spec["securityContext"] = json!({"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"}});
    spec["imagePullSecrets"] = json!([{"name": "flame-harbor-credentials"}]);
    spec["automountServiceAccountToken"] = json!(false);
    spec["enableServiceLinks"] = json!(false);
    if !pointer.is_empty() {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        pod.pointer_mut(parent).unwrap()[key] = read(value);
    }
    pod
}

const PODS: &str = "/api/v1/namespaces/flame-attacks/pods";

const fn way(what: &'static str, object: &'static str, rule: &'static str, change: Change) -> Way {
    Way { what, object, rule, sign: "", change }
}

/// One that is told of by that sign alone.
const fn by(sign: &'static str, way: Way) -> Way {
    Way { sign, ..way }
}

/// What bindings give, by the roles' names.
const ROLES: [(&str, &str, &str, &str); 11] = [
    ("way-nodes", "", "nodes/proxy", "get"),
    ("way-impersonate", "", "groups", "impersonate"),
    ("way-webhooks", "admissionregistration.k8s.io", "*", "patch"),
    ("way-escalate", "rbac.authorization.k8s.io", "clusterroles", "escalate"),
    ("way-sign", "certificates.k8s.io", "signers", "approve"),
    ("way-crds", "apiextensions.k8s.io", "customresourcedefinitions", "delete"),
    ("way-exec", "", "pods/exec", "create"),
    ("way-secrets", "", "secrets", "get"),
    ("way-policies", "networking.k8s.io", "networkpolicies", "create"),
    ("way-pods", "", "pods", "create"),
    ("way-maps", "", "configmaps", "update"),
];

use self::Change::{Create, Delete, Merge, Patch, Pod};

/// All of them. Those on webhook configurations come on top of what [`prepare`] has changed.
pub(crate) const WAYS: &[Way] = &[
    // Pods that come while nothing is judged.
    way("host network", "Pod flame-attacks/way-a01", "host-namespaces", Pod("a01", "/spec/hostNetwork", "true")),
    way("host processes", "Pod flame-attacks/way-a02", "host-namespaces", Pod("a02", "/spec/hostPID", "true")),
    way(
        "privileged",
        "Pod flame-attacks/way-a03",
        "privileged",
        Pod("a03", "/spec/containers/0/securityContext", r#"{"privileged": true}"#),
    ),
    way(
        "capabilities",
        "Pod flame-attacks/way-a04",
        "capabilities",
        Pod(
            "a04",
            "/spec/containers/0/securityContext",
            r#"{"allowPrivilegeEscalation": false, "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}}"#,
        ),
    ),
    way(
        "root",
        "Pod flame-attacks/way-a05",
        "run-as-non-root",
        Pod("a05", "/spec/securityContext", r#"{"runAsUser": 0, "seccompProfile": {"type": "RuntimeDefault"}}"#),
    ),
    way(
        "no seccomp",
        "Pod flame-attacks/way-a06",
        "seccomp",
        Pod(
            "a06",
            "/spec/securityContext",
            r#"{"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532, "seccompProfile": {"type": "Unconfined"}}"#,
        ),
    ),
    way("no limits", "Pod flame-attacks/way-a07", "resources", Pod("a07", "/spec/containers/0/resources", "{}")),
    way(
        "another registry",
        "Pod flame-attacks/way-a08",
        "image-registry",
        Pod("a08", "/spec/containers/0/image", r#""elsewhere.example/image:1""#),
    ),
    way(
        "an unscanned image",
        "Pod flame-attacks/way-a09",
        "image-scan",
        Pod(
            "a09",
            "/spec/containers/0/image",
            r#""harbor.example/node/unknown@sha256:3333333333333333333333333333333333333333333333333333333333333333""#,
        ),
    ),
    way(
        "another pull secret",
        "Pod flame-attacks/way-a10",
        "pull-secret",
        Pod("a10", "/spec/imagePullSecrets", r#"[{"name": "theirs"}]"#),
    ),
    way(
        "a token",
        "Pod flame-attacks/way-a11",
        "service-account-token",
        Pod("a11", "/spec/automountServiceAccountToken", "true"),
    ),
    way(
        "a path of the host",
        "Pod flame-attacks/way-a12",
        "volumes",
        Pod("a12", "/spec/volumes", r#"[{"name": "h", "hostPath": {"path": "/"}}]"#),
    ),
    way(
        "a port of the host",
        "Pod flame-attacks/way-a13",
        "host-ports",
        Pod("a13", "/spec/containers/0/ports", r#"[{"containerPort": 80, "hostPort": 80}]"#),
    ),
    way(
        "a Secret in the environment",
        "Pod flame-attacks/way-a14",
        "env-sources",
        Pod("a14", "/spec/containers/0/envFrom", r#"[{"secretRef": {"name": "theirs"}}]"#),
    ),
    way(
        "a label that others select",
        "Pod flame-attacks/way-a15",
        "labels",
        Pod("a15", "/metadata/labels", r#"{"component": "flame-analysis", "app": "analysis-a15", "k8s-app": "dns"}"#),
    ),
    way("no policy of its own", "Pod flame-attacks/way-a16", "isolation", Pod("a16", "", "")),
    way(
        "names of other Services",
        "Pod flame-attacks/way-a17",
        "service-links",
        Pod("a17", "/spec/enableServiceLinks", "true"),
    ),
    way(
        "outside",
        "Pod default/way-outside",
        "outside-guard",
        Create(
            "/api/v1/namespaces/default/pods",
            r#"{"metadata": {"name": "way-outside", "labels": {"component": "flame-analysis", "app": "analysis-x"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}"#,
        ),
    ),
    // Pods that were there.
    way(
        "another identity",
        "Pod flame-attacks/audited-0",
        "isolation",
        Merge(
            "/api/v1/namespaces/flame-attacks/pods/audited-0",
            r#"{"metadata": {"labels": {"app": "analysis-nobody"}}}"#,
        ),
    ),
    way(
        "another image",
        "Pod flame-attacks/audited-1",
        "image-registry",
        Patch(
            "/api/v1/namespaces/flame-attacks/pods/audited-1",
            r#"[{"op": "replace", "path": "/spec/containers/0/image", "value": "elsewhere.example/image:1"}]"#,
        ),
    ),
    way(
        "a container beside it",
        "Pod flame-attacks/audited-2",
        "ephemeral-containers",
        Merge(
            "/api/v1/namespaces/flame-attacks/pods/audited-2/ephemeralcontainers",
            r#"{"spec": {"ephemeralContainers": [{"name": "debug", "image": "harbor.example/node/image:1"}]}}"#,
        ),
    ),
    way(
        "an annotation",
        "Pod flame-attacks/audited-3",
        "annotations",
        Merge(
            "/api/v1/namespaces/flame-attacks/pods/audited-3",
            r#"{"metadata": {"annotations": {"k8s.v1.cni.cncf.io/networks": "other"}}}"#,
        ),
    ),
    way(
        "a finalizer",
        "Pod flame-attacks/audited-4",
        "finalizers",
        Merge(
            "/api/v1/namespaces/flame-attacks/pods/audited-4",
            r#"{"metadata": {"finalizers": ["example.org/stay"]}}"#,
        ),
    ),
    // Network policies.
    way(
        "the own policy is gone",
        "Pod flame-attacks/audited-5",
        "isolation",
        Delete(policies!("/flamewarden-analysis-audited-5")),
    ),
    way(
        "the own policy lets out",
        "NetworkPolicy flame-attacks/flamewarden-analysis-audited-6",
        "isolation",
        Merge(policies!("/flamewarden-analysis-audited-6"), r#"{"spec": {"egress": [{}]}}"#),
    ),
    way(
        "the own policy lets in",
        "NetworkPolicy flame-attacks/flamewarden-analysis-audited-7",
        "isolation",
        Merge(policies!("/flamewarden-analysis-audited-7"), r#"{"spec": {"ingress": [{}]}}"#),
    ),
    way(
        "the own policy selects others",
        "NetworkPolicy flame-attacks/flamewarden-analysis-audited-8",
        "isolation",
        Merge(
            policies!("/flamewarden-analysis-audited-8"),
            r#"{"spec": {"podSelector": {"matchLabels": {"app": "other"}}}}"#,
        ),
    ),
    way(
        "the own policy can go",
        "NetworkPolicy flame-attacks/flamewarden-analysis-audited-9",
        "isolation",
        Merge(policies!("/flamewarden-analysis-audited-9"), r#"{"metadata": {"finalizers": null}}"#),
    ),
    way(
        "the own policy holds one direction",
        "NetworkPolicy flame-attacks/flamewarden-analysis-audited-10",
        "isolation",
        Merge(
            policies!("/flamewarden-analysis-audited-10"),
            r#"{"spec": {"policyTypes": ["Ingress"], "egress": null}}"#,
        ),
    ),
    way(
        "a policy for all",
        "NetworkPolicy flame-attacks/way-all",
        "network-policy",
        Create(
            policies!(""),
            r#"{"metadata": {"name": "way-all"}, "spec": {"podSelector": {}, "egress": [{}], "policyTypes": ["Egress"]}}"#,
        ),
    ),
    way(
        "a policy for all reaches a pod",
        "Pod flame-attacks/audited-11",
        "isolation",
        Create(
            policies!(""),
            r#"{"metadata": {"name": "way-one"}, "spec": {"podSelector": {"matchLabels": {"app": "analysis-audited-11"}}, "ingress": [{}]}}"#,
        ),
    ),
    // Webhook configurations.
    by(
        "metadata.name",
        way(
            "a mutating configuration is gone",
            "MutatingWebhookConfiguration flamewarden-pods",
            "installed",
            Delete(admission!("mutatingwebhookconfigurations/flamewarden-pods")),
        ),
    ),
    by(
        "metadata.name",
        way(
            "a validating configuration is gone",
            "ValidatingWebhookConfiguration flamewarden-pods",
            "installed",
            Delete(admission!("validatingwebhookconfigurations/flamewarden-pods")),
        ),
    ),
    by(
        "https://elsewhere.example/",
        way(
            "another address",
            "ValidatingWebhookConfiguration flamewarden-connect",
            "installed",
            Patch(
                admission!("validatingwebhookconfigurations/flamewarden-connect"),
                r#"[{"op": "replace", "path": "/webhooks/0/clientConfig", "value": {"url": "https://elsewhere.example/"}}]"#,
            ),
        ),
    ),
    by(
        "webhooks[0].rules",
        way(
            "fewer rules",
            "ValidatingWebhookConfiguration flamewarden-workloads",
            "installed",
            Patch(
                admission!("validatingwebhookconfigurations/flamewarden-workloads"),
                r#"[{"op": "remove", "path": "/webhooks/0/rules/0"}]"#,
            ),
        ),
    ),
    by(
        "webhooks[0].matchConditions",
        way(
            "a condition that never holds",
            "ValidatingWebhookConfiguration flamewarden-services",
            "installed",
            Patch(
                admission!("validatingwebhookconfigurations/flamewarden-services"),
                r#"[{"op": "add", "path": "/webhooks/0/matchConditions", "value": [{"name": "never", "expression": "false"}]}]"#,
            ),
        ),
    ),
    by(
        "webhooks[0].namespaceSelector",
        way(
            "other namespaces",
            "ValidatingWebhookConfiguration flamewarden-networkpolicies",
            "installed",
            Patch(
                admission!("validatingwebhookconfigurations/flamewarden-networkpolicies"),
                r#"[{"op": "replace", "path": "/webhooks/0/namespaceSelector", "value": {"matchLabels": {"no": "such"}}}]"#,
            ),
        ),
    ),
    by(
        "webhooks[0].objectSelector",
        way(
            "some objects alone",
            "MutatingWebhookConfiguration flamewarden-networkpolicies",
            "installed",
            Patch(
                admission!("mutatingwebhookconfigurations/flamewarden-networkpolicies"),
                r#"[{"op": "add", "path": "/webhooks/0/objectSelector", "value": {"matchLabels": {"no": "such"}}}]"#,
            ),
        ),
    ),
    // What holds while Flamewarden is down.
    way(
        "a policy is gone",
        "ValidatingAdmissionPolicy flamewarden-gate",
        "installed",
        Delete(admission!("validatingadmissionpolicies/flamewarden-gate")),
    ),
    way(
        "a policy that lets all through",
        "ValidatingAdmissionPolicy flamewarden-label",
        "installed",
        Merge(
            admission!("validatingadmissionpolicies/flamewarden-label"),
            r#"{"spec": {"validations": [{"expression": "true"}]}}"#,
        ),
    ),
    // Rights of our own.
    way(
        "more rights for the webhook",
        "ClusterRole flamewarden-webhook",
        "installed",
        Patch(
            access!("clusterroles/flamewarden-webhook"),
            r#"[{"op": "add", "path": "/rules/-", "value": {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}}]"#,
        ),
    ),
    way(
        "another in our place",
        "RoleBinding flame-attacks/flamewarden-controller",
        "installed",
        Patch(
            access!("namespaces/flame-attacks/rolebindings/flamewarden-controller"),
            r#"[{"op": "add", "path": "/subjects/-", "value": {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "mallory"}}]"#,
        ),
    ),
    way(
        "a role of ours is gone",
        "Role flame-attacks/flamewarden-webhook",
        "installed",
        Delete(access!("namespaces/flame-attacks/roles/flamewarden-webhook")),
    ),
    // Rights of others.
    way(
        "everything",
        "ClusterRoleBinding way-everything",
        "way-round",
        Create(
            access!("clusterrolebindings"),
            r#"{"metadata": {"name": "way-everything"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}, "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:authenticated"}]}"#,
        ),
    ),
    way(
        "a role for nodes",
        "ClusterRoleBinding way-nodes",
        "way-round",
        Create(access!("clusterrolebindings"), bound!("way-nodes")),
    ),
    way(
        "a role for others' names",
        "ClusterRoleBinding way-impersonate",
        "way-round",
        Create(access!("clusterrolebindings"), bound!("way-impersonate")),
    ),
    way(
        "a role for webhooks",
        "ClusterRoleBinding way-webhooks",
        "way-round",
        Create(access!("clusterrolebindings"), bound!("way-webhooks")),
    ),
    way(
        "a role for roles",
        "ClusterRoleBinding way-escalate",
        "way-round",
        Create(access!("clusterrolebindings"), bound!("way-escalate")),
    ),
    way(
        "a role for certificates",
        "ClusterRoleBinding way-sign",
        "way-round",
        Create(access!("clusterrolebindings"), bound!("way-sign")),
    ),
    way(
        "a role for definitions",
        "ClusterRoleBinding way-crds",
        "way-round",
        Create(access!("clusterrolebindings"), bound!("way-crds")),
    ),
    way(
        "entering pods",
        "RoleBinding flame-attacks/way-exec",
        "way-round",
        Create(access!("namespaces/flame-attacks/rolebindings"), bound!("way-exec")),
    ),
    way(
        "reading Secrets",
        "RoleBinding flame-attacks/way-secrets",
        "way-round",
        Create(access!("namespaces/flame-attacks/rolebindings"), bound!("way-secrets")),
    ),
    way(
        "writing policies",
        "RoleBinding flame-attacks/way-policies",
        "way-round",
        Create(access!("namespaces/flame-attacks/rolebindings"), bound!("way-policies")),
    ),
    way(
        "pods beside the controller",
        "RoleBinding flamewarden-system/way-pods",
        "way-round",
        Create(access!("namespaces/flamewarden-system/rolebindings"), bound!("way-pods")),
    ),
    way(
        "the policies of Flamewarden",
        "RoleBinding flamewarden-system/way-maps",
        "way-round",
        Create(access!("namespaces/flamewarden-system/rolebindings"), bound!("way-maps")),
    ),
    // What runs.
    way(
        "another program",
        "Deployment flamewarden-system/flamewarden-webhook",
        "installed",
        Patch(
            system!("/apis/apps/v1", "deployments/flamewarden-webhook"),
            r#"[{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "elsewhere.example/x:1"}]"#,
        ),
    ),
    way(
        "the host's network for the controller",
        "Deployment flamewarden-system/flamewarden-controller",
        "installed",
        Patch(
            system!("/apis/apps/v1", "deployments/flamewarden-controller"),
            r#"[{"op": "add", "path": "/spec/template/spec/hostNetwork", "value": true}]"#,
        ),
    ),
    way(
        "another policy file",
        "ConfigMap flamewarden-system/flamewarden-policies",
        "installed",
        Merge(system!("/api/v1", "configmaps/flamewarden-policies"), r#"{"data": {"more.yaml": ""}}"#),
    ),
    way(
        "a namespace without its standard",
        "Namespace flamewarden-system",
        "installed",
        Merge(
            "/api/v1/namespaces/flamewarden-system",
            r#"{"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}"#,
        ),
    ),
    way(
        "another port",
        "Service flamewarden-system/flamewarden-webhook",
        "installed",
        Patch(
            system!("/api/v1", "services/flamewarden-webhook"),
            r#"[{"op": "replace", "path": "/spec/ports/0/targetPort", "value": 1}]"#,
        ),
    ),
    way(
        "a definition that keeps everything",
        "CustomResourceDefinition imagescans.flamewarden.dev",
        "installed",
        Patch(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/imagescans.flamewarden.dev",
            r#"[{"op": "add", "path": "/spec/versions/0/schema/openAPIV3Schema/x-kubernetes-preserve-unknown-fields", "value": true}]"#,
        ),
    ),
    way(
        "the certificate is gone",
        "Secret flamewarden-system/flamewarden-webhook-tls",
        "certificate",
        Delete(system!("/api/v1", "secrets/flamewarden-webhook-tls")),
    ),
    way(
        "the lease is gone",
        "Lease flamewarden-system/flamewarden-controller",
        "at-work",
        Delete(system!("/apis/coordination.k8s.io/v1", "leases/flamewarden-controller")),
    ),
    way(
        "no replica",
        "Service flamewarden-system/flamewarden-webhook",
        "at-work",
        Merge(system!("/apis/discovery.k8s.io/v1", "endpointslices/webhook-1"), r#"{"endpoints": []}"#),
    ),
    way(
        "the network lets pods out",
        "ConfigMap flamewarden-system/flamewarden-canary",
        "network-enforcement",
        Merge(system!("/api/v1", "configmaps/flamewarden-canary"), r#"{"data": {"result": "notEnforced"}}"#),
    ),
    // What makes pods, and what leads to them.
    way(
        "a template",
        "Deployment flame-attacks/way-template",
        "host-namespaces",
        Create(
            "/apis/apps/v1/namespaces/flame-attacks/deployments",
            r#"{"metadata": {"name": "way-template"}, "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "analysis-way"}}, "template": {"metadata": {"labels": {"component": "flame-analysis", "app": "analysis-way"}}, "spec": {"hostNetwork": true, "containers": [{"name": "a", "image": "harbor.example/node/image:1"}]}}}}"#,
        ),
    ),
    way(
        "a daily template",
        "CronJob flame-attacks/way-cron",
        "privileged",
        Create(
            "/apis/batch/v1/namespaces/flame-attacks/cronjobs",
            r#"{"metadata": {"name": "way-cron"}, "spec": {"suspend": true, "schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {"metadata": {"labels": {"component": "flame-analysis", "app": "analysis-cron"}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "harbor.example/node/image:1", "securityContext": {"privileged": true}}]}}}}}}"#,
        ),
    ),
];
