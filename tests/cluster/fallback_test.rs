//! The ValidatingAdmissionPolicies that are printed: what they refuse and let through while the webhook answers, while
//! it is stopped, and when its configurations are gone; and who may connect to pods during an outage.

use http::Method;
use serde_json::{Value, json};

use flamewarden::install::{Certificates, Endpoint, Settings, manifests};
use flamewarden::policy::PolicySet;

use crate::caller::{Outcome, PatchKind};
use crate::flamewarden::{CONTROLLER, good_analysis, policy_files, settled};
use crate::lab::{GUARDED, Lab, collection, unguarded};
use crate::shared::{PATIENCE, run, wait_until};

/// Who answers an operation with no.
#[derive(Debug, PartialEq, Clone, Copy)]
enum Said {
    Yes,
    /// The policy that asks for the gate.
    Gate,
    /// The policy that knows no analysis elsewhere.
    Label,
    /// The webhook, by its judgement.
    Webhook,
    /// Nobody could be asked.
    Nobody,
}

#[test]
fn the_printed_policies_refuse_what_the_webhook_would_and_nothing_else() {
    use Said::{Gate, Label, Nobody, Webhook, Yes};
    run(async {
        let mut lab = Lab::start().await;
        let admin = lab.cluster.admin.clone();
        // Labelled before the policies came, and in nobody's care.
        lab.create(ELSEWHERE, &pod("before", &json!({"labels": labels("before")}))).await;
        lab.create(ELSEWHERE, &pod("other", &json!({"labels": {"app": "web"}}))).await;
        lab.create(GUARDED[0], &pod("web", &json!({"labels": {"app": "web"}}))).await;
        install(&lab).await;

        // Creations are tried by dry run; where the webhook answers, it adds the gate before the policy looks.
        let rows = |analysis: Said, gated: Said, rest: Said| {
            [
                ("an analysis", GUARDED[0], analysis_pod(false), analysis),
                ("an analysis that brings its gate", GUARDED[0], analysis_pod(true), gated),
                ("other software", GUARDED[0], pod("p", &json!({"labels": {"app": "web"}})), Yes),
                ("without labels", GUARDED[0], pod("p", &json!({})), Yes),
                ("a gateway by its component", GUARDED[0], gateway(), rest),
                ("an analysis elsewhere", ELSEWHERE, analysis_pod(true), Label),
                ("other software elsewhere", ELSEWHERE, pod("p", &json!({"labels": {"component": "x"}})), Yes),
                ("without labels elsewhere", ELSEWHERE, pod("p", &json!({})), Yes),
                ("in Flamewarden's own namespace", SYSTEM, restricted(), Yes),
            ]
        };
        // A gateway is the webhook's business alone.
        expect(&lab, "answering", rows(Yes, Yes, Webhook)).await;
        changes(&lab, "answering").await;
        // Nothing in the way of the controller: policy, lift, status, end.
        lab.create(GUARDED[0], &analysis_pod(false)).await;
        lab.running(GUARDED[0], "analysis-p", 1).await;

        (lab.webhook, lab.controllers) = (None, Vec::new());
        // Policies are asked before webhooks.
        expect(&lab, "stopped", rows(Gate, Nobody, Nobody)).await;
        changes(&lab, "stopped").await;
        connections(&lab).await;

        for kind in ["mutating", "validating"] {
            let path = format!("/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations");
            admin.delete(&path, None).await.unwrap();
        }
        settled(&admin).await;
        expect(&lab, "configurations gone", rows(Gate, Yes, Yes)).await;
        changes(&lab, "configurations gone").await;
        let refusal = lift(&lab).await;
        assert_eq!(refusal, None, "the controller's lift is nobody's to refuse");
    });
}

/// As the controller does: the gate goes from a stored pod.
async fn lift(lab: &Lab) -> Option<String> {
    lab.create(GUARDED[1], &analysis_pod(true)).await;
    let groups = ["system:serviceaccounts", "system:serviceaccounts:flamewarden-system", "system:authenticated"];
    let controller = lab.cluster.admin.acting_as(CONTROLLER, &groups);
    let patch = json!([{"op": "remove", "path": "/spec/schedulingGates/0"}]);
    let path = format!("{}/p", collection(GUARDED[1], "Pod"));
    controller.patch(&path, PatchKind::Json, &patch).await.err().map(|refusal| refusal.message)
}

/// As printed; waits until they are in force, and holds that the API server understands every expression.
async fn install(lab: &Lab) {
    let files = policy_files(&unguarded());
    let policies = PolicySet::parse(files.iter().map(|(name, text)| (name.as_str(), text.as_str()))).unwrap();
    let settings = Settings {
        namespace: SYSTEM.to_owned(),
        image: format!("registry.example/flamewarden@sha256:{}", "0".repeat(64)),
        certificates: Certificates::Own,
        endpoint: Endpoint::Service,
        files: files.into_iter().collect(),
    };
    let admin = &lab.cluster.admin;
    for object in manifests(&settings, &policies) {
        let collection = match object["kind"].as_str().unwrap() {
            "ValidatingAdmissionPolicy" => "validatingadmissionpolicies",
            "ValidatingAdmissionPolicyBinding" => "validatingadmissionpolicybindings",
            _ => continue,
        };
        admin.create(&format!("{GROUP}/{collection}"), &object).await.unwrap();
    }
    for name in ["flamewarden-gate", "flamewarden-label"] {
        let path = format!("{GROUP}/validatingadmissionpolicies/{name}");
        let checked = lab.cluster.read(&path, |policy| {
            let seen = policy["status"]["observedGeneration"] == policy["metadata"]["generation"];
            seen.then(|| policy["status"]["typeChecking"].clone())
        });
        let warnings = checked.await["expressionWarnings"].clone();
        assert_eq!(warnings, Value::Null, "{name}");
    }
    let path = format!("{}?dryRun=All", collection(ELSEWHERE, "Pod"));
    wait_until("the policies are in force", PATIENCE, async || {
        (said(&admin.create(&path, &analysis_pod(true)).await) == Said::Label).then_some(())
    })
    .await;
}

async fn expect(lab: &Lab, state: &str, rows: impl IntoIterator<Item = (&str, &str, Value, Said)>) {
    for (what, namespace, mut pod, want) in rows {
        pod["metadata"]["name"] = json!("row");
        let path = format!("{}?dryRun=All", collection(namespace, "Pod"));
        let answer = lab.cluster.admin.create(&path, &pod).await;
        assert_eq!(said(&answer), want, "{state}: {what}: {answer:?}");
    }
}

/// Nobody becomes an analysis outside of guarded namespaces, and one from before is still served.
async fn changes(lab: &Lab, state: &str) {
    let pods = collection(ELSEWHERE, "Pod");
    for (what, name, patch, want) in [
        ("becomes an analysis", "other", json!({"metadata": {"labels": labels("other")}}), Said::Label),
        ("another label", "other", json!({"metadata": {"labels": {"x": state.split(' ').next()}}}), Said::Yes),
        ("one from before", "before", json!({"metadata": {"labels": {"x": state.split(' ').next()}}}), Said::Yes),
        ("its image", "before", json!({"spec": {"containers": [{"name": "main", "image": "web:2"}]}}), Said::Yes),
    ] {
        let answer = lab.cluster.admin.patch(&format!("{pods}/{name}"), PatchKind::Strategic, &patch).await;
        assert_eq!(said(&answer), want, "{state}: {what}: {answer:?}");
    }
    let status = json!({"status": {"message": state}});
    let path = format!("{pods}/before/status");
    lab.cluster.admin.patch(&path, PatchKind::Strategic, &status).await.unwrap();
}

/// With all replicas stopped nobody connects to a pod of a guarded namespace, whosever pod it is.
async fn connections(lab: &Lab) {
    for (namespace, name, want) in
        [(GUARDED[0], "web", Said::Nobody), (GUARDED[0], "p", Said::Nobody), (ELSEWHERE, "other", Said::Yes)]
    {
        let pod = format!("{}/{name}", collection(namespace, "Pod"));
        for (method, path) in [
            (Method::POST, format!("{pod}/exec?command=id&stdout=true")),
            (Method::GET, format!("{pod}/exec?command=id&stdout=true")),
            (Method::POST, format!("{pod}/attach?stdout=true")),
            (Method::POST, format!("{pod}/portforward")),
            (Method::GET, format!("{pod}/proxy/")),
            (Method::DELETE, format!("{pod}/proxy/")),
            (Method::GET, format!("/api/v1/namespaces/{namespace}/services/any/proxy/")),
        ] {
            let (code, answer) = lab.cluster.admin.answer(method.clone(), &path, None).await;
            let message = answer["message"].as_str().unwrap_or_default();
            let asked = message.contains("failed calling webhook \"connect.validate.flamewarden.dev\"");
            assert_eq!(asked, want == Said::Nobody, "{method} {path}: {code} {answer}");
            assert!(!asked || code == 500, "{method} {path}: {code}");
        }
    }
}

fn said(answer: &Outcome) -> Said {
    let Err(refusal) = answer else { return Said::Yes };
    let message = &refusal.message;
    match refusal.code {
        500 if message.contains("failed calling webhook") => Said::Nobody,
        403 if message.contains("flamewarden refuses this for") => Said::Webhook,
        403 if message.contains("ValidatingAdmissionPolicy 'flamewarden-gate'") => Said::Gate,
        403 if message.contains("ValidatingAdmissionPolicy 'flamewarden-label'") => Said::Label,
        _ => panic!("{message}"),
    }
}

fn pod(name: &str, metadata: &Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": metadata,
        "spec": {"containers": [{"name": "main", "image": "web:1"}], "terminationGracePeriodSeconds": 1},
    });
    pod["metadata"]["name"] = json!(name);
    pod
}

/// What Flamewarden's own namespace takes, by its label for pod security.
fn restricted() -> Value {
    let mut pod = pod("p", &json!({"labels": {"app.kubernetes.io/name": "flamewarden"}}));
    pod["spec"]["securityContext"] =
        json!({"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}});
    pod["spec"]["containers"][0]["securityContext"] =
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    pod
}

fn analysis_pod(gated: bool) -> Value {
    let mut pod = good_analysis("p");
    pod["metadata"]["name"] = json!("p");
    if gated {
        pod["spec"]["schedulingGates"] = json!([{"name": "flamewarden.dev/network-policy"}]);
    }
    pod
}

fn gateway() -> Value {
    pod("p", &json!({"labels": {"component": "flame-analysis-nginx", "app": "nginx-analysis-p"}}))
}

fn labels(id: &str) -> Value {
    json!({"component": "flame-analysis", "app": format!("analysis-{id}")})
}

const ELSEWHERE: &str = "default";
const SYSTEM: &str = "flamewarden-system";
const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";
