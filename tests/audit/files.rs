//! What becomes of the objects of files: judged, mended, unguarded, unread; and what policies would change.

use serde_json::{Value, json};

use crate::{ANALYSIS, FILES, audit, folder, report};

#[test]
fn a_refused_label_is_reported_whole_and_what_is_mended_does_not_count() {
    let pod = ANALYSIS.replace("app: analysis-a", "app: analysis-a, k8s-app: dns");
    let folder = folder(&[("pod.yaml", &pod)]);
    let (code, report) = report(&folder, &["pod.yaml"], "");
    assert_eq!(code, 3);
    assert_eq!(
        (&report["apiVersion"], &report["kind"]),
        (&json!("flamewarden.dev/audit/v1alpha1"), &json!("AuditReport"))
    );
    assert_eq!(
        report["findings"][0],
        json!({
            "fingerprint": "539621b2fc4ad37f9bd38199e8af6985",
            "file": "pod.yaml", "document": 1, "line": 1,
            "object": {"apiVersion": "v1", "kind": "Pod", "namespace": "flame", "name": "a"},
            "rule": "labels", "severity": "high", "path": "metadata.labels.k8s-app", "value": "\"dns\"",
            "message": "the profile does not name this key; leave it out", "outcome": "refused",
        })
    );
    let rest = report["findings"].as_array().unwrap()[1..].iter();
    let outcomes: std::collections::BTreeSet<&str> = rest.map(|it| it["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["mended at admission"].into());
}

/// The outcomes of an audit by object: every rule once.
fn outcomes(report: &Value) -> Vec<(String, String, Vec<String>)> {
    let mut found: Vec<(String, String, Vec<String>)> = Vec::new();
    for it in report["findings"].as_array().unwrap() {
        let [outcome, rule] = ["outcome", "rule"].map(|key| it[key].as_str().unwrap().to_owned());
        let object = title(&it["object"]);
        match found.last_mut() {
            Some(last) if (&last.0, &last.1) == (&object, &outcome) => {
                last.2.push(rule);
                last.2.dedup();
            }
            _ => found.push((object, outcome, vec![rule])),
        }
    }
    found
}

/// Kind, namespace and name.
fn title(object: &Value) -> String {
    let [kind, namespace, name] = ["kind", "namespace", "name"].map(|key| object[key].as_str().unwrap_or_default());
    if namespace.is_empty() { format!("{kind} {name}") } else { format!("{kind} {namespace}/{name}") }
}

#[test]
fn an_analysis_that_admission_mends_is_green() {
    let (code, report) = report(&folder(&[]), &[], ANALYSIS);
    let rules = [
        "run-as-non-root",
        "capabilities",
        "privilege-escalation",
        "seccomp",
        "resources",
        "image-pull-policy",
        "pull-secret",
        "service-account-token",
        "service-links",
        "network-gate",
    ];
    let rules = rules.map(str::to_owned).to_vec();
    assert_eq!(outcomes(&report), [("Pod flame/a".to_owned(), "mended at admission".to_owned(), rules)]);
    assert_eq!((code, &report["summary"]["mended"]), (0, &json!(14)));
}

#[test]
fn what_is_judged_and_what_is_not() {
    let deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {selector: {}, template: \
        {metadata: {labels: {component: flame-analysis, app: analysis-a}}, \
        spec: {hostNetwork: true, containers: [{name: analysis-a, image: harbor.example/node/a:1}]}}}}";
    let wide = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: w, namespace: flame}, \
        spec: {podSelector: {}, ingress: [{}]}}";
    let admin = "{apiVersion: policy.networking.k8s.io/v1alpha1, kind: AdminNetworkPolicy, metadata: {name: w}, \
        spec: {subject: {namespaces: {}}}}";
    let gateway = "{apiVersion: v1, kind: ConfigMap, metadata: {name: nginx-analysis-a-config, namespace: flame}}";
    let elsewhere = "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: other}, spec: {containers: []}}";
    let role = "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: r, namespace: flame}}";
    let refused = |object: &str, rules: &[&str]| json!([object, "refused", rules]);
    for (what, arguments, input, code, wanted) in [
        (
            "a template",
            &["-n", "flame"][..],
            deployment,
            3,
            json!([
                refused("Deployment flame/d", &["host-namespaces"]),
                [
                    "Deployment flame/d",
                    "mended at admission",
                    [
                        "run-as-non-root",
                        "capabilities",
                        "privilege-escalation",
                        "seccomp",
                        "resources",
                        "image-pull-policy",
                        "pull-secret",
                        "service-account-token",
                        "service-links",
                    ]
                ],
            ]),
        ),
        ("a wide policy", &[], wide, 3, json!([refused("NetworkPolicy flame/w", &["network-policy"])])),
        ("a policy of the cluster", &[], admin, 0, json!([["AdminNetworkPolicy w", "reported", ["network-policy"]]])),
        (
            "nobody's",
            &[],
            gateway,
            3,
            json!([refused("ConfigMap flame/nginx-analysis-a-config", &["configuration-creator"])]),
        ),
        ("a creator's", &["--as", "system:serviceaccount:flame:flame-po"], gateway, 0, json!([])),
        ("unguarded", &[], elsewhere, 0, json!([])),
        ("not judged", &[], role, 0, json!([])),
    ] {
        let (got, report) = report(&folder(&[]), arguments, input);
        assert_eq!((got, json!(outcomes(&report))), (code, wanted), "{what}");
        let counts = ["judged", "unguarded", "notJudged"].map(|key| report["summary"][key].as_u64().unwrap());
        let wanted = match what {
            "unguarded" => [0, 1, 0],
            "not judged" => [0, 0, 1],
            _ => [1, 0, 0],
        };
        assert_eq!(counts, wanted, "{what}");
    }
}

#[test]
fn folders_lists_and_documents_are_read_and_what_is_broken_leaves_the_rest_readable() {
    let twice = ANALYSIS.replace("kind: Pod\n", "kind: Pod\nkind: Service\n");
    let deep = format!("{{\"kind\":\"Pod\",\"a\":{}{}}}", "[".repeat(80), "]".repeat(80));
    let list = json!({"kind": "List", "apiVersion": "v1", "items": [
        {"kind": "PodList", "apiVersion": "v1", "items": [{"metadata": {"name": "x", "namespace": "flame"}, "spec": {}}]},
        {"kind": "Service", "apiVersion": "v1", "metadata": {"name": "s"}},
    ]});
    let files = [
        (
            "in/a.yaml",
            format!("# made by hand\n---\n{twice}---\n{}", ANALYSIS.replace("{name: a,", "{name: b, colour: red,")),
        ),
        ("in/b.yml", "kind: Pod\n  name: [\n".to_owned()),
        ("in/deep/c.json", "{\"kind\":\"Pod\",\n\"kind\":\"Pod\"}".to_owned()),
        ("in/deep/d.json", deep),
        ("in/deep/e.json", list.to_string()),
        ("in/deep/f.yaml", "just: text\n".to_owned()),
        ("in/deep/notes.txt", "not read".to_owned()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let (code, report) = report(&folder(&files), &["in", "absent.yaml"], "");
    assert_eq!(code, 3, "what is refused is certain and comes first");
    let problem = |file: &str, document: u64, line: u64, message: &str| json!({"file": file, "document": document, "line": line, "message": message});
    assert_eq!(
        report["problems"],
        json!([
            problem("in/a.yaml", 1, 5, "duplicate mapping key: kind at line 5, column 1"),
            problem("in/b.yml", 1, 2, "mapping values are not allowed in this context at line 2, column 7"),
            problem("in/deep/c.json", 1, 2, "not acceptable JSON: duplicate key `kind` at line 2 column 6"),
            problem("in/deep/d.json", 1, 1, "not acceptable JSON: nested deeper than 64 levels at line 1 column 82"),
            problem("in/deep/e.json", 1, 1, "Service s: it names no namespace; say which with --namespace"),
            problem("in/deep/f.yaml", 1, 1, "no Kubernetes object: it has no `kind`"),
            {"file": "absent.yaml", "message": "cannot be read: No such file or directory (os error 2)"},
        ])
    );
    let refused: Vec<Value> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["outcome"] == "refused")
        .map(|it| json!([it["file"], it["document"], title(&it["object"]), it["path"]]))
        .collect();
    assert_eq!(refused, [json!(["in/a.yaml", 2, "Pod flame/b", "metadata.colour"])]);
    // The pod of the PodList is no analysis, so nothing is found; that it was judged is in the counts.
    assert_eq!((&report["summary"]["judged"], &report["summary"]["problems"]), (&json!(2), &json!(7)));
}

#[test]
fn a_user_or_policies_that_make_no_sense_end_in_two() {
    let folder = folder(&[("bad/p.yaml", "kind: Nonsense\n"), ("nothing/empty.yaml", "# later\n")]);
    for (arguments, says) in [
        (&["--policies", "absent"][..], "cannot read policies in absent"),
        (&["--policies", "bad"], "policy file p.yaml"),
        (&["--output", "xml"], "`xml` is none of text, json, sarif, junit, csv, markdown, html"),
        (&["--output", "json", "--output", "text"], "only one --output can go to standard output"),
        (&["--output", "json="], "the file has no name"),
        (&["--min-score", "101"], "101 is not in 0..=100"),
        (&["nothing"], "nothing to judge: no objects in nothing"),
        (&[], "nothing to judge: no objects in standard input"),
    ] {
        let output = audit(&folder, arguments, "");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.contains(says)), (Some(2), true), "{said}");
    }
}

#[test]
fn a_comparison_names_what_would_be_answered_differently() {
    let stricter = FILES[0].1.replace("graceMaximum: 30", "graceMaximum: 30\n  modes: {annotations: audit}");
    let folder = folder(&[
        ("new/a.yaml", stricter.replace("images:\n    digest: any", "images:\n    digest: required").as_str()),
        ("new/g.yaml", FILES[1].1),
        ("new/i.yaml", FILES[2].1),
    ]);
    let role = "\n---\n{kind: Role, apiVersion: rbac.authorization.k8s.io/v1, metadata: {name: r}}\n";
    let annotated =
        ANALYSIS.replace("labels: {", "annotations: {k8s-app: dns}, labels: {").replace("{name: a,", "{name: b,");
    let input = format!("{ANALYSIS}---\n{annotated}{role}");
    let (code, report) = report(&folder, &["--compare", "--policy", "new"], &input);
    assert_eq!(code, 3);
    let pod = |name: &str| json!({"apiVersion": "v1", "kind": "Pod", "namespace": "flame", "name": name});
    let wanted = json!({
        "apiVersion": "flamewarden.dev/audit/v1alpha1", "kind": "PolicyComparison", "judged": 2, "problems": [],
        "differences": [
            {"file": "-", "document": 1, "line": 1, "object": pod("a"), "before": "mended", "after": "refused",
             "onlyBefore": [], "onlyAfter": [["refused", "image-digest"]]},
            {"file": "-", "document": 2, "line": 6, "object": pod("b"), "before": "refused", "after": "refused",
             "onlyBefore": [["refused", "annotations"]], "onlyAfter": [["refused", "image-digest"], ["reported", "annotations"]]},
        ],
    });
    assert_eq!(report, wanted);
    let (code, report) = self::report(&folder, &["--compare", "--policy", "policies"], &input);
    assert_eq!((code, &report["differences"]), (0, &json!([])));
}
