//! The custom resource `Analysis`: written by creators, its status by the controller alone.

use super::answered;
use super::writing::Writing;
use crate::model::{FieldPath, Hold, Json, Request, Severity, labels};
use crate::rules::caller::{CLEANERS, is_controller};
use crate::rules::case::Case;
use crate::rules::judgement::Judgement;
use crate::rules::rule::RequestRule;
use crate::rules::unfit::unfit;

pub(super) const WRITER: RequestRule = RequestRule {
    id: "analysis-writer",
    title: "Analyses come, change and go only by the creators",
    why: "whoever writes one has an image run with the credentials and tokens of its id",
    severity: Severity::High,
    controls: &[],
    hold: Hold::Always,
};

pub(super) const STATUS: RequestRule = RequestRule {
    id: "analysis-status",
    title: "the status of an Analysis, and the finalizer that holds it, are the controller's alone",
    why: "what an analysis is said to be decides what is made, started again and taken away",
    severity: Severity::High,
    controls: &[],
    hold: Hold::Always,
};

/// Judges an Analysis made, changed or deleted.
pub(super) fn judge_analysis(request: &Request<'_>, case: &Case<'_>) -> Judgement {
    let Some(writing) = Writing::of(request) else { return unfit(request) };
    let mut findings = Vec::new();
    let user = &request.user;
    let may = case.policies.is_creator(user.name) || is_controller(user, CLEANERS);
    if !may && (writing.matters() || changes_finalizers(&writing)) {
        findings.push(WRITER.finds_user(request, "leave Analyses to the creators that the Installation names"));
    }
    if user.name != case.policies.installation.controller && loses_finalizer(&writing) {
        let path = FieldPath::of(&["metadata", "finalizers"]);
        let given = writing.new.and_then(|new| new.at(&["metadata", "finalizers"]));
        findings.push(STATUS.finds(path, given, "it goes when all that belongs to the analysis is gone"));
    }
    answered(request, findings)
}

/// Judges a write to an Analysis's status.
pub(super) fn judge_status(request: &Request<'_>, case: &Case<'_>) -> Judgement {
    if request.user.name == case.policies.installation.controller {
        return Judgement::default();
    }
    answered(request, vec![STATUS.finds_user(request, "only Flamewarden's controller says how an analysis is")])
}

fn finalizers<'j>(object: &'j Json<'j>) -> &'j [Json<'j>] {
    object.at(&["metadata", "finalizers"]).map_or(&[][..], Json::items)
}

fn changes_finalizers(writing: &Writing<'_>) -> bool {
    matches!((writing.old, writing.new), (Some(old), Some(new)) if finalizers(old) != finalizers(new))
}

fn loses_finalizer(writing: &Writing<'_>) -> bool {
    let has = |object: &Json<'_>| finalizers(object).iter().any(|item| item.text() == Some(labels::ANALYSIS_FINALIZER));
    matches!((writing.old, writing.new), (Some(old), Some(new)) if has(old) && !has(new))
}
