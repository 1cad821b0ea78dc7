//! The custom resource `ImageScan`: made by those who have images run, its status written by the controller alone.

use super::answered;
use super::writing::Writing;
use crate::model::{Hold, Operation, Request, Severity};
use crate::rules::case::Case;
use crate::rules::judgement::Judgement;
use crate::rules::rule::RequestRule;
use crate::rules::unfit::unfit;

pub(super) const WRITER: RequestRule = RequestRule {
    id: "image-scan-writer",
    title: "ImageScans come by creators and administrators, and change and go by administrators",
    why: "with an ImageScan goes the memory of what failed, and since when",
    severity: Severity::High,
    controls: &[],
    hold: Hold::Always,
};

pub(super) const STATUS: RequestRule = RequestRule {
    id: "image-scan-status",
    title: "the status of an ImageScan is the controller's alone",
    why: "what stands there lets images run",
    severity: Severity::Critical,
    controls: &[],
    hold: Hold::Always,
};

/// Judges a write to an ImageScan or to its status.
pub(in crate::rules) fn judge_image_scan(request: &Request<'_>, case: &Case<'_>) -> Judgement {
    match request.resource.sub {
        "" => judge_spec(request, case),
        "status" => judge_status(request, case),
        _ => unfit(request),
    }
}

fn judge_spec(request: &Request<'_>, case: &Case<'_>) -> Judgement {
    let Some(writing) = Writing::of(request) else { return unfit(request) };
    let (user, policies) = (&request.user, case.policies);
    let is_administrator = policies.scanner.as_ref().is_some_and(|scanner| scanner.administrators.contains(user.name));
    let makes = request.operation == Operation::Create && policies.is_creator(user.name);
    let may = makes || is_administrator || user.name == policies.installation.controller;
    if may || !writing.matters() {
        return Judgement::default();
    }
    let message = "leave ImageScans to the creators that the Installation names, and their changes and deletions to the \
                   administrators that the Scanner names";
    answered(request, vec![WRITER.finds_user(request, message)])
}

fn judge_status(request: &Request<'_>, case: &Case<'_>) -> Judgement {
    if request.user.name == case.policies.installation.controller {
        return Judgement::default();
    }
    answered(request, vec![STATUS.finds_user(request, "only Flamewarden's controller says what a scan has found")])
}
