//! Replicas with different policies side by side: one mends, another judges, and no pod that is good under both policies
//! is refused, none that is bad under both passes.
#![expect(clippy::unwrap_used, reason = "helpers of a test end it like the test itself")]

use flamewarden::model::{Operation, Request, Resource, User, parse};
use flamewarden::policy::{ALSO, PolicySet};
use flamewarden::rules::{Case, Judgement, ScanKnowledge, Target, judge, mend};
use serde_json::{Value, json};

const SHIPPED: &str = include_str!("../policies/flame-analysis.yaml");
const GATEWAY: &str = include_str!("../policies/flame-gateway.yaml");
const INSTALLATION: &str = include_str!("fixtures/installation.yaml");

/// What is changed in the shipped profile: other defaults and bounds, more that is asked for, other things allowed.
const CHANGES: [(&str, &str); 7] = [
    ("limits: {cpu: \"2\", memory: 4Gi,", "limits: {cpu: \"2\", memory: 1Gi,"),
    ("maximum: {cpu: \"8\", memory: 32Gi,", "maximum: {cpu: \"8\", memory: 2Gi,"),
    ("readOnlyRootFilesystem: any", "readOnlyRootFilesystem: required\n    runtimeClass: weaker"),
    ("userNamespace: any", "userNamespace: required"),
    ("graceMaximum: 30", "graceMaximum: 10"),
    ("emptyDirDefault: 1Gi\n    emptyDirMaximum: 64Gi", "emptyDirDefault: 100Mi\n    emptyDirMaximum: 200Mi"),
    ("    annotations:\n", "    annotations:\n      - example.org/team\n"),
];

fn newer() -> String {
    CHANGES.iter().fold(SHIPPED.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

/// A set in force, and perhaps one that is accepted too.
fn set(profile: &str, also: Option<&str>) -> PolicySet {
    let mut files: Vec<(String, &str)> = Vec::new();
    for (before, profile) in [("", Some(profile)), (ALSO, also)] {
        if let Some(profile) = profile {
            let named = [("a.yaml", profile), ("g.yaml", GATEWAY), ("i.yaml", INSTALLATION)];
            files.extend(named.map(|(name, text)| (format!("{before}{name}"), text)));
        }
    }
    PolicySet::parse(files.iter().map(|(name, text)| (name.as_str(), *text))).unwrap()
}

fn judged(pod: &Value, policies: &PolicySet) -> (Judgement, Value) {
    let text = pod.to_string();
    let object = parse(text.as_bytes()).unwrap();
    let request = Request {
        uid: "u",
        operation: Operation::Create,
        resource: Resource { group: "", name: "pods", sub: "" },
        name: "p",
        namespace: "flame",
        user: User { name: "editor", groups: vec!["system:authenticated"] },
        object: Some(&object),
        old: None,
        options: None,
        dry_run: false,
    };
    let now = "2026-11-21T00:00:00Z".parse().unwrap();
    let judgement =
        judge(&request, &Case { policies, target: Target::Unneeded, scans: ScanKnowledge::OutOfReach, now });
    let mut mended = pod.clone();
    json_patch::patch(&mut mended, &mend(&object, &judgement.remedies).unwrap()).unwrap();
    (judgement, mended)
}

/// The rules that refuse a pod when these have mended it, one after the other, and the last one judges.
fn refused(pod: &Value, mending: &[&PolicySet], judging: &PolicySet) -> Vec<String> {
    let mended = mending.iter().fold(pod.clone(), |pod, policies| judged(&pod, policies).1);
    judged(&mended, judging).0.refusals.iter().map(|finding| finding.rule.to_string()).collect()
}

fn pod(changes: &[(&str, Value)]) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "p", "namespace": "flame",
            "labels": {"component": "flame-analysis", "app": "analysis-1"}, "annotations": {}},
        "spec": {"containers": [{"name": "analysis-1", "image": "harbor.example/node/image:1"}]},
    });
    for (pointer, value) in changes {
        let path = json_patch::jsonptr::PointerBuf::parse(*pointer).unwrap();
        let add = json_patch::PatchOperation::Add(json_patch::AddOperation { path, value: value.clone() });
        json_patch::patch(&mut pod, &[add]).unwrap();
    }
    pod
}

fn good_under_both() -> Vec<(&'static str, Value)> {
    let memory = |amount: &str| ("/spec/containers/0/resources", json!({"limits": {"memory": amount}}));
    vec![
        ("says nothing", pod(&[])),
        ("asks for little", pod(&[memory("512Mi")])),
        ("asks for the most", pod(&[memory("2Gi")])),
        ("ends soon", pod(&[("/spec/terminationGracePeriodSeconds", json!(5))])),
        ("ends late, which is mended", pod(&[("/spec/terminationGracePeriodSeconds", json!(20))])),
        ("has a volume", pod(&[("/spec/volumes", json!([{"name": "tmp", "emptyDir": {}}]))])),
        ("is root, which is mended", pod(&[("/spec/securityContext", json!({"runAsUser": 0}))])),
    ]
}

fn bad_under_both() -> Vec<(&'static str, Value)> {
    let memory = ("/spec/containers/0/resources", json!({"limits": {"memory": "64Gi"}}));
    let team = ("/metadata/annotations/example.org~1team", json!("x"));
    vec![
        ("is in the host's network", pod(&[("/spec/hostNetwork", json!(true))])),
        ("asks for too much", pod(std::slice::from_ref(&memory))),
        ("has an annotation for ever unknown", pod(&[("/metadata/annotations/example.org~1other", json!("x"))])),
        // Each half is good under one of them, the whole under none.
        (
            "is half one's and half the other's",
            pod(&[
                team.clone(),
                (
                    "/spec/containers/0/resources",
                    json!({
                        "limits": {"memory": "4Gi"},
                    }),
                ),
            ]),
        ),
        ("has what the newer allows, and too much", pod(&[team, memory])),
    ]
}

/// The steps from one set to the other: what is in force, and what is accepted too. Neighbours stand side by side.
fn steps(from: &str, to: &str) -> [PolicySet; 4] {
    [set(from, None), set(from, Some(to)), set(to, Some(from)), set(to, None)]
}

#[test]
fn no_good_pod_is_refused_and_no_bad_one_passes_on_the_way_from_one_set_to_another() {
    let newer = newer();
    for (way, from, to) in [("upgrade", SHIPPED, newer.as_str()), ("back", newer.as_str(), SHIPPED)] {
        for (index, pair) in steps(from, to).windows(2).enumerate() {
            let [first, second] = pair else { continue };
            expect_both(&format!("{way}, step {index}"), first, second);
            expect_both(&format!("{way}, step {index}, the other way round"), second, first);
        }
    }
}

/// The last ones are called again because another webhook changed the pod between.
fn expect_both(way: &str, one: &PolicySet, other: &PolicySet) {
    for mending in [vec![one], vec![one, other], vec![one, other, one], vec![one, one]] {
        for (judge, judging) in [("one", one), ("other", other)] {
            let what = |pod: &str| format!("{way}, {} menders, judged by {judge}: {pod}", mending.len());
            for (name, pod) in good_under_both() {
                assert_eq!(refused(&pod, &mending, judging), [""; 0], "{}", what(name));
            }
            for (name, pod) in bad_under_both() {
                assert_ne!(refused(&pod, &mending, judging), [""; 0], "{}", what(name));
            }
        }
    }
}

/// Why there are steps: side by side without them, replicas refuse what each of them alone would take.
#[test]
fn without_steps_what_one_has_mended_the_other_refuses() {
    let (older, newer) = (set(SHIPPED, None), set(&newer(), None));
    let silent = pod(&[]);
    assert_eq!(refused(&silent, &[&older], &older), [""; 0]);
    assert_eq!(refused(&silent, &[&newer], &newer), [""; 0]);
    let all = ["read-only-root", "user-namespace", "runtime-class", "resources", "volumes", "grace-period"];
    assert_eq!(refused(&silent, &[&older], &newer), all);
    assert_eq!(refused(&silent, &[&newer], &older), ["runtime-class"]);
}

#[test]
fn a_set_that_guards_others_cannot_be_accepted_too() {
    let other = INSTALLATION.replace("shared", "dedicated");
    assert_ne!(other, INSTALLATION);
    let files = [("a.yaml", SHIPPED), ("g.yaml", GATEWAY), ("i.yaml", INSTALLATION)];
    let also = [("also--a.yaml", SHIPPED), ("also--g.yaml", GATEWAY), ("also--i.yaml", other.as_str())];
    let problem = PolicySet::parse(files.into_iter().chain(also)).unwrap_err().to_string();
    assert!(problem.contains("the files also--* must guard the same namespaces and the same pods"), "{problem}");
}
