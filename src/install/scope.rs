//! Which requests are sent to the webhook: the one list that configurations, tests and docs read.

use super::own_rules;
use crate::policy::{PolicySet, Tenancy};

/// One webhook configuration object.
pub(super) struct Entry {
    /// What it is about; part of its name.
    pub purpose: &'static str,
    /// Operations and resources, as the API calls them.
    pub rules: &'static [Rule],
    /// Which requests in a shared namespace concern a guarded identity.
    pub condition: Condition,
}

/// A row of a webhook's rules.
pub(super) struct Rule {
    /// `CREATE`, `UPDATE`, `DELETE`, `CONNECT`.
    pub operations: &'static [&'static str],
    /// API groups.
    pub groups: &'static [&'static str],
    /// Plural names, with subresource.
    pub resources: &'static [&'static str],
}

/// How a request in a shared namespace is known to concern a guarded identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// By the labels and images of a pod, old or new.
    Pod,
    /// By the labels and images of a workload's template, old or new.
    Template,
    /// By whether a NetworkPolicy's selector could match a guarded pod.
    Policy,
    /// By name, labels and selector of a Service or its endpoints.
    Service,
    /// By name of a ConfigMap or Secret.
    Configuration,
    /// By what a Binding, Eviction or TokenRequest asks for.
    PodRequest,
    /// Nothing in the request tells; every one is judged.
    Always,
}

/// Every configuration object. Mutating ones come first.
pub(super) const MUTATING: &[Entry] = &[
    Entry {
        purpose: "pods",
        rules: &[Rule { operations: &["CREATE"], groups: &[""], resources: &["pods"] }],
        condition: Condition::Pod,
    },
    Entry {
        purpose: "networkpolicies",
        rules: &[Rule {
            operations: &["CREATE", "UPDATE"],
            groups: &["networking.k8s.io"],
            resources: &["networkpolicies"],
        }],
        condition: Condition::Policy,
    },
];

/// The validating configuration objects.
pub(super) const VALIDATING: &[Entry] = &[
    Entry {
        purpose: "pods",
        rules: &[
            Rule { operations: &["CREATE", "UPDATE", "DELETE"], groups: &[""], resources: &["pods"] },
            Rule {
                operations: &["UPDATE"],
                groups: &[""],
                resources: &["pods/status", "pods/ephemeralcontainers", "pods/resize"],
            },
        ],
        condition: Condition::Pod,
    },
    Entry {
        purpose: "pod-requests",
        rules: &[
            Rule { operations: &["CREATE"], groups: &[""], resources: &["pods/binding", "bindings", "pods/eviction"] },
            Rule { operations: &["CREATE"], groups: &[""], resources: &["serviceaccounts/token"] },
        ],
        condition: Condition::PodRequest,
    },
    Entry {
        purpose: "connect",
        rules: &[Rule {
            operations: &["CONNECT"],
            groups: &[""],
            resources: &["pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "services/proxy"],
        }],
        condition: Condition::Always,
    },
    Entry {
        purpose: "workloads",
        rules: &[
            Rule {
                operations: WRITE,
                groups: &["apps"],
                resources: &["deployments", "replicasets", "statefulsets", "daemonsets", "controllerrevisions"],
            },
            Rule { operations: WRITE, groups: &["batch"], resources: &["jobs", "cronjobs"] },
            Rule { operations: WRITE, groups: &[""], resources: &["replicationcontrollers", "podtemplates"] },
        ],
        condition: Condition::Template,
    },
    Entry {
        purpose: "networkpolicies",
        rules: &[Rule { operations: CHANGE, groups: &["networking.k8s.io"], resources: &["networkpolicies"] }],
        condition: Condition::Policy,
    },
    Entry {
        purpose: "foreign-networkpolicies",
        rules: &[
            Rule {
                operations: WRITE,
                groups: &["cilium.io"],
                resources: &["ciliumnetworkpolicies", "ciliumlocalredirectpolicies"],
            },
            Rule {
                operations: WRITE,
                groups: &["crd.projectcalico.org", "projectcalico.org"],
                resources: &["networkpolicies"],
            },
            Rule { operations: WRITE, groups: &["crd.antrea.io"], resources: &["networkpolicies"] },
            Rule { operations: WRITE, groups: &["networking.gke.io"], resources: &["fqdnnetworkpolicies"] },
            Rule { operations: WRITE, groups: &["networking.k8s.aws"], resources: &["applicationnetworkpolicies"] },
        ],
        condition: Condition::Always,
    },
    Entry {
        purpose: "services",
        rules: &[
            Rule { operations: CHANGE, groups: &[""], resources: &["services", "endpoints"] },
            Rule { operations: &["UPDATE"], groups: &[""], resources: &["services/status"] },
            Rule { operations: CHANGE, groups: &["discovery.k8s.io"], resources: &["endpointslices"] },
        ],
        condition: Condition::Service,
    },
    Entry {
        purpose: "analyses",
        rules: &[
            Rule { operations: CHANGE, groups: &["flamewarden.dev"], resources: &["analyses"] },
            Rule { operations: &["UPDATE"], groups: &["flamewarden.dev"], resources: &["analyses/status"] },
        ],
        condition: Condition::Always,
    },
    Entry {
        purpose: "configuration",
        rules: &[Rule { operations: CHANGE, groups: &[""], resources: &["configmaps", "secrets"] }],
        condition: Condition::Configuration,
    },
];

/// What is in no namespace, and so the same for all tenancies.
pub(super) const CLUSTER: &[Entry] = &[Entry {
    purpose: "imagescans",
    rules: &[
        Rule { operations: CHANGE, groups: &["flamewarden.dev"], resources: &["imagescans"] },
        Rule { operations: &["UPDATE"], groups: &["flamewarden.dev"], resources: &["imagescans/status"] },
    ],
    condition: Condition::Always,
}];

/// Whether objects of a kind are sent to the webhook when they are created, for built-in rules or users' own.
pub fn is_sent(policies: &PolicySet, group: &str, resource: &str) -> bool {
    let built_in = validating().any(|rule| {
        rule.operations.contains(&"CREATE") && rule.groups.contains(&group) && rule.resources.contains(&resource)
    });
    built_in || own_rules::is_named(policies, group, resource)
}

/// The name of a resource that is sent to the webhook, with its subresource, as configurations have it.
pub fn sent_as(group: &str, resource: &str, sub: &str) -> Option<&'static str> {
    let of_group = validating().filter(|rule| rule.groups.contains(&group));
    of_group.flat_map(|rule| rule.resources).copied().find(|known| match known.split_once('/') {
        Some(known) => known == (resource, sub),
        None => sub.is_empty() && *known == resource,
    })
}

fn validating() -> impl Iterator<Item = &'static Rule> {
    VALIDATING.iter().chain(CLUSTER).flat_map(|entry| entry.rules)
}

const WRITE: &[&str] = &["CREATE", "UPDATE"];
const CHANGE: &[&str] = &["CREATE", "UPDATE", "DELETE"];

impl Entry {
    /// The condition that holds in namespaces of that tenancy; in a dedicated one everything is judged but what
    /// never carries a guarded pod's labels by its nature.
    pub(super) fn condition_in(&self, tenancy: Tenancy) -> Condition {
        match (tenancy, self.condition) {
            (Tenancy::Dedicated, Condition::Pod | Condition::Template) => Condition::Always,
            (_, condition) => condition,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_named_by_group_name_and_subresource() {
        for (group, resource, sub, name) in [
            ("", "pods", "", Some("pods")),
            ("", "pods", "exec", Some("pods/exec")),
            ("", "services", "status", Some("services/status")),
            ("apps", "controllerrevisions", "", Some("controllerrevisions")),
            ("cilium.io", "ciliumnetworkpolicies", "", Some("ciliumnetworkpolicies")),
            ("flamewarden.dev", "imagescans", "status", Some("imagescans/status")),
            ("apps", "pods", "", None),
            ("", "pods", "log", None),
            ("apps", "deployments", "scale", None),
        ] {
            assert_eq!(sent_as(group, resource, sub), name, "{group} {resource} {sub}");
        }
    }
}
