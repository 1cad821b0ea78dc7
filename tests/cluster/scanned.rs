//! Images that pass: what Flamewarden would have written of those that the tests run, had it scanned them.

use flamewarden::facts::{Scan, ScanMemory};
use flamewarden::model::{Digest, ImageRef, ImageScanObject};
use flamewarden::policy::PolicySet;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::caller::{Caller, PatchKind};
use crate::control_plane::ControlPlane;
use crate::flamewarden::{CONTROLLER, GATEWAY_IMAGE};
use crate::shared::{PATIENCE, wait_until};

/// All that the tests' pods run, or would.
const IMAGES: &[&str] = &[
    "harbor.example/node/image:1",
    "harbor.example/node/analysis",
    "harbor.example/node/analysis:1",
    "harbor.example/node/analysis:2",
    "harbor.example/node/own:1",
    "harbor.example/node/other:1",
    "nginx:latest",
    "docker.io/library/nginx:1.29.8",
    "busybox:1.37",
    GATEWAY_IMAGE,
    FLAMES,
    // Of the REST API's callers and of Analyses by hand: as FLAME names images, by the analysis.
    "harbor.example/node/0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f",
    "harbor.example/node/1e9b2f3a-1c2b-4d3e-8f40-1a2b3c4d5e6f",
    "harbor.example/node/5f2c1d4b-1c2b-4d3e-8f40-1a2b3c4d5e6f",
    STATISTICS,
    "harbor.example/node/image@sha256:0000000000000000000000000000000000000000000000000000000000000000",
    FAILING,
];
/// The one of them that does not pass.
const FAILING: &str = "harbor.example/node/failing:1";
/// What FLAME's own orchestrator runs as an analysis.
pub(crate) const FLAMES: &str = "harbor.example/node/2f0c3d5e-5d39-4b1f-8d1c-6f4f8a1c2b3d";
/// What counts the traffic of an analysis.
pub(crate) const STATISTICS: &str =
    "registry.example/busybox@sha256:2222222222222222222222222222222222222222222222222222222222222222";

/// The image by the digest that it is pinned to at admission.
pub(crate) fn pinned(image: &str) -> String {
    match ImageRef::parse(image).unwrap().digest {
        Some(_) => image.to_owned(),
        None => format!("{image}@{}", digest(image)),
    }
}

/// Has those images judged under the limits of these policies, as the controller would say it.
pub(crate) async fn scanned(plane: &ControlPlane, files: &[(String, String)]) {
    let policies = PolicySet::parse(files.iter().map(|(name, text)| (name.as_str(), text.as_str()))).unwrap();
    let (controller, now) = (plane.caller(CONTROLLER, Some("system:masters")).await, Timestamp::now());
    for image in IMAGES {
        write(&controller, image, &status(image, &policies, now)).await;
    }
}

/// The same for what runs in the tests' own process.
pub(crate) fn remembered(policies: &PolicySet) -> ScanMemory {
    let memory = ScanMemory::default();
    for image in IMAGES {
        let mut object = object(image);
        object["status"] = status(image, policies, Timestamp::now());
        let read = ImageScanObject::read(&object).unwrap();
        memory.change(|scans| scans.put(read.digest, Scan::of(&read)));
    }
    memory
}

/// Until the kind is served and the webhook answers, nothing can be stored.
async fn write(controller: &Caller, image: &str, status: &Value) {
    let object = object(image);
    let path = format!("{SCANS}/{}/status", object["metadata"]["name"].as_str().unwrap());
    wait_until(&format!("a scan of {image} is stored"), PATIENCE, async || {
        let _ = controller.create(SCANS, &object).await;
        controller.patch(&path, PatchKind::Merge, &json!({"status": status})).await.ok()
    })
    .await;
}

fn object(image: &str) -> Value {
    let digest = digest(image);
    let named = image.split_once('@').map_or(image, |(name, _)| name);
    json!({
        "apiVersion": "flamewarden.dev/v1alpha1", "kind": "ImageScan",
        "metadata": {"name": ImageScanObject::name(digest)}, "spec": {"image": format!("{named}@{digest}")},
    })
}

/// A report that is older than another's database would be made anew.
fn status(image: &str, policies: &PolicySet, now: Timestamp) -> Value {
    let outcome = if image == FAILING { "fail" } else { "pass" };
    let verdict = |profile: &str, policy| json!({"profile": profile, "policy": String::from(policy), "outcome": outcome, "until": LATE});
    let tags = match ImageRef::parse(image).unwrap() {
        ImageRef { digest: Some(_), .. } => json!([]),
        tagged => json!([{"name": tagged.tagged(), "until": LATE}]),
    };
    json!({
        "platform": "linux/amd64", "tags": tags, "scannedAt": now, "databaseBuilt": now,
        "verdicts": [
            verdict("flame-analysis", policies.analysis.scan_hash()),
            verdict("flame-gateway", policies.gateway.scan_hash()),
        ],
    })
}

/// Of an image that is named by tag, any one that is always the same.
fn digest(image: &str) -> Digest {
    let named = ImageRef::parse(image).unwrap().digest;
    named.map_or_else(|| Digest::of(image.as_bytes()), |digest| Digest::parse(digest).unwrap())
}

const SCANS: &str = "/apis/flamewarden.dev/v1alpha1/imagescans";
const LATE: &str = "2099-01-01T00:00:00Z";
