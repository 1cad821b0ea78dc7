//! Keeps one copy of what comes again and again: a thousand pods lack the same field in the same words.

use std::collections::HashSet;
use std::sync::Arc;

use super::Told;

/// What was seen.
#[derive(Debug, Default)]
pub struct Interner(HashSet<Arc<Told>>);

impl Interner {
    /// The one copy of it.
    pub fn one(&mut self, told: Arc<Told>) -> Arc<Told> {
        if let Some(known) = self.0.get(&told) {
            return Arc::clone(known);
        }
        self.0.insert(Arc::clone(&told));
        told
    }
}
