//! What is remembered of an answer: for metrics from tables only, for the log only if it refuses.

use std::collections::BTreeSet;

use crate::model::{Finding, Request};

/// One answered review, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Word of the operation.
    pub operation: &'static str,
    /// Plural name with subresource.
    pub resource: &'static str,
    /// What was answered.
    pub decision: Decision,
    /// What a log line says of a refusal, or of break-glass.
    pub notice: Option<Box<Notice>>,
}

/// The kinds of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Yes, as it is.
    Allowed,
    /// Yes, and mended.
    Patched,
    /// Yes, with a warning.
    Warned,
    /// Yes, because the break-glass group asks.
    BreakGlass,
    /// No.
    Refused,
}

/// An answer as it is logged: who, what and by which rules; no values, which could be secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notice {
    /// Ids of the rules.
    pub rules: BTreeSet<String>,
    /// Paths of the fields.
    pub paths: Vec<String>,
    /// The request's uid.
    pub uid: String,
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
    /// Who asked.
    pub user: String,
    /// Whether nothing would have been stored.
    pub dry_run: bool,
}

impl Decision {
    /// The metric's label.
    pub fn word(self) -> &'static str {
        match self {
            Decision::Allowed => "allowed",
            Decision::Patched => "patched",
            Decision::Warned => "warned",
            Decision::BreakGlass => "break_glass",
            Decision::Refused => "refused",
        }
    }
}

impl Record {
    /// The record of a request; `findings` are those that made the decision.
    pub fn of(request: &Request<'_>, decision: Decision, findings: &[Finding]) -> Self {
        let notice = matches!(decision, Decision::Refused | Decision::BreakGlass).then(|| {
            Box::new(Notice {
                rules: findings.iter().map(|finding| finding.rule.to_string()).collect(),
                paths: findings.iter().take(PATHS).map(|finding| finding.path.to_string()).collect(),
                uid: request.uid.to_owned(),
                namespace: request.namespace.to_owned(),
                name: request.name.to_owned(),
                user: request.user.name.to_owned(),
                dry_run: request.dry_run,
            })
        });
        Record { operation: request.operation.word(), resource: known_resource(request), decision, notice }
    }

    /// The record of what could not be read or judged; `rule` says which of our own limits refused.
    pub fn unreadable(uid: &str, rule: &str) -> Self {
        let notice = Notice { rules: [rule.to_owned()].into(), uid: uid.to_owned(), ..Notice::default() };
        Record { operation: "unknown", resource: OTHER, decision: Decision::Refused, notice: Some(Box::new(notice)) }
    }
}

/// A resource's label from the table: a caller must not be able to make new time series.
fn known_resource(request: &Request<'_>) -> &'static str {
    let (name, sub) = (request.resource.name, request.resource.sub);
    let fits = |known: &&&str| match known.split_once('/') {
        Some((known_name, known_sub)) => known_name == name && known_sub == sub,
        None => sub.is_empty() && **known == name,
    };
    RESOURCES.iter().find(fits).copied().unwrap_or(OTHER)
}

const OTHER: &str = "other";
const PATHS: usize = 32;
const RESOURCES: &[&str] = &[
    "pods",
    "pods/status",
    "pods/eviction",
    "pods/ephemeralcontainers",
    "pods/resize",
    "pods/binding",
    "pods/exec",
    "pods/attach",
    "pods/portforward",
    "pods/proxy",
    "bindings",
    "services",
    "services/proxy",
    "serviceaccounts/token",
    "deployments",
    "replicasets",
    "statefulsets",
    "daemonsets",
    "jobs",
    "cronjobs",
    "replicationcontrollers",
    "podtemplates",
    "networkpolicies",
    "endpoints",
    "endpointslices",
    "configmaps",
    "secrets",
];
