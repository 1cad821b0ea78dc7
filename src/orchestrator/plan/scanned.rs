//! An analysis's pods are not made before its image's verdict: they would only be refused.

use jiff::{SignedDuration, Timestamp};

use super::{Step, View};
use crate::facts::Scans;
use crate::model::ScanOutcome;
use crate::policy::{Profile, Want};

/// Why an image may not run, where a verdict is asked for and does not say that it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::orchestrator) struct Unscanned {
    outcome: ScanOutcome,
    ground: Option<String>,
}

impl Unscanned {
    /// None where it may run.
    pub(in crate::orchestrator) fn of(image: &str, profile: &Profile, scans: &Scans, now: Timestamp) -> Option<Self> {
        if profile.scan.verdict == Want::Any {
            return None;
        }
        let (outcome, ground) = scans.of_image(image, profile.scan_hash(), now);
        let may = matches!(outcome, ScanOutcome::Pass | ScanOutcome::Excepted);
        (!may).then(|| Unscanned { outcome, ground: ground.map(str::to_owned) })
    }
}

impl View<'_> {
    /// What is said while the image's verdict does not let it run. What runs already goes on: its pods are judged one by
    /// one when they are started again.
    pub(super) fn waits_for_scan(&self, is_there: bool) -> Option<Step> {
        let Unscanned { outcome, ground } = self.unscanned.as_ref().filter(|_| !is_there)?;
        let (reason, why) = match outcome {
            ScanOutcome::Fail => ("ImageFails", "its image's scan fails"),
            ScanOutcome::NoResult => ("ImageNotScanned", "its image is looked up and scanned first"),
            _ => ("ImageNotScanned", "its image's scan does not say that it may run"),
        };
        let ground = ground.as_ref().map(|ground| format!(": {ground}")).unwrap_or_default();
        Some(self.not_ready(reason, format!("{why} ({}){ground}", outcome.words())))
    }

    /// Verdicts come without anything changing that belongs to the analysis.
    pub(super) fn asks_for_verdict(&self) -> Option<Timestamp> {
        self.unscanned.as_ref().and_then(|_| self.now.checked_add(SOON).ok())
    }
}

const SOON: SignedDuration = SignedDuration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Scan;
    use crate::model::{Digest, Verdict};
    use crate::policy::PolicySet;

    #[test]
    fn an_image_waits_for_a_verdict_where_one_is_asked_for() {
        let policies = PolicySet::parse([
            ("a", include_str!("../../../policies/flame-analysis.yaml")),
            ("g", include_str!("../../../policies/flame-gateway.yaml")),
            ("i", include_str!("../../../tests/fixtures/installation.yaml")),
        ])
        .unwrap();
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        let digest = |number: u8| format!("sha256:{}", format!("{number:02x}").repeat(32));
        let mut scans = Scans::default();
        for (number, outcome, grounds) in
            [(1, ScanOutcome::Pass, vec![]), (2, ScanOutcome::Fail, vec!["CVE-1".to_owned()])]
        {
            let verdict = Verdict::new(outcome, grounds, None);
            let verdicts = vec![(policies.analysis.scan_hash(), verdict)];
            scans.put(Digest::parse(&digest(number)).unwrap(), Scan { verdicts, ..Scan::default() });
        }
        let asks = |want| {
            let mut profile = policies.analysis.clone();
            profile.scan.verdict = want;
            profile
        };
        let unscanned = |outcome, ground: Option<&str>| Some(Unscanned { outcome, ground: ground.map(str::to_owned) });
        for (number, want, expected) in [
            (1, Want::Required, None),
            (2, Want::Required, unscanned(ScanOutcome::Fail, Some("CVE-1"))),
            (3, Want::Required, unscanned(ScanOutcome::NoResult, None)),
            (3, Want::Any, None),
        ] {
            let image = format!("harbor.example/node/a@{}", digest(number));
            assert_eq!(Unscanned::of(&image, &asks(want), &scans, now), expected, "{number} {want:?}");
        }
    }
}
