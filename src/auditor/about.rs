//! What is known of a rule by its id: the built-in ones, and users' own.

use super::rules::AUDIT_RULES;
use crate::model::Severity;
use crate::policy::PolicySet;
use crate::report::RuleAbout;
use crate::rules::{OBJECT_RULES, POD_RULES, REQUEST_RULES};

/// What reports say of a rule.
pub fn about(id: &str, policies: &PolicySet) -> RuleAbout {
    if let Some(rule) = POD_RULES.iter().find(|rule| rule.id == id) {
        return RuleAbout::new(id, rule.title, rule.why, rule.severity, rule.controls);
    }
    let mut rules = [REQUEST_RULES, OBJECT_RULES, AUDIT_RULES].into_iter().flatten();
    if let Some(rule) = rules.find(|rule| rule.id == id) {
        return RuleAbout::new(id, rule.title, rule.why, rule.severity, rule.controls);
    }
    let own = policies.rules.iter().find(|rule| rule.name == id);
    RuleAbout::new(id, "a rule of this installation's own", "", own.map_or(Severity::High, |rule| rule.severity), &[])
}
