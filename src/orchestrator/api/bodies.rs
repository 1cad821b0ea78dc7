//! Whose bodies are being read: a few of each analysis, so that none waits for what another is slow to send.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::model::AnalysisId;

/// Places of those that have a body with us now.
#[derive(Debug, Default)]
pub(super) struct Bodies(Mutex<BTreeMap<AnalysisId, Arc<Semaphore>>>);

impl Bodies {
    /// The places of an analysis.
    pub(super) fn of(&self, analysis: AnalysisId) -> Arc<Semaphore> {
        let mut each = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever has a place or waits for one holds them too.
        each.retain(|_, places| Arc::strong_count(places) > 1);
        each.entry(analysis).or_insert_with(|| Arc::new(Semaphore::new(OF_ONE))).clone()
    }
}

const OF_ONE: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orchestrator::testing::{ID, PROJECT};

    #[test]
    fn an_analysis_has_two_bodies_at_a_time_and_takes_no_place_of_another() {
        let bodies = Bodies::default();
        let place = |id: &str| bodies.of(id.parse().unwrap()).try_acquire_owned().ok();
        let (first, second) = (place(ID), place(ID));
        let other = place(PROJECT);
        assert_eq!(
            [first.is_some(), second.is_some(), place(ID).is_some(), other.is_some()],
            [true, true, false, true]
        );
        drop(first);
        assert!(place(ID).is_some());
        drop((second, other));
        drop(bodies.of(ID.parse().unwrap()));
        assert_eq!(bodies.0.lock().unwrap().len(), 1, "who has none is forgotten");
    }
}
