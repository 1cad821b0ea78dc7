//! `flamewarden audit --cluster` on a whole installation: nothing is found where nothing is wrong, and whatever is
//! changed while nobody watches is found at once.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::by_service::{ByService, NAMESPACE, image};
use crate::caller::Caller;
use crate::control_plane::AUDIT_LOG;
use crate::flamewarden::{binding, good_analysis, program};
use crate::open_reports::{define, definitions};
use crate::shared::{PATIENCE, run, wait_until};
use crate::ways::{WAYS, Way, prepare};

#[test]
fn a_clean_cluster_has_no_finding_and_every_change_behind_its_back_is_found() {
    run(async {
        let cluster = ByService::prepare(&[], "policies").await;
        let mut receiver = Told::start(&cluster.folder).await;
        define(&cluster.admin, &definitions()).await;
        cluster.apply(&image('0'));
        cluster.start().await;
        went_round(&cluster).await;
        // What the tests may do otherwise is a way round admission, and told as one.
        let edit = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/rolebindings/editor-edit");
        let told = found(&audit(&cluster, Found::More));
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
        network_is_known(&cluster.admin).await;
        let clean = audit(&cluster, Found::Nothing);
        assert_eq!((&clean["findings"], &clean["problems"]), (&json!([]), &json!([])));
        assert!(clean["summary"]["judged"].as_u64().unwrap() >= 2 * ANALYSES, "{}", clean["summary"]);
        assert_eq!(&clean["coverage"]["percent"], &json!(100));

        finds_by_itself(&cluster, &mut receiver).await;

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
        let told = signs(&audit(&cluster, Found::More));
        for Way { what, object, rule, sign, .. } in WAYS {
            let is_it =
                |(about, by, shown): &(String, String, String)| about == object && by == rule && shown.contains(sign);
            if !told.iter().any(is_it) {
                missing.insert(format!("{what}: {object}: {rule} {sign}"));
            }
        }
        assert_eq!(missing, BTreeSet::new(), "found: {told:#?}");
        let ways: BTreeSet<&str> = WAYS.iter().map(|way| way.what).collect();
        assert!(ways.len() == WAYS.len() && WAYS.len() >= 60, "{}", WAYS.len());
    });
}

/// Records what a canary would have told; without it an audit has not looked at everything.
async fn network_is_known(admin: &Caller) {
    let now = jiff::Timestamp::now().to_string();
    let data = json!({"result": "enforced", "at": now, "detail": "as the test says", "nodes": "[]"});
    let record =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "flamewarden-canary"}, "data": data});
    admin.create("/api/v1/namespaces/flamewarden-system/configmaps", &record).await.unwrap();
}

/// What somebody has read stands in the API server's own log alone, and is found there.
async fn went_round(cluster: &ByService) {
    let editor = cluster.plane.caller("editor", None).await;
    let secrets = format!("/api/v1/namespaces/{NAMESPACE}/secrets");
    editor.get(&secrets).await.unwrap();
    assert!(editor.get(&format!("{secrets}/none")).await.is_err());
    let log = cluster.plane.folder().join(AUDIT_LOG).display().to_string();
    let found = |report: &Value| {
        let findings = report["findings"].as_array().unwrap().iter().filter(|it| it["rule"] == "went-round");
        findings.map(|it| it["value"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let told = found(&audit_with(cluster, Found::More, &["--audit-log", &log]));
    let editors: Vec<&String> = told.iter().filter(|value| value.starts_with("editor: ")).collect();
    assert_eq!(editors, ["editor: list secrets (analysis-secrets)"], "what was not there was not read: {told:?}");
    assert_eq!(found(&audit(cluster, Found::More)), [""; 0], "nobody knows without the log");
}

/// The controller audits with the rights that were printed for it, and tells what is new, and that alone.
async fn finds_by_itself(cluster: &ByService, told: &mut Told) {
    let log = || std::fs::read_to_string(cluster.folder.join("controller-first.log")).unwrap();
    // The tests' own Service is found, and nothing else.
    wait_until("the controller has audited the clean cluster", PATIENCE * 4, async || {
        let audited = |line: &str| line.contains("the cluster was audited") && line.contains("missed=0");
        log().lines().rfind(|line| audited(line)).is_some_and(|line| line.contains("findings=1 ")).then_some(())
    })
    .await;
    let bindings = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/rolebindings");
    let mut made = binding("edit");
    made["metadata"]["name"] = json!(MADE);
    let binding = cluster.admin.create(&bindings, &made).await.unwrap();
    let uid = binding["metadata"]["uid"].as_str().unwrap();
    // The first answer is a failure, and so the message comes again, with that and nothing else.
    for _ in 0..2 {
        let message = told.about(MADE).await;
        let rules: Vec<&Value> = message["findings"].as_array().unwrap().iter().map(|it| &it["rule"]).collect();
        assert!(!rules.is_empty() && rules.iter().all(|rule| **rule == "way-round"), "{message:#}");
        let others = message["findings"].as_array().unwrap().iter().any(|it| it["object"]["name"] != MADE);
        assert!(!others, "{message:#}");
    }
    let reports = format!("/apis/openreports.io/v1alpha1/namespaces/{NAMESPACE}/reports");
    let report = cluster.admin.get(&format!("{reports}/{uid}")).await.unwrap();
    assert_eq!((&report["scope"]["name"], &report["results"][0]["policy"]), (&json!(MADE), &json!("way-round")));
    let events = cluster.admin.get(&format!("/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events")).await.unwrap();
    let about: Vec<&Value> =
        events["items"].as_array().unwrap().iter().filter(|event| event["regarding"]["uid"] == uid).collect();
    assert_eq!(about.iter().map(|event| &event["reason"]).collect::<Vec<_>>(), ["ContainmentViolated"]);
    pages_tell_it(&log()).await;
    cluster.admin.delete(&format!("{bindings}/{MADE}"), None).await.unwrap();
    wait_until("the report is gone with its finding", PATIENCE * 4, async || {
        let left = cluster.admin.get(&reports).await.ok()?;
        left["items"].as_array()?.is_empty().then_some(())
    })
    .await;
    // The journal has all of it.
    let mut verify = Command::new(program());
    verify.args(["audit", "verify", "--archive"]).arg(cluster.folder.join("archive"));
    let verified = verify.output().unwrap();
    let (said, why) = (String::from_utf8_lossy(&verified.stdout), String::from_utf8_lossy(&verified.stderr));
    assert_eq!(verified.status.code(), Some(0), "{said}{why}");
    // Kubernetes takes the report away with its object; the next audit writes down that all is well again.
    for word in ["opened", "fixed"] {
        wait_until(&format!("{word} stands in the journal"), PATIENCE * 4, async || {
            let mut export = Command::new(program());
            export.args(["audit", "export", "--archive"]).arg(cluster.folder.join("archive"));
            let exported = String::from_utf8(export.output().unwrap().stdout).unwrap();
            let mut entries = exported.lines();
            entries.any(|line| line.contains(&format!("\"kind\":\"{word}\"")) && line.contains(MADE)).then_some(())
        })
        .await;
    }
    assert!(told.messages.try_recv().is_err(), "what is fixed is not told");
}

/// The controller's pages show what it has found, and of an analysis what the cluster has.
async fn pages_tell_it(log: &str) {
    let shown = log.lines().find(|line| line.contains("pages are shown")).unwrap();
    let address = shown.split("pages=").nth(1).unwrap().split_whitespace().next().unwrap();
    let get = async |path: &str| {
        let answer = reqwest::get(format!("http://{address}{path}")).await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{path}");
        answer.text().await.unwrap()
    };
    let found = get(&format!("/findings?text={MADE}")).await;
    assert!(found.contains(MADE) && found.contains("way-round"), "{found}");
    let others = get("/findings?text=way-round&namespace=default").await;
    assert!(!others.contains(MADE), "{others}");
    assert!(get("/").await.contains("Containment does not hold everywhere."));
    let listed = get("/analyses").await;
    let path = format!("/analyses/{}/analysis", NAMESPACE.replace('-', "%2D"));
    assert!(listed.contains(&path), "{listed}");
    let one = get(&format!("/analyses/{NAMESPACE}/analysis-audited-0")).await;
    for text in [
        "Pod audited-0",
        "pods app=nginx-analysis-audited-0, component=flame-analysis-nginx",
        "pods k8s-app=kube-dns in namespaces kubernetes.io/metadata.name=kube-system",
        "flamewarden-analysis-audited-0",
        "patched",
        "allowed",
    ] {
        assert!(one.contains(text), "{text}: {one}");
    }
    assert!(!one.contains("everybody"), "its network is closed: {one}");
    let report = get("/report/json").await;
    let report: Value = serde_json::from_str(&report).unwrap();
    let rules: BTreeSet<&str> =
        report["findings"].as_array().unwrap().iter().map(|one| one["rule"].as_str().unwrap()).collect();
    assert!(rules.contains("way-round") && report["coverage"]["missed"] == 0, "{report:#}");
}

/// What the test makes behind the controller's back.
const MADE: &str = "made-behind-its-back";

/// Who is told what fails newly: each message fails once before it is taken.
struct Told {
    messages: mpsc::UnboundedReceiver<Value>,
}

impl Told {
    /// Listens, and has policies in that folder say so.
    async fn start(folder: &Path) -> Told {
        let (sender, messages) = mpsc::unbounded_channel();
        let last = Arc::new(Mutex::new(Value::Null));
        let answer = move |message: String| {
            let message: Value = serde_json::from_str(&message).unwrap();
            let (sender, last) = (sender.clone(), last.clone());
            async move {
                sender.send(message.clone()).unwrap();
                let again =
                    std::mem::replace(&mut *last.lock().unwrap(), message["findings"].clone()) == message["findings"];
                if again { StatusCode::NO_CONTENT } else { StatusCode::SERVICE_UNAVAILABLE }
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let app = axum::Router::new().route("/hook", axum::routing::post(answer));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let file = folder.join("notify-url");
        std::fs::write(&file, url + "\n").unwrap();
        let auditor = format!(
            "apiVersion: flamewarden.dev/v1alpha1\nkind: Auditor\nspec:\n  audit: {{everyMinutes: 1}}\n  notify: {{urlFile: {}}}\n  \
             pages: {{url: 'http://localhost:8001', login: none}}\n",
            file.display()
        );
        std::fs::write(folder.join("policies/auditor.yaml"), auditor).unwrap();
        Told { messages }
    }

    /// The next message that names an object; what was found before may still be told.
    async fn about(&mut self, name: &str) -> Value {
        loop {
            let message = tokio::time::timeout(PATIENCE * 4, self.messages.recv()).await;
            let message = message.expect("somebody is told").unwrap();
            if message["findings"].as_array().unwrap().iter().any(|it| it["object"]["name"] == name) {
                return message;
            }
        }
    }
}

/// What an audit must find besides the tests' own change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    More,
}

/// What an audit of the cluster says.
fn audit(cluster: &ByService, wanted: Found) -> Value {
    audit_with(cluster, wanted, &[])
}

/// The same with more arguments.
fn audit_with(cluster: &ByService, wanted: Found, more: &[&str]) -> Value {
    let mut command = Command::new(program());
    command.args(["audit", "--cluster", "--output", "json", "--image", &image('0'), "--policies"]);
    command.arg(cluster.folder.join("policies")).arg("--kubeconfig").arg(cluster.plane.admin_file()).args(more);
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
    assert_eq!(clean, wanted == Found::Nothing, "{report:#}");
    report
}

/// Objects and rules of what fails.
fn found(report: &Value) -> BTreeSet<(String, String)> {
    signs(report).into_iter().map(|(object, rule, _)| (object, rule)).collect()
}

/// Objects and rules of what fails, with path and value.
fn signs(report: &Value) -> BTreeSet<(String, String, String)> {
    let findings = report["findings"].as_array().unwrap().iter().filter(|it| it["outcome"] == "violated");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let sign = |it: &Value| format!("{} {}", text(&it["path"]), text(&it["value"]));
    findings.map(|it| (title(&it["object"]), text(&it["rule"]), sign(it))).collect()
}

fn title(object: &Value) -> String {
    let [kind, namespace, name] = ["kind", "namespace", "name"].map(|key| object[key].as_str().unwrap_or_default());
    if namespace.is_empty() { format!("{kind} {name}") } else { format!("{kind} {namespace}/{name}") }
}

const ANALYSES: u64 = 500;
const PODS: &str = "/api/v1/namespaces/flame-attacks/pods";
