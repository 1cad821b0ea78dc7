//! Who a request comes from, as far as the rules ask: kubelets, Kubernetes' own controllers, break-glass.

use crate::model::{User, labels};

/// Controllers that make pods from templates and adopt those that their selector matches.
pub(super) const WORKLOAD_CONTROLLERS: &[&str] = &[
    "replicaset-controller",
    "statefulset-controller",
    "daemon-set-controller",
    "job-controller",
    "replication-controller",
];

/// Controllers that make workloads or their revisions from other workloads.
pub(super) const TEMPLATE_CONTROLLERS: &[&str] =
    &["deployment-controller", "cronjob-controller", "statefulset-controller", "daemon-set-controller"];

/// Controllers that delete what somebody else decided to delete.
pub(super) const CLEANERS: &[&str] = &[GARBAGE_COLLECTOR, NAMESPACE_CONTROLLER];

/// Deletes what lost its owners, and takes owners away that are deleted with orphans.
pub(super) const GARBAGE_COLLECTOR: &str = "generic-garbage-collector";
/// Empties a namespace that is being deleted.
pub(super) const NAMESPACE_CONTROLLER: &str = "namespace-controller";
/// Ends and deletes pods whose node is gone.
pub(super) const POD_COLLECTOR: &str = "pod-garbage-collector";
/// Marks and deletes pods of nodes that are unreachable or tainted.
pub(super) const NODE_CONTROLLER: &str = "node-controller";

/// Whether the user is one of these controllers of kube-controller-manager.
///
/// It acts as a service account for each controller, or, where it was started without
/// `--use-service-account-credentials`, as one user for all.
pub(super) fn is_controller(user: &User<'_>, names: &[&str]) -> bool {
    let account = user.name.strip_prefix("system:serviceaccount:kube-system:");
    user.name == "system:kube-controller-manager" || account.is_some_and(|account| names.contains(&account))
}

/// Whether the user is a kubelet.
pub(super) fn is_kubelet(user: &User<'_>) -> bool {
    user.is_in("system:nodes") && user.name.strip_prefix(NODE_USER).is_some_and(|node| !node.is_empty())
}

/// Whether the user is the kubelet of that node; of no node, nobody is.
pub(super) fn is_kubelet_of(user: &User<'_>, node: &str) -> bool {
    !node.is_empty() && is_kubelet(user) && user.name.strip_prefix(NODE_USER) == Some(node)
}

/// Whether the user may do in an emergency what is refused to everybody else.
pub(super) fn breaks_glass(user: &User<'_>) -> bool {
    user.is_in(labels::BREAK_GLASS)
}

const NODE_USER: &str = "system:node:";
