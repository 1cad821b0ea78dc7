//! Invariant I8 on generated pods: mending twice is mending once, and what is left afterwards
//! are exactly the findings that had no remedy.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a helper that fails is a test that fails")]

use flamewarden::model::{FieldPath, Finding, PodView, Segment, parse};
use flamewarden::policy::{PolicySet, Profile, Role, Want};
use flamewarden::rules::{ScanKnowledge, Stage, mend, pod_findings};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

/// Every field that any Kubernetes from 1.30 to 1.37 knows, with its type.
const FIELDS: &str = include_str!("fixtures/pod-fields/fields.tsv");
/// For each of the two roles.
const CASES: u32 = 5_000;

#[test]
fn mending_an_analysis_leaves_exactly_what_has_no_remedy() {
    run(Role::Analysis);
}

#[test]
fn mending_a_gateway_leaves_exactly_what_has_no_remedy() {
    run(Role::Gateway);
}

fn run(role: Role) {
    let profiles = profiles(role);
    let bases = bases(role, &profiles[0]);
    let places = places();
    let hostile = hostile_values();
    let change = (any::<Index>(), any::<Index>(), any::<[bool; 3]>(), any::<Index>(), 0..10u8);
    let pods = (any::<Index>(), prop::collection::vec(change, 0..7));
    let stages = select(vec![Stage::Create, Stage::Stored, Stage::Template]);
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    runner
        .run(&(pods, stages, any::<Index>()), |((base, changes), stage, profile)| {
            let mut pod = base.get(&bases).clone();
            for (place, fitting, seconds, any, odds) in changes {
                let (path, kind) = place.get(&places);
                // One value in ten has any shape at all; one in ten is taken away.
                let value = match odds {
                    0 => any.get(&hostile).clone(),
                    1 => Value::Null,
                    _ => fitting_value(kind, fitting),
                };
                put(&mut pod, path, seconds, value);
            }
            check(&pod, profile.get(&profiles), stage)
        })
        .unwrap();
}

fn check(pod: &Value, profile: &Profile, stage: Stage) -> Result<(), TestCaseError> {
    let (first, mended) = judged(pod, profile, stage)?;
    let (second, again) = judged(&mended, profile, stage)?;
    let left: Vec<Finding> = first.into_iter().filter(|finding| !finding.has_remedy()).collect();
    prop_assert_eq!(shown(&second), shown(&left), "pod {} mended to {}", pod, mended);
    prop_assert_eq!(again, mended, "mending twice is not mending once");
    Ok(())
}

/// The findings on a pod, and the pod when it is mended.
fn judged(pod: &Value, profile: &Profile, stage: Stage) -> Result<(Vec<Finding>, Value), TestCaseError> {
    let text = pod.to_string();
    let json = parse(text.as_bytes()).unwrap();
    let findings = pod_findings(
        &PodView::new(&json, FieldPath::default()),
        profile,
        stage,
        ScanKnowledge::OutOfReach,
        jiff::Timestamp::UNIX_EPOCH,
    );
    let edits: Vec<_> = findings.iter().flat_map(|finding| finding.remedy.clone()).collect();
    let mut mended = pod.clone();
    if !edits.is_empty() {
        let patch = mend(&json, &edits).map_err(|problem| TestCaseError::fail(problem.to_string()))?;
        json_patch::patch(&mut mended, &patch).map_err(|problem| TestCaseError::fail(problem.to_string()))?;
    }
    Ok((findings, mended))
}

/// Findings without the places in arrays, which move when an item before them is taken away.
fn shown(findings: &[Finding]) -> Vec<String> {
    let key = |segment: &Segment| match segment {
        Segment::Key(key) => format!(".{key}"),
        Segment::Index(_) => "[]".to_owned(),
    };
    let line = |finding: &Finding| {
        let path: String = finding.path.segments().iter().map(key).collect();
        format!("{}: {path} ({}): {}", finding.rule, finding.value, finding.message)
    };
    let mut lines: Vec<String> = findings.iter().map(line).collect();
    lines.sort();
    lines
}

/// The shipped profile of a role, and a stricter one.
fn profiles(role: Role) -> [Profile; 2] {
    let set = PolicySet::parse([
        ("flame-analysis.yaml", include_str!("../policies/flame-analysis.yaml")),
        ("flame-gateway.yaml", include_str!("../policies/flame-gateway.yaml")),
        ("installation.yaml", include_str!("fixtures/installation.yaml")),
    ])
    .unwrap();
    let shipped = if role == Role::Analysis { set.analysis } else { set.gateway };
    let mut strict = shipped.clone();
    strict.images.digest = Want::Required;
    strict.security.read_only_root_filesystem = Want::Required;
    strict.security.user_namespace = Want::Required;
    strict.security.runtime_class = Some("Localhost".to_owned());
    strict.security.grace_maximum = 10;
    strict.scheduling.priority_class = Some("x".to_owned());
    strict.sources.secrets = vec!["{app}".to_owned()];
    strict.service_accounts = vec!["x".to_owned()];
    strict.resources.limits.remove("memory");
    strict.resources.requests.remove("cpu");
    [shipped, strict]
}

/// The paths of all fields; of the list's own notation `[]` is an item and `{}` a member of a map.
fn places() -> Vec<(Vec<&'static str>, &'static str)> {
    let of_line = |line: &'static str| {
        let mut columns = line.split('\t');
        let (path, kind) = (columns.next().unwrap(), columns.next().unwrap());
        (path.split_inclusive(['.', '[', '{']).flat_map(steps).collect(), kind)
    };
    FIELDS.lines().map(of_line).filter(|(path, _): &(Vec<_>, _)| path.len() > 1).collect()
}

fn steps(part: &'static str) -> Vec<&'static str> {
    let part = part.trim_start_matches([']', '}']);
    let key = part.trim_end_matches(['.', '[', '{']);
    let bracket = match part.chars().last() {
        Some('[') => Some("[]"),
        Some('{') => Some("{}"),
        _ => None,
    };
    Some(key).filter(|key| !key.is_empty()).into_iter().chain(bracket).collect()
}

/// Puts a value at a path, if the way there is open; `seconds` says where the second item of a list is meant.
fn put(pod: &mut Value, path: &[&str], seconds: [bool; 3], value: Value) {
    let mut place = pod;
    let mut lists = seconds.into_iter();
    for step in path {
        place = match *step {
            "[]" => {
                if place.is_null() {
                    *place = json!([]);
                }
                let Some(items) = place.as_array_mut() else { return };
                let index = usize::from(lists.next().unwrap_or(false)).min(items.len());
                if index == items.len() {
                    items.push(Value::Null);
                }
                &mut items[index]
            }
            step => {
                if place.is_null() {
                    *place = json!({});
                }
                let Some(members) = place.as_object_mut() else { return };
                let key = if step == "{}" { ["cpu", "memory", "ephemeral-storage", "app"][lists.len()] } else { step };
                members.entry(key).or_insert(Value::Null)
            }
        };
    }
    *place = value;
}

/// A value of the right type, from those that some rule takes notice of.
fn fitting_value(kind: &str, index: Index) -> Value {
    match kind {
        "boolean" => json!(*index.get(&[true, false])),
        "integer" => json!(*index.get(&[-1, 0, 1, 30, 31, 1000, 8000, 8080, 65532, i64::MAX])),
        "quantity" => json!(*index.get(&AMOUNTS)),
        "intorstring" => index.get(&[json!(8000), json!("web")]).clone(),
        "list" => json!([]),
        "object" | "map" => json!({}),
        _ => json!(*index.get(&TEXTS)),
    }
}

const AMOUNTS: [&str; 12] = ["0", "1", "100m", "3", "8", "9", "1Gi", "40Gi", "65Gi", "-1", "much", "1e3"];

const TEXTS: [&str; 32] = [
    "",
    "x",
    "Always",
    "Never",
    "IfNotPresent",
    "RuntimeDefault",
    "Unconfined",
    "Localhost",
    "Memory",
    "analysis-1",
    "nginx-analysis-1",
    "net-stats-analysis-1",
    "flame-analysis",
    "flame-analysis-nginx",
    "harbor.example/node/a:1",
    "nginx",
    "busybox:1.37",
    "/tmp",
    "HOME",
    "tmp",
    "flamewarden-tmp",
    "kube-api-access-x",
    "kube-root-ca.crt",
    "TCP",
    "UDP",
    "None",
    "Default",
    "default",
    "ALL",
    "flame-harbor-credentials",
    "flamewarden.dev/network-policy",
    "nginx-analysis-1-config",
];

/// Values of every shape, for places where something else belongs.
fn hostile_values() -> Vec<Value> {
    let items = [
        json!(null),
        json!(true),
        json!(0),
        json!(-7),
        json!(0.5),
        json!(u64::MAX),
        json!(""),
        json!("x"),
        json!("ALL"),
        json!("\u{0}é\n"),
        json!([]),
        json!({}),
        json!({"name": "x"}),
        json!({"Name": null, "managedFields": [1]}),
        json!({"é": {"é": {}}}),
    ];
    let lists = items.clone().map(|item| json!([item]));
    let pairs = items.clone().map(|item| json!(["ALL", item, {"name": "HOME"}]));
    let members =
        items.clone().map(|item| json!({"name": item, "add": item, "type": item, "emptyDir": item, "cpu": item}));
    [items, lists, pairs, members].concat()
}

/// Pods to begin with: one without fault, and one as FLAME makes it.
fn bases(role: Role, shipped: &Profile) -> [Value; 2] {
    let pod = flames_pod(role);
    [judged(&pod, shipped, Stage::Create).unwrap().1, pod]
}

/// A pod as FLAME's orchestrator makes it, with what the API server's ServiceAccount plugin adds.
fn flames_pod(role: Role) -> Value {
    let (component, app, image, port) = match role {
        Role::Analysis => ("flame-analysis", "analysis-1", "harbor.example/node/analysis", 8000),
        Role::Gateway => ("flame-analysis-nginx", "nginx-analysis-1", "nginx:latest", 80),
    };
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "p-x", "labels": {"app": app, "component": component, "pod-template-hash": "x"}},
        "spec": {
            "containers": [
                {"name": app, "image": image, "resources": {}, "ports": [{"containerPort": port, "protocol": "TCP"}],
                 "volumeMounts": [{"name": "kube-api-access-x", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]},
                {"name": "net-stats-analysis-1", "image": "busybox:1.37"},
            ],
            "securityContext": {}, "restartPolicy": "Always", "terminationGracePeriodSeconds": 30,
            "volumes": [
                {"name": "kube-api-access-x", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
                {"name": "work", "emptyDir": {}},
            ],
        },
    })
}
