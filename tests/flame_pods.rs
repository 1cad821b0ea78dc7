//! The pods that FLAME's own Pod Orchestrator makes come out of the mutating side without fault.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a helper that fails is a test that fails")]

use flamewarden::model::{FieldPath, Finding, PodView, parse};
use flamewarden::policy::{Mode, PolicySet, Profile};
use flamewarden::rules::{ScanKnowledge, Stage, mend, pod_findings};
use serde_json::{Value, json};

fn policies() -> PolicySet {
    PolicySet::parse([
        ("flame-analysis.yaml", include_str!("../policies/flame-analysis.yaml")),
        ("flame-gateway.yaml", include_str!("../policies/flame-gateway.yaml")),
        ("installation.yaml", include_str!("fixtures/installation.yaml")),
    ])
    .unwrap()
}

fn findings(pod: &Value, profile: &Profile, stage: Stage) -> Vec<Finding> {
    let text = pod.to_string();
    let json = parse(text.as_bytes()).unwrap();
    pod_findings(
        &PodView::new(&json, FieldPath::default()),
        profile,
        stage,
        ScanKnowledge::OutOfReach,
        jiff::Timestamp::UNIX_EPOCH,
    )
}

/// The pod after the remedies of the rules that enforce, as the mutating side applies them.
fn mended(pod: &Value, profile: &Profile, stage: Stage) -> Value {
    let enforced = findings(pod, profile, stage).into_iter().filter(|found| profile.mode(&found.rule) == Mode::Enforce);
    let edits: Vec<_> = enforced.flat_map(|found| found.remedy).collect();
    let text = pod.to_string();
    let patch = mend(&parse(text.as_bytes()).unwrap(), &edits).unwrap();
    let mut after = pod.clone();
    json_patch::patch(&mut after, &patch).unwrap();
    after
}

/// Rules that still have something to say, each once, with its mode.
fn left(pod: &Value, profile: &Profile, stage: Stage) -> Vec<(String, Mode)> {
    let mut rules: Vec<_> = findings(&mended(pod, profile, stage), profile, stage)
        .into_iter()
        .map(|found| (found.rule.to_string(), profile.mode(&found.rule)))
        .collect();
    rules.sort();
    rules.dedup();
    rules
}

/// FLAME's analysis, as its documentation prints the template, with what the API server adds to the pod.
fn analysis() -> Value {
    let token = json!({"name": "kube-api-access-sbcgc", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": true});
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "generateName": "analysis-2f0c-1-6ccf97bb55-", "namespace": "flame",
            "labels": {"app": "analysis-2f0c-1", "component": "flame-analysis", "pod-template-hash": "6ccf97bb55"},
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "analysis-2f0c-1-6ccf97bb55",
                "uid": "0519cf6a-2a73-44f4-a367-3cb0086215dd", "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": {
            "containers": [{
                "name": "analysis-2f0c-1", "image": "harbor.example/node/2f0c",
                "ports": [{"containerPort": 8000, "protocol": "TCP"}],
                "env": [{"name": "DATA_SOURCE_TOKEN", "value": "none_needed"}, {"name": "KEYCLOAK_TOKEN", "value": "t"}],
                "resources": {}, "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File", "imagePullPolicy": "IfNotPresent", "volumeMounts": [token],
            }],
            "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
            "securityContext": {}, "imagePullSecrets": [{"name": "flame-harbor-credentials"}],
            "schedulerName": "default-scheduler", "serviceAccount": "default", "serviceAccountName": "default",
            "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority", "priority": 0,
            "tolerations": [
                {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
                {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
            ],
            "volumes": [{"name": "kube-api-access-sbcgc", "projected": {"defaultMode": 420, "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
            ]}}],
        },
        "status": {"phase": "Pending", "qosClass": "BestEffort"},
    })
}

/// FLAME's gateway: root, port 80, `nginx:latest`, its configuration by subPath.
fn gateway() -> Value {
    let mut pod = analysis();
    pod["metadata"]["labels"] = json!({"app": "nginx-analysis-2f0c-1", "component": "flame-analysis-nginx"});
    pod["spec"]["containers"] = json!([{
        "name": "nginx-analysis-2f0c-1", "image": "nginx:latest", "imagePullPolicy": "Always", "resources": {},
        "ports": [{"containerPort": 80, "protocol": "TCP"}],
        "volumeMounts": [{"name": "nginx-vol", "mountPath": "/etc/nginx/nginx.conf", "subPath": "nginx.conf"}],
        "livenessProbe": {
            "httpGet": {"path": "/healthz", "port": 80, "scheme": "HTTP"}, "initialDelaySeconds": 15,
            "timeoutSeconds": 5, "periodSeconds": 20, "successThreshold": 1, "failureThreshold": 1,
        },
    }]);
    let configuration = json!({"name": "nginx-vol", "configMap": {
        "name": "nginx-analysis-2f0c-1-config", "items": [{"key": "nginx.conf", "path": "nginx.conf"}], "defaultMode": 420,
    }});
    pod["spec"]["volumes"].as_array_mut().unwrap().push(configuration);
    pod["spec"]["imagePullSecrets"] = Value::Null;
    pod
}

#[test]
fn flames_analysis_is_mended_whole() {
    let profile = policies().analysis;
    let mut with_statistics = analysis();
    let sidecar = json!({"name": "net-stats-analysis-2f0c-1", "image": "busybox:1.37", "command": ["/bin/sh"]});
    with_statistics["spec"]["containers"].as_array_mut().unwrap().push(sidecar);
    for pod in [analysis(), with_statistics] {
        for stage in [Stage::Create, Stage::Stored, Stage::Template] {
            assert_eq!(left(&pod, &profile, stage), [], "{stage:?}");
        }
    }
}

#[test]
fn flames_analysis_is_mended_to_exactly_this() {
    let after = mended(&analysis(), &policies().analysis, Stage::Create);
    let mut wanted = analysis();
    let spec = &mut wanted["spec"];
    spec["automountServiceAccountToken"] = json!(false);
    spec["enableServiceLinks"] = json!(false);
    spec["schedulingGates"] = json!([{"name": "flamewarden.dev/network-policy"}]);
    spec["securityContext"] = json!({
        "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    spec["volumes"] = json!([{"name": "flamewarden-tmp", "emptyDir": {"sizeLimit": "1Gi"}}]);
    let container = &mut spec["containers"][0];
    container["env"].as_array_mut().unwrap().push(json!({"name": "HOME", "value": "/tmp"}));
    container["volumeMounts"] = json!([{"name": "flamewarden-tmp", "mountPath": "/tmp"}]);
    container["imagePullPolicy"] = json!("Always");
    container["securityContext"] = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    container["resources"] = json!({
        "requests": {"cpu": "100m", "memory": "256Mi", "ephemeral-storage": "1Gi"},
        "limits": {"cpu": "2", "memory": "4Gi", "ephemeral-storage": "8Gi"},
    });
    assert_eq!(after, wanted);
}

#[test]
fn flames_gateway_passes_with_warnings() {
    let profile = policies().gateway;
    let warnings = ["capabilities", "privilege-escalation", "resources", "run-as-non-root", "seccomp", "service-links"];
    let warnings = warnings.map(|rule| (rule.to_owned(), Mode::Warn));
    assert_eq!(left(&gateway(), &profile, Stage::Create), warnings);
    let mut older = gateway();
    older["spec"]["containers"][0]["imagePullPolicy"] = json!("IfNotPresent");
    assert!(left(&older, &profile, Stage::Create).contains(&("image-pull-policy".to_owned(), Mode::Audit)));
}

/// Recorded from a real API server at the validating side, with nothing mended before it.
#[test]
fn recorded_pods_are_mended_whole() {
    let profile = policies().analysis;
    for text in [
        include_str!(
            "fixtures/admissionreviews/011_CREATE_pods_system-serviceaccount-kube-system-replicaset-controller.json"
        ),
        include_str!(
            "fixtures/admissionreviews/032_CREATE_pods_system-serviceaccount-kube-system-replicaset-controller.json"
        ),
    ] {
        let review: Value = serde_json::from_str(text).unwrap();
        assert_eq!(left(&review["request"]["object"], &profile, Stage::Create), []);
    }
}
