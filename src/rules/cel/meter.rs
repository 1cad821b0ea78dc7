//! Bounds the work of one evaluation, and stops it when its deadline has passed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::problem::{Problem, Stop};
use super::value::Value;

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

const LOOK_EVERY: u64 = 1024;
