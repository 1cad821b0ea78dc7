//! `flamewarden audit --cluster` on a whole installation: nothing is found where nothing is wrong, and whatever is
//! changed while nobody watches is found at once.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use crate::by_service::{ByService, NAMESPACE, image};
use crate::flamewarden::{good_analysis, program};
use crate::shared::{PATIENCE, run, wait_until};
use crate::ways::{WAYS, Way, prepare};

#[test]
fn a_clean_cluster_has_no_finding_and_every_change_behind_its_back_is_found() {
    run(async {
        let cluster = ByService::install("policies").await;
        // What the tests may do otherwise is a way round admission, and told as one.
        let edit = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/rolebindings/editor-edit");
        let told = found(&audit(&cluster, 3));
        assert!(told.contains(&(format!("RoleBinding {NAMESPACE}/editor-edit"), "way-round".to_owned())), "{told:?}");
        cluster.admin.delete(&edit, None).await.unwrap();
        for number in 0..ANALYSES {
            let id = format!("audited-{number}");
            let mut pod = good_analysis(&id);
            pod["metadata"]["name"] = json!(id);
            cluster.admin.create(PODS, &pod).await.unwrap();
        }
        wait_until("every gate is lifted", PATIENCE * 4, async || {
            let pods = cluster.admin.get(PODS).await.ok()?;
            let waits = |pod: &Value| !pod["spec"]["schedulingGates"].is_null();
            (!pods["items"].as_array()?.iter().any(waits)).then_some(())
        })
        .await;
        let clean = audit(&cluster, 0);
        assert_eq!((&clean["findings"], &clean["problems"]), (&json!([]), &json!([])));
        assert!(clean["summary"]["judged"].as_u64().unwrap() >= 2 * ANALYSES, "{}", clean["summary"]);
        assert_eq!(&clean["coverage"]["percent"], &json!(100));

        // Whoever would put things right is not there.
        for mut controller in cluster.controllers.lock().await.drain(..) {
            controller.signal("KILL");
            controller.wait();
        }
        prepare(&cluster.admin).await;
        let mut missing = BTreeSet::new();
        for way in WAYS {
            missing.extend(way.go(&cluster.admin).await);
        }
        let told = found(&audit(&cluster, 3));
        for Way { what, object, rule, .. } in WAYS {
            if !told.contains(&((*object).to_owned(), (*rule).to_owned())) {
                missing.insert(format!("{what}: {object}: {rule}"));
            }
        }
        assert_eq!(missing, BTreeSet::new(), "found: {told:#?}");
        let ways: BTreeSet<&str> = WAYS.iter().map(|way| way.what).collect();
        assert!(ways.len() == WAYS.len() && WAYS.len() >= 60, "{}", WAYS.len());
    });
}

/// What an audit of the cluster says; the exit code must be this.
fn audit(cluster: &ByService, code: i32) -> Value {
    let mut command = Command::new(program());
    command.args(["audit", "--cluster", "--output", "json", "--image", &image('0'), "--policies"]);
    command.arg(cluster.folder.join("policies")).arg("--kubeconfig").arg(cluster.plane.admin_file());
    let output = command.output().unwrap();
    let mut report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    // No pod runs there, so the tests' Service must select none.
    let own = |it: &Value| it["object"]["kind"] == "Service" && it["path"] == "spec.selector";
    let findings = report["findings"].as_array_mut().unwrap();
    let before = findings.len();
    findings.retain(|it| !own(it));
    let (only_own, clean) = (before == 1 && findings.is_empty(), findings.is_empty());
    assert!(only_own || !clean, "the tests' own change is found too");
    assert_eq!(output.status.code(), Some(3), "{report:#}");
    assert_eq!(clean, code == 0, "{report:#}");
    report
}

/// Objects and rules of what fails.
fn found(report: &Value) -> BTreeSet<(String, String)> {
    let findings = report["findings"].as_array().unwrap().iter().filter(|it| it["outcome"] == "violated");
    findings.map(|it| (title(&it["object"]), it["rule"].as_str().unwrap().to_owned())).collect()
}

fn title(object: &Value) -> String {
    let [kind, namespace, name] = ["kind", "namespace", "name"].map(|key| object[key].as_str().unwrap_or_default());
    if namespace.is_empty() { format!("{kind} {name}") } else { format!("{kind} {namespace}/{name}") }
}

const ANALYSES: u64 = 500;
const PODS: &str = "/api/v1/namespaces/flame-attacks/pods";
