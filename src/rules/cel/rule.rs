//! A user's rule, compiled: whether it concerns a request, and what it says of it.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::check::{Names, check};
use super::eval::{Run, Scope};
use super::kind::Kind;
use super::meter::Meter;
use super::node::Node;
use super::problem::{Problem, Stop};
use super::scope::UserInput;
use crate::model::{FieldPath, Finding, Hold, Json, Operation, Outlook, Request, Segment, Severity};
use crate::policy::{Mode, ResourceRule, RuleSpec, Validation};

/// A user's rule that was checked as a whole.
#[derive(Debug)]
pub struct UserRule {
    name: String,
    severity: Severity,
    mode: Mode,
    resources: Option<Vec<ResourceRule>>,
    path: FieldPath,
    conditions: Vec<Node>,
    variables: Vec<Node>,
    validations: Vec<Check>,
}

#[derive(Debug)]
struct Check {
    holds: Node,
    message: Option<Node>,
    otherwise: String,
}

/// What one rule found in one request.
#[derive(Debug, Clone, PartialEq)]
pub struct UserFinding {
    /// What it leads to, unless an exception covers it.
    pub mode: Mode,
    /// Whether the stored object had it already, with the same value in that field.
    pub already: bool,
    /// Rule, field, value and message.
    pub finding: Finding,
}

/// The messages of the validations that do not hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct UserAnswer {
    pub(super) messages: Vec<String>,
    pub(super) already: bool,
}

/// Why a rule cannot be put in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule}, {place}: {reason}")]
pub struct RuleProblem {
    /// The rule's name.
    pub rule: String,
    /// Where in its spec.
    pub place: String,
    /// What is outside the subset, or wrong.
    pub reason: String,
}

impl UserRule {
    /// Checks every expression of a rule.
    ///
    /// # Errors
    /// The first place that is outside the subset, by name.
    pub fn compile(spec: &RuleSpec) -> Result<Self, RuleProblem> {
        compile(spec).map_err(|(place, reason)| RuleProblem { rule: spec.name.clone(), place, reason })
    }

    /// The rule's id.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the rule judges such a request in a guarded namespace; `guarded` says whether a profile selects the pod.
    pub(super) fn concerns(&self, request: &Request<'_>, guarded: bool) -> bool {
        let Some(resources) = &self.resources else {
            let pods = (request.resource.group, request.resource.name, request.resource.sub) == ("", "pods", "");
            return pods && guarded && matches!(request.operation, Operation::Create | Operation::Update);
        };
        let sub = request.resource.sub;
        let resource =
            if sub.is_empty() { request.resource.name.to_owned() } else { format!("{}/{sub}", request.resource.name) };
        resources.iter().any(|rule| {
            named(&rule.api_groups, request.resource.group)
                && named(&rule.resources, &resource)
                && named(&rule.operations, request.operation.word())
        })
    }

    /// What the rule says of a request; `interrupt` ends the evaluation, which is then a finding too.
    pub(super) fn answer(&self, input: &UserInput, interrupt: &Arc<AtomicBool>) -> UserAnswer {
        let messages = self.messages(&input.scope, interrupt);
        let already = !messages.is_empty() && self.held_before(input, interrupt);
        UserAnswer { messages, already }
    }

    /// The answer of a rule that could not be evaluated at all.
    pub(super) fn unanswered(&self, reason: &str) -> UserAnswer {
        UserAnswer { messages: vec![format!("rule {} {reason}", self.name)], already: false }
    }

    /// The findings that an answer means for a request.
    pub(super) fn report(&self, answer: UserAnswer, request: &Request<'_>) -> Vec<UserFinding> {
        let found = |object| self.field(object);
        let (now, before) = (found(request.object), found(request.old));
        let already = answer.already && now == before;
        let value = now.map_or_else(|| "absent".to_owned(), Json::to_string);
        let finding = |message| UserFinding { mode: self.mode, already, finding: self.finding(&value, message) };
        answer.messages.into_iter().map(finding).collect()
    }

    /// Whether the stored object broke the rule as well.
    fn held_before(&self, input: &UserInput, interrupt: &Arc<AtomicBool>) -> bool {
        input.stored.as_ref().is_some_and(|stored| {
            let run = &mut self.run(stored, interrupt);
            self.validations.iter().any(|check| run.truth(&check.holds) == Ok(false))
        })
    }

    fn field<'j>(&self, object: Option<&'j Json<'j>>) -> Option<&'j Json<'j>> {
        self.path.segments().iter().try_fold(object?, |value, segment| match segment {
            Segment::Key(key) => value.get(key),
            Segment::Index(_) => None,
        })
    }

    fn finding(&self, value: &str, message: String) -> Finding {
        Finding {
            rule: Cow::Owned(self.name.clone()),
            severity: self.severity,
            hold: Hold::AsProfileSays,
            path: self.path.clone(),
            value: value.to_owned(),
            message,
            remedy: Vec::new(),
            outlook: Outlook::Stays,
            excepted: None,
        }
    }

    fn run<'a>(&'a self, scope: &'a Scope, interrupt: &Arc<AtomicBool>) -> Run<'a> {
        Run::new(scope, &self.variables, Meter::new(STEPS, Arc::clone(interrupt)))
    }

    fn messages(&self, scope: &Scope, interrupt: &Arc<AtomicBool>) -> Vec<String> {
        let run = &mut self.run(scope, interrupt);
        match self.applies(run) {
            Ok(true) => {}
            Ok(false) => return Vec::new(),
            Err(problem) => return vec![self.failed(&problem, "a matchCondition")],
        }
        let mut messages = Vec::new();
        for check in &self.validations {
            match run.truth(&check.holds) {
                Ok(true) => {}
                Ok(false) => messages.push(check.told(run)),
                Err(problem) => messages.push(self.failed(&problem, "an expression")),
            }
        }
        messages
    }

    /// Whether all conditions are true: a false one decides, whatever the others' errors are.
    fn applies(&self, run: &mut Run<'_>) -> Result<bool, Problem> {
        let mut failed = None;
        for condition in &self.conditions {
            match run.truth(condition) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(problem) if problem.is_final() => return Err(problem),
                Err(problem) => failed = failed.or(Some(problem)),
            }
        }
        failed.map_or(Ok(true), Err)
    }

    fn failed(&self, problem: &Problem, what: &str) -> String {
        match problem {
            Problem::Error(reason) => format!("{what} resulted in error: {reason}"),
            Problem::Stopped(Stop::Deadline) => format!("rule {} exceeded its deadline", self.name),
            Problem::Stopped(Stop::TooMuch) => format!("rule {} exceeded its budget of {STEPS} steps", self.name),
        }
    }
}

/// Place and reason of a problem.
type Fault = (String, String);

fn compile(spec: &RuleSpec) -> Result<UserRule, Fault> {
    let counts = [spec.validations.len(), spec.variables.len(), spec.match_conditions.len()];
    if spec.validations.is_empty() || counts.iter().any(|count| *count > MOST) {
        let reason = format!("a rule has 1 to {MOST} validations, and at most {MOST} variables and matchConditions");
        return Err(("spec".to_owned(), reason));
    }
    let mut conditions = Vec::new();
    for condition in &spec.match_conditions {
        let checked = of_kind(&condition.expression, &Names::default(), Kind::Bool);
        conditions.push(checked.map_err(|reason| (format!("matchConditions `{}`", condition.name), reason))?);
    }
    let mut names = Names::default();
    let mut variables = Vec::new();
    for variable in &spec.variables {
        let fault = |reason: String| (format!("variables `{}`", variable.name), reason);
        if names.variables.iter().any(|(name, _)| *name == variable.name) {
            return Err(fault("is defined twice".to_owned()));
        }
        let (node, kind) = check(&variable.expression, &names).map_err(fault)?;
        names.variables.push((variable.name.clone(), kind));
        variables.push(node);
    }
    let validations = spec.validations.iter().enumerate();
    let validations = validations.map(|(place, validation)| Check::compile(validation, place, &names));
    Ok(UserRule {
        name: spec.name.clone(),
        severity: spec.severity,
        mode: spec.mode,
        resources: spec.match_constraints.as_ref().map(|constraints| constraints.resource_rules.clone()),
        path: field_path(spec.field_path.as_deref().unwrap_or("spec")),
        conditions,
        variables,
        validations: validations.collect::<Result<_, _>>()?,
    })
}

impl Check {
    fn compile(validation: &Validation, place: usize, names: &Names) -> Result<Self, Fault> {
        let at = |field: &str| format!("validations[{place}].{field}");
        let holds = of_kind(&validation.expression, names, Kind::Bool).map_err(|reason| (at("expression"), reason))?;
        let message = validation.message_expression.as_ref().map(|source| of_kind(source, names, Kind::Text));
        let message = message.transpose().map_err(|reason| (at("messageExpression"), reason))?;
        let otherwise = match validation.message.as_deref().map(str::trim).filter(|message| !message.is_empty()) {
            Some(message) => message.to_owned(),
            None => format!("failed expression: {}", validation.expression.trim()),
        };
        Ok(Check { holds, message, otherwise })
    }

    /// The message: from its expression where that gives one line of text, the fixed one otherwise.
    fn told(&self, run: &mut Run<'_>) -> String {
        let made = self.message.as_ref().and_then(|node| match run.value(node) {
            Ok(super::value::Value::Text(text)) => Some(text.trim().to_owned()),
            _ => None,
        });
        let usable = |text: &String| !text.is_empty() && text.len() <= MESSAGE && !text.contains('\n');
        made.filter(usable).unwrap_or_else(|| self.otherwise.clone())
    }
}

fn of_kind(source: &str, names: &Names, wanted: Kind) -> Result<Node, String> {
    match check(source, names)? {
        (node, kind) if kind == wanted => Ok(node),
        (_, kind) => Err(format!("must evaluate to {}, not {}", wanted.name(), kind.name())),
    }
}

fn named(list: &[String], name: &str) -> bool {
    list.iter().any(|item| item == "*" || item == name)
}

fn field_path(text: &str) -> FieldPath {
    FieldPath::of(&text.split('.').filter(|key| !key.is_empty()).collect::<Vec<_>>())
}

const MOST: usize = 64;
const MESSAGE: usize = 5 * 1024;
const STEPS: u64 = 2_000_000;
