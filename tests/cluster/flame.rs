//! FLAME's own Pod Orchestrator, call by call: what it sends, in its order, as its service account.

use http::Method;
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::scanned::FLAMES;
use crate::shared::{Cluster, PATIENCE, wait_until};

/// The orchestrator of one namespace.
pub(crate) struct Orchestrator {
    caller: Caller,
    namespace: String,
    images: Images,
    /// Every call with its answer, and what a list showed when it was waited for.
    pub(crate) calls: Vec<(String, u16, Value)>,
}

/// What it runs.
#[derive(Debug, Clone)]
pub(crate) struct Images {
    pub(crate) analysis: String,
    pub(crate) gateway: String,
}

impl Orchestrator {
    /// Gives the orchestrator of a namespace the rights that FLAME's chart gives it, and none besides.
    pub(crate) async fn install(cluster: &Cluster, namespace: &str) -> Orchestrator {
        let images = Images { analysis: FLAMES.to_owned(), gateway: "nginx:latest".to_owned() };
        Orchestrator::install_with(cluster, namespace, images).await
    }

    /// The same for one that runs other images.
    pub(crate) async fn install_with(cluster: &Cluster, namespace: &str, images: Images) -> Orchestrator {
        let groups = ["system:serviceaccounts", &format!("system:serviceaccounts:{namespace}"), "system:authenticated"];
        let caller = cluster.admin.acting_as(&format!("system:serviceaccount:{namespace}:flame-po"), &groups);
        let rbac = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}");
        for (resource, object) in [("roles", role()), ("rolebindings", binding(namespace))] {
            cluster.admin.create(&format!("{rbac}/{resource}"), &object).await.unwrap();
        }
        let orchestrator = Orchestrator { caller, namespace: namespace.to_owned(), images, calls: Vec::new() };
        let pods = orchestrator.path("pods", "");
        wait_until("RBAC knows the orchestrator", PATIENCE, async || orchestrator.caller.get(&pods).await.ok()).await;
        orchestrator
    }

    /// Creates an analysis: the Deployment first, the NetworkPolicy last.
    pub(crate) async fn create(&mut self, app: &str) {
        let gateway = format!("nginx-{app}");
        self.call(Method::DELETE, "secrets", SECRET, None).await;
        self.call(Method::POST, "secrets", "", Some(secret())).await;
        self.call(Method::POST, "deployments", "", Some(analysis(app, &self.images.analysis))).await;
        self.call(Method::POST, "services", "", Some(service(app, "flame-analysis", 8000))).await;
        for component in ["flame-message-broker", "flame-po"] {
            self.call(Method::GET, "pods", &format!("?labelSelector=component%3D{component}"), None).await;
        }
        self.wait_for_address(app).await;
        self.call(Method::POST, "configmaps", "", Some(config_map(app))).await;
        self.call(Method::POST, "deployments", "", Some(nginx(app, &self.images.gateway))).await;
        self.call(Method::POST, "services", "", Some(service(&gateway, "flame-analysis-nginx", 80))).await;
        self.call(Method::POST, "networkpolicies", "", Some(network_policy(app))).await;
        self.wait_for_address(&gateway).await;
    }

    /// Stops an analysis, the NetworkPolicy while its pods still end.
    pub(crate) async fn stop(&mut self, app: &str) {
        for name in [app.to_owned(), format!("nginx-{app}")] {
            self.call(Method::DELETE, "deployments", &name, None).await;
            self.call(Method::DELETE, "services", &name, None).await;
        }
        self.call(Method::DELETE, "networkpolicies", &format!("nginx-to-{app}-policy"), None).await;
        self.call(Method::DELETE, "configmaps", &format!("nginx-{app}-config"), None).await;
    }

    async fn call(&mut self, method: Method, resource: &str, name: &str, body: Option<Value>) {
        let path = self.path(resource, name);
        let (code, answer) = self.caller.answer(method.clone(), &path, body.as_ref()).await;
        self.calls.push((format!("{method} {resource} {name}"), code, answer));
    }

    /// Lists the pods of an `app` until one has an address, as FLAME does before it writes the gateway's allow-list.
    async fn wait_for_address(&mut self, app: &str) {
        let path = self.path("pods", &format!("?labelSelector=app%3D{app}"));
        let what = format!("a pod of {app} has an address");
        let list = wait_until(&what, PATIENCE, async || {
            let (code, list) = self.caller.answer(Method::GET, &path, None).await;
            assert_eq!(code, 200, "{list}");
            list["items"].as_array().unwrap().iter().any(|pod| pod["status"]["podIP"].is_string()).then_some(list)
        });
        let pods = list.await["items"].as_array().unwrap().len();
        self.calls.push((format!("wait for {app}"), 200, json!({"pods": pods})));
    }

    fn path(&self, resource: &str, name: &str) -> String {
        let group = match resource {
            "deployments" => "/apis/apps/v1",
            "networkpolicies" => "/apis/networking.k8s.io/v1",
            _ => "/api/v1",
        };
        let end = if name.is_empty() || name.starts_with('?') { name.to_owned() } else { format!("/{name}") };
        format!("{group}/namespaces/{}/{resource}{end}", self.namespace)
    }
}

/// The one pull secret of the namespace, made again for each analysis.
pub(crate) const SECRET: &str = "flame-harbor-credentials";
/// FLAME's template says 30; everything here that waits for the grace waits as long as this instead.
pub(crate) const GRACE: u64 = 2;

fn secret() -> Value {
    let registry =
        json!({"auths": {"harbor.example": {"username": "robot$node", "password": "p", "auth": "cm9ib3Q="}}});
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson", "metadata": {"name": SECRET},
        "stringData": {
            "docker-server": "harbor.example", "docker-username": "robot\\$node", "docker-password": "p",
            ".dockerconfigjson": registry.to_string(),
        },
    })
}

fn analysis(app: &str, image: &str) -> Value {
    let labels = json!({"app": app, "component": "flame-analysis"});
    let env = |name: &str, value: &str| json!({"name": name, "value": value});
    let container = json!({
        "name": app, "image": image, "imagePullPolicy": "IfNotPresent",
        "ports": [{"containerPort": 8000, "protocol": "TCP"}],
        "env": [
            env("DATA_SOURCE_TOKEN", "none_needed"), env("KEYCLOAK_TOKEN", "token"),
            env("ANALYSIS_ID", "2f0c3d5e-5d39-4b1f-8d1c-6f4f8a1c2b3d"),
            env("PROJECT_ID", "7a1b3d5e-5d39-4b1f-8d1c-6f4f8a1c2b3d"), env("DEPLOYMENT_NAME", app),
        ],
    });
    let spec = json!({
        "containers": [container], "imagePullSecrets": [{"name": SECRET}], "terminationGracePeriodSeconds": GRACE,
    });
    deployment(app, &labels, &labels, spec)
}

fn nginx(app: &str, image: &str) -> Value {
    let name = format!("nginx-{app}");
    let labels = json!({"app": name, "component": "flame-analysis-nginx"});
    let container = json!({
        "name": name, "image": image, "imagePullPolicy": "Always",
        "ports": [{"containerPort": 80, "protocol": "TCP"}],
        "volumeMounts": [{"name": "nginx-vol", "mountPath": "/etc/nginx/nginx.conf", "subPath": "nginx.conf"}],
        "livenessProbe": {
            "httpGet": {"path": "/healthz", "port": 80}, "initialDelaySeconds": 15, "periodSeconds": 20,
            "failureThreshold": 1, "timeoutSeconds": 5,
        },
    });
    let configuration = json!({"name": "nginx-vol", "configMap": {
        "name": format!("nginx-{app}-config"), "items": [{"key": "nginx.conf", "path": "nginx.conf"}],
    }});
    let spec = json!({"containers": [container], "volumes": [configuration], "terminationGracePeriodSeconds": GRACE});
    deployment(&name, &labels, &json!({"app": name}), spec)
}

fn deployment(name: &str, labels: &Value, selector: &Value, spec: Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": 1, "selector": {"matchLabels": selector},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    })
}

fn service(name: &str, component: &str, port: u16) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "labels": {"app": name, "component": component}},
        "spec": {"selector": {"app": name}, "ports": [{"protocol": "TCP", "port": 80, "targetPort": port}]},
    })
}

fn config_map(app: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": format!("nginx-{app}-config"), "labels": {"component": "flame-nginx-analysis-config-map"},
        },
        "data": {"nginx.conf": "worker_processes 1; events { worker_connections 1024; } http { server { listen 80; } }"},
    })
}

/// FLAME's policy: no ports, so it is wider than any profile.
fn network_policy(app: &str) -> Value {
    let peer = json!({"podSelector": {"matchLabels": {"app": format!("nginx-{app}")}}});
    let dns = json!({
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
    });
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {
            "name": format!("nginx-to-{app}-policy"), "labels": {"component": "flame-nginx-to-analysis-policy"},
        },
        "spec": {
            "podSelector": {"matchLabels": {"app": app}}, "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [peer]}], "egress": [{"to": [peer, dns]}],
        },
    })
}

/// FLAME's chart: no update, patch or watch.
fn role() -> Value {
    let verbs = ["create", "delete", "get", "list"];
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "flame-po"}, "rules": [
        {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": verbs},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": verbs},
        {"apiGroups": [""], "resources": ["pods", "secrets", "services", "configmaps", "pods/log"], "verbs": verbs},
    ]})
}

fn binding(namespace: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "flame-po"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "flame-po"},
        "subjects": [{"kind": "ServiceAccount", "name": "flame-po", "namespace": namespace}],
    })
}
