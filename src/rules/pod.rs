//! The rules on pods and pod templates: one list, one file each.

mod annotations;
mod apparmor;
mod capabilities;
mod container_ports;
mod containers;
mod dns;
mod env_sources;
mod ephemeral_containers;
mod field_table;
mod fields;
mod finalizers;
mod grace_period;
mod host_namespaces;
mod host_ports;
mod identity;
mod image_digest;
mod image_pull_policy;
mod image_registry;
mod image_scan;
mod labels;
mod network_gate;
mod node_name;
mod pod_size;
mod privilege_escalation;
mod privileged;
mod probes;
mod proc_mount;
mod published;
mod pull_secret;
mod read_only_root;
mod resources;
mod run_as_non_root;
mod runtime_class;
mod scheduling;
mod seccomp;
mod service_account;
mod service_account_token;
mod service_links;
#[cfg(test)]
mod testing;
mod user_namespace;
mod volumes;

use std::borrow::Cow;
use std::collections::BTreeSet;

pub(super) use image_scan::is_held;
pub use published::unclassified_fields;
pub use run_as_non_root::HOME;

use jiff::Timestamp;

use super::ScanKnowledge;
use crate::model::{AnalysisId, Control, Edit, FieldPath, Finding, Hold, PodView, Severity};
use crate::policy::{Profile, Role, Sidecar};

/// One rule on pods. A finding carries its own remedy, so that what is found and what is mended cannot differ.
pub struct PodRule {
    /// Id, as it stands in refusals, modes and exceptions.
    pub id: &'static str,
    /// What holds where the rule holds.
    pub title: &'static str,
    /// What comes of it where it doesn't.
    pub why: &'static str,
    /// How bad that is.
    pub severity: Severity,
    /// Published controls that it helps to meet.
    pub controls: &'static [Control],
    /// The roles whose pods it judges.
    pub roles: &'static [Role],
    /// All that is wrong.
    pub check: fn(&PodView<'_>, &PodCase<'_>) -> Vec<Finding>,
}

/// What a pod rule may know besides the pod.
pub struct PodCase<'a> {
    /// The profile that guards the pod.
    pub profile: &'a Profile,
    /// The pod's `app`; empty where it has none.
    pub app: &'a str,
    /// At which point of its life the pod is judged.
    pub stage: Stage,
    /// What is known of the scans of images.
    pub scans: ScanKnowledge<'a>,
    /// The moment of the judgement.
    pub now: Timestamp,
}

/// At which point of its life a pod is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// A pod that is about to be stored for the first time.
    Create,
    /// A stored pod, or a new version of one.
    Stored,
    /// The template of a workload; pods made from it come by CREATE.
    Template,
}

/// Every rule on pods. Order is the order in which findings are shown.
pub const POD_RULES: &[PodRule] = &[
    identity::RULE,
    containers::RULE,
    fields::RULE,
    host_namespaces::RULE,
    privileged::RULE,
    run_as_non_root::RULE,
    capabilities::RULE,
    privilege_escalation::RULE,
    seccomp::RULE,
    apparmor::RULE,
    proc_mount::RULE,
    read_only_root::RULE,
    user_namespace::RULE,
    runtime_class::RULE,
    resources::RULE,
    volumes::RULE,
    env_sources::RULE,
    image_registry::RULE,
    image_digest::RULE,
    image_scan::RULE,
    image_pull_policy::RULE,
    pull_secret::RULE,
    ephemeral_containers::RULE,
    host_ports::RULE,
    container_ports::RULE,
    probes::RULE,
    dns::RULE,
    service_account::RULE,
    service_account_token::RULE,
    service_links::RULE,
    scheduling::RULE,
    node_name::RULE,
    grace_period::RULE,
    labels::RULE,
    annotations::RULE,
    finalizers::RULE,
    network_gate::RULE,
];

/// The rules that no mode and no exception softens, since isolation rests on them: who a pod is, and with which
/// labels policies may select it; that the policy is there before it runs and stays until it has ended; and that
/// it has a network of its own.
pub const FIRM_RULES: &[&str] = &[
    identity::RULE.id,
    labels::RULE.id,
    image_scan::RULE.id,
    network_gate::RULE.id,
    grace_period::RULE.id,
    host_namespaces::RULE.id,
];

/// What keeps a pod from running that waits for verdicts on its images: nothing, where all of it is mended by pinning.
pub fn scan_findings(pod: &PodView<'_>, profile: &Profile, scans: ScanKnowledge<'_>, now: Timestamp) -> Vec<Finding> {
    let app = pod.label("app").unwrap_or_default();
    let case = PodCase { profile, app, stage: Stage::Stored, scans, now };
    let found = image_scan::findings(pod, &case).into_iter();
    found.map(|finding| image_scan::RULE.stamped(finding)).collect()
}

/// Everything that the built-in rules have to say of a guarded pod.
pub fn pod_findings(
    pod: &PodView<'_>,
    profile: &Profile,
    stage: Stage,
    scans: ScanKnowledge<'_>,
    now: Timestamp,
) -> Vec<Finding> {
    let case = PodCase { profile, app: pod.label("app").unwrap_or_default(), stage, scans, now };
    if let Some(crowd) = containers::crowd(pod) {
        return vec![crowd];
    }
    let mut findings = Vec::new();
    for rule in POD_RULES.iter().filter(|rule| rule.roles.contains(&profile.role)) {
        findings.extend((rule.check)(pod, &case).into_iter().map(|finding| rule.stamped(finding)));
    }
    findings.extend(pod_size::excess(pod));
    withhold(pod, &mut findings);
    findings
}

const ANALYSIS: &[Role] = &[Role::Analysis];
const BOTH: &[Role] = &[Role::Analysis, Role::Gateway];

impl PodRule {
    /// A finding of this rule with all that the rule says of its findings.
    pub(super) fn stamped(&self, mut finding: Finding) -> Finding {
        finding.rule = Cow::Borrowed(self.id);
        finding.severity = self.severity;
        finding.hold = if FIRM_RULES.contains(&self.id) { Hold::Always } else { Hold::AsProfileSays };
        finding
    }
}

impl PodCase<'_> {
    /// The profile's sidecar of that name.
    fn sidecar(&self, name: &str) -> Option<&Sidecar> {
        self.profile.containers.sidecars.iter().find(|sidecar| sidecar.name_for(self.app) == name)
    }

    /// Whether a name is in a list of names that may hold `{app}` and `{analysis}`.
    fn is_source(&self, listed: &[String], name: &str) -> bool {
        let analysis = self.profile.analysis_of(self.app);
        let id = analysis.and_then(AnalysisId::of_app).map(|id| id.to_string());
        listed.iter().any(|listed| match (analysis, &id) {
            (Some(analysis), Some(id)) => self.named(listed, analysis).replace("{id}", id) == name,
            (Some(analysis), None) => self.named(listed, analysis) == name,
            (None, _) => listed == name,
        })
    }

    fn named(&self, listed: &str, analysis: &str) -> String {
        listed.replace("{app}", self.app).replace("{analysis}", analysis)
    }
}

/// Takes remedies back that would hide what has none.
///
/// Of a pod with a value of the wrong shape nothing is mended, since a remedy could lead through that
/// value; and no remedy replaces or removes a value in which something stays refused.
fn withhold(pod: &PodView<'_>, findings: &mut [Finding]) {
    if findings.iter().all(Finding::has_remedy) {
        return;
    }
    if !fields::is_well_shaped(pod) {
        findings.iter_mut().for_each(|finding| finding.remedy.clear());
        return;
    }
    let mut stays: BTreeSet<FieldPath> =
        findings.iter().filter(|finding| !finding.has_remedy()).map(|finding| finding.path.clone()).collect();
    loop {
        let hides = |edit: &Edit| match edit {
            // What lies within a path comes next after it.
            Edit::Set(path, _) | Edit::Remove(path) => {
                stays.range(path..).next().is_some_and(|first| first.is_within(path))
            }
            Edit::Add(..) => false,
        };
        let hiding = findings.iter_mut().filter(|finding| finding.remedy.iter().any(hides));
        let cleared: Vec<FieldPath> = hiding
            .map(|finding| {
                finding.remedy.clear();
                finding.path.clone()
            })
            .collect();
        if cleared.is_empty() {
            return;
        }
        stays.extend(cleared);
    }
}
