//! The rules that only an audit has: about what stands in a cluster, where no admission request asks.

use crate::model::{Control, Hold, Severity};
use crate::rules::RequestRule;

/// Every one of them.
pub const AUDIT_RULES: &[&RequestRule] =
    &[&ISOLATION, &OUTSIDE, &INSTALLED, &WAY_ROUND, &WENT_ROUND, &BUNDLE, &CERTIFICATE, &AT_WORK, &NETWORK];

/// What lets something through, or is missing, besides the judge's own findings on policies.
pub(super) const ISOLATION: RequestRule = RequestRule {
    id: "isolation",
    title: "each analysis pod is behind its own network policy, and all policies together let through no more than its profile",
    why: "an analysis can send data to whoever it reaches",
    severity: Severity::Critical,
    controls: &[Control::Nsa("Network separation and hardening: network policies"), Control::Cis("5.3.2")],
    hold: Hold::Always,
};

/// Of pods, wherever they are.
pub(super) const OUTSIDE: RequestRule = RequestRule {
    id: "outside-guard",
    title: "pods with a guarded label are in guarded namespaces",
    why: "nothing contains them elsewhere",
    severity: Severity::Critical,
    controls: &[Control::Nsa("Network separation and hardening")],
    hold: Hold::Always,
};

/// Of everything that `manifests` prints.
pub(super) const INSTALLED: RequestRule = RequestRule {
    id: "installed",
    title: "what is installed is what `flamewarden manifests` prints for these policies",
    why: "a changed webhook configuration, right or Deployment lets through what should be refused, or refuses everything",
    severity: Severity::Critical,
    controls: &[],
    hold: Hold::Always,
};

/// Of bindings.
pub(super) const WAY_ROUND: RequestRule = RequestRule {
    id: "way-round",
    title: "nobody may do what admission never sees, or what admission rests on",
    why: "whoever may, needs no admission to reach an analysis, its data or its guard",
    severity: Severity::High,
    controls: &[
        Control::Cis("5.1.1"),
        Control::Cis("5.1.3"),
        Control::Nsa("Authentication and authorization: role-based access control"),
    ],
    hold: Hold::Always,
};

/// Of calls in the API server's audit log.
pub(super) const WENT_ROUND: RequestRule = RequestRule {
    id: "went-round",
    title: "nobody has done what admission never sees, or changed what admission rests on",
    why: "what was read or changed so, no webhook could refuse",
    severity: Severity::High,
    controls: &[Control::Nsa("Audit logging and threat detection"), Control::Cis("3.2.2")],
    hold: Hold::Always,
};

/// Of the objects that make up an analysis.
pub(super) const BUNDLE: RequestRule = RequestRule {
    id: "bundle",
    title: "the objects of each analysis are as its Analysis asks for",
    why: "an analysis whose gateway or Services say something else is another than was asked for",
    severity: Severity::High,
    controls: &[],
    hold: Hold::Always,
};

/// Of the webhook's certificate and its authority.
pub(super) const CERTIFICATE: RequestRule = RequestRule {
    id: "certificate",
    title: "certificates have time left",
    why: "when one has ended, the API server calls no webhook, and everything that it judges is refused",
    severity: Severity::Medium,
    controls: &[Control::Nsa("Upgrading and application security practices")],
    hold: Hold::Always,
};

/// Of the Lease and the webhook's Service.
pub(super) const AT_WORK: RequestRule = RequestRule {
    id: "at-work",
    title: "a controller leads and a webhook answers",
    why: "gates stay shut, drift stays, and what the webhook judges is refused",
    severity: Severity::High,
    controls: &[],
    hold: Hold::Always,
};

/// Of what the last canary told.
pub(super) const NETWORK: RequestRule = RequestRule {
    id: "network-enforcement",
    title: "the cluster's network enforces policies from a pod's first packet",
    why: "an analysis can send data to anybody before its policy is enforced, or always",
    severity: Severity::High,
    controls: &[Control::Nsa("Network separation and hardening: network policies"), Control::Cis("5.3.1")],
    hold: Hold::Always,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::EXCEPTABLE;

    #[test]
    fn what_may_be_excepted_from_is_a_rule() {
        for rule in EXCEPTABLE {
            assert!(AUDIT_RULES.iter().any(|known| known.id == *rule), "{rule}");
        }
    }
}
