//! Stands in for cert-manager: knows its kinds, and does for the webhook's certificate what it would do.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::Method;
use serde_json::{Value, json};

use crate::by_service::{ByService, SYSTEM};
use crate::pki::Authority;
use crate::shared::{PATIENCE, wait_until};

/// The kinds, with those fields that Flamewarden writes, as cert-manager's own definitions have them; kubectl refuses
/// any other.
pub(crate) async fn know(cluster: &ByService) {
    let text = json!({"type": "string"});
    let texts = json!({"type": "array", "items": text});
    let fields = |properties: Value| json!({"type": "object", "properties": properties});
    let certificate = json!({
        "isCA": {"type": "boolean"}, "commonName": text, "secretName": text, "dnsNames": texts, "usages": texts,
        "duration": text, "renewBefore": text,
        "privateKey": fields(json!({"algorithm": text, "size": {"type": "integer"}, "rotationPolicy": text})),
        "issuerRef": fields(json!({"group": text, "kind": text, "name": text})),
    });
    let issuer = json!({"selfSigned": fields(json!({})), "ca": fields(json!({"secretName": text}))});
    for (kind, spec) in [("Certificate", certificate), ("Issuer", issuer)] {
        let plural = format!("{}s", kind.to_lowercase());
        let schema = fields(json!({"spec": fields(spec)}));
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{GROUP}")},
            "spec": {
                "group": GROUP, "scope": "Namespaced",
                "names": {"kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": kind.to_lowercase()},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
            },
        });
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        cluster.admin.create(path, &definition).await.unwrap();
        wait_until("the kind is served", PATIENCE, async || {
            let path = format!("/apis/{GROUP}/v1/namespaces/{SYSTEM}/{plural}");
            cluster.admin.get(&path).await.ok()
        })
        .await;
    }
}

/// Writes the Secret that the Certificate asks for, or writes it anew.
pub(crate) async fn issue(cluster: &ByService, authority: &Authority) {
    let certificates = format!("/apis/{GROUP}/v1/namespaces/{SYSTEM}/certificates");
    let asked = cluster.admin.get(&format!("{certificates}/flamewarden-webhook")).await.unwrap();
    let names: Vec<&str> = asked["spec"]["dnsNames"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let leaf = authority.serving(&names);
    let name = asked["spec"]["secretName"].as_str().unwrap();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": name},
        "data": {
            "tls.crt": STANDARD.encode(leaf.certificate), "tls.key": STANDARD.encode(leaf.key),
            "ca.crt": STANDARD.encode(&authority.certificate),
        },
    });
    let secrets = format!("/api/v1/namespaces/{SYSTEM}/secrets");
    let method = if cluster.admin.get(&format!("{secrets}/{name}")).await.is_ok() { Method::PUT } else { Method::POST };
    let path = if method == Method::PUT { format!("{secrets}/{name}") } else { secrets };
    cluster.admin.call(method, &path, Some(&secret)).await.unwrap();
}

/// Fills `caBundle` of everything that asks for it.
pub(crate) async fn inject(cluster: &ByService, authority: &Authority) {
    let bundle = STANDARD.encode(&authority.certificate);
    for kind in ["mutating", "validating"] {
        let path = format!("/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations");
        for mut configuration in cluster.admin.get(&path).await.unwrap()["items"].as_array().unwrap().clone() {
            let from = configuration["metadata"]["annotations"]["cert-manager.io/inject-ca-from"].clone();
            assert_eq!(from, format!("{SYSTEM}/flamewarden-webhook"), "{configuration}");
            configuration["webhooks"][0]["clientConfig"]["caBundle"] = json!(bundle);
            let name = configuration["metadata"]["name"].as_str().unwrap();
            cluster.admin.call(Method::PUT, &format!("{path}/{name}"), Some(&configuration)).await.unwrap();
        }
    }
}

const GROUP: &str = "cert-manager.io";
