//! A review reaches out to nothing that it names: of all that stands in it, only an object's own name is ever asked
//! for, and only of the API server.

use std::net::TcpListener;

use flamewarden::app::{Running, start};
use flamewarden::cluster::Cluster;
use flamewarden::rules::TargetRef;
use flamewarden::webhook::{ClusterTargets, Looked, Targets};
use serde_json::{Value, json};

use crate::api_server::ApiServer;
use crate::client::Caller;
use crate::server::Place;

const POD: &str = "/api/v1/namespaces/flame/pods/p";

/// A webhook that could ask an API server, and the API server.
async fn webhook(place: &Place) -> (Running, ApiServer) {
    let cluster = ApiServer::with(POD, json!({"metadata": {"name": "p", "labels": {"app": "web"}}})).await;
    let mut settings = place.settings();
    settings.controller.kubeconfig = Some(cluster.kubeconfig());
    (start(&settings, flamewarden::rules::judge).await.unwrap(), cluster)
}

/// A review of a request in namespace `flame` by an editor; the resource is written `group/resource:subresource`.
fn review(operation: &str, resource: &str, name: &str, object: &Value) -> String {
    let (path, sub) = resource.split_once(':').unwrap_or((resource, ""));
    let (group, resource) = path.rsplit_once('/').unwrap_or(("", path));
    let mut request = json!({
        "uid": "u-1", "operation": operation, "namespace": "flame", "name": name, "subResource": sub,
        "resource": {"group": group, "version": "v1", "resource": resource},
        "userInfo": {"username": "jane", "groups": ["system:authenticated"]}, "object": object,
    });
    if operation == "UPDATE" {
        request["oldObject"] = json!({"metadata": {"name": name}});
    }
    json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}).to_string()
}

/// Objects that name an address wherever a kind can name one.
fn objects(at: &str) -> Vec<(&'static str, Value)> {
    let (host, port) = at.split_once(':').unwrap();
    let url = format!("http://{at}/x");
    let port: u16 = port.parse().unwrap();
    let get = json!({"httpGet": {"host": host, "port": port, "path": "/", "scheme": "HTTP"}});
    let template = json!({
        "metadata": {"name": "p", "annotations": {"a": url}, "labels": {"component": "flame-analysis", "app": "analysis-a"}},
        "spec": {
            "containers": [{
                "name": "analysis-a", "image": format!("{at}/a:1"), "livenessProbe": get, "env": [{"name": "A", "value": url}],
                "lifecycle": {"postStart": get}, "startupProbe": {"grpc": {"port": port}}, "readinessProbe": {"tcpSocket": {"host": host, "port": port}},
            }],
            "initContainers": [{"name": "i", "image": format!("{at}/a@sha256:{}", "a".repeat(64))}],
            "volumes": [
                {"name": "n", "nfs": {"server": at, "path": "/"}}, {"name": "i", "iscsi": {"targetPortal": at, "iqn": "i", "lun": 0}},
                {"name": "g", "gitRepo": {"repository": url}}, {"name": "o", "image": {"reference": format!("{at}/a:1")}},
            ],
            "dnsConfig": {"nameservers": [host]}, "hostAliases": [{"ip": host, "hostnames": [at]}],
            "imagePullSecrets": [{"name": at}], "schedulerName": url, "serviceAccountName": url, "runtimeClassName": url,
        },
    });
    let meta = json!({"name": "nginx-analysis-a", "annotations": {"a": url}});
    let workload = json!({"metadata": meta, "spec": {"template": template}});
    let endpoint = json!({"addresses": [host], "targetRef": {"kind": "Pod", "name": url}});
    vec![
        ("pods", template),
        ("apps/deployments", workload.clone()),
        ("batch/jobs", workload),
        (
            "services",
            json!({"metadata": meta, "spec": {"type": "ExternalName", "externalName": at, "externalIPs": [host]}}),
        ),
        (
            "discovery.k8s.io/endpointslices",
            json!({"metadata": meta, "endpoints": [endpoint], "ports": [{"port": port}]}),
        ),
        ("configmaps", json!({"metadata": {"name": "nginx-analysis-a-config"}, "data": {"nginx.conf": url}})),
        ("secrets", json!({"metadata": {"name": "flame-harbor-credentials"}, "stringData": {"registry": url}})),
        (
            "networking.k8s.io/networkpolicies",
            json!({"metadata": meta, "spec": {"podSelector": {}, "egress": [{"to": [{"ipBlock": {"cidr": format!("{host}/32")}}]}]}}),
        ),
        (
            "cilium.io/ciliumnetworkpolicies",
            json!({"metadata": meta, "spec": {"egress": [{"toFQDNs": [{"matchName": at}]}]}}),
        ),
    ]
}

#[tokio::test]
async fn addresses_that_a_review_names_are_never_called() {
    let place = Place::mounted();
    let (running, cluster) = webhook(&place).await;
    let named = TcpListener::bind("127.0.0.1:0").unwrap();
    named.set_nonblocking(true).unwrap();
    let at = named.local_addr().unwrap().to_string();
    let mut caller = Caller::trusting(&place.generation("first")).connect(running.webhook.unwrap()).await.unwrap();
    for (resource, object) in objects(&at) {
        for operation in ["CREATE", "UPDATE"] {
            for path in ["/mutate", "/validate"] {
                let text = review(operation, resource, "p", &object);
                let answer = caller.post(&format!("{path}?timeout=10s&at={at}"), text).await.unwrap().answer();
                let refused = path == "/validate";
                assert_eq!((answer.0.as_str(), answer.1), ("u-1", !refused), "{operation} {resource} at {path}");
            }
        }
    }
    assert_eq!(named.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(cluster.asked(), [""; 0], "what a review brings is not asked for");
}

#[tokio::test]
async fn a_name_leads_to_the_object_of_that_name_or_nowhere() {
    let place = Place::mounted();
    let (running, cluster) = webhook(&place).await;
    let mut caller = Caller::trusting(&place.generation("first")).connect(running.webhook.unwrap()).await.unwrap();
    let evicted = json!({"deleteOptions": {"gracePeriodSeconds": 0}});
    let requests = |name: &str| {
        let bound = json!({"spec": {"boundObjectRef": {"kind": "Pod", "name": name}}});
        [
            review("CONNECT", "pods:exec", name, &json!({})),
            review("CONNECT", "pods:proxy", name, &json!({})),
            review("CREATE", "pods:eviction", name, &evicted),
            review("CREATE", "pods:binding", name, &json!({"metadata": {"name": name}})),
            review("CREATE", "bindings", "", &json!({"metadata": {"name": name}})),
            review("CREATE", "serviceaccounts:token", "default", &bound),
        ]
    };
    for text in requests("p") {
        let answer = caller.post("/validate?timeout=10s", text).await.unwrap().answer();
        assert_eq!(answer, ("u-1".to_owned(), true, None), "a pod of other software");
    }
    assert_eq!(cluster.asked(), ["GET /api/v1/namespaces/flame/pods/p"; 6]);
    for name in [
        "p/log",
        "p/../../secrets/s",
        "../secrets/s",
        "..",
        ".",
        "/",
        "p?watch=true",
        "p#x",
        "p%2flog",
        "p;x",
        "p q",
        "p\n",
        "P",
        "-",
        "p.",
        "пod",
        &"p".repeat(254),
    ] {
        for text in requests(name) {
            let answer = caller.post("/validate?timeout=10s", text.clone()).await.unwrap().answer();
            assert_eq!(answer, ("u-1".to_owned(), false, Some(403)), "{text}");
        }
    }
    assert_eq!(cluster.asked().len(), 6, "asked for other than objects: {:?}", cluster.asked());
}

/// Whoever makes an object decides how long it is, and whoever names it how often it is read.
#[tokio::test]
async fn of_an_object_that_is_named_only_what_rules_look_at_is_held() {
    let long = "<".repeat(1_200_000);
    let pod = |app: &str| {
        json!({
            "metadata": {"name": "p", "annotations": {"a": long}, "labels": {"app": app, "x": long}},
            "spec": {"containers": [{"args": [long]}], "nodeName": "n"}, "status": {"phase": "Running", "message": long},
        })
    };
    let service = |selector: Value| json!({"metadata": {"name": "p", "annotations": {"a": long}}, "spec": {"selector": selector}});
    let many: serde_json::Map<String, Value> = (0..20_000).map(|n| (format!("k{n}"), json!("v"))).collect();
    for (resource, object, allowed) in [
        ("pods", pod("web"), true),
        ("pods", pod("analysis-a"), false),
        // No Service is reached by proxy, and of one that is named no more is held.
        ("services", service(json!({"app": "web"})), false),
        ("services", service(json!({"app": "analysis-a"})), false),
        ("services", service(Value::Object(many)), false),
    ] {
        let path = format!("GET /api/v1/namespaces/flame/{resource}/p");
        let cluster = ApiServer::start(Box::new(move |asked| (asked == path).then(|| (200, object.clone())))).await;
        let held = Cluster::connect(Some(&cluster.kubeconfig()), "test").await.unwrap();
        let held = ClusterTargets::new(held);
        let target = TargetRef { resource, namespace: "flame", name: "p" };
        match held.read(target).await {
            Looked::Found(text) => assert!(text.len() < 200, "{resource}: {text}"),
            other => assert_eq!((other, allowed), (Looked::Unread, false), "{resource}"),
        }
        let place = Place::mounted();
        let mut settings = place.settings();
        settings.controller.kubeconfig = Some(cluster.kubeconfig());
        let running = start(&settings, flamewarden::rules::judge).await.unwrap();
        let mut caller = Caller::trusting(&place.generation("first")).connect(running.webhook.unwrap()).await.unwrap();
        let text = review("CONNECT", &format!("{resource}:proxy"), "p", &json!({}));
        let answer = caller.post("/validate?timeout=10s", text).await.unwrap().answer();
        assert_eq!((answer.0.as_str(), answer.1), ("u-1", allowed), "{resource}");
    }
}
