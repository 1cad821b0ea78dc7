//! Webhook, audit and `--fix` answer alike, on everything that is created in recorded requests and in attacks.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::{Engine, engine::general_purpose::STANDARD};
use flamewarden::auditor::{Asker, Auditor, Collection, Mended, Subject};
use flamewarden::facts::{Scan, ScanMemory};
use flamewarden::model::{Digest, ScanOutcome, Verdict};
use flamewarden::policy::PolicySet;
use flamewarden::report;
use flamewarden::rules::{Limits, Workers, judge};
use flamewarden::webhook::{InForce, Side, Webhook};
use jiff::Timestamp;
use json_patch::Patch;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::FILES;

const CREATOR: &str = "system:serviceaccount:flame:flame-po";

/// Objects that were created by somebody on a real API server, in the guarded namespace now.
fn created() -> Vec<(String, Value)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/admissionreviews");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let mut review: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let request = &mut review["request"];
        if request["operation"] != "CREATE" || !request["subResource"].is_null() {
            continue;
        }
        request["namespace"] = json!("flame");
        request["userInfo"] = json!({"username": CREATOR, "groups": []});
        request["object"]["metadata"]["namespace"] = json!("flame");
        // What the API server keeps of writers is nothing that anybody sends, and is not read.
        request["object"]["metadata"].as_object_mut().unwrap().remove("managedFields");
        found.push((file.file_stem().unwrap().to_str().unwrap().to_owned(), review));
    }
    found
}

/// The same pods with something that is refused, and with something that is missing.
fn changed(found: &[(String, Value)]) -> Vec<(String, Value)> {
    let pods = || found.iter().filter(|(_, review)| review["request"]["resource"]["resource"] == "pods");
    let mut changed = Vec::new();
    for (pointer, value) in [
        ("/spec/hostNetwork", json!(true)),
        ("/spec/madeUp", json!(1)),
        ("/spec/containers/0/securityContext", json!({"privileged": true})),
        ("/spec/containers/0/image", json!("elsewhere.example/x:1")),
        ("/spec/imagePullSecrets", json!([{"name": "another"}])),
        ("/spec/serviceAccountName", json!("default")),
        ("/metadata/labels", json!({"component": "flame-analysis", "app": "analysis-1", "k8s-app": "dns"})),
    ] {
        for (name, review) in pods() {
            let mut review = review.clone();
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            review["request"]["object"].pointer_mut(parent).unwrap()[key] = value.clone();
            changed.push((format!("{name} with {pointer}"), review));
        }
    }
    changed
}

fn webhook(policies: &PolicySet, images: &[String]) -> Webhook {
    let memory = ScanMemory::default();
    let verdict = Verdict::new(ScanOutcome::Pass, Vec::new(), None);
    for image in images {
        let verdicts = policies.profiles().map(|profile| (profile.scan_hash(), verdict.clone())).to_vec();
        let scan = Scan { verdicts, tags: vec![(image.clone(), Timestamp::MAX)], ..Scan::default() };
        memory.change(|scans| scans.put(Digest::of(image.as_bytes()), scan));
    }
    Webhook {
        in_force: Arc::new(ArcSwap::from_pointee(InForce::new(Arc::new(policies.clone())).unwrap())),
        judge,
        targets: None,
        scans: Arc::new(memory),
        workers: Workers::start(Limits::default()),
    }
}

async fn asked(webhook: &Webhook, side: Side, review: &Value) -> Value {
    let reply = webhook.answer(side, review.to_string().as_bytes(), Instant::now() + Duration::from_secs(30)).await;
    serde_json::to_value(&reply.answer).unwrap()["response"].take()
}

/// The object as the mutating side leaves it, and whether the validating side lets it in.
async fn admitted(webhook: &Webhook, review: &Value) -> (Value, bool) {
    let mut review = review.clone();
    let mutated = asked(webhook, Side::Mutate, &review).await;
    if let Some(patch) = mutated["patch"].as_str() {
        let patch: Patch = serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap();
        json_patch::patch(&mut review["request"]["object"], &patch).unwrap();
    }
    let allowed = mutated["allowed"] == true && asked(webhook, Side::Validate, &review).await["allowed"] == true;
    (review["request"]["object"].clone(), allowed)
}

#[tokio::test]
async fn on_every_fixture_webhook_audit_and_fix_agree() {
    let policies = PolicySet::parse(FILES).unwrap();
    let mut fixtures = created();
    fixtures.extend(changed(&fixtures));
    let images: Vec<String> = fixtures
        .iter()
        .flat_map(|(_, review)| {
            [&review["request"]["object"]["spec"], &review["request"]["object"]["spec"]["template"]["spec"]]
        })
        .flat_map(|spec| spec["containers"].as_array().into_iter().flatten())
        .filter_map(|container| container["image"].as_str().map(str::to_owned))
        .collect();
    let webhook = webhook(&policies, &images);
    let asker = Asker { user: CREATOR.to_owned(), ..Asker::default() };
    let now = "2026-11-22T00:00:00Z".parse().unwrap();
    let auditor = Auditor::new(&policies, asker, now).unwrap();
    let (mut refused, mut mended) = (0, 0);
    for (name, review) in &fixtures {
        let object = &review["request"]["object"];
        let (stored, allowed) = admitted(&webhook, review).await;
        let subject = || Subject { place: None, json: object.to_string() };
        let mut collection = Collection::new(report::Subject::Files);
        collection.take(Ok(subject()), &auditor);
        let (report, _) = collection.report(&policies, now);
        assert_eq!(report.summary.refused == 0, allowed, "{name}: {:#?}", report.findings);
        let mut fixed = Mended::default();
        fixed.take(&subject(), &auditor);
        let [fixed] = fixed.objects() else { panic!("{name}: one object is one object") };
        if review["request"]["resource"]["resource"] == "pods" && allowed {
            assert_eq!(without_pins(fixed), without_pins(&stored), "{name}");
        }
        let mut fixed_review = review.clone();
        fixed_review["request"]["object"] = fixed.clone();
        assert_eq!(admitted(&webhook, &fixed_review).await.1, allowed, "{name}");
        mended += usize::from(fixed != object);
        refused += usize::from(!allowed);
    }
    assert!(fixtures.len() >= 30 && refused >= 10 && mended >= 5, "{} {refused} {mended}", fixtures.len());
}

/// Without what only a cluster's scans can tell.
fn without_pins(object: &Value) -> Value {
    let mut object = object.clone();
    for container in object["spec"]["containers"].as_array_mut().into_iter().flatten() {
        if let Some((tag, _)) = container["image"].as_str().and_then(|image| image.split_once("@sha256:")) {
            container["image"] = json!(tag);
        }
    }
    object
}
