//! Services of guarded identities: by whom, and of which shape.

use super::writing::Writing;
use crate::model::{Control, FieldPath, Finding, Hold, Json, Operation, Request, Severity, labels};
use crate::rules::caller::{CLEANERS, is_controller};
use crate::rules::case::Case;
use crate::rules::judgement::{Enforced, Judgement, Scales};
use crate::rules::request::same_before;
use crate::rules::rule::RequestRule;
use crate::rules::selection::is_guarded_service;
use crate::rules::unfit::unfit;

pub(super) const CREATOR: RequestRule = RequestRule {
    id: "service-creator",
    title: "Services of analyses and gateways come, change and go only by the creators",
    why: "whoever points such a Service elsewhere receives the traffic of an analysis",
    severity: Severity::High,
    controls: &[],
    hold: Hold::Always,
};

pub(super) const SHAPE: RequestRule = RequestRule {
    id: "service-shape",
    title: "such a Service is a ClusterIP with a selector and without outside addresses",
    why: "external addresses, names and node ports lead round the gateway or catch others' traffic",
    severity: Severity::High,
    controls: &[Control::Nsa("Network separation and hardening")],
    hold: Hold::Always,
};

pub(super) const STATUS: RequestRule = RequestRule {
    id: "service-status",
    title: "the status of such a Service stays empty",
    why: "an address in it is routed to the pods as if it were a load balancer's",
    severity: Severity::High,
    controls: &[],
    hold: Hold::Always,
};

/// Judges a Service made, changed or deleted.
pub(super) fn judge_service(request: &Request<'_>, case: &Case<'_>) -> Judgement {
    let Some(writing) = Writing::of(request) else { return unfit(request) };
    let policies = case.policies;
    if !writing.sides().any(|service| is_guarded_service(service, policies)) || !writing.matters() {
        return Judgement::default();
    }
    let mut judgement = Judgement::default();
    let scales = scales(&writing, case);
    if !policies.is_creator(request.user.name) && !is_controller(&request.user, CLEANERS) {
        let message = "leave Services that bear an analysis's name or could select one to FLAME's Pod Orchestrator";
        judgement.weigh(CREATOR.finds_user(request, message), &scales, Enforced::Refused);
    }
    let Some(new) = writing.new else { return judgement };
    let findings = shape_faults(new);
    let fresh = match writing.old {
        Some(old) => {
            let (stored, fresh) = same_before(findings, &shape_faults(old), old, new);
            judgement.reported.extend(stored);
            fresh
        }
        None => findings,
    };
    judgement.weigh_all(fresh, &scales, Enforced::Refused);
    judgement
}

/// Judges a write to a Service's status.
pub(super) fn judge_service_status(request: &Request<'_>, case: &Case<'_>) -> Judgement {
    let (Operation::Update, Some(old), Some(new)) = (request.operation, request.old, request.object) else {
        return unfit(request);
    };
    if ![old, new].into_iter().any(|service| is_guarded_service(service, case.policies)) {
        return Judgement::default();
    }
    let places: [&[&str]; 3] = [&["status"], &["metadata", "labels"], &["metadata", "annotations"]];
    let changed = places.into_iter().filter(|keys| old.at(keys) != new.at(keys));
    Judgement::refusing(changed.map(|keys| {
        STATUS.finds(FieldPath::of(keys), new.at(keys), "nobody writes the status of such a Service; it has no use")
    }))
}

fn scales<'a>(writing: &Writing<'a>, case: &Case<'a>) -> Scales<'a> {
    let app = writing.sides().find_map(|service| service.text_at(&["metadata", "labels", labels::APP]));
    Scales { profile: &case.policies.analysis, app: app.unwrap_or_default(), now: case.now }
}

/// What makes a Service more than a name for its own pods inside the cluster.
fn shape_faults(service: &Json<'_>) -> Vec<Finding> {
    let spec = FieldPath::of(&["spec"]);
    let mut findings = Vec::new();
    let Some(fields) = service.get("spec") else {
        return vec![SHAPE.finds(spec, None, "a Service has a spec")];
    };
    for (key, value) in fields.entries().iter().filter(|(key, _)| !FIELDS.contains(&key.as_ref())) {
        if !value.is_unset() {
            findings.push(SHAPE.finds(spec.key(key), Some(value), "leave this field out"));
        }
    }
    if fields.get("type").is_some_and(|kind| kind.text() != Some("ClusterIP")) {
        findings.push(SHAPE.finds(spec.key("type"), fields.get("type"), "use type ClusterIP"));
    }
    if fields.get("selector").is_none_or(Json::is_unset) {
        let message = "keep the selector; without it anybody may say where the Service leads";
        findings.push(SHAPE.finds(spec.key("selector"), fields.get("selector"), message));
    }
    let ports = fields.get("ports").map_or(&[][..], |ports| ports.items());
    for (index, port) in
        ports.iter().enumerate().filter(|(_, port)| port.get("nodePort").is_some_and(|at| !at.is_unset()))
    {
        let path = spec.key("ports").index(index).key("nodePort");
        findings.push(SHAPE.finds(path, port.get("nodePort"), "use no node port"));
    }
    findings
}

/// The fields that stay inside the cluster; every other one that is set is a finding.
const FIELDS: &[&str] = &[
    "clusterIP",
    "clusterIPs",
    "internalTrafficPolicy",
    "ipFamilies",
    "ipFamilyPolicy",
    "ports",
    "publishNotReadyAddresses",
    "selector",
    "sessionAffinity",
    "sessionAffinityConfig",
    "trafficDistribution",
    "type",
];
