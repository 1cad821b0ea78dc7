//! What a report says of a rule, once for all of its findings.

use serde::{Deserialize, Serialize};

use crate::model::{Control, Severity};

/// A rule that something was found by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleAbout {
    /// Id, as findings have it.
    pub id: String,
    /// What holds where the rule holds.
    pub title: String,
    /// What happens where it doesn't; empty of a user's own rule.
    pub why: String,
    /// How bad that is.
    pub severity: Severity,
    /// The published controls that the rule helps to meet, as [`Control`] writes them.
    pub controls: Vec<String>,
}

impl RuleAbout {
    /// Of a built-in rule.
    pub fn new(id: &str, title: &str, why: &str, severity: Severity, controls: &[Control]) -> Self {
        let controls = controls.iter().map(Control::to_string).collect();
        RuleAbout { id: id.to_owned(), title: title.to_owned(), why: why.to_owned(), severity, controls }
    }
}
