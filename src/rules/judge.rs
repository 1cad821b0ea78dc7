//! The judge: a case and a request in, a judgement out. This file says which requests are judged where.

use super::case::Case;
use super::judgement::Judgement;
use super::object::is_network_policy;
use super::unfit::{oversized, unfit};
use super::{object, request as requests};
use crate::model::{Operation, Request};

/// Judges one admission request against the policies, and against those that are accepted too.
///
/// Network policies are judged by those in force alone: what they open is open for pods that run already.
pub fn judge(request: &Request<'_>, case: &Case<'_>) -> Judgement {
    let judgement = judge_by(request, case);
    match &case.policies.also {
        Some(also) if !judgement.refusals.is_empty() && !is_network_policy(request) => {
            let also = judge_by(request, &Case { policies: also, ..*case });
            judgement.or(also)
        }
        _ => judgement,
    }
}

fn judge_by(request: &Request<'_>, case: &Case<'_>) -> Judgement {
    use Operation::{Connect, Create, Delete, Update};
    let resource = request.resource;
    // These are in no namespace.
    if (resource.group, resource.name) == ("flamewarden.dev", "imagescans") {
        return object::judge_image_scan(request, case);
    }
    let Some(tenancy) = case.policies.tenancy(request.namespace) else { return Judgement::default() };
    if let Some(oversized) = oversized(request) {
        return oversized;
    }
    match (resource.group, resource.name, resource.sub, request.operation) {
        ("", "pods", "", Create) => requests::judge_new_pod(request, case, tenancy),
        ("", "pods", "" | "ephemeralcontainers" | "resize", Update) => {
            requests::judge_changed_pod(request, case, tenancy)
        }
        ("", "pods", "", Delete) => requests::judge_deletion(request, case),
        ("", "pods", "status", Update) => requests::judge_status(request, case),
        ("", "pods", "eviction", Create) => requests::judge_eviction(request, case),
        ("", "pods", "binding", Create) | ("", "bindings", "", Create) => requests::judge_binding(request, case),
        ("", "pods", "exec" | "attach" | "portforward" | "proxy", Connect) | ("", "services", "proxy", Connect) => {
            requests::judge_connection(request, case)
        }
        ("", "serviceaccounts", "token", Create) => requests::judge_token(request, case),
        ("", "pods" | "bindings", ..) | ("", "serviceaccounts", "token", _) => unfit(request),
        _ => object::judge_object(request, case, tenancy),
    }
}

#[cfg(test)]
mod tests {
    use super::super::judgement::{Enforced, Scales};
    use super::super::{FIRM_RULES, OBJECT_RULES, POD_RULES, REQUEST_RULES};
    use super::*;
    use crate::model::{FieldPath, Finding, Hold};
    use crate::policy::{ALWAYS, Exception, Mode, Pattern, PolicySet, SOFTER};

    #[test]
    fn modes_and_exceptions_soften_only_what_they_may() {
        let rules = [
            "identity",
            "labels",
            "network-gate",
            "grace-period",
            "host-namespaces",
            "identity-change",
            "binding",
            "network-policy",
            "connection",
            "seccomp",
        ];
        let shipped = PolicySet::parse([
            ("a", include_str!("../../policies/flame-analysis.yaml")),
            ("g", include_str!("../../policies/flame-gateway.yaml")),
            ("i", include_str!("../../tests/fixtures/installation.yaml")),
        ])
        .unwrap();
        let exception = |rule: &str| Exception {
            rule: rule.to_owned(),
            app: Pattern::new("analysis-1").unwrap(),
            owner: "o".to_owned(),
            reason: "r".to_owned(),
            expires: "2027-01-01T00:00:00Z".parse().unwrap(),
        };
        // Policy files that say so are refused; the judge does not rely on that.
        let (mut moded, mut excepted) = (shipped.clone(), shipped);
        moded.analysis.modes = rules.map(|rule| (rule.to_owned(), Mode::Audit)).into();
        excepted.analysis.exceptions = rules.map(exception).into();
        let (softened, nothing) = ((&rules[..8], &rules[8..]), (&rules[..], &rules[..0]));
        for (what, policies, now, want) in [
            ("a mode", &moded, "2026-11-21T00:00:00Z", softened),
            ("a mode has no end", &moded, "2027-01-01T00:00:00Z", softened),
            ("an exception", &excepted, "2026-11-21T00:00:00Z", softened),
            ("its last moment", &excepted, "2026-12-31T23:59:59.999999999Z", softened),
            ("the moment at which it expires", &excepted, "2027-01-01T00:00:00Z", nothing),
            ("long after", &excepted, "2036-01-01T00:00:00Z", nothing),
        ] {
            let scales = Scales { profile: &policies.analysis, app: "analysis-1", now: now.parse().unwrap() };
            let mut judgement = Judgement::default();
            for rule in rules {
                judgement.weigh(found_by(rule), &scales, Enforced::Refused);
            }
            let (refused, reported) = (ids(&judgement.refusals), ids(&judgement.reported));
            assert_eq!((&*refused, &*reported), want, "{what}");
        }
    }

    #[test]
    fn policy_files_know_every_rule_and_which_always_enforce() {
        let others = || REQUEST_RULES.iter().chain(OBJECT_RULES);
        let firm = others().filter(|rule| rule.hold == Hold::Always).map(|rule| rule.id);
        let firm: Vec<&str> = FIRM_RULES.iter().copied().chain(firm).collect();
        assert_eq!(ALWAYS, firm);
        let all = POD_RULES.iter().map(|rule| rule.id).chain(others().map(|rule| rule.id));
        let softer: Vec<&str> = all.filter(|id| !firm.contains(id)).collect();
        assert_eq!(SOFTER, softer);
    }

    fn ids(findings: &[Finding]) -> Vec<&str> {
        findings.iter().map(|finding| finding.rule.as_ref()).collect()
    }

    fn found_by(id: &'static str) -> Finding {
        if let Some(rule) = POD_RULES.iter().find(|rule| rule.id == id) {
            return rule.stamped(Finding::new(id, FieldPath::default(), None, "m"));
        }
        let rule = REQUEST_RULES.iter().chain(OBJECT_RULES).find(|rule| rule.id == id).unwrap();
        rule.finds(FieldPath::default(), None, "m")
    }
}
