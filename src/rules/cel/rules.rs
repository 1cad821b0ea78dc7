//! All of the users' rules that are in force, and their answers without a deadline.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::rule::{RuleProblem, UserFinding, UserRule};
use super::scope::UserInput;
use crate::model::Request;
use crate::policy::{ALWAYS, RuleSpec, SOFTER};

/// The users' rules, compiled once per set of policies.
#[derive(Debug, Clone, Default)]
pub struct UserRules {
    rules: Vec<Arc<UserRule>>,
}

impl UserRules {
    /// Checks all rules.
    ///
    /// # Errors
    /// The first rule that is outside the subset or bears another rule's name: rule, place and reason.
    pub fn compile(specs: &[RuleSpec]) -> Result<Self, RuleProblem> {
        let mut rules: Vec<Arc<UserRule>> = Vec::new();
        for spec in specs {
            let taken = rules.iter().any(|rule| rule.name() == spec.name);
            let built_in = [ALWAYS, SOFTER].iter().any(|ids| ids.contains(&spec.name.as_str()));
            if taken || built_in {
                let (place, reason) = ("metadata.name".to_owned(), "another rule bears this name".to_owned());
                return Err(RuleProblem { rule: spec.name.clone(), place, reason });
            }
            rules.push(Arc::new(UserRule::compile(spec)?));
        }
        Ok(UserRules { rules })
    }

    /// The rules that judge a request in a guarded namespace; `guarded` says whether a profile selects its pod.
    pub fn applicable(&self, request: &Request<'_>, guarded: bool) -> Vec<Arc<UserRule>> {
        self.rules.iter().filter(|rule| rule.concerns(request, guarded)).cloned().collect()
    }

    /// Evaluates on the caller's thread, bounded by steps but not by time: for audit and the command line.
    pub fn evaluate(&self, request: &Request<'_>, guarded: bool) -> Vec<UserFinding> {
        let rules = self.applicable(request, guarded);
        let input = if rules.is_empty() { None } else { UserInput::new(request) };
        let never = Arc::new(AtomicBool::new(false));
        let answered = rules.iter().flat_map(|rule| {
            let answer = match &input {
                Some(input) => rule.answer(input, &never),
                None => rule.unanswered(TOO_LARGE),
            };
            rule.report(answer, request)
        });
        answered.collect()
    }
}

pub(super) const TOO_LARGE: &str = "cannot be evaluated: the object is too large";
