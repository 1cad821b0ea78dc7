//! What comes of a run: what is written down, and when the next one is due.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::facts::{CanaryRecord, CanaryResult, FailedRun, NodeResult};

/// What a run has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) result: CanaryResult,
    /// The same for people.
    pub(super) detail: String,
    /// Where the probers ran; none where they did not.
    pub(super) node: Option<String>,
}

impl Found {
    /// Nothing, for that reason.
    pub(super) fn nothing(why: String) -> Self {
        Found { result: CanaryResult::Unknown, detail: why, node: None }
    }
}

/// What is to stand there after a run. One that told nothing leaves what was told before, which ends with its age; a node
/// on which the network let a pod out counts until it was looked at again, or as long as results hold.
pub(super) fn recorded(
    before: Option<CanaryRecord>,
    found: &Found,
    holds: SignedDuration,
    now: Timestamp,
) -> CanaryRecord {
    let Found { result, detail, node } = found;
    let known = before.as_ref().filter(|before| before.at <= now);
    let (Some(node), false) = (node, *result == CanaryResult::Unknown) else {
        let failed = FailedRun { at: now, problem: detail.clone() };
        return match known.filter(|before| before.result != CanaryResult::Unknown) {
            Some(before) => CanaryRecord { failed: Some(failed), ..before.clone() },
            None => CanaryRecord {
                result: CanaryResult::Unknown,
                at: now,
                detail: detail.clone(),
                nodes: before.map(|before| before.nodes).unwrap_or_default(),
                failed: None,
            },
        };
    };
    let here = NodeResult { node: node.clone(), result: *result, at: now };
    let held = |other: &NodeResult| other.node != *node && other.at <= now && now.duration_since(other.at) <= holds;
    let mut others: Vec<NodeResult> = before.into_iter().flat_map(|before| before.nodes).filter(held).collect();
    if others.len() >= MOST {
        // Of too many a bad one is not forgotten.
        others.sort_by_key(|other| other.result != CanaryResult::NotEnforced);
        others.truncate(MOST - 1);
    }
    let mut detail = format!("{detail}, on node {node}");
    let mut result = *result;
    if let Some(bad) = others.iter().find(|other| other.result == CanaryResult::NotEnforced)
        && result == CanaryResult::Enforced
    {
        detail = format!("on node {} a sealed pod connected at {}; {detail}", bad.node, bad.at);
        result = CanaryResult::NotEnforced;
    }
    let nodes = [here].into_iter().chain(others).collect();
    CanaryRecord { result, at: now, detail, nodes, failed: None }
}

/// The node that is to be looked at again: one on which the network let a pod out, the one longest ago first.
pub(super) fn again(before: Option<&CanaryRecord>) -> Option<&str> {
    let nodes = before?.nodes.iter().rev();
    nodes.into_iter().find(|node| node.result == CanaryResult::NotEnforced).map(|node| node.node.as_str())
}

/// Whether a run is due. One that told nothing is made up for soon.
pub(super) fn is_due(before: Option<&CanaryRecord>, every: Duration, now: Timestamp) -> bool {
    let Some(record) = before else { return true };
    let last = record.failed.as_ref().map_or(record.at, |failed| failed.at);
    let told = record.failed.is_none() && record.result != CanaryResult::Unknown;
    let pause = if told { every } else { every.min(AGAIN) };
    let passed = now.duration_since(last);
    // What is yet to come was written by a clock that is wrong.
    passed.is_negative() || passed >= SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX)
}

/// After a run that told nothing.
pub(super) const AGAIN: Duration = Duration::from_mins(2);
/// Nodes that are remembered; a ConfigMap has room for some thousand.
const MOST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use CanaryResult::{Enforced, NotEnforced, Unknown};

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + 60 * minute).unwrap()
    }

    fn found(result: CanaryResult, node: &str) -> Found {
        Found { result, detail: "as seen".to_owned(), node: Some(node.to_owned()) }
    }

    const HOLDS: SignedDuration = SignedDuration::from_mins(180);

    #[test]
    fn a_run_that_told_nothing_leaves_what_was_told_before() {
        let good = recorded(None, &found(Enforced, "a"), HOLDS, at(0));
        assert_eq!((good.result, good.at, good.failed.clone()), (Enforced, at(0), None));
        let after = recorded(Some(good.clone()), &Found::nothing("no pod".to_owned()), HOLDS, at(60));
        let failed = Some(FailedRun { at: at(60), problem: "no pod".to_owned() });
        assert_eq!(after, CanaryRecord { failed, ..good.clone() });
        let again = recorded(Some(after), &found(Enforced, "a"), HOLDS, at(62));
        assert_eq!((again.result, again.at, again.failed), (Enforced, at(62), None));
        let bad = recorded(Some(good), &found(NotEnforced, "a"), HOLDS, at(60));
        assert_eq!(bad.result, NotEnforced);
        let first = recorded(None, &Found::nothing("no pod".to_owned()), HOLDS, at(0));
        assert_eq!((first.result, first.at, first.detail.as_str(), first.failed), (Unknown, at(0), "no pod", None));
        let nowhere = recorded(None, &Found { node: None, ..found(Enforced, "") }, HOLDS, at(0));
        assert_eq!(nowhere.result, Unknown, "what was found nowhere says nothing");
        let future = recorded(None, &found(Enforced, "a"), HOLDS, at(500));
        let now = recorded(Some(future), &Found::nothing("no pod".to_owned()), HOLDS, at(0));
        assert_eq!(now.result, Unknown, "what is yet to come is kept by nothing");
    }

    #[test]
    fn a_node_on_which_the_network_let_a_pod_out_counts_until_it_is_looked_at_again_or_results_end() {
        let bad = recorded(None, &found(NotEnforced, "a"), HOLDS, at(0));
        let other = recorded(Some(bad), &found(Enforced, "b"), HOLDS, at(60));
        assert_eq!((other.result, other.at, again(Some(&other))), (NotEnforced, at(60), Some("a")));
        assert!(other.detail.starts_with("on node a a sealed pod connected at"), "{}", other.detail);
        for (node, minute, want, left) in [("a", 120, Enforced, 2), ("b", 180, NotEnforced, 2), ("b", 181, Enforced, 1)]
        {
            let next = recorded(Some(other.clone()), &found(Enforced, node), HOLDS, at(minute));
            assert_eq!((next.result, next.nodes.len()), (want, left), "{node} at {minute}");
        }
    }

    #[test]
    fn a_run_is_due_after_its_time_and_sooner_after_one_that_told_nothing() {
        let good = recorded(None, &found(Enforced, "a"), HOLDS, at(0));
        let failed = recorded(Some(good.clone()), &Found::nothing(String::new()), HOLDS, at(60));
        let nothing = recorded(None, &Found::nothing(String::new()), HOLDS, at(0));
        for (before, minute, want) in [
            (None, 0, true),
            (Some(&good), 59, false),
            (Some(&good), 60, true),
            (Some(&good), -1, true),
            (Some(&failed), 61, false),
            (Some(&failed), 62, true),
            (Some(&nothing), 1, false),
            (Some(&nothing), 2, true),
        ] {
            assert_eq!(is_due(before, Duration::from_mins(60), at(minute)), want, "{before:?} at {minute}");
        }
    }
}
