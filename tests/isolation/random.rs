//! Random NetworkPolicies, many of them nearly right, and the small world in which they hold.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use crate::naive::{Labels, NAME, World};

/// One policy of the namespace `flame`.
pub(crate) fn policy() -> impl Strategy<Value = Value> {
    let rules = |field: &'static str| prop::option::of(prop::collection::vec(rule(field), 0..3));
    let types = select(vec![
        json!(null),
        json!([]),
        json!(["Ingress"]),
        json!(["Egress"]),
        json!(["Ingress", "Egress"]),
        json!(["Egress", "Ingress"]),
    ]);
    (pods(), types, rules("from"), rules("to")).prop_map(|(pods, types, ingress, egress)| {
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "random", "namespace": "flame"},
            "spec": without_nulls([
                ("podSelector", pods), ("policyTypes", types), ("ingress", json!(ingress)), ("egress", json!(egress)),
            ]),
        })
    })
}

/// Values of every key that selectors ask for, and of each key one that no selector knows.
pub(crate) fn world() -> World {
    let names = ["flame", "kube-system", "lab", "elsewhere"].map(Some);
    World {
        namespaces: product(&[(NAME, &names), ("team", &[None, Some("x"), Some("else")])]),
        pods: product(&[
            (
                "app",
                &[
                    None,
                    Some("nginx-analysis-a"),
                    Some("nginx-analysis-b"),
                    Some("nginx-analysis-c"),
                    Some("po"),
                    Some("else"),
                ],
            ),
            ("component", &[None, Some("flame-analysis-nginx"), Some("else")]),
            ("k8s-app", &[None, Some("kube-dns"), Some("else")]),
            ("x", &[None, Some("1"), Some("else")]),
        ]),
        addresses: [
            "10.1.2.3",
            "169.254.169.254",
            "169.254.20.10",
            "169.254.20.11",
            "2001:db8::1",
            "fd00::a",
            "fd00::b",
        ]
        .map(|address| address.parse().unwrap())
        .into(),
        protocols: vec!["TCP", "UDP", "SCTP"],
        numbers: vec![53, 54, 80, 81, 443, 5353, 8000, 8080, 9153],
        named: 443,
    }
}

/// What a pod's controller gave it, and what its binding brings.
pub(crate) const HASH: &str = "pod-template-hash";
pub(crate) const ZONE: &str = "topology.kubernetes.io/zone";

/// Two analyses that policies name, and one that none does.
pub(crate) const APPS: [&str; 3] = ["analysis-a", "analysis-b", "analysis-c"];

/// Every guarded pod that selectors can tell apart.
pub(crate) fn analyses() -> Vec<Labels> {
    product(&[
        ("app", &APPS.map(Some)),
        ("component", &[Some("flame-analysis")]),
        (HASH, &[None, Some("h1"), Some("else")]),
        (ZONE, &[None, Some("z"), Some("else")]),
    ])
}

fn rule(field: &'static str) -> impl Strategy<Value = Value> {
    (prop::option::weighted(0.9, prop::collection::vec(peer(), 0..3)), ports())
        .prop_map(move |(peers, ports)| Value::Object(without_nulls([(field, json!(peers)), ("ports", ports)])))
}

fn pods() -> impl Strategy<Value = Value> {
    let one = |app: &str| json!({"matchLabels": {"app": app}});
    prop_oneof![
        4 => Just(one("analysis-a")),
        1 => Just(one("analysis-b")),
        1 => Just(json!(null)),
        4 => selector(vec![
            ("app", vec!["analysis-a", "analysis-b", "nginx-analysis-a", "po", "no value!"]),
            ("component", vec!["flame-analysis", "flame-analysis-nginx"]),
            (HASH, vec!["h1"]),
            (ZONE, vec!["z"]),
            ("x", vec!["1"]),
        ]),
    ]
}

fn peer() -> impl Strategy<Value = Value> {
    let gateway = json!({"podSelector": {"matchLabels": {"app": "nginx-analysis-a"}}});
    let dns = json!({
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        "namespaceSelector": {"matchLabels": {NAME: "kube-system"}},
    });
    let other_dns = json!({
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns", "x": "1"}},
        "namespaceSelector": {"matchLabels": {NAME: "lab"}},
    });
    let blocks = vec![
        "0.0.0.0/0",
        "10.0.0.0/8",
        "169.254.169.254/32",
        "169.254.20.10/32",
        "169.254.20.10/32",
        "169.254.20.10/31",
        "169.254.20.11/32",
        "fd00::a/128",
        "fd00::a/127",
        "::/0",
    ];
    prop_oneof![
        6 => Just(gateway.clone()),
        4 => Just(dns.clone()),
        // Nearly right: the right pods, but perhaps of another namespace.
        4 => (select(vec![gateway.clone(), dns.clone(), other_dns.clone()]), prop::option::of(namespaces())).prop_map(|(mut peer, namespaces)| {
            peer["namespaceSelector"] = json!(namespaces);
            peer
        }),
        2 => Just(other_dns.clone()),
        2 => select(blocks).prop_map(|block| json!({"ipBlock": {"cidr": block}})),
        2 => peer_pods().prop_map(|pods| json!({"podSelector": pods})),
        1 => namespaces().prop_map(|namespaces| json!({"namespaceSelector": namespaces})),
        3 => (peer_pods(), namespaces())
            .prop_map(|(pods, namespaces)| json!({"podSelector": pods, "namespaceSelector": namespaces})),
    ]
}

fn peer_pods() -> impl Strategy<Value = Value> {
    selector(vec![
        ("app", vec!["nginx-analysis-a", "nginx-analysis-b", "po", "no value!"]),
        ("component", vec!["flame-analysis-nginx"]),
        ("k8s-app", vec!["kube-dns"]),
        ("x", vec!["1"]),
    ])
}

fn namespaces() -> impl Strategy<Value = Value> {
    selector(vec![(NAME, vec!["flame", "kube-system", "lab"]), ("team", vec!["x"])])
}

/// A selector of up to three terms over these keys and values.
fn selector(keys: Vec<(&'static str, Vec<&'static str>)>) -> impl Strategy<Value = Value> {
    let operator = select(vec!["", "", "In", "In", "NotIn", "Exists", "DoesNotExist"]);
    let term = select(keys).prop_flat_map(move |(key, values)| {
        let most = values.len().min(2);
        (Just(key), operator.clone(), proptest::sample::subsequence(values, 1..=most))
    });
    prop::collection::vec(term, 0..4).prop_map(|terms| {
        let (mut labels, mut expressions) = (Map::new(), Vec::new());
        for (key, operator, values) in terms {
            match operator {
                "" => drop(labels.insert(key.to_owned(), json!(values[0]))),
                "In" | "NotIn" => expressions.push(json!({"key": key, "operator": operator, "values": values})),
                _ => expressions.push(json!({"key": key, "operator": operator})),
            }
        }
        json!({"matchLabels": labels, "matchExpressions": expressions})
    })
}

fn ports() -> impl Strategy<Value = Value> {
    let protocol = || select(vec![json!(null), json!(null), json!("TCP"), json!("UDP"), json!("SCTP")]);
    let number = select(vec![
        json!(80),
        json!(8080),
        json!(8000),
        json!(53),
        json!(5353),
        json!(443),
        json!("http"),
        json!("dns"),
        json!(null),
    ]);
    let range = select(vec![(80, 80), (53, 53), (5353, 5353), (80, 81), (53, 80), (8000, 8080), (1, 65535)]);
    let port = prop_oneof![
        4 => (protocol(), number).prop_map(|(protocol, number)| without_nulls([("protocol", protocol), ("port", number)])),
        1 => (protocol(), range).prop_map(|(protocol, (first, last))| without_nulls([
            ("protocol", protocol), ("port", json!(first)), ("endPort", json!(last)),
        ])),
    ];
    prop_oneof![
        3 => select(vec![
            json!([{"port": 80}]), json!([{"port": 8000}]), json!([{"port": 53, "protocol": "UDP"}]),
            json!([{"port": 5353}]),
        ]),
        1 => Just(json!(null)),
        3 => prop::collection::vec(port, 0..3).prop_map(|ports| json!(ports)),
    ]
}

fn without_nulls<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.to_owned(), value)).collect()
}

/// All combinations of these labels.
fn product(keys: &[(&str, &[Option<&str>])]) -> Vec<Labels> {
    let mut all = vec![Labels::new()];
    for (key, values) in keys {
        let longer = all.iter().flat_map(|labels| {
            values.iter().map(|value| {
                let mut labels = labels.clone();
                labels.extend(value.map(|value| ((*key).to_owned(), value.to_owned())));
                labels
            })
        });
        all = longer.collect();
    }
    all
}
