//! From a review's bytes to an answer, for the mutating and the validating side.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;

use super::{Answer, Decision, Record, Review, early_uid};
use crate::model::{Json, Request};
use crate::policy::PolicySet;
use crate::rules::{Case, Judgement, Target, judge, mend};

/// Decides one request; [`crate::rules::judge`] outside tests.
pub type Judge = fn(&Request<'_>, &Case<'_>) -> Judgement;

/// What the webhook needs to answer: the policies in force, replaced as a whole when they change.
pub struct Webhook {
    policies: Arc<ArcSwap<PolicySet>>,
    judge: Judge,
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

impl Webhook {
    /// A webhook that answers by these policies.
    pub fn new(policies: PolicySet) -> Self {
        Webhook::judged_by(Arc::new(ArcSwap::from_pointee(policies)), judge)
    }

    /// A webhook whose policies may be replaced under it, with a judge of its own; tests give one that fails.
    pub fn judged_by(policies: Arc<ArcSwap<PolicySet>>, judge: Judge) -> Self {
        Webhook { policies, judge }
    }

    /// The policies in force.
    pub fn policies(&self) -> Arc<PolicySet> {
        self.policies.load_full()
    }

    /// Answers one review.
    pub fn answer(&self, side: Side, text: &[u8], now: Timestamp) -> Reply {
        answered(side, text, (&self.policies.load(), now), self.judge)
    }
}

/// The mutating side's answer to a review.
pub fn answer_mutate(text: &[u8], policies: &PolicySet, now: Timestamp) -> Answer {
    answered(Side::Mutate, text, (policies, now), judge).answer
}

/// The validating side's answer to a review.
pub fn answer_validate(text: &[u8], policies: &PolicySet, now: Timestamp) -> Answer {
    answered(Side::Validate, text, (policies, now), judge).answer
}

fn answered(side: Side, text: &[u8], (policies, now): (&PolicySet, Timestamp), judge: Judge) -> Reply {
    let review = match Review::parse(text) {
        Ok(review) => review,
        Err(problem) => return Reply::unreadable(&early_uid(text).unwrap_or_default(), &problem),
    };
    let request = match review.request() {
        Ok(request) => request,
        Err(problem) => return Reply::unreadable(review.uid().unwrap_or_default(), &problem),
    };
    let judgement = judge(&request, &Case { policies, target: Target::Unneeded, now });
    match side {
        Side::Mutate => mutated(&request, &judgement),
        Side::Validate => validated(&request, &judgement),
    }
}

fn mutated(request: &Request<'_>, judgement: &Judgement) -> Reply {
    let allowed = Answer::allow(request.uid);
    let Some(object) = request.object.filter(|_| !judgement.remedies.is_empty()) else {
        return Reply { answer: allowed, record: Record::of(request, Decision::Allowed, &[]) };
    };
    match patched(allowed, object, judgement) {
        Ok(answer) => Reply { answer, record: Record::of(request, Decision::Patched, &[]) },
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

fn validated(request: &Request<'_>, judgement: &Judgement) -> Reply {
    let (answer, decision) = match (judgement.refusals.as_slice(), judgement.warnings.as_slice()) {
        ([], []) => (Answer::allow(request.uid), Decision::Allowed),
        ([], _) => (Answer::allow(request.uid), Decision::Warned),
        (refusals, _) => (Answer::refuse_for(request.uid, refusals), Decision::Refused),
    };
    Reply { answer: answer.warning_of(&judgement.warnings), record: Record::of(request, decision, &judgement.refusals) }
}

impl Reply {
    fn unreadable(uid: &str, problem: &super::ReviewProblem) -> Self {
        Reply {
            answer: Answer::refuse(uid, 400, format!("flamewarden cannot read the review: {problem}")),
            record: Record::unreadable(uid, "unreadable-review"),
        }
    }
}
