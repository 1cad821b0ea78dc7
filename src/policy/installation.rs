//! What differs from node to node: where analyses run, where images come from, who takes part.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde::Deserialize;

use super::{Enforcement, NetworkSettings, checked};

/// What differs from node to node. Written as `kind: Installation`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Installation {
    /// The guarded namespaces.
    #[serde(deserialize_with = "checked::namespaces")]
    pub namespaces: Vec<Namespace>,
    /// Where analysis images may come from: a registry host, or host and path.
    #[serde(deserialize_with = "checked::registries")]
    pub analysis_registries: Vec<String>,
    /// The images that gateways may run: exact references, or everything below a path that ends in `/`.
    #[serde(deserialize_with = "checked::images")]
    pub gateway_images: Vec<String>,
    /// The images of FLAME's network-statistics sidecar, likewise.
    #[serde(default, deserialize_with = "checked::images")]
    pub sidecar_images: Vec<String>,
    /// Who may create gateways, their Services, configuration and pull secrets: user names.
    #[serde(deserialize_with = "checked::users")]
    pub creators: BTreeSet<String>,
    /// Flamewarden's own controller: the one user that lifts gates and writes isolation policies.
    #[serde(default = "default_controller", deserialize_with = "checked::user")]
    pub controller: String,
    /// Who may bind guarded pods to nodes: user names.
    #[serde(default = "default_schedulers", deserialize_with = "checked::users")]
    pub schedulers: BTreeSet<String>,
    /// Annotation keys that a network's agent writes to guarded pods by `pods/status`, by the agent's user name.
    /// Empty by default: some networks (Calico, OVN-Kubernetes, Multus) need theirs.
    #[serde(default)]
    pub status_annotators: BTreeMap<String, BTreeSet<String>>,
    /// Values of the label `component` that other known parts of a dedicated namespace carry.
    #[serde(default)]
    pub known_components: BTreeSet<String>,
    /// What the cluster's network is held to; nothing looks at it where nothing is said.
    #[serde(default)]
    pub network: Option<NetworkSettings>,
}

/// One guarded namespace.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Whether others live in it.
    pub tenancy: Tenancy,
}

/// Whether a guarded namespace holds anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Tenancy {
    /// FLAME's other parts live there too; only guarded identities are judged.
    Shared,
    /// Only analyses, gateways and known parts may be there.
    Dedicated,
}

impl Installation {
    /// What hangs on whether the network is known to enforce.
    pub fn enforcement(&self) -> Enforcement {
        self.network.as_ref().map_or_else(Enforcement::default, |network| network.enforcement)
    }

    /// How long a canary's result holds, whoever had it run.
    pub fn result_holds(&self) -> SignedDuration {
        self.network.as_ref().map_or_else(|| NetworkSettings::default().holds(), NetworkSettings::holds)
    }

    /// What makes it impossible to install.
    pub(super) fn problem(&self) -> Option<String> {
        self.guards_itself().or_else(|| self.network.as_ref().and_then(NetworkSettings::problem))
    }

    fn guards_itself(&self) -> Option<String> {
        let own = self.controller.strip_prefix("system:serviceaccount:")?.split(':').next()?;
        self.namespaces.iter().any(|guarded| guarded.name == own).then(|| {
            format!("namespaces: `{own}` is Flamewarden's own; guarded by itself it could not start, so leave it out")
        })
    }
}

fn default_controller() -> String {
    "system:serviceaccount:flamewarden-system:flamewarden-controller".to_owned()
}

fn default_schedulers() -> BTreeSet<String> {
    BTreeSet::from(["system:kube-scheduler".to_owned()])
}
