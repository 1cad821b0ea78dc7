//! One finding in a report: on which object, where, by which rule, and what becomes of it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::Since;
use crate::model::{Excepted, Severity};

/// One finding and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Where the object was read; none of an object of the cluster.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// The object.
    pub object: Arc<Object>,
    /// What was found, which is the same on many objects; read as the entry's own.
    #[serde(flatten)]
    pub told: Arc<Told>,
    /// What becomes of it.
    pub outcome: Outcome,
    /// The exception that lets it pass.
    #[serde(default)]
    pub excepted: Option<Arc<Excepted>>,
    /// Whether it is new; none without a baseline.
    #[serde(default)]
    pub since: Option<Since>,
}

/// What was found on an object, apart from which one that is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// The rule.
    pub rule: Arc<str>,
    /// How bad it is.
    pub severity: Severity,
    /// Where it stands in the object.
    pub path: Arc<str>,
    /// What stands there.
    pub value: Arc<str>,
    /// What is wrong and what to do.
    pub message: Arc<str>,
    /// What mends it, step by step; empty where nothing does so safely.
    #[serde(default)]
    pub remedy: Arc<[String]>,
}

/// Where in the files an object stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// The file; `-` for standard input.
    pub file: Arc<str>,
    /// The document in it, from 1.
    pub document: usize,
    /// The line where that document begins.
    pub line: u64,
}

/// An object by what names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Object {
    /// `v1`, `apps/v1`.
    pub api_version: String,
    /// `Pod`
    pub kind: String,
    /// Empty of an object of the whole cluster.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Of an object that the API server is to name, the beginning and `*`.
    pub name: String,
    /// The API server's id; empty of an object of a file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

/// What becomes of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// It stands in the cluster, against what the policies say.
    #[serde(rename = "violated")]
    Violated,
    /// The object is refused when it is sent to the API server.
    #[serde(rename = "refused")]
    Refused,
    /// The mutating side mends it, or the pods that come of a template.
    #[serde(rename = "mended at admission")]
    Mended,
    /// The object is admitted with a warning.
    #[serde(rename = "warning")]
    Warning,
    /// The object is admitted; the finding is kept: a rule in audit mode, or an exception.
    #[serde(rename = "reported")]
    Reported,
}

/// By which the same finding is known in another report: group, kind, namespace, name, rule, field and value, as far as
/// an UPDATE would call it the same. 128 bits of their SHA-256, in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint(String);

impl Outcome {
    /// As the report writes it.
    pub fn words(self) -> &'static str {
        match self {
            Outcome::Violated => "violated",
            Outcome::Refused => "refused",
            Outcome::Mended => "mended at admission",
            Outcome::Warning => "warning",
            Outcome::Reported => "reported",
        }
    }

    /// Whether containment does not hold, or would not be let in.
    pub fn fails(self) -> bool {
        matches!(self, Outcome::Violated | Outcome::Refused)
    }
}

impl Object {
    /// The API group; empty of the core.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "{} {}", self.kind, self.name),
            namespace => write!(f, "{} {namespace}/{}", self.kind, self.name),
        }
    }
}

impl Deref for Entry {
    type Target = Told;

    fn deref(&self) -> &Told {
        &self.told
    }
}

impl Entry {
    /// By which it is known in other reports.
    pub fn fingerprint(&self) -> Fingerprint {
        let object = &self.object;
        let parts =
            [object.group(), &object.kind, &object.namespace, &object.name, &self.rule, &self.path, &self.value];
        let mut hash = Sha256::new();
        for part in parts {
            // Lengths keep one part's end from being another's beginning.
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        Fingerprint(hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }

    /// The remedy in one line; empty where there is none.
    pub fn remedy_line(&self) -> String {
        self.remedy.join("; ")
    }
}

impl Fingerprint {
    /// Its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, writer: S) -> Result<S::Ok, S::Error> {
        /// The same with its fingerprint, which is not kept.
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Written<'a> {
            fingerprint: Fingerprint,
            #[serde(flatten)]
            place: &'a Option<Place>,
            object: &'a Object,
            rule: &'a str,
            severity: Severity,
            path: &'a str,
            value: &'a str,
            message: &'a str,
            outcome: Outcome,
            #[serde(skip_serializing_if = "<[String]>::is_empty")]
            remedy: &'a [String],
            #[serde(skip_serializing_if = "Option::is_none")]
            excepted: Option<&'a Excepted>,
            #[serde(skip_serializing_if = "Option::is_none")]
            since: Option<Since>,
        }
        let written = Written {
            fingerprint: self.fingerprint(),
            place: &self.place,
            object: &self.object,
            rule: &self.rule,
            severity: self.severity,
            path: &self.path,
            value: &self.value,
            message: &self.message,
            outcome: self.outcome,
            remedy: &self.remedy,
            excepted: self.excepted.as_deref(),
            since: self.since,
        };
        written.serialize(writer)
    }
}
