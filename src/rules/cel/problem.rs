//! Why an evaluation ends without a value.

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

impl Problem {
    pub(super) fn hidden() -> Self {
        Problem::Error("metadata.managedFields is not visible to rules".to_owned())
    }

    /// Whether the evaluation as a whole was given up.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Problem::Stopped(_))
    }
}
