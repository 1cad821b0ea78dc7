//! Policies' tests: requests, each with the answer expected of it, and those whose answer is another.

use std::collections::{BTreeMap, BTreeSet};

use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation, jsonptr::PointerBuf};
use serde::Deserialize;
use serde_json::Value;

use super::examine::{Auditor, Decision};
use crate::model::{Operation, Request, Resource, User, parse, yaml_problem};
use crate::rules::Target;

/// A file of tests: `kind: PolicyTest` of `flamewarden.dev/v1alpha1`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    #[serde(rename = "apiVersion")]
    _version: Version,
    #[serde(rename = "kind")]
    _kind: Kind,
    /// Objects that cases start from, by name.
    #[serde(default)]
    bases: BTreeMap<String, Value>,
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
enum Version {
    #[serde(rename = "flamewarden.dev/v1alpha1")]
    V1Alpha1,
}

#[derive(Debug, Deserialize)]
enum Kind {
    PolicyTest,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// The rule that the case is an example of.
    #[serde(default)]
    about: Option<String>,
    request: Asked,
    expect: Expected,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    #[serde(default = "create")]
    operation: String,
    /// `pods`, `pods/exec`, `deployments.apps`.
    resource: String,
    /// Where the object does not say it.
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    user: String,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    object: Option<Value>,
    #[serde(default)]
    old_object: Option<Value>,
    /// The stored object that the request names; without one it could not be read.
    #[serde(default)]
    target: Option<Value>,
    /// Names the base that it is.
    #[serde(default)]
    target_base: Option<String>,
    #[serde(default)]
    options: Option<Value>,
    /// Names the base that the object is, changed by `set`.
    #[serde(default)]
    base: Option<String>,
    /// Names the base that the old object is.
    #[serde(default)]
    old_base: Option<String>,
    /// Values by JSON pointer; null takes away.
    #[serde(default)]
    set: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    decision: Decision,
    /// Exactly the rules that refuse, mend or warn, as the decision is.
    #[serde(default)]
    rules: BTreeSet<String>,
}

/// A case whose answer is not the one expected.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// Name of the case.
    pub case: String,
    /// Decision and rules.
    pub expected: String,
    /// Decision and rules, or why there are none.
    pub got: String,
}

/// Why a file of tests cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum TestProblem {
    /// It is no such file; says where.
    #[error("test file {file}: {reason}")]
    Document {
        /// The file.
        file: String,
        /// Line, column and reason.
        reason: String,
    },
}

impl CaseFile {
    /// Reads a file of tests.
    ///
    /// # Errors
    /// The first problem, with its line.
    pub fn parse(file: &str, text: &str) -> Result<Self, TestProblem> {
        serde_saphyr::from_str(text)
            .map_err(|problem| TestProblem::Document { file: file.to_owned(), reason: yaml_problem(&problem) })
    }

    /// How many cases it has.
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// The rules that cases are about, each with whether it is expected to find something there.
    pub fn subjects(&self) -> impl Iterator<Item = (&str, bool)> {
        self.cases.iter().filter_map(|case| {
            let about = case.about.as_deref()?;
            Some((about, case.expect.rules.contains(about)))
        })
    }
}

/// The cases whose answer is not the one expected.
pub fn run_cases(file: &CaseFile, auditor: &Auditor<'_>) -> Vec<Failure> {
    let failures = file.cases.iter().filter_map(|case| {
        let expected = shown(case.expect.decision, &case.expect.rules);
        let got = match answer(case, &file.bases, auditor) {
            Ok((decision, rules)) => shown(decision, &rules),
            Err(reason) => format!("no answer: {reason}"),
        };
        (got != expected).then(|| Failure { case: case.name.clone(), expected, got })
    });
    failures.collect()
}

fn answer(
    case: &Case,
    bases: &BTreeMap<String, Value>,
    auditor: &Auditor<'_>,
) -> Result<(Decision, BTreeSet<String>), String> {
    let asked = &case.request;
    let base = |name: &Option<String>| match name {
        Some(name) => bases.get(name).cloned().map(Some).ok_or_else(|| format!("there is no base `{name}`")),
        None => Ok(None),
    };
    let object = match asked.object.clone().or(base(&asked.base)?) {
        Some(object) => Some(changed(object, &asked.set)?),
        None => None,
    };
    let old = asked.old_object.clone().or(base(&asked.old_base)?);
    let target = asked.target.clone().or(base(&asked.target_base)?);
    let texts = [&object, &old, &asked.options, &target].map(|value| value.as_ref().map(Value::to_string));
    let mut trees = Vec::new();
    for text in &texts {
        let tree = text.as_ref().map(|text| parse(text.as_bytes())).transpose();
        trees.push(tree.map_err(|problem| problem.to_string())?);
    }
    let [object, old, options, target] = trees.as_slice() else { return Err("internal".to_owned()) };
    let (object, old) = (object.as_ref(), old.as_ref());
    let named = |key: &str| [object, old].into_iter().flatten().find_map(|it| it.text_at(&["metadata", key]));
    let (resource, sub) = asked.resource.split_once('/').unwrap_or((&asked.resource, ""));
    let (name, group) = resource.split_once('.').unwrap_or((resource, ""));
    let request = Request {
        uid: "",
        operation: Operation::parse(&asked.operation).ok_or_else(|| format!("no operation `{}`", asked.operation))?,
        resource: Resource { group, name, sub },
        name: asked.name.as_deref().or_else(|| named("name")).unwrap_or_default(),
        namespace: asked.namespace.as_deref().or_else(|| named("namespace")).unwrap_or_default(),
        user: User { name: &asked.user, groups: asked.groups.iter().map(String::as_str).collect() },
        object,
        old,
        options: options.as_ref(),
        dry_run: false,
    };
    let target = target.as_ref().map_or(Target::Unread, Target::Found);
    Ok(auditor.verdict(&request, target).answer())
}

fn changed(mut object: Value, set: &BTreeMap<String, Value>) -> Result<Value, String> {
    let mut operations = Vec::new();
    for (pointer, value) in set {
        let path = PointerBuf::parse(pointer.clone()).map_err(|_| format!("`{pointer}` is no JSON pointer"))?;
        operations.push(match value {
            Value::Null => PatchOperation::Remove(RemoveOperation { path }),
            value => PatchOperation::Add(AddOperation { path, value: value.clone() }),
        });
    }
    json_patch::patch(&mut object, &Patch(operations)).map_err(|problem| format!("cannot set: {problem}"))?;
    Ok(object)
}

fn shown(decision: Decision, rules: &BTreeSet<String>) -> String {
    if rules.is_empty() {
        return decision.word().to_owned();
    }
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    format!("{} by {}", decision.word(), rules.join(", "))
}

fn create() -> String {
    Operation::Create.word().to_owned()
}
