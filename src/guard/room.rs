//! Edge: how many steps are carried out side by side: so many of all, and of one namespace only a part of them, so that who
//! fills a namespace with analyses keeps nobody else waiting.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::plan::Step;
use crate::policy::PolicySet;

/// The places of all steps.
#[derive(Debug)]
pub(super) struct Room {
    /// For what reads all policies of a namespace.
    judging: Places,
    /// For what makes a policy, or lets one go, which nothing that is judged may delay.
    writing: Places,
}

/// Places of one kind.
#[derive(Debug)]
struct Places {
    all: Arc<Semaphore>,
    shares: BTreeMap<String, Arc<Semaphore>>,
}

/// A place that is to be taken when it is free.
#[derive(Debug, Clone)]
pub(super) struct Place {
    share: Arc<Semaphore>,
    all: Arc<Semaphore>,
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    _share: Option<OwnedSemaphorePermit>,
    _all: Option<OwnedSemaphorePermit>,
}

impl Default for Room {
    fn default() -> Self {
        let places = || Places { all: Arc::new(Semaphore::new(SIDE_BY_SIDE)), shares: BTreeMap::new() };
        Room { judging: places(), writing: places() }
    }
}

impl Room {
    /// The place of a step for an analysis of that namespace.
    pub(super) fn place(&mut self, namespace: &str, step: &Step) -> Place {
        let places = match step {
            Step::Lift { .. } | Step::Adopt { .. } => &mut self.judging,
            Step::Isolate { .. } | Step::Free { .. } | Step::Delete { .. } | Step::Wait { .. } => &mut self.writing,
        };
        let share = places.shares.entry(namespace.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(SHARE)));
        Place { share: share.clone(), all: places.all.clone() }
    }

    /// Forgets namespaces that are guarded no longer and have no step under way.
    pub(super) fn keep(&mut self, policies: &PolicySet) {
        for places in [&mut self.judging, &mut self.writing] {
            places.shares.retain(|name, share| policies.tenancy(name).is_some() || Arc::strong_count(share) > 1);
        }
    }
}

impl Place {
    /// Waits for it, behind those of the same namespace first: of those of others only as many stand before it as
    /// their shares are. None of the two is ever closed.
    pub(super) async fn take(self) -> Taken {
        let share = self.share.acquire_owned().await.ok();
        Taken { _share: share, _all: self.all.acquire_owned().await.ok() }
    }
}

const SIDE_BY_SIDE: usize = 16;
/// Of one namespace.
const SHARE: usize = 4;

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn lift() -> Step {
        Step::Lift { pods: Vec::new() }
    }

    fn isolate() -> Step {
        Step::Isolate { name: String::new(), adopted: BTreeMap::new() }
    }

    /// How many of so many steps begin at once, with what they take.
    fn begin(room: &mut Room, namespace: &str, step: &Step, count: usize) -> Vec<Taken> {
        (0..count).filter_map(|_| room.place(namespace, step).take().now_or_never()).collect()
    }

    #[test]
    fn who_fills_a_namespace_keeps_nobody_else_waiting_and_no_policy() {
        let mut room = Room::default();
        let lifts = begin(&mut room, "full", &lift(), 100);
        assert_eq!(lifts.len(), SHARE);
        for (namespace, step, want) in
            [("other", lift(), SHARE), ("full", isolate(), SHARE), ("other", isolate(), SHARE), ("full", lift(), 0)]
        {
            assert_eq!(begin(&mut room, namespace, &step, 100).len(), want, "{namespace} {step:?}");
        }
        drop(lifts);
        assert_eq!(begin(&mut room, "full", &lift(), 1).len(), 1);
    }

    #[tokio::test]
    async fn of_others_no_more_wait_before_one_than_their_shares() {
        let mut room = Room::default();
        let (mut taken, mut waiting) = (Vec::new(), Vec::new());
        for namespace in ["a", "b", "c", "d"] {
            taken.extend(begin(&mut room, namespace, &lift(), SHARE));
            waiting.extend((0..100).map(|_| Box::pin(room.place(namespace, &lift()).take())));
        }
        assert_eq!(taken.len(), SIDE_BY_SIDE);
        waiting.iter_mut().for_each(|place| assert!(place.now_or_never().is_none()));
        let mut other = Box::pin(room.place("other", &lift()).take());
        assert!((&mut other).now_or_never().is_none());
        taken.pop();
        assert!(other.now_or_never().is_some(), "the first that becomes free");
    }

    #[test]
    fn nothing_is_kept_of_a_namespace_that_is_guarded_no_longer() {
        let policies = PolicySet::parse([
            ("a.yaml", include_str!("../../policies/flame-analysis.yaml")),
            ("g.yaml", include_str!("../../policies/flame-gateway.yaml")),
            ("i.yaml", include_str!("../../policies/installation.yaml.example")),
        ])
        .unwrap();
        let mut room = Room::default();
        let taken = begin(&mut room, "busy", &lift(), 1);
        for namespace in ["gone", &policies.installation.namespaces[0].name] {
            begin(&mut room, namespace, &lift(), 1);
        }
        room.keep(&policies);
        let kept: Vec<&str> = room.judging.shares.keys().map(String::as_str).collect();
        assert_eq!(kept, ["busy", &policies.installation.namespaces[0].name]);
        drop(taken);
    }
}
