//! The targets: what each does with an input, and with which inputs it begins.

mod attached;
mod image;
mod mend;
mod policies;
mod report;
mod review;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// One target.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// What the mutations begin with.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
    /// Panics where something that must hold does not; otherwise tells in a few words what became of the input. An
    /// input with which something new became is mutated further.
    pub(crate) attempt: fn(&[u8]) -> String,
}

/// Every target.
pub(crate) const TARGETS: [Target; 6] =
    [review::TARGET, image::TARGET, policies::TARGET, mend::TARGET, report::TARGET, attached::TARGET];

/// The recorded AdmissionReviews.
fn recorded() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/admissionreviews");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

const ANALYSIS: &str = include_str!("../../policies/flame-analysis.yaml");
const GATEWAY: &str = include_str!("../../policies/flame-gateway.yaml");
/// Guards the namespace of the recorded reviews.
const INSTALLATION: &str = include_str!("../fixtures/installation.yaml");

/// Words of all JSON seeds, of the shipped files, and of the fields of pods.
pub(crate) fn words() -> Vec<String> {
    let mut words: BTreeSet<String> = MORE_WORDS.iter().map(|&word| word.to_owned()).collect();
    for seed in recorded() {
        collect(&serde_json::from_slice(&seed).unwrap(), &mut words);
    }
    collect(&serde_json::from_str(include_str!("../fixtures/grype/report.json")).unwrap(), &mut words);
    let fields = include_str!("../fixtures/pod-fields/fields.tsv");
    let texts = [ANALYSIS, GATEWAY, INSTALLATION, fields, policies::RULES].join("\n");
    let parts = texts.split(|c: char| !c.is_alphanumeric() && !"./-_".contains(c));
    words.extend(parts.filter(|part| !part.is_empty() && part.len() < 60).map(str::to_owned));
    words.into_iter().collect()
}

fn collect(value: &Value, words: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.len() < 200 => drop(words.insert(text.clone())),
        Value::Array(items) => items.iter().for_each(|item| collect(item, words)),
        Value::Object(members) => members.iter().for_each(|(key, member)| {
            words.insert(key.clone());
            collect(member, words);
        }),
        _ => {}
    }
}

const MORE_WORDS: &[&str] = &[
    "flame-analysis",
    "flame-analysis-nginx",
    "analysis-1",
    "nginx-analysis-1",
    "flamewarden.dev/network-policy",
    "flamewarden.dev/isolation",
    "harbor.example/node/image:1",
    "@sha256:",
    "ephemeralContainers",
    "initContainers",
    "resourceVersion",
    "deletionTimestamp",
    "DELETE",
    "CONNECT",
    "&a [*a, *a]",
    "!!binary",
    "<<: *a",
    "? ",
    "--- ",
    "object.spec.containers.all(c, has(c.image))",
    "quantity('1Gi')",
    ".matches('(a*)*$')",
];
