//! The 100 requests recorded from a real API server are answered as `fixtures/recorded-answers.txt` says.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of a test end it like the test itself")]

use std::collections::BTreeSet;
use std::fs;

use flamewarden::model::{Json, parse};
use flamewarden::policy::PolicySet;
use flamewarden::rules::{Case, Judgement, POD_RULES, Target, TargetRef, judge, mend, target_of};
use flamewarden::webhook::Review;

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

#[test]
fn recorded_requests_are_answered_as_the_design_says() {
    let reviews = recorded();
    let by_creator = policies("admin");
    let by_stranger = policies("system:serviceaccount:flame:flame-po");
    let mut answers = Vec::new();
    for (name, text) in &reviews {
        let (mutate, creator) = answer(text, &by_creator, &reviews);
        let (mutate_stranger, stranger) = answer(text, &by_stranger, &reviews);
        let mutate = if mutate == mutate_stranger { mutate } else { format!("{mutate}|{mutate_stranger}") };
        answers.push(format!("{name} | {mutate} | {creator} | {stranger}"));
    }
    let expected: Vec<&str> = ANSWERS.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(expected.len(), 100);
    let differ: Vec<_> = expected.iter().zip(&answers).filter(|(want, got)| *want != got).collect();
    assert!(differ.is_empty(), "expected, answered: {differ:#?}");
    assert_eq!(answers.len(), 100);
}

fn policies(creator: &str) -> PolicySet {
    let installation = INSTALLATION.replace("CREATOR", creator);
    PolicySet::parse([("a", ANALYSIS), ("g", GATEWAY), ("i", installation.as_str())]).unwrap()
}

fn recorded() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/admissionreviews");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let named = |path: &std::path::PathBuf| {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let name = stem.replace("_system-serviceaccount-kube-system-", " by ").replace("_system-", " by ");
        (name.replace("_admin", " by admin").replace('_', " "), fs::read_to_string(path).unwrap())
    };
    files.iter().map(named).collect()
}

/// What both sides say, in the words of the table.
fn answer(text: &str, policies: &PolicySet, reviews: &[(String, String)]) -> (String, String) {
    let review = Review::parse(text.as_bytes()).unwrap();
    let request = review.request().unwrap();
    let stored = target_of(&request, policies).map(|target| stored(&target, reviews));
    let target = stored.as_deref().map(|text| parse(text.as_bytes()).unwrap());
    let target = target.as_ref().map_or(Target::Unneeded, Target::Found);
    let case = Case { policies, target, now: "2026-11-20T18:18:20Z".parse().unwrap() };
    let judgement = judge(&request, &case);
    let patched = request.object.is_some_and(|object| changes(object, &judgement));
    (if patched { "patched" } else { "as-is" }.to_owned(), refusals(&judgement))
}

fn changes(object: &Json<'_>, judgement: &Judgement) -> bool {
    !mend(object, &judgement.remedies).unwrap().0.is_empty()
}

fn refusals(judgement: &Judgement) -> String {
    let is_pod_rule = |id: &str| POD_RULES.iter().any(|rule| rule.id == id);
    let word = |id: &str| if is_pod_rule(id) { "pod-rules".to_owned() } else { id.to_owned() };
    let rules: BTreeSet<String> = judgement.refusals.iter().map(|finding| word(&finding.rule)).collect();
    if rules.is_empty() { "allowed".to_owned() } else { rules.into_iter().collect::<Vec<_>>().join(" ") }
}

/// The object that a request names, as the last recorded write left it.
fn stored(target: &TargetRef<'_>, reviews: &[(String, String)]) -> String {
    let last_write = match target.name {
        "p1" => "023 ",
        "analysis-1-6ccf97bb55-v6n72" => "011 ",
        "analysis-4" => "094 ",
        "nginx-analysis-4" => "099 ",
        name => panic!("no recorded object {name}"),
    };
    let (_, text) = reviews.iter().find(|(name, _)| name.starts_with(last_write)).unwrap();
    let review = parse(text.as_bytes()).unwrap();
    review.at(&["request", "object"]).unwrap().to_value().to_string()
}
