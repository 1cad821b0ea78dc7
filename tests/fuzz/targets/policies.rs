//! Policy files and users' rules: read and compiled or refused; with what is in force, reviews are answered.

use std::sync::{Arc, LazyLock};

use flamewarden::policy::PolicySet;
use flamewarden::webhook::{InForce, Review, Side, answer_alone};

use super::{ANALYSIS, GATEWAY, INSTALLATION, Target, recorded};

pub(super) const TARGET: Target = Target { name: "policies", seeds, attempt };

/// Users' rules in the subset of CEL.
pub(super) const RULES: &str = include_str!("../../fixtures/cel/policies.yaml");

/// A create of a pod among the recorded reviews.
static REVIEWS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let of_pods = |review: &Vec<u8>| String::from_utf8_lossy(review).contains(r#""resource":"pods""#);
    recorded().into_iter().filter(of_pods).take(1).collect()
});

/// The input stands for the shipped file that it was made of, by its kind; else it is a file more.
fn attempt(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    let plain = text.replace([' ', '"'], "");
    let others = [("kind:Installation", INSTALLATION), ("role:gateway", GATEWAY), ("role:analysis", ANALYSIS)];
    let files = others.into_iter().filter(|(mark, _)| !plain.contains(mark));
    let set = match PolicySet::parse(files.chain([("fuzz.yaml", &*text)])) {
        Ok(set) => Arc::new(set),
        Err(problem) => return shape(&chain(&problem)),
    };
    let in_force = match InForce::new(set) {
        Ok(in_force) => in_force,
        Err(problem) => return shape(&chain(&problem)),
    };
    let now = "2026-11-20T18:18:20Z".parse().unwrap();
    let mut answers = String::from("in force");
    for review in REVIEWS.iter() {
        for side in [Side::Mutate, Side::Validate] {
            let reply = answer_alone(side, review, &in_force.policies, now);
            answers.push_str(reply.record.decision.word());
        }
        let review = Review::parse(review).unwrap();
        let findings = in_force.rules.evaluate(&review.request().unwrap(), true);
        answers.push_str(if findings.is_empty() { " held" } else { " broken" });
    }
    answers
}

fn chain(problem: &dyn std::error::Error) -> String {
    let cause = problem.source().map(chain).unwrap_or_default();
    format!("{problem} {cause}")
}

/// A message without places and quotes.
fn shape(message: &str) -> String {
    let plain = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase());
    message.split(' ').filter(plain).take(12).collect::<Vec<_>>().join(" ")
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<String> = RULES.split("---\n").step_by(8).map(str::to_owned).collect();
    seeds.extend([ANALYSIS, GATEWAY, INSTALLATION].map(str::to_owned));
    // JSON is YAML; as such it is broken by its structure too.
    let files = seeds.clone();
    let as_json = files.iter().filter_map(|text| serde_saphyr::from_str::<serde_json::Value>(text).ok());
    seeds.extend(as_json.map(|value| value.to_string()));
    seeds.into_iter().map(String::into_bytes).collect()
}
