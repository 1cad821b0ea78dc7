//! A user's own rule as it is written in a policy file (`kind: Rule`), in the form of ValidatingAdmissionPolicy.

use serde::Deserialize;

use super::{Mode, checked};
use crate::model::Severity;

/// The text of one rule; `rules::UserRule` is the compiled form.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuleSpec {
    /// The rule's id, from the document's metadata.
    #[serde(skip)]
    pub name: String,
    /// How bad it is when the rule does not hold.
    #[serde(default = "default_severity")]
    pub severity: Severity,
    /// What a finding leads to.
    #[serde(default = "default_mode")]
    pub mode: Mode,
    /// Which objects of guarded namespaces it judges; guarded pods where it is absent.
    #[serde(default)]
    pub match_constraints: Option<MatchConstraints>,
    /// The rule applies only where all of these are true.
    #[serde(default)]
    pub match_conditions: Vec<Named>,
    /// Expressions that the validations may use as `variables.NAME`.
    #[serde(default)]
    pub variables: Vec<Named>,
    /// What must be true.
    pub validations: Vec<Validation>,
    /// What follows when an expression cannot be evaluated; only `Fail` is accepted.
    #[serde(default)]
    pub failure_policy: FailurePolicy,
    /// The field that findings name, such as `spec.containers`; the whole object where it is absent.
    #[serde(default)]
    pub field_path: Option<String>,
}

/// The resources of guarded namespaces that a rule judges.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MatchConstraints {
    /// Any of these suffices.
    #[serde(deserialize_with = "checked::resource_rules")]
    pub resource_rules: Vec<ResourceRule>,
}

/// Resources by group, plural name and operation; `*` stands for any group or operation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceRule {
    /// API groups; the core group is the empty text.
    pub api_groups: Vec<String>,
    /// API versions; the API server has converted the object, so only `*` or a list to be read by people.
    #[serde(default)]
    pub api_versions: Vec<String>,
    /// Plural names such as `configmaps`, or `pods/exec` for a subresource.
    pub resources: Vec<String>,
    /// `CREATE`, `UPDATE`, `DELETE`, `CONNECT` or `*`.
    pub operations: Vec<String>,
}

/// A named expression.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// CEL.
    pub expression: String,
}

/// One thing that must be true.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Validation {
    /// CEL; false makes a finding.
    pub expression: String,
    /// What is wrong and what to do about it.
    #[serde(default)]
    pub message: Option<String>,
    /// CEL that makes the message; `message` stands in where it fails.
    #[serde(default)]
    pub message_expression: Option<String>,
    /// Kept so that a policy can be carried over; the answer's code is always that of a refusal.
    #[serde(default)]
    pub reason: Option<Reason>,
}

/// The reasons that ValidatingAdmissionPolicy knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Reason {
    /// 401
    Unauthorized,
    /// 403
    Forbidden,
    /// 422
    Invalid,
    /// 413
    RequestEntityTooLarge,
}

/// What follows when an expression cannot be evaluated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum FailurePolicy {
    /// A finding. `Ignore` would turn unknown into yes and is not accepted.
    #[default]
    Fail,
}

fn default_severity() -> Severity {
    Severity::High
}

fn default_mode() -> Mode {
    Mode::Enforce
}
