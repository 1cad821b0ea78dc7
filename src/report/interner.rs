//! Keeps one copy of texts that come again and again: a thousand pods lack the same field in the same words.

use std::collections::HashSet;
use std::sync::Arc;

/// The texts that were seen.
#[derive(Debug, Default)]
pub struct Interner(HashSet<Arc<str>>);

impl Interner {
    /// The one copy of a text.
    pub fn one(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.0.insert(Arc::clone(&new));
        new
    }
}
