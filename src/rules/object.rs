//! The rules on objects that make guarded pods, belong to a guarded identity or lead traffic to one.

mod analysis;
mod configuration;
mod endpoints;
mod image_scan;
mod network_policy;
mod service;
mod workload;
mod writing;

use super::caller::breaks_glass;
use super::case::Case;
use super::judgement::Judgement;
use super::rule::RequestRule;
use super::unfit::unfit;
use crate::model::{Finding, Request};
use crate::policy::Tenancy;

/// Every rule on objects besides pods. Order is the order in which documents list them.
pub const OBJECT_RULES: &[&RequestRule] = &[
    &analysis::WRITER,
    &analysis::STATUS,
    &image_scan::WRITER,
    &image_scan::STATUS,
    &service::CREATOR,
    &service::SHAPE,
    &service::STATUS,
    &endpoints::WRITER,
    &configuration::CREATOR,
    &network_policy::OWN,
    &network_policy::WIDE,
];

pub(super) use image_scan::judge_image_scan;
pub use workload::template_keys;

/// Whether a request is about a network policy, Kubernetes' own or another network's.
pub(super) fn is_network_policy(request: &Request<'_>) -> bool {
    network_policy::is_policy(request.resource.group, request.resource.name)
}

/// Judges whatever is no pod.
pub(super) fn judge_object(request: &Request<'_>, case: &Case<'_>, tenancy: Tenancy) -> Judgement {
    let resource = request.resource;
    match (resource.group, resource.name, resource.sub) {
        (group, name, sub) if workload::carries_template(group, name) => match sub {
            "" => workload::judge_workload(request, case, tenancy),
            // Neither can change the template.
            "status" | "scale" => Judgement::default(),
            _ => unfit(request),
        },
        ("", "services", "") => service::judge_service(request, case),
        ("", "services", "status") => service::judge_service_status(request, case),
        ("", "endpoints", "") | ("discovery.k8s.io", "endpointslices", "") => endpoints::judge_endpoints(request, case),
        ("", "configmaps" | "secrets", "") => configuration::judge_configuration(request, case),
        ("flamewarden.dev", "analyses", "") => analysis::judge_analysis(request, case),
        ("flamewarden.dev", "analyses", "status") => analysis::judge_status(request, case),
        (group, name, "") if network_policy::is_policy(group, name) => {
            network_policy::judge_network_policy(request, case)
        }
        ("", "services" | "endpoints" | "configmaps" | "secrets", _)
        | ("discovery.k8s.io", "endpointslices", _)
        | ("flamewarden.dev", "analyses", _) => unfit(request),
        _ => Judgement::default(),
    }
}

/// Refused, but to break-glass.
fn answered(request: &Request<'_>, findings: Vec<Finding>) -> Judgement {
    if breaks_glass(&request.user) {
        return Judgement { broken_glass: findings, ..Judgement::default() };
    }
    Judgement::refusing(findings)
}
