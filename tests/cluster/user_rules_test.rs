//! Users' rules are answered as the API server's own ValidatingAdmissionPolicy answers them.

mod objects;

use std::collections::BTreeSet;

use flamewarden::model::{Operation, Request, Resource, User, parse};
use flamewarden::policy::{MatchConstraints, PolicySet, ResourceRule, RuleSpec};
use flamewarden::rules::UserRules;
use futures::stream::{self, StreamExt};
use http::Method;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use self::objects::{Example, examples};
use crate::shared::{Cluster, PATIENCE, cluster, run, wait_until};

#[test]
fn users_rules_are_answered_as_the_api_server_answers_them() {
    run(async {
        let cluster = cluster().await;
        let rules = rules();
        assert!(rules.len() >= 50, "{} rules", rules.len());
        install_things(cluster).await;
        let mut batches = Vec::new();
        for batch in rules.chunks(BATCH) {
            let compiled = UserRules::compile(batch).unwrap();
            batches.push(Batch { namespace: cluster.namespace("rules").await, rules: batch, compiled });
        }
        install(cluster, &batches).await;
        let client = &cluster.admin.client();
        let calls = batches.iter().flat_map(|batch| {
            let examples = examples(&batch.namespace).into_iter();
            examples.map(move |example| async move {
                let asked = ask(client, &batch.namespace, &example).await;
                compare(batch, &example, &asked)
            })
        });
        let answers = stream::iter(calls);
        let outcomes: Vec<Vec<Compared>> = answers.buffer_unordered(8).collect().await;
        let all: Vec<Compared> = outcomes.into_iter().flatten().collect();
        let different: Vec<&String> = all.iter().filter_map(|one| one.difference.as_ref()).collect();
        let shown: Vec<&str> = different.iter().take(20).map(|text| text.as_str()).collect();
        assert!(different.is_empty(), "{} of {} differ:\n{}", different.len(), all.len(), shown.join("\n"));
        let count = |is: fn(&Compared) -> bool| all.iter().filter(|one| is(one)).count();
        let (refused, errors) = (count(|one| one.refused), count(|one| one.error));
        println!("{} comparisons: {refused} refused, {errors} of them for an error", all.len());
        assert!(all.len() >= 50 * 200 && refused * 5 > all.len() && (all.len() - refused) * 5 > all.len());
        assert!(errors * 20 > all.len(), "{errors} errors");
    });
}

/// Some rules that hold in a namespace of their own.
struct Batch<'a> {
    namespace: String,
    rules: &'a [RuleSpec],
    compiled: UserRules,
}

/// One rule on one object.
struct Compared {
    refused: bool,
    error: bool,
    difference: Option<String>,
}

fn rules() -> Vec<RuleSpec> {
    let files = [
        ("flame-analysis.yaml", include_str!("../../policies/flame-analysis.yaml")),
        ("flame-gateway.yaml", include_str!("../../policies/flame-gateway.yaml")),
        ("installation.yaml", include_str!("../fixtures/installation.yaml")),
        ("policies.yaml", include_str!("../fixtures/cel/policies.yaml")),
    ];
    let everything = || vec!["*".to_owned()];
    let resources = objects::RESOURCES.iter().map(|(_, _, plural)| (*plural).to_owned()).collect();
    let rule = ResourceRule {
        api_groups: everything(),
        api_versions: everything(),
        resources,
        operations: vec!["CREATE".to_owned(), "UPDATE".to_owned()],
    };
    let constraints = MatchConstraints { resource_rules: vec![rule] };
    let rules = PolicySet::parse(files).unwrap().rules;
    rules.into_iter().map(|rule| RuleSpec { match_constraints: Some(constraints.clone()), ..rule }).collect()
}

/// A kind whose fields hold anything.
async fn install_things(cluster: &Cluster) {
    let schema = json!({"type": "object", "properties": {
        "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.rules.test"},
        "spec": {"group": "rules.test", "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]},
    });
    cluster.admin.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &definition).await.unwrap();
    wait_until("things are served", PATIENCE, async || {
        cluster.admin.get("/apis/rules.test/v1/namespaces/default/things").await.ok()
    })
    .await;
}

/// Installs each batch for its namespace, and at last a policy that tells when all are in force.
async fn install(cluster: &Cluster, batches: &[Batch<'_>]) {
    let sentinel: RuleSpec = RuleSpec {
        name: "rules-are-in-force".to_owned(),
        match_conditions: Vec::new(),
        variables: Vec::new(),
        validations: vec![serde_json::from_value(json!({"expression": "object.metadata.name != 'sentinel'"})).unwrap()],
        ..batches[0].rules[0].clone()
    };
    let last = std::slice::from_ref(&sentinel);
    let all = || batches.iter().map(|batch| (&batch.namespace, batch.rules)).chain([(&batches[0].namespace, last)]);
    for (_, batch) in all() {
        for rule in batch {
            let path = format!("{API}/validatingadmissionpolicies");
            let made = cluster.admin.create(&path, &policy(rule)).await;
            made.unwrap_or_else(|refusal| panic!("{}: {}", rule.name, refusal.message));
        }
    }
    for (namespace, batch) in all() {
        for rule in batch {
            let path = format!("{API}/validatingadmissionpolicybindings");
            cluster.admin.create(&path, &binding(rule, namespace)).await.unwrap();
        }
    }
    let client = cluster.admin.client();
    let (namespace, example) = (&batches[0].namespace, Example::sentinel());
    wait_until("the policies are in force", PATIENCE, async || {
        ask(&client, namespace, &example)
            .await
            .warnings
            .iter()
            .any(|warning| warning.contains(&sentinel.name))
            .then_some(())
    })
    .await;
}

fn policy(rule: &RuleSpec) -> Value {
    let named = |list: &[flamewarden::policy::Named]| -> Vec<Value> {
        list.iter().map(|it| json!({"name": it.name, "expression": it.expression})).collect()
    };
    let validations: Vec<Value> = rule
        .validations
        .iter()
        .map(|it| json!({"expression": it.expression, "message": it.message, "messageExpression": it.message_expression}))
        .collect();
    let constraints = rule.match_constraints.as_ref().unwrap();
    let resources: Vec<Value> = constraints
        .resource_rules
        .iter()
        .map(|it| {
            json!({"apiGroups": it.api_groups, "apiVersions": it.api_versions, "resources": it.resources,
                "operations": it.operations})
        })
        .collect();
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": rule.name},
        "spec": {"failurePolicy": "Fail", "matchConstraints": {"resourceRules": resources},
            "matchConditions": named(&rule.match_conditions), "variables": named(&rule.variables),
            "validations": validations},
    })
}

fn binding(rule: &RuleSpec, namespace: &str) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": rule.name},
        "spec": {"policyName": rule.name, "validationActions": ["Warn"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}},
    })
}

/// What the API server made of a call.
struct Asked {
    /// The object as admission saw it.
    seen: Vec<u8>,
    /// The stored object of an update.
    old: Option<Vec<u8>>,
    warnings: Vec<String>,
}

/// A dry-run create, or a dry-run update of what is stored first.
async fn ask(client: &Client, namespace: &str, example: &Example) -> Asked {
    let path = example.path(namespace);
    let Some(old) = &example.old else {
        let (seen, warnings) = send(client, Method::POST, &format!("{path}?dryRun=All"), &example.object).await;
        return Asked { seen, old: None, warnings };
    };
    let (old, _) = send(client, Method::POST, &path, old).await;
    let stored: Value = serde_json::from_slice(&old).unwrap();
    let mut object = example.object.clone();
    object["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"].clone();
    let path = format!("{path}/{}?dryRun=All", stored["metadata"]["name"].as_str().unwrap());
    let (seen, warnings) = send(client, Method::PUT, &path, &object).await;
    Asked { seen, old: Some(old), warnings }
}

/// One call: the answer's text and its warnings.
async fn send(client: &Client, method: Method, path: &str, object: &Value) -> (Vec<u8>, Vec<String>) {
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("Content-Type", "application/json")
        .header("Impersonate-User", USER)
        .header("Impersonate-Group", GROUPS[0])
        .header("Impersonate-Group", GROUPS[1])
        .body(Body::from(object.to_string().into_bytes()))
        .unwrap();
    let (head, body) = client.send(request).await.unwrap().into_parts();
    let body = body.collect_bytes().await.unwrap().to_vec();
    assert!(head.status.is_success(), "{object}: {}", String::from_utf8_lossy(&body));
    let warnings = head.headers.get_all("Warning").iter();
    (body, warnings.map(|header| unquoted(std::str::from_utf8(header.as_bytes()).unwrap())).collect())
}

/// The text of `299 - "text"`.
fn unquoted(header: &str) -> String {
    let text = header.split_once('"').unwrap().1;
    text.strip_suffix('"').unwrap_or(text).replace("\\\"", "\"").replace("\\\\", "\\")
}

/// Compares verdict and messages of each rule of a batch; of an error only that it is one.
fn compare(batch: &Batch<'_>, example: &Example, asked: &Asked) -> Vec<Compared> {
    let object = parse(&asked.seen).unwrap();
    let old = asked.old.as_ref().map(|old| parse(old).unwrap());
    let (group, _, resource) = example.resource;
    let mut groups = GROUPS.to_vec();
    groups.push("system:authenticated");
    let request = Request {
        uid: "1",
        operation: if old.is_some() { Operation::Update } else { Operation::Create },
        resource: Resource { group, name: resource, sub: "" },
        name: object.text_at(&["metadata", "name"]).unwrap(),
        namespace: &batch.namespace,
        user: User { name: USER, groups },
        object: Some(&object),
        old: old.as_ref(),
        options: None,
        dry_run: true,
    };
    let found = batch.compiled.evaluate(&request, false);
    let of_rule = |rule: &RuleSpec| {
        let head = format!("Validation failed for ValidatingAdmissionPolicy '{0}' with binding '{0}': ", rule.name);
        let theirs = asked.warnings.iter().filter_map(|text| text.strip_prefix(&head));
        let theirs: BTreeSet<&str> =
            theirs.map(|text| if text.starts_with("expression '") { ERROR } else { text }).collect();
        let ours = found.iter().filter(|finding| finding.finding.rule == rule.name);
        let told: Vec<&str> = ours.map(|finding| finding.finding.message.as_str()).collect();
        let is_error = |text: &str| text.contains("resulted in error: ");
        let ours: BTreeSet<&str> = told.iter().map(|text| if is_error(text) { ERROR } else { text }).collect();
        let show = || format!("{} on {}: ours {told:?}, theirs {theirs:?}", rule.name, example.object);
        Compared { refused: !theirs.is_empty(), error: theirs.contains(ERROR), difference: (ours != theirs).then(show) }
    };
    batch.rules.iter().map(of_rule).collect()
}

const API: &str = "/apis/admissionregistration.k8s.io/v1";
const USER: &str = "jane";
const GROUPS: [&str; 2] = ["system:masters", "dev"];
const ERROR: &str = "an error";
/// The API server drops warnings beyond 4096 characters in all; so many rules stay below.
const BATCH: usize = 6;
