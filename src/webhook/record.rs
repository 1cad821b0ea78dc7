//! What is remembered of an answer: for metrics from tables only, for the controller what was decided, for the log only
//! what refuses.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::install::sent_as;
use crate::model::{Decision, Finding, Operation, Outcome, Reference, Request, controlling_owner};
use crate::telemetry::printable;

/// One answered review, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Word of the operation.
    pub operation: &'static str,
    /// Plural name with subresource.
    pub resource: &'static str,
    /// What was answered.
    pub decision: Outcome,
    /// What is said of it; nothing where nothing was decided.
    pub notice: Option<Box<Notice>>,
}

/// An answer as it is told: who, what and by which rules; no values, which could be secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notice {
    /// Ids of the rules.
    pub rules: BTreeSet<String>,
    /// Paths of the fields; of refusals and break-glass alone, which are logged.
    pub paths: Vec<String>,
    /// The request's uid.
    pub uid: String,
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
    /// Who asked.
    pub user: String,
    /// The analysis that it concerns; empty where nobody knows.
    pub analysis: String,
    /// Whether nothing would have been stored.
    pub dry_run: bool,
    /// What an Event would be about.
    pub about: Option<Reference>,
}

impl Record {
    /// The record of a request and of the analysis that it concerns; `findings` are those that made the decision.
    pub fn of<'f>(
        request: &Request<'_>,
        analysis: String,
        decision: Outcome,
        findings: impl IntoIterator<Item = &'f Finding, IntoIter: Clone>,
    ) -> Self {
        let findings = findings.into_iter();
        let paths = if decision.is_admitted() { 0 } else { PATHS };
        let notice = Notice {
            rules: findings.clone().map(|finding| finding.rule.to_string()).collect(),
            paths: findings.take(paths).map(|finding| finding.path.to_string()).collect(),
            uid: request.uid.to_owned(),
            namespace: request.namespace.to_owned(),
            name: request.name.to_owned(),
            user: request.user.name.to_owned(),
            analysis,
            dry_run: request.dry_run,
            about: if decision.is_admitted() { None } else { about(request, decision) },
        };
        Record { decision, notice: Some(Box::new(notice)), ..Record::undecided(request) }
    }

    /// The record of a request that is left as it is, and about which another answer decides.
    pub fn undecided(request: &Request<'_>) -> Self {
        let (operation, resource) = (request.operation.word(), known_resource(request));
        Record { operation, resource, decision: Outcome::Allowed, notice: None }
    }

    /// The record of what could not be read or judged; `rule` says which of our own limits refused.
    pub fn unreadable(uid: &str, rule: &str) -> Self {
        let notice = Notice { rules: [rule.to_owned()].into(), uid: uid.to_owned(), ..Notice::default() };
        Record { operation: "unknown", resource: OTHER, decision: Outcome::Refused, notice: Some(Box::new(notice)) }
    }

    /// What is kept of it for the controller, unless nothing would have been stored.
    pub fn decision(&self, now: Timestamp) -> Option<Decision> {
        let notice = self.notice.as_ref().filter(|notice| !notice.dry_run)?;
        Some(Decision {
            number: 0,
            time: now,
            outcome: self.decision,
            operation: self.operation.to_owned(),
            resource: self.resource.to_owned(),
            namespace: printable(&notice.namespace).into_owned(),
            name: printable(&notice.name).into_owned(),
            user: printable(&notice.user).into_owned(),
            analysis: printable(&notice.analysis).into_owned(),
            rules: notice.rules.iter().take(RULES).cloned().collect(),
            about: notice.about.clone(),
            // Only who has the connection knows.
            from: String::new(),
            checked: false,
        })
    }
}

/// What an Event of a request would be about: a refused object's controller, which gets no other answer than the
/// refusal, and the pod that somebody enters or ends in an emergency.
fn about(request: &Request<'_>, decision: Outcome) -> Option<Reference> {
    let short = |text: &str| printable(text).into_owned();
    if decision == Outcome::BreakGlass {
        let (api_version, kind) = match request.resource.name {
            "pods" => ("v1", "Pod"),
            "networkpolicies" => ("networking.k8s.io/v1", "NetworkPolicy"),
            _ => return None,
        };
        // A deletion of many names each by its stored object alone.
        let stored = |key: &str| request.old.and_then(|old| old.text_at(&["metadata", key])).unwrap_or_default();
        let name = if request.name.is_empty() { stored("name") } else { request.name };
        let (api_version, kind) = (api_version.to_owned(), kind.to_owned());
        return Some(Reference { api_version, kind, name: short(name), uid: short(stored("uid")) });
    }
    let object = request.object.filter(|_| request.operation == Operation::Create)?;
    let owner = controlling_owner(object)?;
    let text = |key: &str| owner.text_at(&[key]).map(short);
    Some(Reference { api_version: text("apiVersion")?, kind: text("kind")?, name: text("name")?, uid: text("uid")? })
}

/// A resource's label, if configurations name it: a caller must not be able to make new time series.
fn known_resource(request: &Request<'_>) -> &'static str {
    let resource = &request.resource;
    sent_as(resource.group, resource.name, resource.sub).unwrap_or(OTHER)
}

const OTHER: &str = "other";
const PATHS: usize = 32;
const RULES: usize = 32;
