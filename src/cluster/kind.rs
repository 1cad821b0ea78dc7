//! The kinds of objects that are read and written, as they are named in paths: the one list.

use kube::api::ApiResource;

/// A kind of object that Flamewarden reads or writes, as it is named in paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// core/v1
    Pod,
    /// core/v1
    Secret,
    /// core/v1
    Service,
    /// core/v1
    ConfigMap,
    /// core/v1
    Namespace,
    /// core/v1, of no namespace
    Node,
    /// networking.k8s.io/v1
    NetworkPolicy,
    /// apps/v1
    ReplicaSet,
    /// apps/v1
    Deployment,
    /// apps/v1
    StatefulSet,
    /// apps/v1
    DaemonSet,
    /// core/v1
    ReplicationController,
    /// batch/v1
    Job,
    /// batch/v1
    CronJob,
    /// events.k8s.io/v1
    Event,
    /// discovery.k8s.io/v1
    EndpointSlice,
    /// coordination.k8s.io/v1
    Lease,
    /// flamewarden.dev/v1alpha1
    Analysis,
    /// flamewarden.dev/v1alpha1, of no namespace
    ImageScan,
    /// openreports.io/v1alpha1, where it is there
    Report,
    /// openreports.io/v1alpha1, where it is there, of no namespace
    ClusterReport,
    /// wgpolicyk8s.io/v1alpha2, where it is there
    PolicyReport,
    /// wgpolicyk8s.io/v1alpha2, where it is there, of no namespace
    ClusterPolicyReport,
    /// admissionregistration.k8s.io/v1
    ValidatingWebhookConfiguration,
    /// admissionregistration.k8s.io/v1
    MutatingWebhookConfiguration,
    /// admissionregistration.k8s.io/v1
    ValidatingAdmissionPolicy,
    /// admissionregistration.k8s.io/v1
    ValidatingAdmissionPolicyBinding,
    /// rbac.authorization.k8s.io/v1
    Role,
    /// rbac.authorization.k8s.io/v1, of no namespace
    ClusterRole,
    /// rbac.authorization.k8s.io/v1
    RoleBinding,
    /// rbac.authorization.k8s.io/v1, of no namespace
    ClusterRoleBinding,
}

impl Kind {
    /// Group, version, kind and plural: the one list.
    fn row(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Kind::Pod => ("", "v1", "Pod", "pods"),
            Kind::Secret => ("", "v1", "Secret", "secrets"),
            Kind::Service => ("", "v1", "Service", "services"),
            Kind::ConfigMap => ("", "v1", "ConfigMap", "configmaps"),
            Kind::Namespace => ("", "v1", "Namespace", "namespaces"),
            Kind::Node => ("", "v1", "Node", "nodes"),
            Kind::NetworkPolicy => ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"),
            Kind::ReplicaSet => ("apps", "v1", "ReplicaSet", "replicasets"),
            Kind::Deployment => ("apps", "v1", "Deployment", "deployments"),
            Kind::StatefulSet => ("apps", "v1", "StatefulSet", "statefulsets"),
            Kind::DaemonSet => ("apps", "v1", "DaemonSet", "daemonsets"),
            Kind::ReplicationController => ("", "v1", "ReplicationController", "replicationcontrollers"),
            Kind::Job => ("batch", "v1", "Job", "jobs"),
            Kind::CronJob => ("batch", "v1", "CronJob", "cronjobs"),
            Kind::Event => ("events.k8s.io", "v1", "Event", "events"),
            Kind::EndpointSlice => ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
            Kind::Lease => ("coordination.k8s.io", "v1", "Lease", "leases"),
            Kind::Analysis => ("flamewarden.dev", "v1alpha1", "Analysis", "analyses"),
            Kind::ImageScan => ("flamewarden.dev", "v1alpha1", "ImageScan", "imagescans"),
            Kind::Report => ("openreports.io", "v1alpha1", "Report", "reports"),
            Kind::ClusterReport => ("openreports.io", "v1alpha1", "ClusterReport", "clusterreports"),
            Kind::PolicyReport => ("wgpolicyk8s.io", "v1alpha2", "PolicyReport", "policyreports"),
            Kind::ClusterPolicyReport => ("wgpolicyk8s.io", "v1alpha2", "ClusterPolicyReport", "clusterpolicyreports"),
            Kind::ValidatingWebhookConfiguration => {
                (REGISTRATION, "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations")
            }
            Kind::MutatingWebhookConfiguration => {
                (REGISTRATION, "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations")
            }
            Kind::ValidatingAdmissionPolicy => {
                (REGISTRATION, "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies")
            }
            Kind::ValidatingAdmissionPolicyBinding => {
                (REGISTRATION, "v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings")
            }
            Kind::Role => (ACCESS, "v1", "Role", "roles"),
            Kind::ClusterRole => (ACCESS, "v1", "ClusterRole", "clusterroles"),
            Kind::RoleBinding => (ACCESS, "v1", "RoleBinding", "rolebindings"),
            Kind::ClusterRoleBinding => (ACCESS, "v1", "ClusterRoleBinding", "clusterrolebindings"),
        }
    }

    /// `apiVersion` and `kind` of its objects.
    pub fn type_names(self) -> (String, &'static str) {
        let (group, version, kind, _) = self.row();
        (if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }, kind)
    }

    pub(super) fn resource(self) -> ApiResource {
        let (group, version, _, plural) = self.row();
        let (api_version, kind) = self.type_names();
        ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version,
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        }
    }

    pub(super) fn url(self, namespace: &str) -> String {
        let (group, version, _, plural) = self.row();
        let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        if namespace.is_empty() {
            format!("{root}/{plural}")
        } else {
            format!("{root}/namespaces/{namespace}/{plural}")
        }
    }
}

const REGISTRATION: &str = "admissionregistration.k8s.io";
const ACCESS: &str = "rbac.authorization.k8s.io";
