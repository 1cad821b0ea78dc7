//! Network policies, Kubernetes' own and those of other networks' namespaced kinds.

use super::writing::Writing;
use crate::isolation::{self, Foreign, Scope, added_reach, judge_foreign, judge_policy, narrowed};
use crate::model::{Control, Finding, Hold, Json, Request, Severity, labels};
use crate::policy::PolicySet;
use crate::rules::caller::{CLEANERS, breaks_glass, is_controller};
use crate::rules::case::Case;
use crate::rules::judgement::{Enforced, Judgement, Scales};
use crate::rules::request::judge_finalizer;
use crate::rules::rule::RequestRule;
use crate::rules::unfit::unfit;

pub(super) const OWN: RequestRule = RequestRule {
    id: "isolation-policy",
    title: "Flamewarden's own network policies are written by its controller alone",
    why: "the isolation of an analysis is that policy",
    severity: Severity::Critical,
    controls: &[],
    hold: Hold::Always,
};

/// What [`isolation::judge_policy`] finds.
pub(super) const WIDE: RequestRule = RequestRule {
    id: isolation::RULE,
    title: "no network policy gives an analysis that could exist more than its profile does, or opens a gateway that Flamewarden makes",
    why: "policies add up, so one wide policy opens what all others close",
    severity: Severity::Critical,
    controls: &[Control::Nsa("Network separation and hardening"), Control::Cis("5.3.2")],
    hold: Hold::Always,
};

/// Whether a resource is a network policy that can select pods of its own namespace.
pub(super) fn is_policy(group: &str, name: &str) -> bool {
    (group, name) == (KUBERNETES, "networkpolicies") || foreign_kind(group, name).is_some()
}

/// Judges a network policy made, changed or deleted.
pub(super) fn judge_network_policy(request: &Request<'_>, case: &Case<'_>) -> Judgement {
    let Some(writing) = Writing::of(request) else { return unfit(request) };
    let kubernetes_own = request.resource.group == KUBERNETES;
    let mut names = writing.sides().filter_map(|policy| policy.text_at(&["metadata", "name"]));
    let is_new = writing.old.is_none();
    if kubernetes_own && names.any(|name| is_own(name, case.policies) || is_new && is_reserved(name)) {
        return judge_own(request, case, &writing);
    }
    // Whoever deletes somebody else's policy takes reach away; an analysis keeps Flamewarden's.
    let Some(new) = writing.new else { return Judgement::default() };
    let findings = match (kubernetes_own, writing.old) {
        (true, Some(old)) => added_reach(old, new, case.policies),
        (true, None) => narrowable(request, new, case.policies),
        (false, _) => foreign(request, &writing, case.policies),
    };
    let scales = Scales { profile: &case.policies.analysis, app: "", now: case.now };
    let mut judgement = Judgement::default();
    judgement.weigh_all(findings, &scales, Enforced::Mended);
    judgement
}

/// What a new policy would add. That of a creator for one analysis, as FLAME's is, is narrowed by the mutating side.
fn narrowable(request: &Request<'_>, new: &Json<'_>, policies: &PolicySet) -> Vec<Finding> {
    let findings = judge_policy(new, policies);
    let edit = if policies.is_creator(request.user.name) { narrowed(new, policies) } else { None };
    findings.into_iter().map(|finding| finding.mended_by(edit.clone())).collect()
}

/// Other networks' policies are not modelled: one that could select an analysis could let anything through.
fn foreign(request: &Request<'_>, writing: &Writing<'_>, policies: &PolicySet) -> Vec<Finding> {
    match (foreign_kind(request.resource.group, request.resource.name), writing.new) {
        (Some(kind), Some(new)) if writing.changes_contents() => judge_foreign(kind, new, policies),
        _ => Vec::new(),
    }
}

/// Another network's kind of policy for the pods of its own namespace.
fn foreign_kind(group: &str, name: &str) -> Option<&'static Foreign> {
    Foreign::of(group, name).filter(|kind| kind.scope == Scope::Namespaced)
}

fn judge_own(request: &Request<'_>, case: &Case<'_>, writing: &Writing<'_>) -> Judgement {
    let mut judgement = Judgement::default();
    if let (Some(old), Some(new)) = (writing.old, writing.new) {
        judge_finalizer(&mut judgement, request, case.policies, old, new);
    }
    let cleans = writing.new.is_none() && is_controller(&request.user, CLEANERS);
    if request.user.name == case.policies.installation.controller || cleans || !writing.matters() {
        return judgement;
    }
    let message = format!(
        "it is Flamewarden's controller's to write; group `{}` may change or delete it in an emergency",
        labels::BREAK_GLASS
    );
    let finding = OWN.finds_user(request, message);
    let judged = if breaks_glass(&request.user) { &mut judgement.broken_glass } else { &mut judgement.refusals };
    judged.push(finding);
    judgement
}

/// Whether a name is one that Flamewarden gives to its policies.
fn is_own(name: &str, policies: &PolicySet) -> bool {
    isolation::app_of_policy(name).is_some_and(|app| app == "default-deny" || policies.names_identity(app))
}

/// Whether a name is kept for Flamewarden's policies, those of other profiles among them. Those that are there already
/// may change and go.
fn is_reserved(name: &str) -> bool {
    name.starts_with(labels::POLICY_PREFIX)
}

const KUBERNETES: &str = "networking.k8s.io";
