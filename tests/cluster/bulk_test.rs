//! What others store in a guarded namespace neither keeps its gates closed nor fills the controller's memory.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::flamewarden::{good_analysis, guarded};
use crate::lab::collection;
use crate::shared::run;

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
