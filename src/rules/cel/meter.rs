//! Bounds the work of one evaluation, and stops it when its deadline has passed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::value::Value;

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Problem {
    /// CEL's own error: `||`, `&&`, `all` and `exists` may do without the value.
    Error(String),
    /// Nothing more will be evaluated.
    Stopped(Stop),
}

/// Why an evaluation was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// More steps than any sensible rule needs.
    TooMuch,
    /// The caller no longer waits.
    Deadline,
}

/// Counts the steps of one evaluation.
pub(super) struct Meter {
    left: u64,
    unseen: u64,
    interrupt: Arc<AtomicBool>,
}

impl Meter {
    pub(super) fn new(steps: u64, interrupt: Arc<AtomicBool>) -> Self {
        Meter { left: steps, unseen: 0, interrupt }
    }

    /// Counts work that is about to be done.
    pub(super) fn spend(&mut self, steps: u64) -> Result<(), Problem> {
        let Some(left) = self.left.checked_sub(steps) else { return Err(Problem::Stopped(Stop::TooMuch)) };
        self.left = left;
        self.unseen += steps;
        if self.unseen >= LOOK_EVERY {
            self.unseen = 0;
            if self.interrupt.load(Ordering::Relaxed) {
                return Err(Problem::Stopped(Stop::Deadline));
            }
        }
        Ok(())
    }

    /// Counts the reading of a whole value.
    pub(super) fn read(&mut self, value: &Value) -> Result<(), Problem> {
        self.spend(value.weight(self.left))
    }
}

impl Problem {
    pub(super) fn overload(name: &str, values: &[&Value]) -> Self {
        let kinds: Vec<_> = values.iter().map(|value| value.kind()).collect();
        Problem::Error(format!("no such overload: {name}({})", kinds.join(", ")))
    }

    pub(super) fn hidden() -> Self {
        Problem::Error("metadata.managedFields is not visible to rules".to_owned())
    }

    /// Whether the evaluation as a whole was given up.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Problem::Stopped(_))
    }
}

const LOOK_EVERY: u64 = 1024;
