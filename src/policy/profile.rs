//! A profile: which pods it guards and what those must have.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::checked::{self, image_problem};
use super::{DnsPeer, Exception, Pattern, Quantity, ScanPolicy, dns};
use crate::model::{PolicyHash, labels, registry_problem};

/// What the pods of one kind must have. Written as `kind: Profile` in a policy file.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Profile {
    /// Name, from the document's metadata.
    #[serde(skip)]
    pub name: String,
    /// Which limits its scans are held to.
    #[serde(skip)]
    pub(super) scan_hash: PolicyHash,
    /// The policy file that it stands in.
    #[serde(skip)]
    pub(super) file: String,
    /// Analysis or gateway: which built-in rules concern it.
    pub role: Role,
    /// Which pods it guards.
    pub guards: Guards,
    /// Labels and annotations that a guarded pod may carry.
    pub metadata: Metadata,
    /// The credentials that pull its images.
    #[serde(default)]
    pub pull_secret: Option<PullSecret>,
    /// What its images must be.
    pub images: Images,
    /// Which containers it may have.
    #[serde(default)]
    pub containers: Containers,
    /// Defaults and bounds of cpu, memory and ephemeral storage.
    pub resources: Resources,
    /// User, file system, user namespace, runtime.
    #[serde(default)]
    pub security: Security,
    /// What its network policy allows.
    pub network: Network,
    /// What the scans of its images must say.
    #[serde(default)]
    pub scan: ScanPolicy,
    /// Names of the Secrets and ConfigMaps that environment and volumes may come from.
    #[serde(default)]
    pub sources: EnvSources,
    /// Service accounts that it may run as; it never gets their token.
    #[serde(default = "default_service_accounts")]
    pub service_accounts: Vec<String>,
    /// Where and with which priority it may be scheduled.
    #[serde(default)]
    pub scheduling: Scheduling,
    /// The mode of each rule by id; a rule that is not named enforces.
    #[serde(default, deserialize_with = "checked::modes")]
    pub modes: BTreeMap<String, Mode>,
    /// Who may do what a rule forbids, until when.
    #[serde(default)]
    pub exceptions: Vec<Exception>,
}

/// Which of the two sides of an analysis a profile guards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// The analysis itself: untrusted code.
    Analysis,
    /// Its NGINX: trusted configuration, the only way out.
    Gateway,
}

/// What a finding of a rule leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// Reported only.
    Audit,
    /// Admitted with a warning to the caller.
    Warn,
    /// Refused.
    Enforce,
}

/// Which pods a profile guards.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Guards {
    /// The value of the label `component`.
    #[serde(deserialize_with = "checked::label_value")]
    pub component: String,
    /// What the label `app` of an analysis must look like; gateways carry `nginx-` before it.
    pub app: Pattern,
}

/// Keys that a guarded pod may carry; every other key is a finding.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Label keys besides `app` and `component`.
    pub labels: Vec<String>,
    /// Annotation keys.
    #[serde(default)]
    pub annotations: Vec<String>,
    /// Finalizers.
    #[serde(default)]
    pub finalizers: Vec<String>,
}

/// The pull secret of a profile's pods.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PullSecret {
    /// Given to pods that name none that fits.
    pub name: String,
    /// The names that fit.
    pub pattern: Pattern,
}

/// What images must be.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Images {
    /// Where images may come from: a registry host, or host and path. Comes from the installation where empty.
    #[serde(default)]
    pub registries: Vec<String>,
    /// Whether images must be pinned by digest.
    #[serde(default)]
    pub digest: Want,
}

/// Whether something is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Want {
    /// It must be so.
    Required,
    /// Either way.
    #[default]
    Any,
}

/// Containers besides the one that bears the pod's `app` as its name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Containers {
    /// Sidecars that may stand beside it.
    #[serde(default)]
    pub sidecars: Vec<Sidecar>,
}

/// A container that may stand beside the analysis.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sidecar {
    /// Its name, with `{app}` for the pod's own.
    pub name: String,
    /// Its images: the exact references, or everything below a registry path that ends in `/`.
    /// Comes from the installation where empty.
    #[serde(default)]
    pub images: Vec<String>,
}

/// Amounts by resource name.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resources {
    /// Requests where none are given.
    pub requests: BTreeMap<String, Quantity>,
    /// Limits where none are given.
    pub limits: BTreeMap<String, Quantity>,
    /// What no limit may exceed.
    pub maximum: BTreeMap<String, Quantity>,
    /// What one emptyDir may hold at most.
    pub empty_dir_maximum: Quantity,
    /// What an emptyDir gets that names no limit.
    pub empty_dir_default: Quantity,
}

/// User, file system, user namespace, runtime.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Security {
    /// uid, gid and fsGroup of pods that name no numeric user other than root.
    pub user: i64,
    /// Whether the root file system must be read-only.
    pub read_only_root_filesystem: Want,
    /// Whether pods get a user namespace of their own (`hostUsers: false`).
    pub user_namespace: Want,
    /// The one runtime class; none may be named where there is none.
    pub runtime_class: Option<String>,
    /// The longest time between a deletion's signal and the kill, in seconds.
    pub grace_maximum: i64,
}

/// What a guarded pod's network policy allows.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Network {
    /// The port on which the pod is reached by its peer.
    pub port: u16,
    /// The ports on which the gateway's container listens.
    pub gateway_ports: Vec<u16>,
    /// Whom the pod may ask for names; nobody where the list is empty.
    #[serde(default = "dns::cluster", deserialize_with = "dns::read")]
    pub dns: Vec<DnsPeer>,
    /// Policies of other networks that may select analyses, as long as their content is this one.
    #[serde(default)]
    pub trusted: Vec<TrustedPolicy>,
}

/// A policy of another network that the operator has read and trusts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustedPolicy {
    /// API group.
    pub group: String,
    /// Plural name of the kind.
    pub resource: String,
    /// Its name.
    pub name: String,
    /// The hash of its content, as the refusal tells it.
    pub sha256: String,
}

/// Names of Secrets and ConfigMaps that environment and volumes may come from.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvSources {
    /// Secrets whose keys environment variables may take, with `{app}` for the pod's own `app`.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// ConfigMaps, for environment variables and volumes, with `{app}` likewise.
    #[serde(default)]
    pub config_maps: Vec<String>,
    /// Fields of the pod itself that environment variables may take.
    #[serde(default)]
    pub fields: Vec<String>,
}

/// Where and with which priority pods may be scheduled.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scheduling {
    /// The exact node selector that pods may carry.
    #[serde(default)]
    pub node_selector: BTreeMap<String, String>,
    /// Tolerations that pods may carry besides those for not-ready and unreachable nodes.
    #[serde(default)]
    pub tolerations: Vec<Value>,
    /// The one priority class; none may be named where there is none.
    #[serde(default)]
    pub priority_class: Option<String>,
}

impl Profile {
    /// The mode of a rule; what is not named enforces.
    pub fn mode(&self, rule: &str) -> Mode {
        self.modes.get(rule).copied().unwrap_or(Mode::Enforce)
    }

    /// Which limits its scans are held to: what verdicts are found by.
    pub fn scan_hash(&self) -> PolicyHash {
        self.scan_hash
    }

    /// What makes the profile impossible to keep to, if anything does: a default beyond its own bound,
    /// or root as the user to fill in.
    pub(super) fn problem(&self) -> Option<String> {
        if self.security.user <= 0 || self.security.grace_maximum <= 0 {
            let Security { user, grace_maximum: grace, .. } = &self.security;
            return Some(format!(
                "profile {}: security.user ({user}) and security.graceMaximum ({grace}) must be above 0",
                self.name
            ));
        }
        if self.images.registries.is_empty() {
            return Some(format!(
                "profile {}: no images are allowed; name them here or in the Installation",
                self.name
            ));
        }
        if let Some(problem) = self.scan.problem() {
            return Some(format!("profile {}: scan: {problem}", self.name));
        }
        let named = |field: &str, value: &str, problem: &str| {
            Some(format!("profile {}: {field}: `{value}` {problem}", self.name))
        };
        for entry in &self.images.registries {
            let problem = match self.role {
                Role::Analysis => registry_problem(entry).map(str::to_owned),
                Role::Gateway => image_problem(entry),
            };
            if let Some(problem) = problem {
                return named("images.registries", entry, &problem);
            }
        }
        for image in self.containers.sidecars.iter().flat_map(|sidecar| &sidecar.images) {
            if let Some(problem) = image_problem(image) {
                return named("containers.sidecars.images", image, &problem);
            }
        }
        self.resources.problem().map(|problem| format!("profile {}: {problem}", self.name))
    }

    /// The name of the analysis that a value of `app` stands for, if it fits this profile.
    pub fn analysis_of<'a>(&self, app: &'a str) -> Option<&'a str> {
        let name = match self.role {
            Role::Analysis => app,
            Role::Gateway => app.strip_prefix(labels::GATEWAY_PREFIX)?,
        };
        self.guards.app.fits(name).then_some(name)
    }

    /// Whether labels make a pod one of this profile's: by component, or by `app` alone, as FLAME's Services select.
    pub fn selects(&self, component: Option<&str>, app: Option<&str>) -> bool {
        self.names(component) || app.is_some_and(|app| self.analysis_of(app).is_some())
    }

    /// Whether that is the component that this profile guards.
    pub(super) fn names(&self, component: Option<&str>) -> bool {
        component == Some(self.guards.component.as_str())
    }

    /// The exception that lets a finding of `rule` on `app` pass at `now`.
    pub fn exception(&self, rule: &str, app: &str, now: Timestamp) -> Option<&Exception> {
        self.exceptions.iter().find(|exception| exception.covers(rule, app, now))
    }
}

impl Resources {
    fn problem(&self) -> Option<String> {
        for name in ["cpu", "memory", "ephemeral-storage"] {
            let (request, limit, maximum) = (self.requests.get(name), self.limits.get(name), self.maximum.get(name));
            let (Some(request), Some(limit), Some(maximum)) = (request, limit, maximum) else {
                return Some(format!("resources must name {name} in requests, limits and maximum"));
            };
            if request.is_zero() || request.exceeds(limit) || limit.exceeds(maximum) {
                return Some(format!(
                    "resources: {name}: request {request}, limit {limit}, maximum {maximum}: must be above 0, the request at \
                     most the limit, the limit at most the maximum"
                ));
            }
        }
        let (default, maximum) = (&self.empty_dir_default, &self.empty_dir_maximum);
        (default.is_zero() || default.exceeds(maximum))
            .then(|| "resources.emptyDirDefault must be above 0 and at most emptyDirMaximum".to_owned())
    }
}

impl Sidecar {
    /// The name that the sidecar has in a pod of that `app`.
    pub fn name_for(&self, app: &str) -> String {
        self.name.replace("{app}", app)
    }
}

impl Default for Security {
    fn default() -> Self {
        Security {
            user: 65532,
            read_only_root_filesystem: Want::Any,
            user_namespace: Want::Any,
            runtime_class: None,
            grace_maximum: 30,
        }
    }
}

fn default_service_accounts() -> Vec<String> {
    vec!["default".to_owned()]
}
