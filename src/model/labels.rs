//! Label keys, annotation keys and names that FLAME and Flamewarden give to objects.

/// What an object is for: `flame-analysis`, `flame-analysis-nginx`.
pub const COMPONENT: &str = "component";
/// Which analysis deployment an object belongs to.
pub const APP: &str = "app";
/// Which analysis an object belongs to, by id; set on all that Flamewarden's orchestrator makes.
pub const ANALYSIS: &str = "flamewarden.dev/analysis";
/// The annotation of an analysis's token Secret that says from when on its token is renewed.
pub const RENEW_TOKEN: &str = "flamewarden.dev/renew-token-after";
/// What stands before an analysis's name in the `app` of its gateway.
pub const GATEWAY_PREFIX: &str = "nginx-";
/// The scheduling gate that only the guard lifts.
pub const NETWORK_GATE: &str = "flamewarden.dev/network-policy";
/// The scheduling gate that only a scan's verdict lifts.
pub const SCAN_GATE: &str = "flamewarden.dev/scan";
/// The finalizer of isolation policies; only the controller and break-glass take it away.
pub const ISOLATION_FINALIZER: &str = "flamewarden.dev/isolation";
/// The finalizer of Analyses; the controller takes it away when all that belongs to the analysis is gone.
pub const ANALYSIS_FINALIZER: &str = "flamewarden.dev/analysis";
/// The label by which an isolation policy says which `app` it isolates.
pub const ISOLATES: &str = "flamewarden.dev/isolates";
/// What stands before an analysis's name in the name of its isolation policy.
pub const POLICY_PREFIX: &str = "flamewarden-";
/// The group whose members may exec, attach, port-forward and force a deletion.
pub const BREAK_GLASS: &str = "flamewarden:break-glass";
/// The label that the API server itself keeps equal to a namespace's name.
pub const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";
/// The annotation of an isolation policy that names, by uid, the pods that ran before it, and how each stands.
pub const ADOPTED: &str = "flamewarden.dev/adopted";
/// The annotation of an isolation policy that names the owner of the identity, as kind/name/uid.
pub const HOLDER: &str = "flamewarden.dev/holder";
/// What stands before the names of gates, finalizers and annotations that are Flamewarden's own.
pub const DOMAIN: &str = "flamewarden.dev/";
/// Labels of a node that come to a pod with its binding.
pub const TOPOLOGY: &[&str] = &["topology.kubernetes.io/zone", "topology.kubernetes.io/region"];
