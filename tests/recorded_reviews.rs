//! The 100 requests recorded from a real API server are answered by both sides as `fixtures/recorded-answers.txt` says.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of a test end it like the test itself"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::{Engine, engine::general_purpose::STANDARD};
use flamewarden::facts::{Scan, ScanMemory};
use flamewarden::model::{Digest, ScanOutcome, Verdict};
use flamewarden::policy::PolicySet;
use flamewarden::rules::{Limits, TargetRef, Workers, judge};
use flamewarden::webhook::{InForce, Looked, Reply, Side, Targets, Webhook};
use futures::future::{BoxFuture, ready};
use jiff::Timestamp;
use json_patch::Patch;
use serde_json::Value;
use tokio::time::Instant;

const ANALYSIS: &str = include_str!("../policies/flame-analysis.yaml");
const GATEWAY: &str = include_str!("../policies/flame-gateway.yaml");
const ANSWERS: &str = include_str!("fixtures/recorded-answers.txt");
const INSTALLATION: &str = r#"
apiVersion: flamewarden.dev/v1alpha1
kind: Installation
spec:
  namespaces: [{name: default, tenancy: shared}]
  analysisRegistries: [harbor.example/node]
  gatewayImages: ["nginx:1.29.8"]
  creators: ["CREATOR"]
"#;

/// Names as the table has them, with the texts.
static RECORDED: LazyLock<Vec<(String, String)>> = LazyLock::new(recorded);

#[tokio::test]
async fn recorded_requests_are_answered_as_the_design_says() {
    let by_creator = webhook("admin");
    let by_stranger = webhook("system:serviceaccount:flame:flame-po");
    let mut answers = Vec::new();
    for (name, text) in RECORDED.iter() {
        let [mutate, other] = [mutated(&by_creator, text).await, mutated(&by_stranger, text).await];
        let mutate = if mutate == other { mutate } else { format!("{mutate}|{other}") };
        let [creator, stranger] = [validated(&by_creator, text).await, validated(&by_stranger, text).await];
        answers.push(format!("{name} | {mutate} | {creator} | {stranger}"));
    }
    let expected: Vec<&str> = ANSWERS.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(expected.len(), 100);
    let differ: Vec<_> = expected.iter().zip(&answers).filter(|(want, got)| *want != got).collect();
    assert!(differ.is_empty(), "expected, answered: {differ:#?}");
    assert_eq!(answers.len(), 100);
}

fn webhook(creator: &str) -> Webhook {
    let installation = INSTALLATION.replace("CREATOR", creator);
    let policies = PolicySet::parse([("a", ANALYSIS), ("g", GATEWAY), ("i", installation.as_str())]).unwrap();
    let images = ["analysis:1", "analysis:2", "image:1"].map(|name| format!("harbor.example/node/{name}"));
    let scans = passing(&images, &policies);
    Webhook {
        in_force: Arc::new(ArcSwap::from_pointee(InForce::new(Arc::new(policies)).unwrap())),
        judge,
        targets: Some(Box::new(LastWrites)),
        scans: Arc::new(scans),
        workers: Workers::start(Limits::default()),
    }
}

/// Those tags stand for bytes that have passed.
fn passing(images: &[String], policies: &PolicySet) -> ScanMemory {
    let memory = ScanMemory::default();
    let verdict = Verdict::new(ScanOutcome::Pass, Vec::new(), None);
    for image in images {
        let verdicts = vec![(policies.analysis.scan_hash(), verdict.clone())];
        let scan = Scan { verdicts, tags: vec![(image.clone(), Timestamp::MAX)], ..Scan::default() };
        memory.change(|scans| scans.put(Digest::of(image.as_bytes()), scan));
    }
    memory
}

fn recorded() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/admissionreviews");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let named = |path: &PathBuf| {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let name = stem.replace("_system-serviceaccount-kube-system-", " by ").replace("_system-", " by ");
        (name.replace("_admin", " by admin").replace('_', " "), fs::read_to_string(path).unwrap())
    };
    files.iter().map(named).collect()
}

/// What /mutate says, and where it patches, what /validate says of the object that comes of it.
async fn mutated(webhook: &Webhook, text: &str) -> String {
    let reply = webhook.answer(Side::Mutate, text.as_bytes(), Instant::now() + PATIENCE).await;
    let answer = told(&reply);
    if answer["allowed"] != true {
        return rules(&reply);
    }
    let Some(patch) = answer["patch"].as_str() else { return "as-is".to_owned() };
    let patch: Patch = serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap();
    let mut review: Value = serde_json::from_str(text).unwrap();
    json_patch::patch(&mut review["request"]["object"], &patch).unwrap();
    format!("patched: {}", validated(webhook, &review.to_string()).await)
}

async fn validated(webhook: &Webhook, text: &str) -> String {
    let reply = webhook.answer(Side::Validate, text.as_bytes(), Instant::now() + PATIENCE).await;
    if told(&reply)["allowed"] == true { "allowed".to_owned() } else { rules(&reply) }
}

/// The response as it goes over the wire, without its warnings.
fn told(reply: &Reply) -> Value {
    serde_json::to_value(&reply.answer).unwrap()["response"].take()
}

/// The rules that the message names, one a line below the first; log and metric name the same ones.
fn rules(reply: &Reply) -> String {
    let answer = told(reply);
    let lines = answer["status"]["message"].as_str().unwrap().lines().skip(1);
    let rules: BTreeSet<String> = lines.map(|line| line.split(": ").next().unwrap().to_owned()).collect();
    assert_eq!(reply.record.notice.as_ref().unwrap().rules, rules);
    rules.into_iter().collect::<Vec<_>>().join(" ")
}

/// The objects that requests name, each as the last recorded write left it.
struct LastWrites;

impl Targets for LastWrites {
    fn read<'a>(&'a self, target: TargetRef<'a>) -> BoxFuture<'a, Looked> {
        let last_write = match target.name {
            "p1" => "023 ",
            "analysis-1-6ccf97bb55-v6n72" => "011 ",
            "analysis-4" => "094 ",
            "nginx-analysis-4" => "099 ",
            name => panic!("no recorded object {name}"),
        };
        let (_, text) = RECORDED.iter().find(|(name, _)| name.starts_with(last_write)).unwrap();
        let review: Value = serde_json::from_str(text).unwrap();
        Box::pin(ready(Looked::Found(review["request"]["object"].to_string())))
    }
}

const PATIENCE: Duration = Duration::from_secs(60);
