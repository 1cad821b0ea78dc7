//! What others store in a guarded namespace neither keeps its gates closed nor fills the controller's memory.

use std::fs;
use std::path::Path;

use flamewarden::model::labels::NETWORK_GATE;
use serde_json::{Map, Value, json};

use crate::flamewarden::{good_analysis, guarded};
use crate::lab::{Lab, collection, log};
use crate::shared::{PATIENCE, run, wait_until};

/// More than is read of any one text; 60 with `FLAMEWARDEN_SOAK`.
#[test]
fn large_policies_of_others_keep_no_gate_closed_and_fill_no_memory() {
    run(async {
        let guarded = guarded().await;
        let blocks: Vec<Value> = (0..23_000u32)
            .map(|n| json!({"ipBlock": {"cidr": format!("10.{}.{}.{}/32", n >> 16, (n >> 8) & 255, n & 255)}}))
            .collect();
        let policies = collection(NAMESPACE, "NetworkPolicy");
        let many = if std::env::var_os("FLAMEWARDEN_SOAK").is_some() { 60 } else { 15 };
        for n in 0..many {
            let policy = json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": format!("bulk-{n}")},
                "spec": {"podSelector": {"matchLabels": {"x": "y"}}, "policyTypes": ["Egress"], "egress": [{"to": blocks}]},
            });
            guarded.editor.create(&policies, &policy).await.unwrap();
        }
        // Nobody judges a policy by what is long in its metadata.
        let keys = (0..2000).map(|n| (long_key(n), "v".into()));
        let described = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "described", "annotations": {"a": "<".repeat(255 << 10)}, "labels": keys.collect::<Map<_, _>>()},
            "spec": {"podSelector": {"matchLabels": {"x": "y"}}, "policyTypes": ["Egress"], "egress": [{}]},
        });
        let stored = guarded.editor.create(&policies, &described).await.unwrap();
        // Each `<` in six bytes.
        let (escaped, text) = (5 * (255 << 10), stored.to_string().len());
        assert!(escaped + text > 2 << 20, "the API server writes it in more than is read of any object: {text}");
        let mut analysis = good_analysis("bulk");
        analysis["metadata"]["name"] = json!("bulk");
        let pods = collection(NAMESPACE, "Pod");
        guarded.editor.create(&pods, &analysis).await.unwrap();
        let runs = |pod: &Value| (pod["status"]["phase"] == "Running").then_some(());
        guarded.cluster.read(&format!("{pods}/bulk"), runs).await;
        let most = most_memory(guarded.cluster.plane.folder());
        assert!((1..256 << 10).contains(&most), "the controller's limit is 256Mi, it took {most} KiB");
    });
}

/// What was there before the namespace was guarded. Of each kind 16, and 60 with `FLAMEWARDEN_SOAK`.
#[test]
fn large_pods_and_policies_from_before_fill_no_memory_and_keep_no_other_s_gate_closed() {
    run(async {
        let lab = Lab::start().await;
        lab.cluster.namespace_named(ADDED).await;
        let many = if std::env::var_os("FLAMEWARDEN_SOAK").is_some() { 60 } else { 16 };
        let blocks = vec![json!({"ipBlock": {"cidr": "10.0.0.0/32"}}); 23_000];
        for n in 0..many {
            // The API server writes each `<` in six bytes.
            let mut pod = good_analysis("big");
            pod["metadata"]["name"] = json!(format!("big-{n}"));
            pod["spec"]["containers"][0]["args"] = json!(["<".repeat(1_200_000)]);
            pod["spec"]["schedulingGates"] = json!([{"name": NETWORK_GATE}]);
            lab.create(ADDED, &pod).await;
            let policy = json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                "metadata": {"name": format!("flamewarden-junk-{n}")},
                "spec": {"podSelector": {"matchLabels": {"x": "y"}}, "policyTypes": ["Egress"], "egress": [{"to": blocks}]},
            });
            lab.create(ADDED, &policy).await;
        }
        lab.guard_also(ADDED).await;
        let mut analysis = good_analysis("small");
        analysis["metadata"]["name"] = json!("small");
        lab.create(ADDED, &analysis).await;
        lab.running(ADDED, "analysis-small", 1).await;
        wait_until("a pod that is too large was judged", PATIENCE, async || {
            log(&lab.controllers[0]).contains("too large to be judged").then_some(())
        })
        .await;
        let most = most_memory(lab.cluster.plane.folder());
        println!("{many} large pods and policies: the controller took {most} KiB at most");
        assert!((1..128 << 10).contains(&most), "the controller's limit is 256Mi, it took {most} KiB");
    });
}

fn long_key(number: usize) -> String {
    let part = format!("{number:04}").repeat(15);
    format!("{part}.{part}.{part}.{part}/{part}")
}

/// The most memory, in KiB, that the controller of the cluster in that folder ever had.
fn most_memory(folder: &Path) -> u64 {
    let folder = folder.display().to_string();
    let of = |process: fs::DirEntry| {
        let said = fs::read(process.path().join("cmdline")).ok()?;
        let said = String::from_utf8_lossy(&said).replace('\0', " ");
        let is_it = said.contains("--parts=controller") && said.contains(&folder) && !said.contains("supervise");
        let status = is_it.then(|| fs::read_to_string(process.path().join("status")).ok()).flatten()?;
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok())
    };
    fs::read_dir("/proc").unwrap().filter_map(|process| of(process.ok()?)).max().unwrap_or_default()
}

const NAMESPACE: &str = "flame-bulk";
/// Guarded by changed policies.
const ADDED: &str = "analyses";
