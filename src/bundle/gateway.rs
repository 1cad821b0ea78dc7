//! The Deployment of the gateway: NGINX without root, with nothing to write but temporary files.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::pod::{RootFilesystem, Runs, container, spec};
use super::{GATEWAY_PORT, Order, analysis, configuration};

/// `nginx-<app>`. Its template bears the hash of the configuration, since a mounted file does not change under a running
/// NGINX: another configuration is another pod.
pub(super) fn deployment(order: &Order<'_>, configuration: &Value) -> Value {
    let profile = &order.policies.gateway;
    let name = order.gateway();
    let probe = |failures: u8, period: u8| {
        json!({
            "httpGet": {"path": "/healthz", "port": GATEWAY_PORT, "scheme": "HTTP"},
            "timeoutSeconds": 5, "periodSeconds": period, "failureThreshold": failures,
        })
    };
    let what = Runs { name: &name, image: &order.settings.gateway_image, root: RootFilesystem::ReadOnly };
    let mount = json!({"name": VOLUME, "mountPath": CONFIGURATION, "subPath": configuration::FILE, "readOnly": true});
    let fields = [
        ("command", json!(["nginx", "-c", CONFIGURATION, "-g", "daemon off;"])),
        ("ports", json!([{"containerPort": GATEWAY_PORT, "protocol": "TCP"}])),
        ("livenessProbe", probe(3, 20)),
        ("readinessProbe", probe(1, 5)),
    ];
    let nginx = container(profile, &what, vec![mount], fields);
    let volume = json!({"name": VOLUME, "configMap": {"name": configuration::name(order)}});
    let metadata = json!({"labels": order.gateway_labels(), "annotations": {HASH: hash(configuration)}});
    analysis::of(order, &name, &order.gateway_labels(), metadata, json!(spec(profile, vec![nginx], vec![volume])))
}

fn hash(configuration: &Value) -> String {
    let data = configuration.get("data").map(Value::to_string).unwrap_or_default();
    Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The annotation of the gateway's pods that says which configuration they run.
const HASH: &str = "flamewarden.dev/configuration";
const VOLUME: &str = "nginx-vol";
const CONFIGURATION: &str = "/etc/nginx/nginx.conf";
