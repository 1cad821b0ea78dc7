//! Who may go round admission, read from roles and their bindings. Pure.
//!
//! A binding is judged by what its role says, whichever way that is reached; who may have it all the same are the
//! cluster's own parts and those whom the policies name.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::grant::{Grant, Way, rules_of};
use super::ways::WAYS;
use crate::auditor::rules::WAY_ROUND;
use crate::model::{FieldPath, Finding, labels};
use crate::policy::PolicySet;

/// Roles by namespace and name; those of the whole cluster have no namespace.
#[derive(Debug, Default)]
pub(crate) struct Roles(BTreeMap<(String, String), Vec<&'static Way>>);

/// Whom findings are not about.
pub(crate) struct Trusted<'a> {
    /// The policies name creators, and the break-glass group.
    pub(crate) policies: &'a PolicySet,
    /// Flamewarden's own namespace, whose service accounts are held to what is printed for them.
    pub(crate) system: &'a str,
}

impl Roles {
    /// Takes in a role. What it allows nowhere is of no interest.
    pub(crate) fn take(&mut self, role: &Value) {
        let text = |pointer: &str| role.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let grants: Vec<Grant<'_>> = rules_of(role);
        let ways: Vec<&'static Way> = WAYS.iter().filter(|way| way.is_in(&grants)).collect();
        if !ways.is_empty() {
            self.0.insert((text("/metadata/namespace"), text("/metadata/name")), ways);
        }
    }

    /// What is wrong with a binding: each subject with each way that it opens.
    pub(crate) fn judge(&self, binding: &Value, trusted: &Trusted<'_>) -> Vec<Finding> {
        let text = |pointer: &str| binding.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let namespace = text("/metadata/namespace");
        let of_cluster = text("/roleRef/kind") == "ClusterRole";
        let role_place = if of_cluster { "" } else { namespace };
        let role = (role_place.to_owned(), text("/roleRef/name").to_owned());
        let Some(ways) = self.0.get(&role) else { return Vec::new() };
        let ways: Vec<&Way> = ways.iter().copied().filter(|way| way.opens(namespace, trusted)).collect();
        // Who may do everything need not be told each part of it.
        let ways = match ways.iter().find(|way| way.is_everything) {
            Some(everything) => vec![*everything],
            None => ways,
        };
        let subjects = binding.get("subjects").and_then(Value::as_array).into_iter().flatten();
        let findings = subjects.enumerate().flat_map(|(index, subject)| {
            let open = ways.iter().filter(move |way| !trusted.may(subject, way));
            open.map(move |way| finding(way, index, subject, text("/roleRef/name")))
        });
        findings.collect()
    }
}

impl Trusted<'_> {
    /// Whether a subject may go this way: a part of Kubernetes itself, Flamewarden, or whom the policies name.
    fn may(&self, subject: &Value, way: &Way) -> bool {
        let text = |key: &str| subject.get(key).and_then(Value::as_str).unwrap_or_default();
        let (name, namespace) = (text("name"), text("namespace"));
        let user = match text("kind") {
            "ServiceAccount" => format!("system:serviceaccount:{namespace}:{name}"),
            _ => name.to_owned(),
        };
        match text("kind") {
            // Asks no role for anything, so that a binding of it says nothing.
            "Group" if name == "system:masters" => true,
            "Group" if name == "system:nodes" => true,
            "Group" => way.by_creators && name == labels::BREAK_GLASS,
            "ServiceAccount" if namespace == "kube-system" => true,
            "ServiceAccount" if namespace == self.system && name.starts_with("flamewarden-") => true,
            "ServiceAccount" => way.by_creators && self.policies.is_creator(&user),
            _ if is_kubernetes(name) => true,
            _ => way.by_creators && self.policies.is_creator(&user),
        }
    }
}

impl Trusted<'_> {
    /// Whether service accounts live in a namespace that are a creator's, or the cluster's own parts'.
    pub(crate) fn has_trusted_accounts(&self, namespace: &str) -> bool {
        let accounts = format!("system:serviceaccount:{namespace}:");
        let creators = &self.policies.installation.creators;
        !namespace.is_empty()
            && (namespace == "kube-system" || creators.iter().any(|creator| creator.starts_with(&accounts)))
    }

    /// Whether a namespace is guarded, or Flamewarden's own.
    pub(crate) fn guards(&self, namespace: &str) -> bool {
        namespace == self.system || self.policies.tenancy(namespace).is_some()
    }

    /// Whether somebody may have gone this way. Membership in `system:masters` is no reason: it is what admins have, and
    /// what they do is what a log is read for.
    pub(crate) fn may_have(&self, user: &str, groups: &[&str], way: &Way) -> bool {
        let subject = match user.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':')) {
            Some((namespace, name)) => json!({"kind": "ServiceAccount", "namespace": namespace, "name": name}),
            None => json!({"kind": "User", "name": user}),
        };
        self.may(&subject, way) || way.by_creators && groups.contains(&labels::BREAK_GLASS)
    }
}

/// Users of the control plane, by name, and kubelets: no signer gives others a certificate of such a name.
fn is_kubernetes(user: &str) -> bool {
    CONTROL_PLANE.contains(&user) || user.starts_with("system:node:")
}

fn finding(way: &Way, index: usize, subject: &Value, role: &str) -> Finding {
    let text = |key: &str| subject.get(key).and_then(Value::as_str).unwrap_or_default();
    let place = match text("namespace") {
        "" => String::new(),
        namespace => format!("{namespace}/"),
    };
    let who = format!("{} `{place}{}`", text("kind"), text("name"));
    let message = format!("{who} may {} by role `{role}`: {}; take it from the role or the subject", way.what, way.why);
    let finding = WAY_ROUND.finds(FieldPath::of(&["subjects"]).index(index), None, message);
    // The way is part of what is found: another one by the same subject is another finding.
    Finding { severity: way.severity, value: format!("{who}: {}", way.id), ..finding }
}

const CONTROL_PLANE: &[&str] = &[
    "system:apiserver",
    "system:kube-controller-manager",
    "system:kube-proxy",
    "system:kube-scheduler",
    "system:volume-scheduler",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn policies() -> PolicySet {
        PolicySet::parse([
            ("a", include_str!("../../../policies/flame-analysis.yaml")),
            ("g", include_str!("../../../policies/flame-gateway.yaml")),
            ("i", include_str!("../../../tests/fixtures/installation.yaml")),
        ])
        .unwrap()
    }

    /// The ways that a binding in that namespace opens to a subject by a role with these rules.
    fn opened(namespace: &str, rules: &Value, subject: &Value) -> Vec<String> {
        let policies = policies();
        let mut roles = Roles::default();
        roles.take(&json!({"metadata": {"name": "r"}, "rules": rules}));
        let binding = json!({
            "metadata": {"name": "b", "namespace": namespace},
            "roleRef": {"kind": "ClusterRole", "name": "r"}, "subjects": [subject],
        });
        let found = roles.judge(&binding, &Trusted { policies: &policies, system: "flamewarden-system" });
        found.iter().map(|finding| finding.value.rsplit(": ").next().unwrap_or_default().to_owned()).collect()
    }

    fn rule(group: &str, resource: &str, verb: &str) -> Value {
        json!([{"apiGroups": [group], "resources": [resource], "verbs": [verb]}])
    }

    #[test]
    fn a_way_is_open_where_its_right_holds_and_nowhere_else() {
        let user = json!({"kind": "User", "name": "mallory"});
        for (namespace, rules, want) in [
            ("", rule("", "nodes/proxy", "get"), "nodes/proxy"),
            ("", rule("", "*/proxy", "get"), "nodes/proxy enter"),
            ("", rule("*", "*", "*"), "everything"),
            ("flame", rule("*", "*", "*"), "everything"),
            ("flamewarden-system", rule("*", "*", "*"), "everything"),
            ("elsewhere", rule("*", "*", "*"), ""),
            ("", rule("", "nodes", "get"), ""),
            ("", rule("apps", "nodes/proxy", "get"), ""),
            ("", rule("", "serviceaccounts", "impersonate"), "impersonate"),
            ("", rule("", "users", "impersonate:user-info"), "impersonate"),
            ("", rule("", "users", "get"), ""),
            ("flame", rule("", "serviceaccounts", "impersonate"), "impersonate-account"),
            ("flamewarden-system", rule("", "serviceaccounts", "impersonate"), "impersonate-account"),
            ("kube-system", rule("", "serviceaccounts", "impersonate"), "impersonate-account"),
            ("elsewhere", rule("", "serviceaccounts", "impersonate"), ""),
            ("flame", rule("", "users", "impersonate"), ""),
            ("kube-system", rule("", "serviceaccounts/token", "create"), "as-an-account"),
            ("kube-system", rule("apps", "deployments", "patch"), "as-an-account"),
            ("kube-system", rule("*", "*", "*"), "everything"),
            ("elsewhere", rule("apps", "deployments", "patch"), ""),
            ("flame", rule("rbac.authorization.k8s.io", "roles", "bind"), "escalate"),
            ("", rule("rbac.authorization.k8s.io", "clusterroles", "escalate"), "escalate"),
            ("elsewhere", rule("rbac.authorization.k8s.io", "roles", "bind"), ""),
            ("", rule("networking.k8s.aws", "clusternetworkpolicies", "create"), "cluster-network-policies"),
            (
                "",
                rule("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "create"),
                "webhook-configurations",
            ),
            ("", rule("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "list"), ""),
            ("flame", rule("", "pods/exec", "create"), "enter"),
            ("elsewhere", rule("", "pods/exec", "create"), ""),
            ("flamewarden-system", rule("", "pods/exec", "create"), "as-the-controller"),
            ("flame", rule("", "secrets", "list"), "analysis-secrets"),
            ("flamewarden-system", rule("", "secrets", "list"), "own-secrets"),
            ("flamewarden-system", rule("", "configmaps", "patch"), "own-policies"),
            ("flame", rule("", "configmaps", "patch"), ""),
            ("flame", rule("networking.k8s.io", "networkpolicies", "delete"), "network-policies"),
            ("", rule("policy.networking.k8s.io", "adminnetworkpolicies", "create"), "cluster-network-policies"),
        ] {
            assert_eq!(opened(namespace, &rules, &user).join(" "), want, "{namespace}: {rules}");
        }
    }

    #[test]
    fn parts_of_the_cluster_and_whom_the_policies_name_may_go_their_ways() {
        let everything = rule("*", "*", "*");
        let exec = rule("", "pods/exec", "create");
        let account =
            |namespace: &str, name: &str| json!({"kind": "ServiceAccount", "namespace": namespace, "name": name});
        let user = |name: &str| json!({"kind": "User", "name": name});
        let group = |name: &str| json!({"kind": "Group", "name": name});
        for (rules, subject, open) in [
            (&everything, group("system:masters"), false),
            (&everything, user("system:kube-controller-manager"), false),
            (&everything, account("kube-system", "node-controller"), false),
            (&everything, account("flamewarden-system", "flamewarden-controller"), false),
            (&everything, account("flamewarden-system", "default"), true),
            (&everything, account("flame", "flame-po"), true),
            (&everything, user("system:anonymous"), true),
            (&everything, user("system:masters"), true),
            (&everything, group("system:authenticated"), true),
            (&everything, group("system:serviceaccounts"), true),
            (&exec, account("flame", "flame-po"), false),
            (&exec, group(labels::BREAK_GLASS), false),
            (&everything, group(labels::BREAK_GLASS), true),
            (&exec, user("mallory"), true),
        ] {
            assert_eq!(!opened("flame", rules, &subject).is_empty(), open, "{subject}");
        }
    }
}
