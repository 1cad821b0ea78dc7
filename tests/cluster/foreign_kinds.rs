//! Other networks' kinds of policies, as a test cluster gets to know them, and an editor who may write them.

use flamewarden::isolation::{FOREIGN, Scope};
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::flamewarden::binding;
use crate::lab::{GUARDED, Lab};
use crate::shared::{PATIENCE, wait_until};

/// Lets the cluster know all of them.
pub(crate) async fn define(lab: &Lab) {
    for kind in &KINDS {
        lab.cluster.admin.create(DEFINITIONS, &kind.definition()).await.unwrap();
    }
    for kind in &KINDS {
        lab.cluster.read(&kind.collection(), |_| Some(())).await;
    }
}

/// A user with the role `edit` and every verb on these kinds in one guarded namespace, and no right elsewhere.
pub(crate) async fn editor(lab: &Lab) -> Caller {
    let admin = &lab.cluster.admin;
    let groups: Vec<&str> = KINDS.iter().map(|kind| kind.group).collect();
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": ROLE},
        "rules": [{"apiGroups": groups, "resources": ["*"], "verbs": ["*"]}],
    });
    admin.create(&format!("{RBAC}/clusterroles"), &role).await.unwrap();
    for role in ["edit", ROLE] {
        admin.create(&format!("{RBAC}/namespaces/{NAMESPACE}/rolebindings"), &binding(role)).await.unwrap();
    }
    let editor = lab.cluster.plane.caller("editor", None).await;
    for path in [format!("/api/v1/namespaces/{NAMESPACE}/pods"), KINDS[0].collection()] {
        // The kind may not be there yet; that is another answer.
        let is_known = async || !editor.get(&path).await.is_err_and(|refusal| refusal.code == 403);
        wait_until("RBAC knows the editor", PATIENCE, async || is_known().await.then_some(())).await;
    }
    editor
}

/// A kind, without its schema, and what its policies for analyses and for others look like.
pub(crate) struct Kind {
    pub(crate) group: &'static str,
    version: &'static str,
    pub(crate) plural: &'static str,
    name: &'static str,
    pub(crate) reaching: fn() -> Value,
    pub(crate) excluding: fn() -> Value,
}

impl Kind {
    pub(crate) fn scope(&self) -> Scope {
        FOREIGN.iter().find(|kind| (kind.group, kind.resource) == (self.group, self.plural)).unwrap().scope
    }

    fn definition(&self) -> Value {
        let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let scope = if self.scope() == Scope::Cluster { "Cluster" } else { "Namespaced" };
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {
                "name": format!("{}.{}", self.plural, self.group),
                "annotations": {"api-approved.kubernetes.io": "unapproved, for tests"},
            },
            "spec": {
                "group": self.group, "scope": scope,
                "names": {"kind": self.name, "plural": self.plural, "singular": self.name.to_lowercase()},
                "versions": [{"name": self.version, "served": true, "storage": true, "schema": {"openAPIV3Schema": any}}],
            },
        })
    }

    pub(crate) fn definition_path(&self) -> String {
        format!("{DEFINITIONS}/{}.{}", self.plural, self.group)
    }

    pub(crate) fn collection(&self) -> String {
        let namespace = if self.scope() == Scope::Cluster { String::new() } else { format!("/namespaces/{NAMESPACE}") };
        format!("/apis/{}/{}{namespace}/{}", self.group, self.version, self.plural)
    }

    pub(crate) fn object(&self, name: &str, spec: &fn() -> Value) -> Value {
        json!({
            "apiVersion": format!("{}/{}", self.group, self.version), "kind": self.name, "metadata": {"name": name},
            "spec": spec(),
        })
    }
}

const fn cilium(plural: &'static str, name: &'static str) -> Kind {
    Kind {
        group: "cilium.io",
        version: "v2",
        plural,
        name,
        reaching: || json!({"endpointSelector": {}, "egress": [{"toEntities": ["all"]}]}),
        excluding: || json!({"endpointSelector": {"matchLabels": {"app": "web"}}, "egress": [{"toEntities": ["all"]}]}),
    }
}

const fn calico(group: &'static str, version: &'static str, plural: &'static str, name: &'static str) -> Kind {
    Kind {
        group,
        version,
        plural,
        name,
        reaching: || json!({"selector": "all()", "egress": [{"action": "Allow"}]}),
        excluding: || json!({"selector": "app == 'web'", "egress": [{"action": "Allow"}]}),
    }
}

const fn antrea(plural: &'static str, name: &'static str) -> Kind {
    Kind {
        group: "crd.antrea.io",
        version: "v1beta1",
        plural,
        name,
        reaching: || json!({"appliedTo": [{"podSelector": {}}], "egress": [{"action": "Allow"}]}),
        excluding: || json!({"appliedTo": [{"podSelector": {"matchLabels": {"app": "web"}}}], "egress": [{"action": "Allow"}]}),
    }
}

const fn selecting(group: &'static str, plural: &'static str, name: &'static str) -> Kind {
    Kind {
        group,
        version: "v1alpha1",
        plural,
        name,
        reaching: || json!({"podSelector": {}, "egress": [{}]}),
        excluding: || json!({"podSelector": {"matchLabels": {"app": "web"}}, "egress": [{}]}),
    }
}

/// Leads others' traffic elsewhere.
const REDIRECT: Kind = Kind {
    group: "cilium.io",
    version: "v2",
    plural: "ciliumlocalredirectpolicies",
    name: "CiliumLocalRedirectPolicy",
    reaching: || {
        json!({
            "redirectFrontend": {"addressMatcher": {"ip": "10.96.0.7"}},
            "redirectBackend": {"localEndpointSelector": {"matchLabels": {"app": "web"}}},
        })
    },
    excluding: || {
        json!({
            "redirectFrontend": {"serviceMatcher": {"serviceName": "web", "namespace": NAMESPACE}},
            "redirectBackend": {"localEndpointSelector": {"matchLabels": {"app": "web"}}},
        })
    },
};

const fn admin(group: &'static str, version: &'static str, plural: &'static str, name: &'static str) -> Kind {
    Kind {
        group,
        version,
        plural,
        name,
        reaching: || json!({"subject": {"namespaces": {}}, "priority": 1}),
        excluding: || json!({"subject": {"namespaces": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}, "priority": 1}),
    }
}

/// All of them.
pub(crate) const KINDS: [Kind; FOREIGN.len()] = [
    cilium("ciliumnetworkpolicies", "CiliumNetworkPolicy"),
    cilium("ciliumclusterwidenetworkpolicies", "CiliumClusterwideNetworkPolicy"),
    REDIRECT,
    calico("crd.projectcalico.org", "v1", "networkpolicies", "NetworkPolicy"),
    calico("crd.projectcalico.org", "v1", "globalnetworkpolicies", "GlobalNetworkPolicy"),
    calico("projectcalico.org", "v3", "networkpolicies", "NetworkPolicy"),
    calico("projectcalico.org", "v3", "globalnetworkpolicies", "GlobalNetworkPolicy"),
    antrea("networkpolicies", "NetworkPolicy"),
    antrea("clusternetworkpolicies", "ClusterNetworkPolicy"),
    admin(ADMIN, "v1alpha1", "adminnetworkpolicies", "AdminNetworkPolicy"),
    admin(ADMIN, "v1alpha1", "baselineadminnetworkpolicies", "BaselineAdminNetworkPolicy"),
    admin(ADMIN, "v1alpha2", "clusternetworkpolicies", "ClusterNetworkPolicy"),
    selecting("networking.gke.io", "fqdnnetworkpolicies", "FQDNNetworkPolicy"),
    selecting(AWS, "applicationnetworkpolicies", "ApplicationNetworkPolicy"),
    admin(AWS, "v1alpha1", "clusternetworkpolicies", "ClusterNetworkPolicy"),
];
const ADMIN: &str = "policy.networking.k8s.io";
const AWS: &str = "networking.k8s.aws";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const NAMESPACE: &str = GUARDED[0];
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const ROLE: &str = "test-foreign-policies";
