//! What cert-manager is asked for: an authority that lasts, and the webhook's certificate, signed by it.

use serde_json::{Value, json};

use super::rbac::WEBHOOK;
use super::workload::{SERVING_SECRET, labels};
use super::{Certificates, Settings};

/// Issuers and Certificates in the order in which they need each other; none where others make the certificate.
pub(super) fn requests(settings: &Settings) -> Vec<Value> {
    if settings.certificates != Certificates::CertManager {
        return Vec::new();
    }
    let object = |kind: &str, name: &str, spec: Value| {
        let metadata = json!({"name": name, "namespace": settings.namespace, "labels": labels("certificates")});
        json!({"apiVersion": "cert-manager.io/v1", "kind": kind, "metadata": metadata, "spec": spec})
    };
    let key = |rotation: &str| json!({"algorithm": "ECDSA", "size": 256, "rotationPolicy": rotation});
    let issuer = |name: &str| json!({"group": "cert-manager.io", "kind": "Issuer", "name": name});
    vec![
        object("Issuer", SELF_SIGNED, json!({"selfSigned": {}})),
        object(
            "Certificate",
            AUTHORITY,
            json!({
                "isCA": true, "commonName": "Flamewarden webhook authority", "secretName": AUTHORITY,
                "duration": "43800h", "privateKey": key("Never"), "issuerRef": issuer(SELF_SIGNED),
                "usages": ["cert sign", "crl sign"],
            }),
        ),
        object("Issuer", AUTHORITY, json!({"ca": {"secretName": AUTHORITY}})),
        object(
            "Certificate",
            WEBHOOK,
            json!({
                "secretName": SERVING_SECRET, "dnsNames": names(settings), "duration": "2160h", "renewBefore": "720h",
                "privateKey": key("Always"), "issuerRef": issuer(AUTHORITY),
                "usages": ["digital signature", "server auth"],
            }),
        ),
    ]
}

/// The annotation by which cert-manager's injector fills `caBundle`, where it is to do that.
pub(super) fn injection(settings: &Settings) -> Option<(&'static str, String)> {
    let asked = settings.certificates == Certificates::CertManager;
    asked.then(|| ("cert-manager.io/inject-ca-from", format!("{}/{WEBHOOK}", settings.namespace)))
}

/// The API server calls the first; the rest is for people.
fn names(settings: &Settings) -> [String; 2] {
    let service = format!("{WEBHOOK}.{}.svc", settings.namespace);
    [service.clone(), format!("{service}.cluster.local")]
}

const SELF_SIGNED: &str = "flamewarden-self-signed";
/// Not the name of the Secret in which Flamewarden keeps an authority of its own.
const AUTHORITY: &str = "flamewarden-certificates";
