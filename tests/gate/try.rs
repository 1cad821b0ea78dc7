//! A cluster whose gate is shut, with Grype, a database and a registry, to type at: `tests/try gate` starts it and says what
//! to type.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    dead_code,
    unused_imports,
    reason = "it is made of the tests' parts, uses some of them, and speaks to the one who started it"
)]

use std::fs;

use serde_json::{Value, json};

use crate::gate::{CREATOR, Gate, analysis, gate};
use crate::shared::run;

#[path = "../grype/advisories.rs"]
mod advisories;
#[path = "../cluster/caller.rs"]
mod caller;
#[path = "../cluster/control_plane.rs"]
mod control_plane;
#[path = "../cluster/flamewarden.rs"]
mod flamewarden;
mod gate;
#[path = "../grype/lab.rs"]
mod grype;
#[path = "../hub/stand_in.rs"]
mod hub;
#[path = "../grype/image.rs"]
mod image;
#[path = "../cluster/kubelet.rs"]
mod kubelet;
#[path = "../cluster/node.rs"]
mod node;
#[path = "../cluster/part.rs"]
mod part;
#[path = "../cluster/pki.rs"]
mod pki;
#[path = "../cluster/po.rs"]
mod po;
#[path = "../grype/registry.rs"]
mod registry;
#[path = "../grype/samples.rs"]
mod samples;
#[path = "../cluster/scanned.rs"]
mod scanned;
#[path = "../cluster/shared.rs"]
mod shared;

fn main() {
    println!("starting a cluster with Flamewarden, Grype and a registry in it; its parts are built already");
    run(async {
        show(gate().await).await;
        println!("\nNow type them yourself, in this order. Ctrl-C ends everything and leaves nothing behind.");
        tokio::signal::ctrl_c().await.unwrap();
    });
}

async fn show(gate: &Gate) {
    let plane = &gate.cluster.plane;
    let (image, digest) = gate.tagged("holed", "1", "3.0.11-1").await;
    let folder = plane.folder().join("try");
    fs::create_dir_all(&folder).unwrap();
    let written = |name: &str, object: &Value| {
        let file = folder.join(name);
        fs::write(&file, serde_json::to_string_pretty(object).unwrap()).unwrap();
        file.display().to_string()
    };
    let deployment = written("deployment.json", &gate::deployment("holed", &image));
    let pod = written("pod.json", &analysis("tried", &image));
    let profile = gate.policies().join("flame-analysis.yaml");
    let kubeconfig = plane.kubeconfig(CREATOR, Some("system:masters"));
    println!("\nThe namespace `gate-a` is guarded, and {image} has a hole. In another terminal:\n");
    println!("  export KUBECONFIG={} PATH={}:$PATH", kubeconfig.display(), plane.programs().display());
    let found =
        "CVE-2026-0001 (critical) in openssl 3.0.11-1 (deb): critical and above fail; build the image with 3.0.12-1";
    let refused = format!("image-scan: spec.containers[0].image (\"{image}\"): its scan fails: {found}");
    let exception = "{vulnerability: CVE-2026-0001, owner: you, reason: to see it, expires: END}";
    let (required, end) = ("    verdict: required", "$(date -ud '+1 minute' +%FT%TZ)");
    let excepts = format!("s/^{required}$/&\\n    exceptions: [{exception}]/; s/END/{end}/");
    let pinned = format!("{image}@{}", digest.split_once('@').unwrap().1);
    for (what, command, told) in [
        (
            "a workload with an image that nobody knows yet is stored, and the image is scanned",
            format!("kubectl -n gate-a create -f {deployment}"),
            "deployment.apps/analysis-holed created",
        ),
        (
            "a moment later: what the scan has found",
            "kubectl get imagescans -o custom-columns=IMAGE:.spec.image,VERDICTS:.status.verdicts[*].outcome"
                .to_owned(),
            &format!("{digest} fail"),
        ),
        ("a pod with that image", format!("kubectl -n gate-a create -f {pod}"), &refused),
        ("an exception, for one minute, in the profile", format!("sed -i \"{excepts}\" {}", profile.display()), ""),
        (
            "a moment later: the pod, with the image pinned to what was scanned",
            format!("kubectl -n gate-a create -f {pod} -o jsonpath='{{.spec.containers[0].image}}'"),
            &pinned,
        ),
        (
            "when the minute has passed: it would not be made again",
            format!("kubectl -n gate-a delete --ignore-not-found -f {pod} && kubectl -n gate-a create -f {pod}"),
            &refused,
        ),
    ] {
        println!("\n# {what}\n  {command}\n    {told}");
    }
}
