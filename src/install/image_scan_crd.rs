//! The custom resource definition of `ImageScan`.

use serde_json::{Value, json};

use super::crds::{Names, column, conditions, definition};

/// Of no namespace: a digest stands for the same bytes everywhere.
pub(super) fn image_scan() -> Value {
    let names = Names { plural: "imagescans", singular: "imagescan", kind: "ImageScan" };
    definition(&names, "Cluster", &columns(), &schema())
}

fn columns() -> Value {
    json!([
        column("Image", "string", ".spec.image", "Where it stands, and its digest"),
        column("Platform", "string", ".status.platform", "What it runs on"),
        column("Verdict", "string", ".status.summary", "The answer, for each profile where they differ"),
        column("Scanned", "date", ".status.scannedAt", "When its scan was begun"),
        column("Age", "date", ".metadata.creationTimestamp", "Since when it is there"),
    ])
}

fn schema() -> Value {
    json!({
        "type": "object",
        "description": "What is known of the image of one digest. Its name is sha256- and the digest's digits.",
        "required": ["spec"],
        "x-kubernetes-validations": [{
            "rule": "self.spec.image.endsWith('@' + self.metadata.name.replace('-', ':', 1))",
            "message": "the name must be sha256- and the digits of the digest that spec.image ends with",
        }],
        "properties": {
            "spec": {
                "type": "object",
                "required": ["image"],
                "properties": {"image": {
                    "type": "string", "maxLength": 512, "pattern": format!("^[^@ ]+@{DIGEST}$"),
                    "description": "Where the image stands, and its digest: registry.example/path/name@sha256:…",
                    "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "make another ImageScan for another image"}],
                }},
            },
            "status": status(),
        },
    })
}

fn status() -> Value {
    let time = |description: &str| json!({"type": "string", "format": "date-time", "description": description});
    let text = |most: u16, description: &str| json!({"type": "string", "maxLength": most, "description": description});
    let manifests = |description: &str| {
        json!({
            "type": "array", "maxItems": 64, "description": description,
            "items": {
                "type": "object", "required": ["digest", "platform"],
                "properties": {
                    "digest": {"type": "string", "pattern": format!("^{DIGEST}$")}, "platform": text(128, "Its platform."),
                },
            },
        })
    };
    json!({
        "type": "object",
        "description": "What is known of it. Written by Flamewarden's controller alone.",
        "properties": {
            "platform": text(128, "Of a manifest: its platform."),
            "manifests": manifests("Of an index: the manifests of the platforms that it may run on."),
            "otherManifests": manifests("Of an index: those of platforms that no node has."),
            "tags": {
                "type": "array", "maxItems": 64, "description": "Tags that stood for it when they were looked up.",
                "items": {
                    "type": "object", "required": ["name", "until"],
                    "properties": {"name": text(512, "With the tag."), "until": time("No longer believed from then on.")},
                },
            },
            "summary": text(1024, "What the answers are, in one line."),
            "verdicts": {
                "type": "array", "maxItems": 16, "description": "The answer under the limits of each profile.",
                "items": {
                    "type": "object", "required": ["policy", "profile", "outcome"],
                    "properties": {
                        "policy": {"type": "string", "pattern": "^[0-9a-f]{16}$", "description": "The limits' hash."},
                        "profile": text(253, "The profiles whose limits they are."),
                        "outcome": {"type": "string", "enum": OUTCOMES},
                        "grounds": {"type": "array", "maxItems": 20, "items": text(4096, "Which finding, which limit, what to do.")},
                        "more": {"type": "integer", "format": "int64", "minimum": 0, "description": "How many more grounds there are."},
                        "until": time("The first moment at which it no longer holds."),
                        "graceless": {"type": "boolean", "description": "Whether nobody may go on with it for a while."},
                    },
                },
            },
            "scannedAt": time("When the scan was begun whose report the verdicts are of."),
            "databaseBuilt": time("When the report's database was built."),
            "failedSince": time("When the first report came that failed."),
            "ranBy": {
                "type": "array", "maxItems": 64, "items": text(64, "A uid."),
                "description": "Controllers of pods that have run it before it failed.",
            },
            "unusedSince": time("Since when no object asks for it. What the controller made itself goes after a while."),
            "failures": {"type": "integer", "format": "int32", "minimum": 0, "description": "Attempts that failed since the last report."},
            "report": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                "description": "What the verdicts were made from, where it is small enough; the archive has it otherwise.",
            },
            "conditions": conditions(),
        },
    })
}

/// As `model::Digest` reads and writes it.
const DIGEST: &str = "sha256:[0-9a-f]{64}";
/// As `model::ScanOutcome` writes them.
const OUTCOMES: [&str; 7] = ["pass", "excepted", "stale", "noResult", "scanError", "inconclusive", "fail"];
