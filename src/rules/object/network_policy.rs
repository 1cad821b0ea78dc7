//! Network policies, Kubernetes' own and those of other networks' namespaced kinds.

use super::writing::Writing;
use crate::model::{Request, Severity, labels};
use crate::policy::PolicySet;
use crate::rules::caller::{CLEANERS, breaks_glass, is_controller};
use crate::rules::judge::Case;
use crate::rules::judgement::Judgement;
use crate::rules::request::{Hold, RequestRule, unfit};

pub(super) const OWN: RequestRule = RequestRule {
    id: "isolation-policy",
    title: "Flamewarden's own network policies are written by its controller alone",
    why: "the isolation of an analysis is that policy",
    severity: Severity::Critical,
    controls: &[],
    hold: Hold::Always,
};

/// Whether a resource is a network policy that can select pods of its own namespace.
pub(super) fn is_policy(group: &str, name: &str) -> bool {
    POLICIES.contains(&(group, name))
}

/// Judges a network policy made, changed or deleted.
pub(super) fn judge_network_policy(request: &Request<'_>, case: &Case<'_>) -> Judgement {
    let Some(writing) = Writing::of(request) else { return unfit(request) };
    let mut names = writing.sides().filter_map(|policy| policy.text_at(&["metadata", "name"]));
    if request.resource.group == "networking.k8s.io" && names.any(|name| is_own(name, case.policies)) {
        return judge_own(request, case, &writing);
    }
    Judgement::default()
}

fn judge_own(request: &Request<'_>, case: &Case<'_>, writing: &Writing<'_>) -> Judgement {
    let cleans = writing.new.is_none() && is_controller(&request.user, CLEANERS);
    if request.user.name == case.policies.installation.controller || cleans || !writing.matters() {
        return Judgement::default();
    }
    let message = format!(
        "it is Flamewarden's controller's to write; group `{}` may change or delete it in an emergency",
        labels::BREAK_GLASS
    );
    let finding = OWN.finds_user(request, message);
    if breaks_glass(&request.user) {
        return Judgement { broken_glass: vec![finding], ..Judgement::default() };
    }
    Judgement::refusing([finding])
}

/// Whether a name is one that Flamewarden gives to its policies.
fn is_own(name: &str, policies: &PolicySet) -> bool {
    {
        let rest = name
            .strip_prefix(labels::POLICY_PREFIX)
            .map(|rest| rest.strip_suffix(labels::SPARE_SUFFIX).unwrap_or(rest));
        rest.is_some_and(|rest| rest == "default-deny" || policies.names_identity(rest))
    }
}

const POLICIES: &[(&str, &str)] = &[
    ("networking.k8s.io", "networkpolicies"),
    ("cilium.io", "ciliumnetworkpolicies"),
    ("crd.projectcalico.org", "networkpolicies"),
    ("projectcalico.org", "networkpolicies"),
    ("crd.antrea.io", "networkpolicies"),
];
