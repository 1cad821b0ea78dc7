//! What the judge says of one request, and how a rule's mode and the exceptions sort a finding into it.

use jiff::Timestamp;

use crate::model::{Edit, Finding, Hold, Outlook};
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
    /// Refused, unless admission will mend the pods that come of it, or may have nothing against them any more.
    MendedLater,
}

impl Judgement {
    /// A judgement that refuses for these findings.
    pub(super) fn refusing(refusals: impl IntoIterator<Item = Finding>) -> Self {
        Judgement { refusals: refusals.into_iter().collect(), ..Judgement::default() }
    }

    /// What this judgement, which refuses, and that of other policies that are accepted too come to: yes where the
    /// others say yes. Mended is by these policies where that leaves nothing to refuse, since replicas that know no
    /// others are next; what only the others can make good, or have made good before, is left to them.
    pub(super) fn or(self, also: Judgement) -> Self {
        let mendable = |judgement: &Judgement| judgement.refusals.iter().all(Finding::has_remedy);
        let by_others = !mendable(&self) && mendable(&also);
        match (also.refusals.is_empty(), by_others) {
            (true, true) => also,
            (true, false) => Judgement { remedies: self.remedies, ..also },
            (false, true) => Judgement { remedies: also.remedies, ..self },
            (false, false) => self,
        }
    }

    /// Puts a finding where its rule's mode and the exceptions want it.
    pub(super) fn weigh(&mut self, finding: Finding, scales: &Scales<'_>, enforced: Enforced) {
        let always = finding.hold == Hold::Always;
        if !always && let Some(exception) = scales.profile.exception(&finding.rule, scales.app, scales.now) {
            self.reported.push(Finding { excepted: Some(exception.as_told()), ..finding });
            return;
        }
        let mode = if always { Mode::Enforce } else { scales.profile.mode(&finding.rule) };
        match (mode, enforced) {
            (Mode::Audit, _) => self.reported.push(finding),
            (Mode::Warn, _) => self.warnings.push(finding),
            (Mode::Enforce, Enforced::MendedLater) if finding.has_remedy() || finding.outlook == Outlook::MayPass => {
                self.warnings.push(finding);
            }
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
