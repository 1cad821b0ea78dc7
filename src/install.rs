//! What is installed, as values: webhook configurations, RBAC, Deployments, in the order of installation.

mod admission;
mod audit;
mod canary;
mod certificates;
mod condition;
mod crds;
mod drift;
mod fallback;
mod image_scan_crd;
mod mounted;
mod own_rules;
mod print;
mod rbac;
mod scans;
mod scope;
mod workload;

use std::collections::BTreeMap;

use serde_json::Value;

pub use canary::CANARY;
pub use drift::{Printed, is_by_url};
pub use print::to_yaml;
pub use rbac::{CONTROLLER, WEBHOOK};
pub use scans::{SCANS_PORT, WORKER, worker_labels};
pub use scope::{is_sent, sent_as};
pub use workload::{AUTHORITY_SECRET, SERVING_SECRET};

use crate::policy::{PolicySet, Worker};

/// What the operator has to say about an installation besides the policies.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The namespace of Flamewarden itself.
    pub namespace: String,
    /// Its image, by digest.
    pub image: String,
    /// How the API server reaches the webhook.
    pub endpoint: Endpoint,
    /// Who makes the webhook's certificate.
    pub certificates: Certificates,
    /// The policy files, name and text, as they go into the ConfigMap.
    pub files: BTreeMap<String, String>,
}

/// Who makes the webhook's certificate and tells the API server whom to trust.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Certificates {
    /// Flamewarden's controller.
    #[default]
    Own,
    /// cert-manager, by what is printed for it.
    CertManager,
    /// Somebody else: the Secret and each `caBundle` are theirs to write.
    Other,
}

/// How the API server reaches the webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// By the Service `flamewarden-webhook`.
    Service,
    /// By an address outside the cluster's Services, with the CA that signs it, PEM in base64.
    Url {
        /// `https://host:port` without a path.
        base: String,
        /// The `caBundle`.
        ca_bundle: String,
    },
}

/// Every object of an installation, in the order in which it is to be applied: what answers comes before what asks.
pub fn manifests(settings: &Settings, policies: &PolicySet) -> Vec<Value> {
    let mut objects = vec![rbac::namespace(settings)];
    objects.extend(crds::definitions());
    objects.extend(rbac::access(settings, policies));
    objects.extend(certificates::requests(settings));
    objects.extend(scans_by_jobs(policies).into_iter().flat_map(|worker| scans::objects(settings, worker)));
    objects.extend(policies.installation.network.as_ref().map(|_| canary::account(settings)));
    objects.extend(workload::workloads(settings, policies));
    objects.extend(fallback::fallback(policies));
    objects.extend(admission::configurations(settings, policies));
    // Rights come before whoever needs them.
    let access = audit::access(settings, policies, &objects);
    let first = objects.iter().position(|object| object["kind"] == "Role").unwrap_or(objects.len());
    objects.splice(first..first, access);
    objects
}

/// How Jobs make scans, where they do.
fn scans_by_jobs(policies: &PolicySet) -> Option<&Worker> {
    policies.scanner.as_ref()?.worker.as_ref()
}

/// The names of all webhook configurations.
pub fn configuration_names(policies: &PolicySet) -> Vec<(Registered, String)> {
    let [mutating, validating] = admission::names(policies);
    let mutating = mutating.into_iter().map(|name| (Registered::Mutating, name));
    mutating.chain(validating.into_iter().map(|name| (Registered::Validating, name))).collect()
}

/// Settings of which only what webhook configurations are printed from is set: reached by their Service.
fn printed_by_service(namespace: &str) -> Settings {
    Settings {
        namespace: namespace.to_owned(),
        image: String::new(),
        endpoint: Endpoint::Service,
        certificates: Certificates::Own,
        files: BTreeMap::new(),
    }
}

/// The two kinds of webhook configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// `MutatingWebhookConfiguration`
    Mutating,
    /// `ValidatingWebhookConfiguration`
    Validating,
}

impl Registered {
    /// The `kind` of its objects.
    pub fn kind(self) -> &'static str {
        match self {
            Registered::Mutating => "MutatingWebhookConfiguration",
            Registered::Validating => "ValidatingWebhookConfiguration",
        }
    }
}
