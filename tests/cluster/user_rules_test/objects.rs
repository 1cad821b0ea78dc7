//! Objects to try rules on: the same ones each time, different enough that each rule says yes and no.

use serde_json::{Map, Value, json};

/// One object and where it is created.
pub(super) struct Example {
    pub(super) resource: (&'static str, &'static str, &'static str),
    pub(super) object: Value,
    /// What is stored before, for an update.
    pub(super) old: Option<Value>,
}

/// Group, version and plural name of what is tried.
pub(super) const RESOURCES: &[(&str, &str, &str)] = &[
    ("", "v1", "pods"),
    ("", "v1", "configmaps"),
    ("", "v1", "services"),
    ("apps", "v1", "deployments"),
    ("rules.test", "v1", "things"),
];

/// All examples for a namespace.
pub(super) fn examples(namespace: &str) -> Vec<Example> {
    let mut dice = Dice(7);
    let numbered = |count: usize| 1..=count;
    let mut all: Vec<Example> = numbered(140).map(|number| example(0, pod(&mut dice, number))).collect();
    all.extend(numbered(8).map(|number| example(1, config_map(&mut dice, number))));
    all.extend(numbered(8).map(|number| example(2, service(&mut dice, number))));
    all.extend(numbered(8).map(|number| example(3, deployment(&mut dice, number))));
    all.extend(numbered(60).map(|number| example(4, thing(&mut dice, number))));
    all.extend(numbered(20).map(|number| update(&mut dice, number)));
    for example in &mut all {
        for object in [Some(&mut example.object), example.old.as_mut()].into_iter().flatten() {
            object["metadata"]["namespace"] = json!(namespace);
        }
    }
    all
}

impl Example {
    /// What the policy that is installed last warns of.
    pub(super) fn sentinel() -> Example {
        example(1, json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sentinel"}}))
    }

    /// The collection that it is created in.
    pub(super) fn path(&self, namespace: &str) -> String {
        let (group, version, plural) = self.resource;
        let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        format!("{root}/namespaces/{namespace}/{plural}")
    }
}

fn example(resource: usize, object: Value) -> Example {
    Example { resource: RESOURCES[resource], object, old: None }
}

/// A thing that becomes another, in half of all cases with the same `a`.
fn update(dice: &mut Dice, number: usize) -> Example {
    let (old, mut new) = (thing(dice, number), thing(dice, number));
    if dice.one_in(2) && old["spec"].get("a").is_some() {
        new["spec"]["a"] = old["spec"]["a"].clone();
    }
    let named = |mut thing: Value| {
        thing["metadata"]["name"] = json!(format!("kept-{number}"));
        thing
    };
    Example { old: Some(named(old)), ..example(4, named(new)) }
}

fn pod(dice: &mut Dice, number: usize) -> Value {
    let mut spec = pod_spec(dice);
    if dice.one_in(4) {
        spec["hostNetwork"] = json!(dice.one_in(2));
    }
    let mut metadata = json!({"name": format!("pod-{number}")});
    if !dice.one_in(5) {
        metadata["labels"] = labels(dice);
    }
    if dice.one_in(3) {
        metadata["annotations"] = json!({"note": dice.pick(&["short", "a rather long note"])});
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
}

fn labels(dice: &mut Dice) -> Value {
    let mut labels = Map::new();
    labels.insert("app".to_owned(), json!("x"));
    if !dice.one_in(4) {
        labels.insert(
            "team".to_owned(),
            dice.pick(&[json!("core"), json!("Core"), json!("CORE"), json!(""), json!("a.b")]),
        );
    }
    if dice.one_in(3) {
        labels.insert("example.org/component".to_owned(), json!("y"));
    }
    Value::Object(labels)
}

fn pod_spec(dice: &mut Dice) -> Value {
    let names = ["main", "side", "c3"];
    let count = 1 + dice.below(3);
    let containers: Vec<Value> = names.iter().take(count).map(|name| container(dice, name)).collect();
    let mut spec = json!({"containers": containers});
    if dice.one_in(3) {
        spec["securityContext"] = json!({"runAsUser": dice.pick(&[0, 65532])});
    }
    if dice.one_in(2) {
        spec["volumes"] = json!([dice.pick(&[
            json!({"name": "a", "emptyDir": {}}),
            json!({"name": "b", "configMap": {"name": "x"}}),
            json!({"name": "c", "hostPath": {"path": "/"}}),
        ])]);
    }
    if dice.one_in(4) {
        spec["automountServiceAccountToken"] = json!(false);
    }
    if dice.one_in(4) {
        spec["tolerations"] = json!([dice.pick(&[
            json!({"key": "x", "operator": "Exists"}),
            json!({"key": "y", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 301}),
        ])]);
    }
    spec
}

fn container(dice: &mut Dice, name: &str) -> Value {
    let digest = format!("registry.example/app@sha256:{}", "a".repeat(64));
    let image = dice.pick(&["registry.example/app:1.2", "nginx:latest", "nginx", digest.as_str(), "1"]);
    let mut container = json!({"name": name, "image": image});
    let parts: [Part; 4] = [("resources", resources), ("ports", ports), ("env", env), ("securityContext", security)];
    for (key, part) in parts {
        if dice.one_in(2) {
            container[key] = part(dice);
        }
    }
    // With host network a port may be taken once; the protocol tells the containers apart.
    if let Some(port) = container.pointer_mut("/ports/0") {
        port["protocol"] = json!(if name == "main" {
            "TCP"
        } else if name == "side" {
            "UDP"
        } else {
            "SCTP"
        });
    }
    container
}

fn resources(dice: &mut Dice) -> Value {
    let cpu = dice.pick(&["1", "1000m", "2", "1500m", "1.6", "0.25"]);
    let memory = dice.pick(&["1Gi", "1024Mi", "1G", "301989888", "2Gi", "1e9"]);
    let mut resources = json!({});
    if !dice.one_in(4) {
        resources["limits"] = if dice.one_in(2) { json!({"cpu": cpu, "memory": memory}) } else { json!({"cpu": cpu}) };
    }
    if dice.one_in(2) {
        resources["requests"] = json!({"memory": dice.pick(&["100Mi", "256Mi", "200M"])});
    }
    resources
}

fn ports(dice: &mut Dice) -> Value {
    let port = dice.pick(&[80, 8080, 443, 65535]);
    json!([{"containerPort": port}])
}

fn env(dice: &mut Dice) -> Value {
    let name = dice.pick(&["A", "SOME_NAME", "lower", "MY_SECRET", "A1"]);
    let from = json!({"name": "FIELD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}});
    let plain = json!({"name": name, "value": dice.pick(&["", "yes", "no"])});
    if dice.one_in(2) { json!([plain, from]) } else { json!([plain]) }
}

fn security(dice: &mut Dice) -> Value {
    dice.pick(&[
        json!({"privileged": true}),
        json!({"privileged": false, "runAsUser": 1000}),
        json!({"runAsUser": 999, "capabilities": {"drop": ["ALL"]}}),
        json!({"capabilities": {"drop": ["NET_RAW"], "add": ["CHOWN"]}}),
    ])
}

fn config_map(dice: &mut Dice, number: usize) -> Value {
    let name = format!("map-{number}");
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels(dice)}, "data": {"a": "b"}})
}

fn service(dice: &mut Dice, number: usize) -> Value {
    let port = dice.pick(&[80, 8000]);
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": format!("svc-{number}")},
        "spec": {"clusterIP": "None", "ports": [{"port": port}], "selector": {"app": "x"}}})
}

fn deployment(dice: &mut Dice, number: usize) -> Value {
    let template = json!({"metadata": {"labels": {"app": "x"}}, "spec": pod_spec(dice)});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": format!("dep-{number}"), "labels": labels(dice)},
        "spec": {"replicas": dice.below(3), "selector": {"matchLabels": {"app": "x"}}, "template": template}})
}

/// Fields of every kind. No double is whole: a webhook is sent `1` for the `1.0` that a policy sees.
fn thing(dice: &mut Dice, number: usize) -> Value {
    let any = |dice: &mut Dice| {
        dice.pick(&[
            json!(1),
            json!(1),
            json!(2),
            json!(0),
            json!(-3),
            json!(1.5),
            json!(0.000_001_5),
            json!(12_345_678.25),
            json!(9_223_372_036_854_775_807_i64),
            json!("1"),
            json!("x"),
            json!(""),
            json!("true"),
            json!(true),
            json!(false),
            json!([1, 2, 3]),
            json!([0, 1]),
            json!([]),
            json!({"x": 1}),
            json!({"y": 0}),
            json!({}),
        ])
    };
    let list = dice.pick(&[json!([1, 2, 3]), json!([1]), json!([]), json!(["1", 1.5, true]), json!([1, "x", 1])]);
    let map = dice.pick(&[json!({"x": 1}), json!({"x": "1", "y": 1}), json!({}), json!([1, 2]), json!({"x": 1.5})]);
    let mut spec = json!({
        "a": any(dice), "b": any(dice), "list": list, "map": map, "nil": null,
        "flag": dice.pick(&[json!(true), json!(true), json!(false), json!(false), json!("true"), json!(1)]),
        "text": dice.pick(&["hello", "  hello", "Hello", "h\u{e9}llo", "hell o", "ll", ""]),
        "amount": dice.pick(&[
            json!("1"), json!("1000m"), json!("0.9"), json!("1Ki"), json!("."), json!("x"), json!(2), json!("-1"), json!("1e-3"),
        ]),
    });
    for key in ["a", "nil", "list"] {
        if dice.one_in(6) {
            spec.as_object_mut().unwrap().remove(key);
        }
    }
    json!({"apiVersion": "rules.test/v1", "kind": "Thing", "metadata": {"name": format!("thing-{number}")}, "spec": spec})
}

/// A field and what may stand in it.
type Part = (&'static str, fn(&mut Dice) -> Value);

/// Numbers that are the same in every run (a linear congruential generator).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % bound as u64).unwrap()
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}
