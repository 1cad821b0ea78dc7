//! A bounded number of decisions, of which nobody's cover another's.

use std::collections::{BTreeMap, VecDeque};

use crate::model::{Decision, Outcome};

/// Decisions in the order of their numbers.
pub(super) struct Shelf {
    most: usize,
    held: VecDeque<Decision>,
    /// How many of them each address has, so that a full shelf costs a review no walk along it.
    counts: BTreeMap<String, usize>,
    lost: u64,
}

impl Shelf {
    /// An empty one for so many.
    pub(super) fn new(most: usize) -> Self {
        Shelf { most, held: VecDeque::new(), counts: BTreeMap::new(), lost: 0 }
    }

    /// Puts one behind the others. Says whether another was pushed out for it.
    ///
    /// That of the address that has most, and of its decisions refusals before uses of break-glass: nobody can cover
    /// one by being refused often, nor by inventing others at an address that is not the API server's.
    pub(super) fn put(&mut self, decision: Decision) -> bool {
        match self.counts.get_mut(&decision.from) {
            Some(count) => *count += 1,
            None => drop(self.counts.insert(decision.from.clone(), 1)),
        }
        self.held.push_back(decision);
        let full = self.held.len() > self.most;
        if full {
            self.push_out();
        }
        full
    }

    /// Forgets those up to a number.
    pub(super) fn forget(&mut self, through: u64) {
        while let Some(first) = self.held.pop_front_if(|first| first.number <= through) {
            self.uncount(&first.from);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Decision> {
        self.held.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn is_half_full(&self) -> bool {
        self.held.len() > self.most / 2
    }

    /// How many were pushed out.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    fn push_out(&mut self) {
        let most = self.counts.iter().max_by_key(|(_, count)| **count).map(|(from, _)| from.clone());
        let of_most = |held: &Decision| Some(&held.from) == most.as_ref();
        // Where none is graver than the others the oldest goes, without a walk.
        let goes = |held: &Decision| of_most(held) && held.outcome != Outcome::BreakGlass;
        let first = self.held.iter().position(goes);
        let oldest = first.or_else(|| self.held.iter().position(of_most)).unwrap_or_default();
        if let Some(gone) = self.held.remove(oldest) {
            self.uncount(&gone.from);
        }
        self.lost += 1;
    }

    fn uncount(&mut self, from: &str) {
        let Some(count) = self.counts.get_mut(from) else { return };
        *count -= 1;
        if *count == 0 {
            self.counts.remove(from);
        }
    }
}
