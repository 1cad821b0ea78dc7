//! `flamewarden audit --preflight` and `--compare` on a real API server.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use flamewarden::rules::unclassified_fields;
use serde_json::{Value, json};

use crate::flamewarden::good_analysis;
use crate::shared::{cluster, run};

#[test]
fn every_published_field_of_pods_is_classified_and_a_new_one_is_found() {
    run(async {
        let admin = &cluster().await.admin;
        let mut published = admin.get("/openapi/v3/api/v1").await.unwrap();
        assert_eq!(unclassified_fields(&published), Some(Vec::new()));
        for schema in ["PodSpec", "Container", "SecurityContext"] {
            published["components"]["schemas"][format!("io.k8s.api.core.v1.{schema}")]["properties"]["madeUp"] =
                json!({"type": "string"});
        }
        let found: BTreeSet<String> = unclassified_fields(&published).unwrap().into_iter().collect();
        let wanted = [
            "spec.madeUp",
            "spec.containers[].madeUp",
            "spec.containers[].securityContext.madeUp",
            "spec.ephemeralContainers[].securityContext.madeUp",
            "spec.initContainers[].madeUp",
            "spec.initContainers[].securityContext.madeUp",
        ];
        assert_eq!(found, wanted.map(str::to_owned).into());
    });
}

#[test]
fn what_stands_in_the_way_of_an_installation_is_named() {
    run(async {
        let cluster = cluster().await;
        let guarded = cluster.namespace("preflight").await;
        let other = cluster.namespace("preflight-other").await;
        for (namespace, pod) in [(&guarded, conforming()), (&guarded, plain()), (&other, plain())] {
            cluster.admin.create(&format!("/api/v1/namespaces/{namespace}/pods"), &pod).await.unwrap();
        }
        let wide = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "wide"},
            "spec": {"podSelector": {}, "ingress": [{}]}});
        let policies = format!("/apis/networking.k8s.io/v1/namespaces/{guarded}/networkpolicies");
        cluster.admin.create(&policies, &wide).await.unwrap();

        let folder = tempfile::tempdir().unwrap();
        write_policies(&folder.path().join("policies"), &guarded, "");
        let (code, found) = audit(folder.path(), &cluster.plane.admin_file(), &["--preflight"]);
        assert_eq!(code, Some(3), "{found}");
        assert_eq!(found["problems"], json!([]));
        assert_eq!(found["adopted"], json!([format!("{guarded}/conforming")]));
        let ours = |name: &str| [&guarded, &other].into_iter().any(|ours| name.contains(&format!(" {ours}/")));
        let named: BTreeSet<[String; 2]> = found["hindrances"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| ["check", "object"].map(|key| it[key].as_str().unwrap().to_owned()))
            .filter(|[check, object]| ours(object) || check == "version" || check == "pod-fields")
            .collect();
        let wanted = [
            ["network-policies".to_owned(), format!("NetworkPolicy {guarded}/wide")],
            ["pods".to_owned(), format!("Pod {guarded}/plain")],
            ["pods".to_owned(), format!("Pod {other}/plain")],
        ];
        assert_eq!(named, wanted.into());

        // A namespace that is to be guarded must be there.
        write_policies(&folder.path().join("missing"), "no-such", "");
        let arguments = ["--preflight", "--policies", "missing"];
        let (code, found) = audit(folder.path(), &cluster.plane.admin_file(), &arguments);
        let missing = found["hindrances"].as_array().unwrap().iter().find(|it| it["check"] == "namespaces");
        assert_eq!((code, &missing.unwrap()["object"]), (Some(3), &json!("Namespace no-such")), "{found}");

        // Under policies that ask for a digest both pods are answered differently, and nothing else is.
        write_policies(&folder.path().join("stricter"), &guarded, "required");
        let arguments = ["--compare", "--policy", "stricter", "--cluster"];
        let (code, found) = audit(folder.path(), &cluster.plane.admin_file(), &arguments);
        let differences: BTreeSet<String> = found["differences"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| {
                format!(
                    "Pod {}/{}: {}",
                    it["object"]["namespace"].as_str().unwrap(),
                    it["object"]["name"].as_str().unwrap(),
                    it["onlyAfter"]
                )
            })
            .collect();
        let digest = |name: &str| format!("Pod {guarded}/{name}: [[\"refused\",\"image-digest\"]]");
        assert_eq!((code, differences), (Some(3), [digest("conforming"), digest("plain")].into()), "{found}");
    });
}

fn plain() -> Value {
    let mut pod = good_analysis("plain");
    pod["metadata"]["name"] = json!("plain");
    pod
}

/// An analysis that asks for nothing that a profile would still have to mend.
fn conforming() -> Value {
    let mut pod = good_analysis("conforming");
    pod["metadata"]["name"] = json!("conforming");
    let spec = &mut pod["spec"];
    let amounts = json!({"cpu": "100m", "memory": "256Mi", "ephemeral-storage": "1Gi"});
    spec["containers"][0]["imagePullPolicy"] = json!("Always");
    spec["containers"][0]["resources"] = json!({"requests": amounts, "limits": amounts});
    spec["containers"][0]["securityContext"] =
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    spec["securityContext"] = json!({"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"}});
    spec["imagePullSecrets"] = json!([{"name": "flame-harbor-credentials"}]);
    spec["automountServiceAccountToken"] = json!(false);
    spec["enableServiceLinks"] = json!(false);
    pod
}

fn audit(folder: &Path, kubeconfig: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flamewarden"));
    command.args(["audit", "--output", "json", "--kubeconfig"]).arg(kubeconfig).args(arguments).current_dir(folder);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}")))
}

/// The shipped profiles for one namespace; with a word, that is what they want of digests.
fn write_policies(folder: &Path, namespace: &str, digest: &str) {
    fs::create_dir_all(folder).unwrap();
    let installation =
        include_str!("../fixtures/installation.yaml").replace("{name: flame,", &format!("{{name: {namespace},"));
    let analysis = include_str!("../../policies/flame-analysis.yaml");
    let analysis = if digest.is_empty() {
        analysis.to_owned()
    } else {
        analysis.replace("digest: any", &format!("digest: {digest}"))
    };
    fs::write(folder.join("installation.yaml"), installation).unwrap();
    fs::write(folder.join("analysis.yaml"), analysis).unwrap();
    fs::write(folder.join("gateway.yaml"), include_str!("../../policies/flame-gateway.yaml")).unwrap();
}
