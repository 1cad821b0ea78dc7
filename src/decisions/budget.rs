//! How many admitted decisions of a namespace go into the journal. Pure.
//!
//! Whoever may change an object of a namespace decides how often something is admitted there. The journal is bounded by its
//! number of entries: without this bound he would push out what was refused.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// What is left for each namespace.
#[derive(Debug, Default)]
pub(super) struct Budgets(HashMap<String, Budget>);

#[derive(Debug)]
struct Budget {
    left: u32,
    /// Until when it has been filled up.
    filled: Instant,
}

impl Budgets {
    /// Whether one more of a namespace is kept.
    pub(super) fn takes(&mut self, namespace: &str, now: Instant) -> bool {
        // Anybody may make up names; those that come late share one budget.
        let is_known = self.0.contains_key(namespace) || self.0.len() < NAMESPACES;
        let name = if is_known { namespace } else { "" };
        let budget = self.0.entry(name.to_owned()).or_insert(Budget { left: AT_ONCE, filled: now });
        let more = now.saturating_duration_since(budget.filled).as_secs() / PACE.as_secs();
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        budget.filled += PACE.saturating_mul(more);
        budget.left = budget.left.saturating_add(more).min(AT_ONCE);
        let takes = budget.left > 0;
        budget.left = budget.left.saturating_sub(1);
        takes
    }
}

/// An installation's start, or a day of many analyses.
const AT_ONCE: u32 = 2000;
/// Then 2880 a day, of which the usual journal holds those of a year.
const PACE: Duration = Duration::from_secs(30);
const NAMESPACES: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_has_a_budget_of_its_own_that_fills_up_again() {
        let (mut budgets, begun) = (Budgets::default(), Instant::now());
        let mut taken = |namespace: &str, seconds: u64, of: u32| {
            let now = begun + Duration::from_secs(seconds);
            (0..of).filter(|_| budgets.takes(namespace, now)).count()
        };
        assert_eq!(taken("a", 0, 5000), 2000);
        assert_eq!(taken("b", 0, 10), 10, "another's is not touched");
        assert_eq!((taken("a", 29, 5), taken("a", 30, 5), taken("a", 31, 5), taken("a", 95, 5)), (0, 1, 0, 2));
        assert_eq!(taken("a", 1_000_000, 5000), 2000);
        for number in 0..2000 {
            taken(&format!("made-up-{number}"), 0, 1);
        }
        assert!(budgets.0.len() <= NAMESPACES + 1);
    }
}
