//! What stands in `attacks/*.yaml`: attacks by threat, and what is good by rule.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::caller::PatchKind;

/// The attacks on one row of threats.md, as `rows.txt` has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    threat: String,
    attacks: Vec<Trial>,
}

/// What one rule must let through, near to what it refuses.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GoodRow {
    rule: String,
    good: Vec<Trial>,
}

/// One attack or one good thing: a pod for all makers, or one request, or nothing that admission could see.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trial {
    pub(super) id: String,
    /// The threat that it is an attack of, or the rule that lets it through.
    #[serde(skip)]
    pub(super) of: String,
    #[serde(default = "attacked")]
    pub(super) namespace: String,
    /// Merged over a good analysis; made by all eight makers. `{app}` is its `app`, `{id}` the name of its maker.
    pub(super) pod: Option<Value>,
    /// Merged over the good analysis's container.
    pub(super) container: Option<Value>,
    /// Requests by the administrator that prepare the field; they must succeed. A `get` or dry run is tried until it does.
    #[serde(default)]
    pub(super) given: Vec<Request>,
    /// The pod that is attacked, and how far it has come.
    #[serde(default)]
    pub(super) victim: Victim,
    pub(super) request: Option<Request>,
    /// What comes of the bare pod, where that is not what comes of the pods in templates.
    pub(super) bare: Option<Expect>,
    pub(super) expect: Expect,
}

impl Trial {
    /// What is tried, without its name and what must come of it; none where admission sees nothing to try.
    pub(super) fn substance(&self) -> Option<String> {
        let tried = !matches!(self.expect, Expect::Invisible(_));
        let substance = (&self.namespace, &self.pod, &self.container, &self.given, self.victim, &self.request);
        tried.then(|| format!("{substance:?}"))
    }

    /// All that is expected of it.
    pub(super) fn expectations(&self) -> impl Iterator<Item = &Expect> {
        self.bare.iter().chain([&self.expect])
    }
}

/// A request to the API server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    /// Who asks, if not the namespace's editor.
    pub(super) by: Option<Caller>,
    pub(super) verb: Verb,
    /// Below the namespace, `pods/{victim}/status`; or absolute, beginning with `/`.
    pub(super) path: String,
    pub(super) body: Option<Value>,
    #[serde(default = "merge")]
    pub(super) patch: PatchKind,
}

/// A user and groups.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Caller {
    pub(super) user: String,
    #[serde(default)]
    pub(super) groups: Vec<String>,
    /// Who really asks and impersonates this user, as far as RBAC lets them. Without, it is as if the user had asked.
    pub(super) impersonated_by: Option<String>,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verb {
    Get,
    Create,
    Patch,
    Delete,
}

/// How far the attacked pod has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Victim {
    /// There is none.
    #[default]
    None,
    /// It waits behind its gate.
    Gated,
    /// Its gate was lifted, and it runs.
    Running,
    /// It is no analysis but a gateway, and runs.
    Gateway,
}

/// What is to come of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Expect {
    /// This rule refuses; nothing is stored or changed.
    Refused(String),
    /// This rule mends; the stored pod has these values at these JSON pointers.
    Mended { by: String, stored: Map<String, Value> },
    /// It is let through, and what it asks for is done; says why.
    Allowed(String),
    /// It is let through as it is: the pod, or what stands `at` a path then, has these values.
    Stored { at: Option<String>, has: Map<String, Value> },
    /// It is let through, and what stood at this path is gone.
    Gone { at: String },
    /// Somebody else stops it, with this code and text.
    Stopped { by: String, code: u16, says: String },
    /// Admission never sees it; says who stops it.
    Invisible(String),
}

impl Expect {
    /// The rule that it rests on, if it is one of ours.
    pub(super) fn rule(&self) -> Option<&str> {
        match self {
            Expect::Refused(rule) | Expect::Mended { by: rule, .. } => Some(rule),
            _ => None,
        }
    }

    /// What the row gives as the reason or as who stops it, where no rule of ours does.
    pub(super) fn reason(&self) -> Option<&str> {
        match self {
            Expect::Stopped { by, .. } => Some(by),
            Expect::Allowed(reason) | Expect::Invisible(reason) => Some(reason),
            _ => None,
        }
    }
}

/// All attacks of all files.
pub(super) fn attacks() -> Vec<Trial> {
    [shared_attacks(), lab_attacks()].concat()
}

/// The attacks on the shared installation.
pub(super) fn shared_attacks() -> Vec<Trial> {
    of_files(&[
        ("identity.yaml", include_str!("identity.yaml")),
        ("requests.yaml", include_str!("requests.yaml")),
        ("pods.yaml", include_str!("pods.yaml")),
        ("network.yaml", include_str!("network.yaml")),
    ])
}

/// The attacks on one with stricter policies and with other networks' kinds.
pub(super) fn lab_attacks() -> Vec<Trial> {
    of_files(&[("lab.yaml", include_str!("lab.yaml"))])
}

fn of_files(files: &[(&str, &str)]) -> Vec<Trial> {
    let rows = files.iter().flat_map(|(name, text)| read::<Row>(name, text));
    rows.flat_map(|row| named(&row.threat, row.attacks)).collect()
}

/// All that must be let through.
pub(super) fn good_ones() -> Vec<Trial> {
    let rows: Vec<GoodRow> = read("good.yaml", include_str!("good.yaml"));
    rows.into_iter().flat_map(|row| named(&row.rule, row.good)).collect()
}

fn read<T: DeserializeOwned>(name: &str, text: &str) -> Vec<T> {
    serde_saphyr::from_str(text).unwrap_or_else(|problem| panic!("{name}: {problem}"))
}

fn named(of: &str, trials: Vec<Trial>) -> Vec<Trial> {
    trials.into_iter().map(|trial| Trial { of: of.to_owned(), ..trial }).collect()
}

/// A value with the attack's own names put in.
pub(super) fn filled(value: &Value, names: &[(&str, &str)]) -> Value {
    let fill = |text: &str| names.iter().fold(text.to_owned(), |text, (key, name)| text.replace(key, name));
    match value {
        Value::String(text) => Value::String(fill(text)),
        Value::Array(items) => items.iter().map(|item| filled(item, names)).collect(),
        Value::Object(members) => members.iter().map(|(key, item)| (fill(key), filled(item, names))).collect(),
        other => other.clone(),
    }
}

fn attacked() -> String {
    "flame-attacks".to_owned()
}

fn merge() -> PatchKind {
    PatchKind::Merge
}
