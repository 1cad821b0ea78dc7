//! What is answered: the pure part, from a request and its judgement to an answer.

use std::sync::Arc;

use jiff::Timestamp;

use super::concerned::concerned;
use super::{Answer, Record, Review, ReviewProblem, early_uid};
use crate::model::{Json, Outcome, Request};
use crate::policy::PolicySet;
use crate::rules::{Case, Judgement, RuleProblem, ScanKnowledge, Target, UserRules, judge, mend};

/// Decides one request; [`crate::rules::judge`] outside tests.
pub type Judge = fn(&Request<'_>, &Case<'_>) -> Judgement;

/// Policies with their users' rules compiled; put in force together.
pub struct InForce {
    /// The policies.
    pub policies: Arc<PolicySet>,
    /// Their users' rules.
    pub rules: UserRules,
}

impl InForce {
    /// Compiles the users' rules.
    ///
    /// # Errors
    /// The first rule that lies outside the subset.
    pub fn new(policies: Arc<PolicySet>) -> Result<Self, RuleProblem> {
        let rules = UserRules::compile(&policies.rules)?;
        Ok(InForce { policies, rules })
    }
}

/// Which of the two webhooks is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Applies the remedies. It refuses no finding; the validating side sees what is left.
    Mutate,
    /// Refuses for any finding that is left.
    Validate,
}

/// An answer, and what is remembered of it.
pub struct Reply {
    /// What the API server is told.
    pub answer: Answer,
    /// What metrics and log are told.
    pub record: Record,
}

impl Side {
    /// The side that a path stands for.
    pub fn of_path(path: &str) -> Option<Self> {
        [Side::Mutate, Side::Validate].into_iter().find(|side| path.strip_prefix('/') == Some(side.word()))
    }

    /// The path without its slash, and the metric's label.
    pub fn word(self) -> &'static str {
        match self {
            Side::Mutate => "mutate",
            Side::Validate => "validate",
        }
    }
}

/// The answer where neither a cluster nor users' rules can be asked.
pub fn answer_alone(side: Side, text: &[u8], policies: &PolicySet, now: Timestamp) -> Reply {
    let review = match Review::parse(text) {
        Ok(review) => review,
        Err(problem) => return unparsed(text, &problem),
    };
    match review.request() {
        Ok(request) => {
            let case = Case { policies, target: Target::Unread, scans: ScanKnowledge::OutOfReach, now };
            composed(side, &request, &judge(&request, &case), &case)
        }
        Err(problem) => unreadable(review.uid().unwrap_or_default(), &problem),
    }
}

/// The answer that a judgement of a case means on one of the sides.
pub(super) fn composed(side: Side, request: &Request<'_>, judgement: &Judgement, case: &Case<'_>) -> Reply {
    match side {
        Side::Mutate => mutated(request, judgement, case),
        Side::Validate => validated(request, judgement, case),
    }
}

/// The answer to a text that is no review, under its own uid if that can be told.
pub(super) fn unparsed(text: &[u8], problem: &ReviewProblem) -> Reply {
    unreadable(&early_uid(text).unwrap_or_default(), problem)
}

/// The answer to a review whose request cannot be judged.
pub(super) fn unreadable(uid: &str, problem: &ReviewProblem) -> Reply {
    Reply {
        answer: Answer::refuse(uid, 400, format!("flamewarden cannot read the review: {problem}")),
        record: Record::unreadable(uid, "unreadable-review"),
    }
}

fn mutated(request: &Request<'_>, judgement: &Judgement, case: &Case<'_>) -> Reply {
    let allowed = Answer::allow(request.uid);
    let Some(object) = request.object.filter(|_| !judgement.remedies.is_empty()) else {
        return Reply { answer: allowed, record: Record::undecided(request) };
    };
    match patched(allowed, object, judgement) {
        Ok(answer) => {
            let mended = judgement.refusals.iter().filter(|finding| finding.has_remedy());
            Reply { answer, record: Record::of(request, analysis(request, case), Outcome::Patched, mended) }
        }
        Err(problem) => Reply {
            answer: Answer::refuse(request.uid, 400, format!("flamewarden {problem}")),
            record: Record::unreadable(request.uid, "unmendable"),
        },
    }
}

fn patched(answer: Answer, object: &Json<'_>, judgement: &Judgement) -> Result<Answer, String> {
    let patch = mend(object, &judgement.remedies).map_err(|problem| problem.to_string())?;
    answer.patched(&patch).map_err(|problem| format!("cannot write its patch: {problem}"))
}

fn validated(request: &Request<'_>, judgement: &Judgement, case: &Case<'_>) -> Reply {
    let (answer, decision, findings) = if !judgement.refusals.is_empty() {
        (Answer::refuse_for(request.uid, &judgement.refusals), Outcome::Refused, &judgement.refusals)
    } else if !judgement.broken_glass.is_empty() {
        (Answer::allow(request.uid), Outcome::BreakGlass, &judgement.broken_glass)
    } else if !judgement.warnings.is_empty() {
        (Answer::allow(request.uid), Outcome::Warned, &judgement.warnings)
    } else {
        (Answer::allow(request.uid), Outcome::Allowed, &judgement.reported)
    };
    let record = Record::of(request, analysis(request, case), decision, findings);
    Reply { answer: answer.warning_of(&judgement.warnings), record }
}

fn analysis(request: &Request<'_>, case: &Case<'_>) -> String {
    let target = match case.target {
        Target::Found(target) => Some(target),
        Target::Unneeded | Target::Missing | Target::Unread => None,
    };
    concerned(request, target, case.policies)
}
