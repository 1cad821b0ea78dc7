//! Workloads with pod templates: judged after remedies, so that only what admission would not mend refuses.

use super::writing::Writing;
use crate::model::{FieldPath, Finding, Json, PodView, Request, controlling_owner};
use crate::policy::{PolicySet, Role, Tenancy};
use crate::rules::caller::{TEMPLATE_CONTROLLERS, is_controller};
use crate::rules::case::Case;
use crate::rules::judgement::{Enforced, Judgement, Scales};
use crate::rules::pod::{Stage, pod_findings};
use crate::rules::request::{
    GATEWAY_CREATOR, KNOWN_PART, Maker, label_changes, owner_changes, same_before, unlabelled_findings,
};
use crate::rules::unfit::unfit;

/// Whether a resource carries a pod template.
pub(super) fn carries_template(group: &str, name: &str) -> bool {
    template_keys(group, name).is_some()
}

/// Judges a workload that is made or changed; whatever is deleted makes no pods.
pub(super) fn judge_workload(request: &Request<'_>, case: &Case<'_>, tenancy: Tenancy) -> Judgement {
    let (Some(writing), Some(keys)) =
        (Writing::of(request), template_keys(request.resource.group, request.resource.name))
    else {
        return unfit(request);
    };
    let Some(new) = writing.new else { return Judgement::default() };
    if is_revision(request) {
        return judge_revision(request, case, tenancy, new);
    }
    let Some(template) = new.at(keys) else { return unfit(request) };
    let hearing = Hearing { request, case, tenancy, keys };
    hearing.judge(writing.old, new, template)
}

/// A revision keeps the template of a StatefulSet or DaemonSet, and their controllers make pods from it.
/// What they write themselves was judged where they took it from; other software keeps other data in it.
fn judge_revision<'a>(request: &Request<'a>, case: &Case<'a>, tenancy: Tenancy, new: &'a Json<'a>) -> Judgement {
    if is_controller(&request.user, TEMPLATE_CONTROLLERS) {
        return Judgement::default();
    }
    let matters = Writing::of(request).is_none_or(|writing| writing.matters());
    if tenancy == Tenancy::Dedicated && matters && !case.policies.is_creator(request.user.name) {
        // Read without regard to case by those who make pods from it: what stands in it is not for us to say.
        let message = "revisions of known parts are written by the controllers of StatefulSets and DaemonSets";
        return Judgement::refusing([KNOWN_PART.finds_user(request, message)]);
    }
    let Some(template) = new.at(REVISION) else { return Judgement::default() };
    Hearing { request, case, tenancy, keys: REVISION }.judge(request.old, new, template)
}

/// One judgement of a template.
struct Hearing<'h, 'a> {
    request: &'h Request<'a>,
    case: &'h Case<'a>,
    tenancy: Tenancy,
    keys: &'static [&'static str],
}

impl<'a> Hearing<'_, 'a> {
    fn judge(&self, old: Option<&'a Json<'a>>, new: &'a Json<'a>, template: &'a Json<'a>) -> Judgement {
        let before = old.and_then(|old| old.at(self.keys));
        let changed = before != Some(template);
        let policies = self.case.policies;
        let view = PodView::new(template, FieldPath::of(self.keys));
        let profile = policies.profile_of(&view);
        let scales = Scales {
            profile: profile.unwrap_or(&policies.analysis),
            app: view.label("app").unwrap_or_default(),
            now: self.case.now,
        };
        let mut judgement = Judgement::default();
        if changed && profile.is_some_and(|profile| profile.role == Role::Gateway) {
            judgement.weigh_all(self.gateway_fault(), &scales, Enforced::Refused);
        }
        if profile.is_some() && !self.is_creators() {
            judgement.weigh_all(self.owner_faults(old, new), &scales, Enforced::Refused);
        }
        let findings = self.findings(&view, if changed { self.maker() } else { Maker::Trusted });
        let fresh = match (old, before) {
            (Some(old), Some(before)) => {
                let before = PodView::new(before, FieldPath::of(self.keys));
                let (stored, fresh) = same_before(findings, &self.findings(&before, Maker::Trusted), old, new);
                judgement.reported.extend(stored);
                fresh
            }
            _ => findings,
        };
        judgement.weigh_all(fresh, &scales, Enforced::MendedLater);
        judgement
    }

    /// Owners that nobody may bring or take, and labels of a ReplicaSet by which its Deployment finds it.
    fn owner_faults(&self, old: Option<&Json<'_>>, new: &Json<'_>) -> Vec<Finding> {
        // Whoever wrote the owners of what was not guarded then was asked nothing; they come with its template.
        let guarded = |old: &&Json<'_>| {
            let before = old.at(self.keys).map(|template| PodView::new(template, FieldPath::of(self.keys)));
            before.is_some_and(|before| self.case.policies.profile_of(&before).is_some())
        };
        let old = old.filter(guarded);
        let mut findings = owner_changes(self.request, TEMPLATE_CONTROLLERS, old, new);
        if let Some(old) =
            old.filter(|old| self.request.resource.name == "replicasets" && controlling_owner(old).is_some())
        {
            findings.extend(label_changes(self.request, old, new, &[]));
        }
        findings
    }

    fn findings(&self, pod: &PodView<'_>, by: Maker) -> Vec<Finding> {
        let policies = self.case.policies;
        match policies.profile_of(pod) {
            Some(profile) => pod_findings(pod, profile, Stage::Template, self.case.scans, self.case.now),
            None => unlabelled_findings(pod, policies, self.tenancy, by),
        }
    }

    /// Gateways are made by a Deployment; its ReplicaSets by the deployment controller, which copies its template.
    fn gateway_fault(&self) -> Option<Finding> {
        let creator = self.is_creators();
        let may = match self.request.resource.name {
            "deployments" => creator,
            "replicasets" => creator || is_controller(&self.request.user, &["deployment-controller"]),
            _ => false,
        };
        (!may).then(|| {
            let message = "let FLAME's Pod Orchestrator or Flamewarden make the gateway, as a Deployment";
            GATEWAY_CREATOR.finds_user(self.request, message)
        })
    }

    fn is_creators(&self) -> bool {
        self.case.policies.is_creator(self.request.user.name)
    }

    fn maker(&self) -> Maker {
        let user = &self.request.user;
        let policies: &PolicySet = self.case.policies;
        let trusted = policies.is_creator(user.name) || is_controller(user, TEMPLATE_CONTROLLERS);
        if trusted { Maker::Trusted } else { Maker::Other(user.name.to_owned()) }
    }
}

fn is_revision(request: &Request<'_>) -> bool {
    request.resource.name == "controllerrevisions"
}

/// Where the template stands in each kind that has one.
pub fn template_keys(group: &str, name: &str) -> Option<&'static [&'static str]> {
    TEMPLATES.iter().find(|(at, of, _)| (*at, *of) == (group, name)).map(|(_, _, keys)| *keys)
}

const TEMPLATES: &[(&str, &str, &[&str])] = &[
    ("apps", "deployments", &["spec", "template"]),
    ("apps", "replicasets", &["spec", "template"]),
    ("apps", "statefulsets", &["spec", "template"]),
    ("apps", "daemonsets", &["spec", "template"]),
    ("apps", "controllerrevisions", REVISION),
    ("batch", "jobs", &["spec", "template"]),
    ("batch", "cronjobs", &["spec", "jobTemplate", "spec", "template"]),
    ("", "replicationcontrollers", &["spec", "template"]),
    ("", "podtemplates", &["template"]),
];
const REVISION: &[&str] = &["data", "spec", "template"];
