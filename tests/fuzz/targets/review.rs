//! AdmissionReviews: both sides answer whatever comes; what the mutating side mends, it finds nothing to mend in again,
//! and what the validating side still finds has no remedy.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::STANDARD};
use flamewarden::model::parse;
use flamewarden::policy::PolicySet;
use flamewarden::rules::{Case, ScanKnowledge, Target as Named, judge};
use flamewarden::webhook::{Review, Side, answer_alone};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ANALYSIS, GATEWAY, INSTALLATION, Target, recorded};

pub(super) const TARGET: Target = Target { name: "review", seeds, attempt };

static POLICIES: LazyLock<PolicySet> = LazyLock::new(|| {
    PolicySet::parse([("analysis.yaml", ANALYSIS), ("gateway.yaml", GATEWAY), ("installation.yaml", INSTALLATION)])
        .unwrap()
});

fn attempt(input: &[u8]) -> String {
    let mutating = answered(Side::Mutate, input);
    let validating = answered(Side::Validate, input);
    if let Some(patch) = mutating["response"]["patch"].as_str() {
        let patch = serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap();
        mended(input, &patch);
    }
    let response = &validating["response"];
    let refused_by = response["auditAnnotations"]["refused-by"].as_str();
    let said = || shape(response["status"]["message"].as_str().unwrap_or_default());
    let patched = mutating["response"]["patch"].is_string();
    format!("{patched} {}", refused_by.map_or_else(said, str::to_owned))
}

/// The answer of one side, which bears the request's own uid where there is one.
fn answered(side: Side, input: &[u8]) -> Value {
    let answer = answer_alone(side, input, &POLICIES, now()).answer;
    let value = serde_json::to_value(&answer).unwrap();
    assert_eq!((&value["kind"], &value["apiVersion"]), (&json!("AdmissionReview"), &json!("admission.k8s.io/v1")));
    assert_eq!(value["response"]["allowed"], json!(answer.is_allowed()));
    if let Some(uid) = Review::parse(input).ok().and_then(|review| review.uid().map(str::to_owned)) {
        assert_eq!(value["response"]["uid"], json!(uid));
    }
    value
}

fn mended(input: &[u8], patch: &json_patch::Patch) {
    let mut review = parse(input).unwrap().to_value();
    json_patch::patch(&mut review["request"]["object"], patch).unwrap();
    let text = review.to_string().into_bytes();
    let again = &answered(Side::Mutate, &text)["response"];
    assert_eq!(again["patch"], Value::Null, "the mended object is mended again: {review}");
    let parsed = Review::parse(&text).unwrap();
    let request = parsed.request().unwrap();
    let judgement = judge(
        &request,
        &Case { policies: &POLICIES, target: Named::Unread, scans: ScanKnowledge::OutOfReach, now: now() },
    );
    let left: Vec<_> = judgement.refusals.iter().filter(|finding| finding.has_remedy()).collect();
    assert!(left.is_empty(), "refused for what has a remedy: {left:?}");
}

/// A message without what it quotes.
fn shape(message: &str) -> String {
    let words: Vec<&str> =
        message.split(' ').filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase())).collect();
    words.join(" ")
}

fn now() -> Timestamp {
    "2026-11-20T18:18:20Z".parse().unwrap()
}

/// What was recorded, and the same with the identity of an analysis or its gateway in a namespace that is guarded.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = recorded();
    let guarded: Vec<Vec<u8>> = seeds
        .iter()
        .filter_map(|seed| {
            let mut review: Value = serde_json::from_slice(seed).unwrap();
            let labels = review.pointer_mut("/request/object/metadata")?.as_object_mut()?;
            labels.insert("labels".to_owned(), json!({"component": "flame-analysis", "app": "analysis-1"}));
            Some(review.to_string().into_bytes())
        })
        .collect();
    seeds.extend(guarded);
    seeds
}
