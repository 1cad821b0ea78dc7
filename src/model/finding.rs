//! What a rule says about an object, and how the object is mended.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{FieldPath, Json};

/// How bad it is when the rule does not hold; words as in the published vulnerability scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good practice.
    Low,
    /// Weakens containment together with something else.
    Medium,
    /// Weakens containment.
    High,
    /// Ends containment.
    Critical,
}

impl Severity {
    /// All of them, the worst first.
    pub const ALL: [Severity; 4] = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low];

    /// As reports and policies write it.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// Whether a profile can soften what a rule finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It always enforces: isolation, gates and identity rest on it.
    Always,
    /// A profile may give it a mode and exceptions.
    AsProfileSays,
}

/// One thing that is wrong with one object: which rule, where, what stands there, what to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Id of the rule; the users' own rules bring their own.
    pub rule: Cow<'static, str>,
    /// As the rule says.
    pub severity: Severity,
    /// As the rule says; [`Hold::Always`] where nobody has said.
    pub hold: Hold,
    /// Where it stands.
    pub path: FieldPath,
    /// What stands there, as JSON and shortened; `absent` for nothing.
    pub value: String,
    /// What is wrong and what to do about it.
    pub message: String,
    /// How the mutating side mends it; empty where there is no safe remedy.
    pub remedy: Vec<Edit>,
    /// Whether it will still be so when pods are made from a template that is judged now.
    pub outlook: Outlook,
    /// The exception that lets it pass.
    pub excepted: Option<Arc<Excepted>>,
}

/// Whom an exception lets pass, who answers for it, why and until when.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Excepted {
    /// The pods, as a pattern of their `app`, or the images.
    pub covers: String,
    /// Who answers for it.
    pub owner: String,
    /// Why it is needed.
    pub reason: String,
    /// The first moment at which it no longer holds.
    pub expires: Timestamp,
}

/// Whether a finding stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// It stays until the object is changed.
    Stays,
    /// Something is not known yet that is going to be.
    MayPass,
}

/// One step of a remedy. Missing parents are made; applying twice is applying once.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// Puts a value there, whatever was there.
    Set(FieldPath, Value),
    /// Adds an item at the end of an array unless an equal one is in it.
    Add(FieldPath, Value),
    /// Takes away a key or an array's item.
    Remove(FieldPath),
}

impl Finding {
    /// A finding of a rule, without a remedy; [`Finding::mended_by`] adds one.
    pub fn new(rule: &'static str, path: FieldPath, value: Option<&Json<'_>>, message: impl Into<String>) -> Self {
        Finding {
            rule: Cow::Borrowed(rule),
            severity: Severity::High,
            hold: Hold::Always,
            path,
            value: value.map_or_else(|| "absent".to_owned(), Json::to_string),
            message: message.into(),
            remedy: Vec::new(),
            outlook: Outlook::Stays,
            excepted: None,
        }
    }

    /// The same finding with a remedy.
    #[must_use]
    pub fn mended_by(mut self, edits: impl IntoIterator<Item = Edit>) -> Self {
        self.remedy.extend(edits);
        self
    }

    /// The same finding, of something that is not known yet.
    #[must_use]
    pub fn expected_to_pass(self) -> Self {
        Finding { outlook: Outlook::MayPass, ..self }
    }

    /// Whether admission mends it.
    pub fn has_remedy(&self) -> bool {
        !self.remedy.is_empty()
    }

    /// Whether it is the same finding on another version of the object: rule, field and value.
    pub fn is_same(&self, other: &Finding) -> bool {
        self.rule == other.rule && self.path == other.path && self.value == other.value
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({}): {}", self.rule, self.path, self.value, self.message)
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Edit::Set(path, value) => write!(f, "set {path} to {value}"),
            Edit::Add(path, value) => write!(f, "add {value} to {path}"),
            Edit::Remove(path) => write!(f, "remove {path}"),
        }
    }
}
