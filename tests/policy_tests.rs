//! The examples in `policies/tests/` are answered as they say, and every rule has a bad and a good one.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use flamewarden::auditor::CaseFile;
use flamewarden::rules::{OBJECT_RULES, POD_RULES, REQUEST_RULES};
use tempfile::TempDir;

/// The shipped policies with the example of an installation, and these tests with the installation that they suppose.
fn folder(tests: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let policies = folder.path().join("policies");
    fs::create_dir_all(policies.join("tests")).unwrap();
    for (name, text) in [
        ("flame-analysis.yaml", include_str!("../policies/flame-analysis.yaml")),
        ("flame-gateway.yaml", include_str!("../policies/flame-gateway.yaml")),
        ("installation.yaml", include_str!("../policies/installation.yaml.example")),
        ("tests/installation.yaml", include_str!("../policies/tests/installation.yaml")),
    ] {
        fs::write(policies.join(name), text).unwrap();
    }
    for (name, text) in tests {
        fs::write(policies.join("tests").join(name), text).unwrap();
    }
    folder
}

fn test(folder: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flamewarden"));
    let Output { status, stdout, stderr } = command.arg("test").current_dir(folder).output().unwrap();
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

fn shipped() -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir("policies/tests")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap() != "installation.yaml")
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn the_shipped_examples_are_answered_as_they_say() {
    let files = shipped();
    let cases: usize = files.iter().map(|(name, text)| CaseFile::parse(name, text).unwrap().len()).sum();
    let named: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert_eq!(test(folder(&named).path()), (Some(0), format!("cases: {cases}; failed: 0\n")));
}

#[test]
fn every_rule_has_a_bad_example_and_a_good_one() {
    let files: Vec<CaseFile> = shipped().iter().map(|(name, text)| CaseFile::parse(name, text).unwrap()).collect();
    let given: BTreeSet<(&str, bool)> = files.iter().flat_map(CaseFile::subjects).collect();
    let others = REQUEST_RULES.iter().chain(OBJECT_RULES).map(|rule| rule.id);
    let rules = POD_RULES.iter().map(|rule| rule.id).chain(others);
    let both = rules.flat_map(|rule| [(rule, true), (rule, false)]);
    let missing: Vec<(&str, bool)> = both.filter(|wanted| !given.contains(wanted)).collect();
    // The shipped profiles do not ask for the first three, so nothing is bad there; of scans a cluster alone knows.
    let unasked = ["read-only-root", "user-namespace", "image-digest"].map(|rule| (rule, true));
    assert_eq!(missing, [&unasked[..], &[("image-scan", true), ("image-scan", false)]].concat());
}

#[test]
fn a_case_that_is_answered_otherwise_is_shown_with_both_answers() {
    let case = |name: &str, request: &str, expect: &str| {
        format!("  - {{name: {name}, request: {request}, expect: {expect}}}\n")
    };
    let pod = "{resource: pods, object: {metadata: {name: p, namespace: analyses}, spec: {}}}";
    let text = [
        "apiVersion: flamewarden.dev/v1alpha1\nkind: PolicyTest\ncases:\n".to_owned(),
        case("good", "{resource: pods, namespace: elsewhere, object: {}}", "{decision: allowed}"),
        case("stranger", pod, "{decision: allowed}"),
        case("nothing", "{resource: pods, base: absent}", "{decision: refused, rules: [a, b]}"),
        case(
            "unread",
            "{resource: pods/exec, operation: CONNECT, namespace: flame, name: p, object: {}}",
            "{decision: refused}",
        ),
    ]
    .concat();
    let said = "policies/tests/t.yaml\n  stranger\n    expected  allowed\n    got       refused by known-part\n  \
        nothing\n    expected  refused by a, b\n    got       no answer: there is no base `absent`\n  \
        unread\n    expected  refused\n    got       refused by target-known\ncases: 4; failed: 3\n";
    assert_eq!(test(folder(&[("t.yaml", &text)]).path()), (Some(1), said.to_owned()));
}

#[test]
fn tests_that_make_no_sense_end_in_two() {
    for (files, says) in [
        (vec![], "flamewarden: no test cases in policies/tests"),
        (
            vec![("t.yaml", "kind: PolicyTest\ncases: []\n")],
            "flamewarden: test file policies/tests/t.yaml: missing field",
        ),
    ] {
        let (code, said) = test(folder(&files).path());
        assert_eq!((code, said.starts_with(says)), (Some(2), true), "{said}");
    }
}
