//! What the conditions of the webhook configurations leave out, the judge would have passed.
//!
//! The recorded requests, changed at random, are put to both: the conditions by the `cel` crate, an error
//! counting as sent, since the API server then refuses.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of a test end it like the test itself")]

use std::fs;
use std::sync::Arc;
use std::sync::LazyLock;

use cel::extractors::This;
use cel::{Context, Program, Value as CelValue};
use flamewarden::install::{Certificates, Endpoint, Settings, configuration_names, manifests};
use flamewarden::isolation::{FOREIGN, Scope};
use flamewarden::policy::PolicySet;
use flamewarden::rules::{Case, ScanKnowledge, Target, judge};
use flamewarden::webhook::Review;
use proptest::prelude::*;
use serde_json::{Value, json};

/// For a shared namespace; [`Tenanted::of`] makes it a dedicated one.
const POLICIES: [(&str, &str); 3] = [
    ("a", include_str!("../policies/flame-analysis.yaml")),
    ("g", include_str!("../policies/flame-gateway.yaml")),
    (
        "i",
        r#"
apiVersion: flamewarden.dev/v1alpha1
kind: Installation
spec:
  namespaces: [{name: default, tenancy: shared}]
  analysisRegistries: [harbor.example/node]
  gatewayImages: ["nginx:1.29.8"]
  creators: ["admin"]
"#,
    ),
];

static SHARED: LazyLock<Tenanted> = LazyLock::new(|| Tenanted::of("shared"));
static DEDICATED: LazyLock<Tenanted> = LazyLock::new(|| Tenanted::of("dedicated"));
/// Where Flamewarden makes analyses itself.
static MAKING: LazyLock<Tenanted> = LazyLock::new(|| {
    let orchestrator = "apiVersion: flamewarden.dev/v1alpha1\nkind: Orchestrator\nspec:\n  namespace: default\n  gatewayImage: nginx@DIGEST\n  \
        upstreams: {kong: {service: k}, storage: {service: s}, hubAdapter: {service: h}, messageBroker: {service: m}}\n";
    let digest = format!("sha256:{}", "0".repeat(64));
    let [analysis, gateway, (name, installation)] = POLICIES;
    let installation = installation.replace("nginx:1.29.8", &format!("nginx@{digest}"));
    Tenanted::with(&[analysis, gateway, (name, &installation), ("o", &orchestrator.replace("DIGEST", &digest))])
});
static RECORDED: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/admissionreviews");
    let files = fs::read_dir(folder).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let mut reviews: Vec<Value> = files.map(|text| serde_json::from_str(&text).unwrap()).collect();
    reviews.sort_by_key(|review| review["request"]["uid"].to_string());
    reviews.extend(foreign_requests().map(|request| json!({"request": request})));
    reviews
});

/// Policies whose namespace `default` has one tenancy, and what is installed for them.
struct Tenanted {
    policies: PolicySet,
    configurations: Vec<Configuration>,
}

impl Tenanted {
    fn of(tenancy: &str) -> Self {
        let [analysis, gateway, (name, installation)] = POLICIES;
        let installation = installation.replace("tenancy: shared", &format!("tenancy: {tenancy}"));
        Tenanted::with(&[analysis, gateway, (name, &installation)])
    }

    fn with(files: &[(&str, &str)]) -> Self {
        let policies = PolicySet::parse(files.iter().copied()).unwrap();
        let configurations = configurations(&policies);
        Tenanted { policies, configurations }
    }

    fn sends(&self, mutating: bool, request: &Value) -> bool {
        self.configurations.iter().any(|it| it.mutating == mutating && it.is_sent(request))
    }
}

/// Requests about policies of other networks, which no test cluster has kinds for.
fn foreign_requests() -> impl Iterator<Item = Value> {
    let namespaced = FOREIGN.iter().filter(|kind| kind.scope == Scope::Namespaced);
    namespaced.flat_map(|kind| {
        let labels = json!({"matchLabels": {"app": "web"}});
        let spec =
            json!({"endpointSelector": labels, "selector": "app == 'web'", "appliedTo": [{"podSelector": labels}]});
        let object = json!({"kind": "Foreign", "metadata": {"name": "web", "namespace": "default"}, "spec": spec});
        [
            ("CREATE", Value::Null, object.clone()),
            ("UPDATE", object.clone(), object.clone()),
            ("DELETE", object, Value::Null),
        ]
        .map(|(operation, old, new)| {
            json!({
                "uid": "u", "operation": operation, "namespace": "default", "name": "web", "object": new,
                "oldObject": old, "userInfo": {"username": "editor", "groups": ["system:authenticated"]},
                "resource": {"group": kind.group, "version": "v1", "resource": kind.resource},
            })
        })
    })
}

/// One webhook: what it is sent.
struct Configuration {
    mutating: bool,
    rules: Value,
    conditions: Vec<Program>,
}

fn configurations(policies: &PolicySet) -> Vec<Configuration> {
    let settings = Settings {
        namespace: "flamewarden-system".to_owned(),
        image: "flamewarden".to_owned(),
        certificates: Certificates::Own,
        endpoint: Endpoint::Service,
        files: Default::default(),
    };
    let objects = manifests(&settings, policies);
    let webhooks = objects.iter().filter(|object| object["webhooks"].is_array());
    webhooks
        .map(|object| {
            let webhook = &object["webhooks"][0];
            let conditions = webhook["matchConditions"].as_array().into_iter().flatten();
            let program = |condition: &Value| Program::compile(condition["expression"].as_str().unwrap()).unwrap();
            Configuration {
                mutating: object["kind"] == "MutatingWebhookConfiguration",
                rules: webhook["rules"].clone(),
                conditions: conditions.map(program).collect(),
            }
        })
        .collect()
}

impl Configuration {
    fn is_sent(&self, request: &Value) -> bool {
        self.rules.as_array().unwrap().iter().any(|rule| fits(rule, request))
            && self.conditions.iter().all(|condition| holds(condition, request))
    }
}

fn fits(rule: &Value, request: &Value) -> bool {
    let resource = request["resource"]["resource"].as_str().unwrap();
    let asked = match request["subResource"].as_str() {
        Some(sub) => format!("{resource}/{sub}"),
        None => resource.to_owned(),
    };
    let has = |key: &str, wanted: &Value| rule[key].as_array().unwrap().contains(wanted);
    has("operations", &request["operation"])
        && has("apiGroups", &request["resource"]["group"])
        && has("resources", &json!(asked))
}

fn holds(condition: &Program, request: &Value) -> bool {
    let mut context = Context::default();
    let lower = |This(text): This<Arc<String>>| text.to_ascii_lowercase();
    context.add_function("lowerAscii", lower).unwrap();
    let mut about = request.as_object().unwrap().clone();
    for (name, key) in [("object", "object"), ("oldObject", "oldObject")] {
        context.add_variable(name, about.remove(key).unwrap_or(Value::Null)).unwrap();
    }
    context.add_variable("request", Value::Object(about)).unwrap();
    !matches!(condition.execute(&context), Ok(CelValue::Bool(false)))
}

/// What the judge has to say: the rules that refuse, and whether there is anything to mend.
fn judged(policies: &PolicySet, request: &Value) -> (Vec<String>, bool) {
    let text = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).to_string();
    let review = Review::parse(text.as_bytes()).unwrap();
    let request = review.request().unwrap();
    // Nobody knows the object that it names: whatever needs to know it is refused.
    let case = Case {
        policies,
        target: Target::Unread,
        scans: ScanKnowledge::OutOfReach,
        now: "2026-11-21T00:00:00Z".parse().unwrap(),
    };
    let judgement = judge(&request, &case);
    let rules = judgement.refusals.iter().map(|finding| finding.rule.to_string());
    (rules.collect(), !judgement.remedies.is_empty())
}

/// A place in an object and what is put there; null takes away.
type Change = (&'static str, Value);

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let words = [
        "analysis-1",
        "analysis-1-of-a-name-that-is-longer-than-any-app-may-be-6ccf97bb55-x7k2p",
        "nginx-analysis-1",
        "nginx-web",
        "web",
        "flame-analysis",
        "flame-analysis-nginx",
        "x",
    ];
    let word = prop::sample::select(words.to_vec()).prop_map(|word| json!(word));
    let absent = Just(Value::Null);
    let image = prop::sample::select(vec!["harbor.example/node/a:1", "HARBOR.example/node/a", "nginx:1", "other/a"]);
    let image = image.prop_map(|image| json!(image));
    let named = |places: &'static [&'static str], value: BoxedStrategy<Value>| {
        (prop::sample::select(places.to_vec()), value).boxed()
    };
    let words = prop_oneof![4 => word, 1 => absent].boxed();
    let change = prop_oneof![
        6 => named(WORDS, words),
        2 => named(IMAGES, image.boxed()),
        1 => named(&["/deleteOptions"], prop::sample::select(vec![json!({"gracePeriodSeconds": 0}), json!({})]).boxed()),
        1 => named(&["/metadata/annotations"], Just(json!({"a": "b"})).boxed()),
        1 => named(&["/spec/podSelector"], prop::sample::select(selectors()).boxed()),
        1 => named(&["/spec/boundObjectRef"], Just(json!({"kind": "Pod", "name": "analysis-1"})).boxed()),
        1 => named(&["/spec/nodeName"], Just(json!("n1")).boxed()),
        1 => named(&["/metadata/finalizers"], Just(json!(["flamewarden.dev/isolation"])).boxed()),
        1 => named(&["/spec/endpointSelector", "/spec/appliedTo/0/podSelector"], prop::sample::select(selectors()).boxed()),
        1 => named(&["/spec/selector"], prop::sample::select(vec![json!("all()"), json!("has(app)")]).boxed()),
    ];
    prop::collection::vec(change, 0..5)
}

/// Places that one kind only has.
const KINDS: &[(&str, &str)] = &[
    ("/deleteOptions", "Eviction"),
    ("/spec/podSelector", "NetworkPolicy"),
    ("/spec/boundObjectRef", "TokenRequest"),
    ("/spec/nodeName", "Pod"),
    ("/spec/endpointSelector", "Foreign"),
    ("/spec/appliedTo/0/podSelector", "Foreign"),
    ("/spec/selector", "Foreign"),
];
const WORDS: &[&str] = &[
    "/metadata/name",
    "/metadata/labels/app",
    "/metadata/labels/component",
    "/metadata/labels/kubernetes.io~1service-name",
    "/metadata/labels/tier",
    "/spec/selector/app",
    "/spec/selector/component",
    "/spec/podSelector/matchLabels/app",
    "/spec/template/metadata/labels/app",
    "/spec/template/metadata/labels/component",
    "/subsets/0/addresses/0/targetRef/name",
    "/endpoints/0/targetRef/name",
];
const IMAGES: &[&str] = &["/spec/containers/0/image", "/spec/template/spec/containers/0/image"];

fn selectors() -> Vec<Value> {
    let expression = |key: &str, operator: &str| json!({"matchExpressions": [{"key": key, "operator": operator}]});
    vec![
        json!({}),
        json!({"matchLabels": {"tier": "web"}}),
        json!({"matchLabels": {"component": "flame-analysis"}}),
        json!({"matchLabels": {"component": "flame-analysis-nginx"}}),
        json!({"matchLabels": {"component": "web"}}),
        expression("app", "Exists"),
        expression("tier", "Exists"),
        expression("component", "DoesNotExist"),
    ]
}

/// Puts a value at a pointer where its parent is an object; parents that are missing stay missing.
fn put(object: &mut Value, (place, value): &Change) {
    // The API server drops what a kind does not know before it asks anybody.
    let of_kind = KINDS.iter().find(|(known, _)| known == place).map(|(_, kind)| *kind);
    if of_kind.is_some_and(|kind| object["kind"] != kind) {
        return;
    }
    let (parent, key) = place.rsplit_once('/').unwrap();
    let Some(parent) = object.pointer_mut(parent).and_then(Value::as_object_mut) else { return };
    let key = key.replace("~1", "/");
    if value.is_null() { drop(parent.remove(&key)) } else { drop(parent.insert(key, value.clone())) }
}

fn request() -> impl Strategy<Value = Value> {
    let users = [
        ("editor", "system:authenticated"),
        ("admin", "system:masters"),
        ("system:kube-scheduler", "system:authenticated"),
        ("system:node:n1", "system:nodes"),
        ("system:node:n2", "system:nodes"),
        ("system:serviceaccount:kube-system:endpoint-controller", "system:serviceaccounts"),
        ("system:serviceaccount:kube-system:replicaset-controller", "system:serviceaccounts"),
    ];
    let user = prop::option::of(prop::sample::select(users.to_vec()));
    (prop::sample::select(RECORDED.clone()), user, changes(), changes()).prop_map(|(review, user, new, old)| {
        let mut request = review["request"].clone();
        if let Some((name, group)) = user {
            request["userInfo"]["username"] = json!(name);
            request["userInfo"]["groups"] = json!([group]);
        }
        for (key, changes) in [("object", new), ("oldObject", old)] {
            changes.iter().for_each(|change| put(&mut request[key], change));
        }
        request
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_not_sent_would_have_passed(request in request(), place in 0..3_usize) {
        let place = [&*SHARED, &*DEDICATED, &*MAKING][place];
        let (refused, mended) = judged(&place.policies, &request);
        prop_assert!(refused.is_empty() || place.sends(false, &request), "refused by {refused:?}, but not sent: {request}");
        prop_assert!(!mended || place.sends(true, &request), "mended, but not sent: {request}");
    }
}

#[test]
fn a_kubelet_s_write_to_a_status_is_sent_where_it_writes_more() {
    let pod = |metadata: Value| {
        let mut metadata = metadata;
        metadata["labels"] = json!({"app": "analysis-1", "component": "flame-analysis"});
        json!({"kind": "Pod", "metadata": metadata, "spec": {"nodeName": "n1", "containers": []}})
    };
    for (old, new, sent) in [
        (json!({}), json!({}), false),
        (json!({"annotations": {"a": "b"}}), json!({"annotations": {"a": "b"}}), false),
        (json!({"annotations": {"a": "b"}}), json!({"annotations": {"a": "c"}}), true),
        (
            json!({"finalizers": ["x"], "ownerReferences": []}),
            json!({"finalizers": ["x"], "ownerReferences": []}),
            false,
        ),
        (json!({}), json!({"finalizers": ["x"]}), true),
        (json!({"finalizers": ["x"]}), json!({"finalizers": ["x", "y"]}), true),
        (json!({}), json!({"ownerReferences": [{"name": "a", "uid": "u"}]}), true),
        (json!({"ownerReferences": [{"name": "a", "uid": "u"}]}), json!({}), true),
    ] {
        let request = json!({
            "uid": "u", "operation": "UPDATE", "namespace": "default", "name": "p", "subResource": "status",
            "object": pod(new), "oldObject": pod(old),
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "userInfo": {"username": "system:node:n1", "groups": ["system:nodes"]},
        });
        let refused = !judged(&SHARED.policies, &request).0.is_empty();
        assert_eq!((SHARED.sends(false, &request), refused), (sent, sent), "{request}");
    }
}

#[test]
fn another_network_s_policy_for_all_pods_is_sent_and_refused() {
    let mut tried = 0;
    for mut request in foreign_requests() {
        let deleted = request["operation"] == "DELETE";
        let object = if deleted { "oldObject" } else { "object" };
        request[object]["spec"] = json!({"endpointSelector": {}, "selector": "", "appliedTo": [{"podSelector": {}}]});
        let want = if deleted { vec![] } else { vec!["network-policy".to_owned()] };
        for place in [&*SHARED, &*DEDICATED] {
            let (refused, mended) = judged(&place.policies, &request);
            assert_eq!((&refused, mended, place.sends(false, &request)), (&want, false, !want.is_empty()), "{request}");
            tried += 1;
        }
    }
    assert_eq!(tried, 7 * 3 * 2);
}

#[test]
fn a_policy_that_opens_a_gateway_is_sent_and_refused_where_flamewarden_makes_it() {
    for (labels, refused) in [
        (json!({"component": "flame-analysis-nginx"}), true),
        (json!({"app": "nginx-analysis-1"}), true),
        (json!({"app": "nginx-web"}), false),
    ] {
        let request = json!({
            "uid": "1", "operation": "CREATE", "name": "open", "namespace": "default",
            "kind": {"group": "networking.k8s.io", "version": "v1", "kind": "NetworkPolicy"},
            "resource": {"group": "networking.k8s.io", "version": "v1", "resource": "networkpolicies"},
            "userInfo": {"username": "editor", "groups": ["system:authenticated"]}, "oldObject": null,
            "object": {
                "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "open", "namespace": "default"},
                "spec": {"podSelector": {"matchLabels": labels}, "ingress": [{}]},
            },
        });
        for (place, refuses) in [(&*MAKING, refused), (&*SHARED, false)] {
            let want = if refuses { vec!["network-policy".to_owned()] } else { Vec::new() };
            assert_eq!(
                (place.sends(false, &request), judged(&place.policies, &request).0),
                (refuses, want),
                "{labels}"
            );
        }
    }
}

#[test]
fn an_analysis_image_is_sent_and_refused_however_its_registry_is_written() {
    let [mut analysis, gateway, _] = POLICIES.map(|(_, text)| text.to_owned());
    analysis = analysis.replace("  images:\n", "  images:\n    registries: [harbor.example/checked]\n");
    for (registry, image) in [
        ("harbor.example", "harbor.example/a/b:1"),
        ("harbor.example", "harbor.example:443/a/b:1"),
        ("harbor.example", "harbor.example:0443/a/b:1"),
        ("harbor.example:443", "harbor.example/a/b:1"),
        ("harbor.example:5000", "harbor.example:05000/a/b:1"),
        ("harbor.example:5000", "HARBOR.example.:5000/a/b:1"),
        ("\"[2001:db8::1]:5000\"", "[2001:DB8:0::1]:05000/a/b:1"),
        ("mirror.example", "mirror.example/a/b:1"),
        ("mirror.example/node", "mirror.example/node/a/b:1"),
    ] {
        let installation = POLICIES[2].1.replace("harbor.example/node", registry);
        let texts = [("a", analysis.as_str()), ("g", gateway.as_str()), ("i", installation.as_str())];
        let policies = PolicySet::parse(texts).unwrap();
        let pod =
            json!({"kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": image}]}});
        let request = json!({
            "uid": "u", "operation": "CREATE", "namespace": "default", "name": "p", "object": pod,
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "userInfo": {"username": "editor", "groups": []},
        });
        let sent = configurations(&policies).iter().any(|it| !it.mutating && it.is_sent(&request));
        assert_eq!((sent, judged(&policies, &request).0), (true, vec!["analysis-image-label".to_owned()]), "{image}");
    }
}

/// The page's rule, with the page's constraints, in a namespace of each tenancy; without it ConfigMaps are not sent.
#[test]
fn what_a_rule_of_ones_own_names_is_sent() {
    let page = include_str!("../policies/own-rules.md");
    let blocks: Vec<&str> = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let rule = format!("{}{}", blocks[0], blocks[1]);
    let installation = POLICIES[2].1.replace(
        "[{name: default, tenancy: shared}]",
        "[{name: default, tenancy: shared}, {name: analyses, tenancy: dedicated}]",
    );
    let [analysis, gateway, _] = POLICIES;
    let without = PolicySet::parse([analysis, gateway, ("i", &installation)]).unwrap();
    let with = PolicySet::parse([analysis, gateway, ("i", &installation), ("o", &rule)]).unwrap();
    let names = |policies: &PolicySet| -> Vec<String> {
        configuration_names(policies).into_iter().map(|(_, name)| name).collect()
    };
    assert_eq!(
        names(&with),
        [names(&without), vec!["flamewarden-rules".into(), "flamewarden-rules-dedicated".into()]].concat()
    );
    for (group, resource, operation, wanted) in [
        ("", "configmaps", "CREATE", true),
        ("", "configmaps", "UPDATE", true),
        ("", "configmaps", "DELETE", false),
        ("", "secrets", "CREATE", false),
    ] {
        let request = json!({
            "operation": operation, "resource": {"group": group, "version": "v1", "resource": resource},
            "userInfo": {"username": "editor", "groups": []},
            "object": {"kind": "ConfigMap", "metadata": {"name": "web"}},
            "oldObject": {"kind": "ConfigMap", "metadata": {"name": "web"}},
        });
        let sent = |policies: &PolicySet| configurations(policies).iter().filter(|it| it.is_sent(&request)).count();
        let (both, none) = (if wanted { 2 } else { 0 }, 0);
        assert_eq!([sent(&with), sent(&without)], [both, none], "{operation} {resource}");
    }
}

#[test]
fn other_software_s_requests_are_not_sent() {
    let web = |kind: &str, spec: Value| json!({"kind": kind, "metadata": {"name": "web", "labels": {"app": "web"}}, "spec": spec});
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"image": "other/web:1"}]}});
    for (group, resource, object) in [
        ("", "pods", web("Pod", template["spec"].clone())),
        ("apps", "deployments", web("Deployment", json!({"template": template}))),
        (
            "networking.k8s.io",
            "networkpolicies",
            web("NetworkPolicy", json!({"podSelector": {"matchLabels": {"app": "web"}}})),
        ),
        ("", "services", web("Service", json!({"selector": {"app": "web"}}))),
        ("", "configmaps", web("ConfigMap", Value::Null)),
        ("", "secrets", web("Secret", Value::Null)),
    ] {
        let request = json!({
            "operation": "CREATE", "resource": {"group": group, "version": "v1", "resource": resource},
            "userInfo": {"username": "editor", "groups": []}, "object": object,
        });
        assert!(!SHARED.sends(true, &request) && !SHARED.sends(false, &request), "{resource}");
    }
}
