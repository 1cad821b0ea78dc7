//! Asks the judge about each object as both sides of the webhook would: judged, mended, judged again.

use std::collections::BTreeSet;

use jiff::Timestamp;
use json_patch::Patch;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rules::OUTSIDE;
use crate::install::is_sent;
use crate::isolation::{Foreign, Scope, foreign_refusal};
use crate::model::{
    Edit, FieldPath, Finding, Json, Operation, PodView, Request, Resource, Segment, User, parse, plural,
};
use crate::policy::{Mode, PolicySet, Role};
use crate::report::{Object, Outcome};
use crate::rules::{
    Case, Judgement, RuleProblem, ScanKnowledge, Target, UserRules, judge, mend, take_users_findings, template_keys,
    users_rules_for,
};

/// Policies, and on whose behalf objects are judged.
pub struct Auditor<'a> {
    policies: &'a PolicySet,
    rules: UserRules,
    asker: Asker,
    now: Timestamp,
}

/// Who is taken to create the objects, and where those go that name no namespace.
#[derive(Debug, Clone, Default)]
pub struct Asker {
    /// The user's name; empty for nobody in particular, who has no rights of a creator.
    pub user: String,
    /// The user's groups.
    pub groups: Vec<String>,
    /// The namespace of objects that name none.
    pub namespace: Option<String>,
}

/// What the judge says of one object, after mending.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) findings: Vec<(Outcome, Finding)>,
}

/// The answer to a request, both sides of the webhook taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Admitted as it is, perhaps with a warning.
    Allowed,
    /// Admitted, mended.
    Mended,
    /// Refused.
    Refused,
}

impl Decision {
    /// As reports and tests write it.
    pub fn word(self) -> &'static str {
        match self {
            Decision::Allowed => "allowed",
            Decision::Mended => "mended",
            Decision::Refused => "refused",
        }
    }
}

impl Verdict {
    /// The decision, and the rules that made it: those that refuse, or mend, or else warn.
    pub(super) fn answer(&self) -> (Decision, BTreeSet<String>) {
        let rules = |wanted: Outcome| -> BTreeSet<String> {
            let findings = self.findings.iter().filter(|(outcome, _)| *outcome == wanted);
            findings.map(|(_, finding)| finding.rule.to_string()).collect()
        };
        let worst = self.findings.iter().map(|(outcome, _)| *outcome).min();
        match worst {
            Some(Outcome::Refused) => (Decision::Refused, rules(Outcome::Refused)),
            Some(Outcome::Mended) => (Decision::Mended, rules(Outcome::Mended)),
            _ => (Decision::Allowed, rules(Outcome::Warning)),
        }
    }
}

/// What an object is to the auditor.
pub(super) enum Standing {
    Judged(Verdict),
    Unguarded,
    NotJudged,
    Unknown(String),
}

/// Where an object is created.
struct Place {
    group: String,
    resource: String,
    namespace: String,
}

impl<'a> Auditor<'a> {
    /// An auditor by these policies, whose own rules are compiled here.
    ///
    /// # Errors
    /// The first users' rule that is outside the subset.
    pub fn new(policies: &'a PolicySet, asker: Asker, now: Timestamp) -> Result<Self, RuleProblem> {
        Ok(Auditor { policies, rules: UserRules::compile(&policies.rules)?, asker, now })
    }

    /// What becomes of an object that is created.
    pub(super) fn standing(&self, text: &str) -> Standing {
        match parse(text.as_bytes()) {
            Ok(object) => self.standing_of(&object),
            Err(problem) => Standing::Unknown(problem.to_string()),
        }
    }

    /// The same of one that is read already.
    pub(super) fn standing_of(&self, object: &Json<'_>) -> Standing {
        let (group, resource) = kind_of(object);
        if let Some(kind) = Foreign::of(&group, &resource).filter(|kind| kind.scope == Scope::Cluster) {
            return Standing::Judged(self.cluster_wide(kind, object));
        }
        if !is_sent(self.policies, &group, &resource) {
            return Standing::NotJudged;
        }
        let Some(namespace) = self.namespace(object).map(str::to_owned) else {
            return Standing::Unknown("it names no namespace; say which with --namespace".to_owned());
        };
        if self.policies.tenancy(&namespace).is_none() {
            return self.outside(object, &group, &resource);
        }
        let place = Place { group, resource, namespace };
        Standing::Judged(self.verdict(&self.request(object, &place), Target::Unneeded))
    }

    /// What is labelled like an analysis where nothing is guarded: a pod is refused by a policy of the API server's own, so
    /// that a template there makes none.
    fn outside(&self, object: &Json<'_>, group: &str, resource: &str) -> Standing {
        let (keys, pod, outcome): (&[&str], _, _) = match (group, resource, template_keys(group, resource)) {
            ("", "pods", _) => (&[], Some(object), Outcome::Refused),
            (.., Some(keys)) => (keys, object.at(keys), Outcome::Warning),
            _ => return Standing::Unguarded,
        };
        let path = FieldPath::of(keys);
        let is_analysis = |pod: &Json<'_>| {
            let profile = self.policies.profile_of(&PodView::new(pod, path.clone()));
            profile.is_some_and(|profile| profile.role == Role::Analysis)
        };
        if !pod.is_some_and(is_analysis) {
            return Standing::Unguarded;
        }
        let why = "it is labelled as an analysis in a namespace that is not guarded, where no such pod may be; name a guarded \
            namespace, or guard this one";
        let namespace = object.at(&["metadata", "namespace"]);
        let finding = OUTSIDE.finds(FieldPath::of(&["metadata", "namespace"]), namespace, why);
        Standing::Judged(Verdict { findings: vec![(outcome, finding)] })
    }

    /// What both sides of the webhook would make of a request.
    pub(super) fn verdict(&self, request: &Request<'_>, target: Target<'_>) -> Verdict {
        let first = self.judgement(request, target);
        let Some(object) = request.object else { return self.sorted(None, &[], first) };
        if first.remedies.is_empty() {
            return self.sorted(Some(object), &[], first);
        }
        // Where nothing can be mended the webhook refuses, and the first judgement says for what.
        let mended = mend(object, &first.remedies).ok().and_then(|patch| applied(object, &patch));
        let Some(mended) = mended else { return self.sorted(Some(object), &[], first) };
        let after = Json::of(&mended);
        let again = self.judgement(&Request { object: Some(&after), ..request.clone() }, target);
        self.sorted(Some(object), &first.refusals, again)
    }

    fn judgement(&self, request: &Request<'_>, target: Target<'_>) -> Judgement {
        let case = Case { policies: self.policies, target, scans: ScanKnowledge::OutOfReach, now: self.now };
        let mut judgement = judge(request, &case);
        if !users_rules_for(request, &self.rules, self.policies).is_empty() {
            let findings = self.rules.evaluate(request, is_guarded(request, self.policies));
            take_users_findings(&mut judgement, findings, request, &case);
        }
        judgement
    }

    /// The last judgement's findings by outcome, and before them those of the first that mending took away.
    fn sorted(&self, object: Option<&Json<'_>>, before: &[Finding], last: Judgement) -> Verdict {
        let gone = before.iter().filter(|found| !last.refusals.iter().any(|left| left.is_same(found)));
        let mut findings: Vec<_> = gone.map(|found| (Outcome::Mended, found.clone())).collect();
        findings.extend(last.refusals.into_iter().map(|found| (Outcome::Refused, found)));
        for found in last.warnings {
            findings.push((
                if object.is_some_and(|object| self.is_mended_later(object, &found)) {
                    Outcome::Mended
                } else {
                    Outcome::Warning
                },
                found,
            ));
        }
        findings.extend(last.reported.into_iter().chain(last.broken_glass).map(|found| (Outcome::Reported, found)));
        findings.sort_by_key(|(outcome, _)| *outcome);
        Verdict { findings }
    }

    /// Whether a warning about a template is one because admission mends the pods that come of it.
    fn is_mended_later(&self, object: &Json<'_>, finding: &Finding) -> bool {
        let keys: Vec<&str> = finding.path.segments().iter().map_while(key).collect();
        let Some(end) = keys.iter().position(|key| *key == "template") else { return false };
        let keys = keys.get(..=end).unwrap_or_default();
        let Some(template) = object.at(keys) else { return false };
        let profile = self.policies.profile_of(&PodView::new(template, FieldPath::of(keys)));
        finding.has_remedy() && profile.is_some_and(|profile| profile.mode(&finding.rule) == Mode::Enforce)
    }

    /// A policy of the whole cluster is never refused; while it could select an analysis, gates stay closed.
    fn cluster_wide(&self, kind: &Foreign, object: &Json<'_>) -> Verdict {
        let finding = foreign_refusal(kind, object, self.policies);
        Verdict { findings: finding.into_iter().map(|finding| (Outcome::Reported, finding)).collect() }
    }

    fn namespace<'o>(&'o self, object: &'o Json<'_>) -> Option<&'o str> {
        let own = object.text_at(&["metadata", "namespace"]).filter(|name| !name.is_empty());
        own.or(self.asker.namespace.as_deref())
    }

    fn request<'o>(&'o self, object: &'o Json<'o>, place: &'o Place) -> Request<'o> {
        Request {
            uid: "",
            operation: Operation::Create,
            resource: Resource { group: &place.group, name: &place.resource, sub: "" },
            name: object.text_at(&["metadata", "name"]).unwrap_or_default(),
            namespace: &place.namespace,
            user: User { name: &self.asker.user, groups: self.asker.groups.iter().map(String::as_str).collect() },
            object: Some(object),
            old: None,
            options: None,
            dry_run: false,
        }
    }

    /// What would be done to an object so that it may be admitted, or the pods that come of it.
    pub(super) fn remedies(&self, text: &str) -> Vec<Edit> {
        let Standing::Judged(verdict) = self.standing(text) else { return Vec::new() };
        let mended = verdict.findings.into_iter().filter(|(outcome, _)| *outcome == Outcome::Mended);
        mended.flat_map(|(_, finding)| finding.remedy).collect()
    }

    /// What names an object.
    pub(super) fn object(&self, text: &str) -> Object {
        let unknown = || "unknown".to_owned();
        match parse(text.as_bytes()) {
            Ok(object) => self.object_of(&object),
            Err(_) => Object { kind: unknown(), name: unknown(), ..Object::default() },
        }
    }

    /// The same of one that is read already.
    pub(super) fn object_of(&self, object: &Json<'_>) -> Object {
        let unknown = || "unknown".to_owned();
        let said = |path: &[&str]| object.text_at(path).map(str::to_owned);
        let name = said(&["metadata", "name"]);
        let name = name.or_else(|| Some(format!("{}*", object.text_at(&["metadata", "generateName"])?)));
        Object {
            api_version: said(&["apiVersion"]).unwrap_or_default(),
            kind: said(&["kind"]).unwrap_or_else(unknown),
            namespace: self.namespace(object).unwrap_or_default().to_owned(),
            name: name.unwrap_or_else(|| "(no name)".to_owned()),
            uid: String::new(),
        }
    }
}

/// Group and plural name of an object's kind, whichever version it is written in.
pub(super) fn kind_of(object: &Json<'_>) -> (String, String) {
    let version = object.text_at(&["apiVersion"]).unwrap_or_default();
    let group = version.split_once('/').map_or("", |(group, _)| group);
    (group.to_owned(), plural(object.text_at(&["kind"]).unwrap_or_default()))
}

fn applied(object: &Json<'_>, patch: &Patch) -> Option<Value> {
    let mut value: Value = object.to_value();
    json_patch::patch(&mut value, patch).ok()?;
    Some(value)
}

/// Whether a profile guards the pod that a request brings; users' rules may be for such pods only.
fn is_guarded(request: &Request<'_>, policies: &PolicySet) -> bool {
    let is_pod = (request.resource.group, request.resource.name) == ("", "pods");
    let pod = request.object.map(|object| PodView::new(object, FieldPath::default()));
    is_pod && pod.is_some_and(|pod| policies.profile_of(&pod).is_some())
}

fn key(segment: &Segment) -> Option<&str> {
    match segment {
        Segment::Key(key) => Some(key),
        Segment::Index(_) => None,
    }
}
