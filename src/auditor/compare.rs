//! Which objects would be answered differently under other policies.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Subject;
use super::collect::unknown;
use super::examine::{Auditor, Decision, Standing, Verdict};
use crate::report::{API_VERSION, Object, Outcome, Place, Problem};

/// A comparison of two sets of policies. Serialises as `flamewarden.dev/audit/v1alpha1`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    api_version: &'static str,
    kind: &'static str,
    /// How many objects were judged under either.
    pub judged: usize,
    /// The objects whose answers differ.
    pub differences: Vec<Difference>,
    /// What could not be read or judged.
    pub problems: Vec<Problem>,
}

/// One object whose answers differ.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// Where it was read; none of an object of the cluster.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// The object.
    pub object: Object,
    /// The answer under the present policies.
    pub before: Decision,
    /// The answer under the others.
    pub after: Decision,
    /// What only the present policies find: outcome and rule.
    pub only_before: BTreeSet<(Outcome, String)>,
    /// What only the others find.
    pub only_after: BTreeSet<(Outcome, String)>,
}

/// Judges every object under both.
pub fn compare(
    subjects: impl IntoIterator<Item = Result<Subject, Problem>>,
    before: &Auditor<'_>,
    after: &Auditor<'_>,
) -> Comparison {
    let (mut judged, mut differences, mut problems) = (0, Vec::new(), Vec::new());
    for subject in subjects {
        let subject = match subject {
            Ok(subject) => subject,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        let (one, other) = match (before.standing(&subject.json), after.standing(&subject.json)) {
            (Standing::Unknown(reason), _) | (_, Standing::Unknown(reason)) => {
                problems.push(unknown(&subject, before, &reason));
                continue;
            }
            // What is judged nowhere is no verdict; what is judged in one only passes in the other.
            (one, other) => match (verdict(one), verdict(other)) {
                (None, None) => continue,
                (one, other) => (one.unwrap_or_default(), other.unwrap_or_default()),
            },
        };
        judged += 1;
        differences.extend(difference(&subject, before.object(&subject.json), &one, &other));
    }
    Comparison { api_version: API_VERSION, kind: "PolicyComparison", judged, differences, problems }
}

impl Comparison {
    /// 0: everything is answered alike; 3: something isn't; 6: something could not be read or judged.
    pub fn exit_code(&self) -> u8 {
        match (self.differences.is_empty(), self.problems.is_empty()) {
            (false, _) => 3,
            (true, false) => 6,
            (true, true) => 0,
        }
    }
}

fn verdict(standing: Standing) -> Option<Verdict> {
    match standing {
        Standing::Judged(verdict) => Some(verdict),
        _ => None,
    }
}

fn difference(subject: &Subject, object: Object, before: &Verdict, after: &Verdict) -> Option<Difference> {
    let found = |verdict: &Verdict| -> BTreeSet<(Outcome, String, String)> {
        let all = verdict.findings.iter();
        all.map(|(outcome, finding)| (*outcome, finding.rule.to_string(), finding.path.to_string())).collect()
    };
    let (one, other) = (found(before), found(after));
    let only = |these: &BTreeSet<_>, those: &BTreeSet<_>| {
        these.difference(those).map(|(outcome, rule, _): &(Outcome, String, String)| (*outcome, rule.clone())).collect()
    };
    (one != other).then(|| Difference {
        place: subject.place.clone(),
        object,
        before: before.answer().0,
        after: after.answer().0,
        only_before: only(&one, &other),
        only_after: only(&other, &one),
    })
}
