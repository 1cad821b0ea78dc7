//! Users' rules in a judgement: which concern a request, and what becomes of what they find.

use std::sync::Arc;

use super::case::Case;
use super::cel::{UserFinding, UserRule, UserRules};
use super::judgement::Judgement;
use crate::model::{FieldPath, Finding, PodView, Request};
use crate::policy::{Exception, Mode, PolicySet, Profile};

/// The users' rules that concern a request; none outside guarded namespaces.
pub fn users_rules_for(request: &Request<'_>, rules: &UserRules, policies: &PolicySet) -> Vec<Arc<UserRule>> {
    if policies.tenancy(request.namespace).is_none() {
        return Vec::new();
    }
    rules.applicable(request, guard_of(request, policies).is_some())
}

/// Adds what users' rules found; what was so before or is excepted is reported only.
pub fn take_users_findings(
    judgement: &mut Judgement,
    findings: Vec<UserFinding>,
    request: &Request<'_>,
    case: &Case<'_>,
) {
    let guard = guard_of(request, case.policies);
    for UserFinding { mode, already, finding } in findings {
        let exception = guard.and_then(|(profile, app)| profile.exception(&finding.rule, app, case.now));
        let finding = Finding { excepted: exception.map(Exception::as_told), ..finding };
        match mode {
            _ if already || finding.excepted.is_some() => judgement.reported.push(finding),
            Mode::Audit => judgement.reported.push(finding),
            Mode::Warn => judgement.warnings.push(finding),
            Mode::Enforce => judgement.refusals.push(finding),
        }
    }
}

/// The profile that guards a request's pod, by what it is now or was, and the pod's `app`.
fn guard_of<'p>(request: &'p Request<'_>, policies: &'p PolicySet) -> Option<(&'p Profile, &'p str)> {
    if (request.resource.group, request.resource.name) != ("", "pods") {
        return None;
    }
    [request.object, request.old].into_iter().flatten().find_map(|object| {
        let pod = PodView::new(object, FieldPath::default());
        Some((policies.profile_of(&pod)?, pod.label("app").unwrap_or_default()))
    })
}
