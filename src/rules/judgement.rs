//! What the judge says of one request, and how a rule's mode and the exceptions sort a finding into it.

use jiff::Timestamp;

use super::pod::FIRM_RULES;
use super::request::{Hold, rule_of};
use crate::model::{Edit, Finding};
use crate::policy::{Mode, Profile};

/// What the judge says of one request.
#[derive(Debug, Default, PartialEq)]
pub struct Judgement {
    /// Any of these refuses.
    pub refusals: Vec<Finding>,
    /// Admitted; the caller is told.
    pub warnings: Vec<Finding>,
    /// Admitted; reported only: rules in audit mode, exceptions, what the stored object already had.
    pub reported: Vec<Finding>,
    /// Admitted because a member of the break-glass group asks; each is an Event, a log line and a count.
    pub broken_glass: Vec<Finding>,
    /// What the mutating side does about the rest.
    pub remedies: Vec<Edit>,
}

/// By whose modes and exceptions findings are weighed, and when.
#[derive(Clone, Copy)]
pub(super) struct Scales<'a> {
    pub(super) profile: &'a Profile,
    pub(super) app: &'a str,
    pub(super) now: Timestamp,
}

/// What becomes of a finding whose rule enforces.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Enforced {
    /// Refused, and mended first where it has a remedy.
    Mended,
    /// Refused, whether or not it has a remedy: a patch would break the write.
    Refused,
    /// Refused, unless admission will mend the pods that come of it.
    MendedLater,
}

impl Judgement {
    /// A judgement that refuses for these findings.
    pub(super) fn refusing(refusals: impl IntoIterator<Item = Finding>) -> Self {
        Judgement { refusals: refusals.into_iter().collect(), ..Judgement::default() }
    }

    /// Puts a finding where its rule's mode and the exceptions want it.
    pub(super) fn weigh(&mut self, finding: Finding, scales: &Scales<'_>, enforced: Enforced) {
        let always = FIRM_RULES.contains(&finding.rule.as_ref())
            || rule_of(&finding.rule).is_some_and(|rule| rule.hold == Hold::Always);
        if !always && scales.profile.exception(&finding.rule, scales.app, scales.now).is_some() {
            self.reported.push(finding);
            return;
        }
        let mode = if always { Mode::Enforce } else { scales.profile.mode(&finding.rule) };
        match (mode, enforced) {
            (Mode::Audit, _) => self.reported.push(finding),
            (Mode::Warn, _) => self.warnings.push(finding),
            (Mode::Enforce, Enforced::MendedLater) if finding.has_remedy() => self.warnings.push(finding),
            (Mode::Enforce, Enforced::Mended) => {
                self.remedies.extend(finding.remedy.iter().cloned());
                self.refusals.push(finding);
            }
            (Mode::Enforce, _) => self.refusals.push(finding),
        }
    }

    /// Weighs several findings alike.
    pub(super) fn weigh_all(
        &mut self,
        findings: impl IntoIterator<Item = Finding>,
        scales: &Scales<'_>,
        enforced: Enforced,
    ) {
        for finding in findings {
            self.weigh(finding, scales, enforced);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FieldPath;
    use crate::policy::PolicySet;

    #[test]
    fn modes_and_exceptions_soften_only_what_they_may() {
        let exception = |rule: &str| {
            format!("{{rule: {rule}, app: analysis-1, owner: o, reason: r, expires: 2027-01-01T00:00:00Z}}")
        };
        let rules =
            ["identity", "network-gate", "identity-change", "binding", "network-policy", "connection", "seccomp"];
        let softened: Vec<String> = rules.iter().map(|rule| format!("{rule}: audit")).collect();
        let excepted: Vec<String> = rules.iter().map(|rule| exception(rule)).collect();
        let shipped = include_str!("../../policies/flame-analysis.yaml");
        let modes = format!("{shipped}\n  modes: {{{}}}\n", softened.join(", "));
        let exceptions = format!("{shipped}\n  exceptions: [{}]\n", excepted.join(", "));
        for text in [modes, exceptions] {
            let policies = PolicySet::parse([
                ("a", text.as_str()),
                ("g", include_str!("../../policies/flame-gateway.yaml")),
                ("i", include_str!("../../tests/fixtures/installation.yaml")),
            ])
            .unwrap();
            let now = "2026-11-21T00:00:00Z".parse().unwrap();
            let scales = Scales { profile: &policies.analysis, app: "analysis-1", now };
            let mut judgement = Judgement::default();
            for rule in rules {
                let finding = Finding::new(rule, FieldPath::default(), None, "m");
                judgement.weigh(finding, &scales, Enforced::Refused);
            }
            let ids = |findings: &[Finding]| findings.iter().map(|f| f.rule.to_string()).collect::<Vec<_>>();
            assert_eq!(ids(&judgement.refusals), rules[..5]);
            assert_eq!(ids(&judgement.reported), rules[5..]);
        }
    }
}
