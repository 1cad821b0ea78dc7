//! Which resources a user's rule may name: those that the API server can be made to send, and that may wait for an answer.

use super::ResourceRule;
use super::checked::is_label;

impl ResourceRule {
    /// The first field that names what is never sent, or must not be, and why.
    pub(super) fn problem(&self) -> Option<String> {
        let lists = [("apiGroups", &self.api_groups), ("resources", &self.resources), ("operations", &self.operations)];
        if let Some((field, _)) = lists.into_iter().find(|(_, list)| list.is_empty()) {
            return Some(format!("resourceRules.{field}: the list is empty; name at least one"));
        }
        if let Some(word) = self.operations.iter().find(|word| !OPERATIONS.contains(&word.as_str())) {
            return Some(format!("resourceRules.operations: `{word}` must be one of {}", OPERATIONS.join(", ")));
        }
        let groups = self.api_groups.iter().filter_map(|group| Some(("apiGroups", group, group_problem(group)?)));
        let resources =
            self.resources.iter().filter_map(|name| Some(("resources", name, self.resource_problem(name)?)));
        let (field, value, problem) = groups.chain(resources).next()?;
        Some(format!("resourceRules.{field}: `{value}` {problem}"))
    }

    fn resource_problem(&self, resource: &str) -> Option<&'static str> {
        if resource.contains('*') {
            return Some("would take leases and Events too, without which a cluster stops; name each resource");
        }
        let (name, sub) = resource.split_once('/').unwrap_or((resource, "part"));
        if !is_label(name) || !is_label(sub) {
            return Some("is no resource; write its plural in small letters, such as configmaps or pods/exec");
        }
        if sub == "log" {
            return Some("is only read, and reading is never sent");
        }
        let connects =
            (CONNECTED.contains(&sub)).then(|| self.operations.iter().any(|word| word == "CONNECT" || word == "*"));
        if connects == Some(false) {
            return Some("is sent as CONNECT only; name that operation");
        }
        self.api_groups.iter().find_map(|group| place_problem(group, name))
    }
}

fn group_problem(group: &str) -> Option<&'static str> {
    if group.is_empty() || group == "*" {
        return None;
    }
    if !group.split('.').all(is_label) {
        return Some("is no API group; write it without version, such as apps, and the core group as \"\"");
    }
    BARRED.iter().find(|(barred, _)| *barred == group).map(|(_, why)| *why)
}

/// What is wrong with a resource in a group; in any group where that is `*`.
fn place_problem(group: &str, name: &str) -> Option<&'static str> {
    let held = |list: &[(&str, &[&str])]| {
        list.iter().any(|(of, names)| (*of == group || group == "*") && names.contains(&name))
    };
    if held(VITAL) {
        Some("is written all the time by what keeps the cluster alive and must not wait for an answer")
    } else if held(CLUSTER_WIDE) {
        Some("belongs to no namespace, and rules judge what is in guarded ones")
    } else if group.is_empty() && !CORE.contains(&name) {
        Some("is no resource of the core group in a namespace; write its plural, and its own group in apiGroups")
    } else {
        None
    }
}

const OPERATIONS: &[&str] = &["CREATE", "UPDATE", "DELETE", "CONNECT", "*"];
const CONNECTED: &[&str] = &["exec", "attach", "portforward", "proxy"];

/// Groups of which nothing is sent.
const BARRED: &[(&str, &str)] = &[
    ("admissionregistration.k8s.io", "says who is asked; the API server asks nobody about that"),
    ("apiextensions.k8s.io", NO_NAMESPACE),
    ("apiregistration.k8s.io", NO_NAMESPACE),
    ("authentication.k8s.io", NO_NAMESPACE),
    ("authorization.k8s.io", "are questions of rights, asked all the time; a rule must not hold them up"),
    ("certificates.k8s.io", NO_NAMESPACE),
    ("coordination.k8s.io", "is written all the time by what keeps the cluster alive and must not wait for an answer"),
    ("events.k8s.io", "is written all the time by what keeps the cluster alive and must not wait for an answer"),
    ("flamewarden.dev", "is Flamewarden's own; it has no resources"),
    ("flowcontrol.apiserver.k8s.io", NO_NAMESPACE),
];
const NO_NAMESPACE: &str = "has nothing that belongs to a namespace, and rules judge what is in guarded ones";

const VITAL: &[(&str, &[&str])] = &[("", &["events"]), ("coordination.k8s.io", &["leases", "leasecandidates"])];

/// Kubernetes' own; another group may have such a name in a namespace.
const CLUSTER_WIDE: &[(&str, &[&str])] = &[
    ("", &["componentstatuses", "namespaces", "nodes", "persistentvolumes"]),
    ("networking.k8s.io", &["ingressclasses", "ipaddresses", "servicecidrs"]),
    ("node.k8s.io", &["runtimeclasses"]),
    ("rbac.authorization.k8s.io", &["clusterroles", "clusterrolebindings"]),
    ("resource.k8s.io", &["deviceclasses", "resourceslices"]),
    ("scheduling.k8s.io", &["priorityclasses"]),
    ("storage.k8s.io", &["csidrivers", "csinodes", "storageclasses", "volumeattachments", "volumeattributesclasses"]),
];

/// All of the core group that lives in namespaces and may wait.
const CORE: &[&str] = &[
    "bindings",
    "configmaps",
    "endpoints",
    "limitranges",
    "persistentvolumeclaims",
    "pods",
    "podtemplates",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "serviceaccounts",
    "services",
];
