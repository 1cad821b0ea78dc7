//! From a review's bytes to an answer, for the mutating and the validating side.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;

use super::{Answer, Review};
use crate::policy::PolicySet;
use crate::rules::{Case, Judgement, Target, judge, mend};

/// What the webhook needs to answer: the policies in force, replaced as a whole when they change.
pub struct Webhook {
    policies: ArcSwap<PolicySet>,
}

impl Webhook {
    /// A webhook that answers by these policies.
    pub fn new(policies: PolicySet) -> Self {
        Webhook { policies: ArcSwap::from_pointee(policies) }
    }

    /// The policies in force.
    pub fn policies(&self) -> Arc<PolicySet> {
        self.policies.load_full()
    }
}

/// The mutating side: applies the remedies. It refuses nothing; the validating side sees what is left.
pub fn answer_mutate(text: &[u8], policies: &PolicySet, now: Timestamp) -> Answer {
    answered(text, policies, now, |uid, object, judgement| {
        let Some(object) = object.filter(|_| !judgement.remedies.is_empty()) else { return Answer::allow(uid) };
        match mend(object, &judgement.remedies).map(|patch| Answer::allow(uid).patched(&patch)) {
            Ok(Ok(answer)) => answer,
            Ok(Err(problem)) => Answer::refuse(uid, 400, format!("flamewarden cannot write its patch: {problem}")),
            Err(problem) => Answer::refuse(uid, 400, format!("flamewarden {problem}")),
        }
    })
}

/// The validating side: refuses for any finding that is left.
pub fn answer_validate(text: &[u8], policies: &PolicySet, now: Timestamp) -> Answer {
    answered(text, policies, now, |uid, _, judgement| {
        let answer = if judgement.refusals.is_empty() {
            Answer::allow(uid)
        } else {
            Answer::refuse_for(uid, &judgement.refusals)
        };
        answer.warning_of(&judgement.warnings)
    })
}

fn answered(
    text: &[u8],
    policies: &PolicySet,
    now: Timestamp,
    answer: impl FnOnce(&str, Option<&crate::model::Json<'_>>, &Judgement) -> Answer,
) -> Answer {
    let review = match Review::parse(text) {
        Ok(review) => review,
        Err(problem) => return Answer::refuse("", 400, format!("flamewarden cannot read the review: {problem}")),
    };
    match review.request() {
        Ok(request) => {
            let judgement = judge(&request, &Case { policies, target: Target::Unneeded, now });
            answer(request.uid, request.object, &judgement)
        }
        Err(problem) => Answer::refuse(
            review.uid().unwrap_or_default(),
            400,
            format!("flamewarden cannot read the review: {problem}"),
        ),
    }
}
