//! Who is refused or enters in an emergency can be seen at the object that it is about.

use flamewarden::archive::{Archive, JournalEntry, Verdict};
use http::Method;
use serde_json::{Value, json};

use crate::caller::{Caller, Outcome};
use crate::flamewarden::{BEFORE, Guarded, good_analysis, guarded};
use crate::lab::log;
use crate::probes::counts;
use crate::shared::{Cluster, PATIENCE, run, wait_until};

#[test]
fn a_deployment_whose_pods_are_refused_has_an_event_at_its_replica_set() {
    run(async {
        let guarded = guarded().await;
        let admin = &guarded.cluster.admin;
        // The template says nothing of cpu; the API server fills in, for each pod, more than the profile allows.
        let range = json!({
            "apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "large"},
            "spec": {"limits": [{"type": "Container", "default": {"cpu": "100"}}]},
        });
        admin.create(&format!("{CORE}/limitranges"), &range).await.unwrap();
        let mut template = good_analysis("refused");
        let labels = template["metadata"]["labels"].clone();
        let object = template.as_object_mut().unwrap();
        object.retain(|key, _| key == "metadata" || key == "spec");
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "refused", "labels": labels},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        });
        let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}");
        guarded.editor.create(&format!("{path}/deployments"), &deployment).await.unwrap();
        let event = event(guarded.cluster, "Refused", "ReplicaSet").await;
        let set = event["regarding"]["name"].as_str().unwrap();
        let set = admin.get(&format!("{path}/replicasets/{set}")).await.unwrap();
        assert_eq!(event["regarding"]["uid"], set["metadata"]["uid"]);
        let told = json!([event["type"], event["action"], event["reportingController"], event["note"]]);
        let note = "Flamewarden refuses its pods by: resources. The refusal itself says which fields and what to do \
            about each; a dry run of the same object on the server shows it again.";
        assert_eq!(told, json!(["Warning", "Admission", "flamewarden.dev/controller", note]));
        stands_in_the_journal(guarded, set["metadata"]["uid"].as_str().unwrap()).await;
        guarded.editor.delete(&format!("{path}/deployments/refused"), None).await.unwrap();
    });
}

#[test]
fn each_use_of_break_glass_is_an_event_at_the_pod_a_log_line_and_a_count_and_a_forged_owner_has_none() {
    run(async {
        let guarded = guarded().await;
        let admin = &guarded.cluster.admin;
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "responder"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "responder"}],
        });
        let bindings = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/rolebindings");
        admin.create(&bindings, &binding).await.unwrap();
        let pods = format!("{CORE}/pods");
        let pod = analysis("entered", "entered");
        guarded.editor.create(&pods, &pod).await.unwrap();
        let running = |pod: &Value| (pod["status"]["phase"] == "Running").then(|| pod["metadata"]["uid"].clone());
        let uid = guarded.cluster.read(&format!("{pods}/entered"), running).await;

        let mut forged = pod.clone();
        forged["metadata"]["name"] = json!("forged");
        forged["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "v1", "kind": "ReplicationController", "name": "nobody", "uid": "0", "controller": true,
        }]);
        forged["spec"]["hostNetwork"] = json!(true);
        assert_eq!(guarded.editor.create(&pods, &forged).await.unwrap_err().code, 403);

        let responder = guarded.cluster.plane.caller("responder", Some("flamewarden:break-glass")).await;
        wait_until("RBAC knows the responder", PATIENCE, async || {
            let pods = responder.get(&pods).await;
            pods.ok()
        })
        .await;
        let mut used = Vec::new();
        for way in &WAYS {
            let refusal = way.done_by(&guarded.editor).await.expect_err(way.resource);
            let line = format!("{}: {} (", way.rule, way.field);
            assert!(refusal.message.contains(&format!("for 1 reason(s):\n{line}")), "{}", refusal.message);
            // Admission is asked before the kubelet, which has no containers to enter, or this is no upgrade.
            let refusal = way.done_by(&responder).await.err();
            assert!(refusal.is_none_or(|refusal| !refusal.message.contains("flamewarden")), "{}", way.resource);
            used.push(way.note());
            // Before the next use: of a pod that is gone only a deletion brings the uid.
            let told = guarded.cluster.read(EVENTS, |list| {
                let events = list["items"].as_array()?.iter().filter(|event| event["reason"] == "BreakGlass");
                let about = events.filter(|event| event["regarding"]["name"] == "entered");
                let told: Vec<Value> = about.map(|event| json!([event["regarding"]["uid"], event["note"]])).collect();
                told.iter().any(|told| told[1] == *used.last().unwrap()).then_some(told)
            });
            let mut told = told.await;
            told.sort_by_key(|told| used.iter().position(|note| told[1] == *note));
            told.dedup();
            assert_eq!(told, used.iter().map(|note| json!([uid, note])).collect::<Vec<_>>());
        }
        each_use_is_logged_and_counted(guarded).await;
        // It was refused before, and decisions are told in their order.
        let events = admin.get(EVENTS).await.unwrap();
        let forged = events["items"].as_array().unwrap().iter().find(|event| event["regarding"]["name"] == "nobody");
        assert_eq!(forged, None);
    });
}

/// What is told by an Event was written down before.
async fn stands_in_the_journal(guarded: &Guarded, owner: &str) {
    let file = guarded.cluster.plane.folder().join("flamewarden/archive-controller/archive.db");
    let archive = Archive::existing(&format!("sqlite:{}", file.display())).await.unwrap();
    assert_eq!(archive.verify_journal(None).await.unwrap().verdict, Verdict::Whole);
    let entries = archive.journal_after(0, 100_000).await.unwrap();
    let body = |entry: &JournalEntry| serde_json::from_str::<Value>(&entry.body).unwrap();
    let about = entries.iter().find(|entry| body(entry)["about"]["uid"] == owner).unwrap();
    let told = body(about);
    assert_eq!((about.kind.as_str(), about.is_unchecked()), ("decision", true));
    assert_eq!(
        [&told["outcome"], &told["namespace"], &told["rules"]],
        [&json!("refused"), &json!(NAMESPACE), &json!(["resources"])]
    );
}

/// What the group may do to a running pod in an emergency, and what keeps everybody else from it.
struct Way {
    method: Method,
    /// After the pod's path.
    path: &'static str,
    operation: &'static str,
    resource: &'static str,
    rule: &'static str,
    field: &'static str,
}

const WAYS: [Way; 4] = [
    Way::into("/exec?command=id&stdout=true", "pods/exec"),
    Way::into("/attach?stdout=true", "pods/attach"),
    Way::into("/portforward?ports=8000", "pods/portforward"),
    // The last, since no pod is left after it.
    Way {
        method: Method::DELETE,
        path: "?gracePeriodSeconds=0",
        operation: "DELETE",
        resource: "pods",
        rule: "forced-deletion",
        field: "options.gracePeriodSeconds",
    },
];

impl Way {
    const fn into(path: &'static str, resource: &'static str) -> Way {
        Way { method: Method::POST, path, operation: "CONNECT", resource, rule: "connection", field: "name" }
    }

    async fn done_by(&self, caller: &Caller) -> Outcome {
        caller.call(self.method.clone(), &format!("{CORE}/pods/entered{}", self.path), None).await
    }

    fn note(&self) -> String {
        let Way { operation, resource, rule, .. } = self;
        format!(
            "responder broke the glass: {operation} {resource}, refused to others by: {rule}. Who asked the webhook was \
             not checked (no --client-ca): only if the API server's audit log says the same did it happen."
        )
    }

    /// The log line but for its beginning and the request's uid.
    fn line(&self) -> String {
        let Way { operation, resource, rule, field, .. } = self;
        format!(
            "review answered decision=\"break_glass\" side=\"validate\" operation=\"{operation}\" \
             resource=\"{resource}\" namespace={NAMESPACE} name=entered user=responder from=127.0.0.1 checked=false \
             dry_run=false rules={rule} paths={field}"
        )
    }
}

/// Others use it meanwhile, so the counts are compared with the log.
async fn each_use_is_logged_and_counted(guarded: &Guarded) {
    let without_uid = |line: &str| {
        let words = line.split(' ').skip_while(|word| *word != "review").filter(|word| !word.starts_with("uid="));
        words.collect::<Vec<_>>().join(" ")
    };
    let said = log(&guarded.webhook);
    let mut ours: Vec<String> = said.lines().filter(|line| line.contains("user=responder")).map(without_uid).collect();
    // The API server asks about a deletion anew for each version of the object that it tries to delete.
    ours.dedup();
    assert_eq!(ours, WAYS.iter().map(Way::line).collect::<Vec<_>>());
    wait_until("each use is counted", PATIENCE, async || {
        let counts = counts(&guarded.webhook, "flamewarden_admission_requests_total").await?;
        let said = log(&guarded.webhook);
        let all = WAYS.iter().all(|Way { operation, resource, .. }| {
            let label = |name: &str, value: &str| format!("{name}=\"{value}\"");
            let labels = [
                label("side", "validate"),
                label("operation", operation),
                label("resource", resource),
                label("decision", "break_glass"),
            ];
            let lines = said.lines().filter(|line| labels.iter().all(|label| line.contains(label)));
            counts.get(&labels.join(",")) == Some(&(lines.count() as u64))
        });
        all.then_some(())
    })
    .await;
}

#[test]
fn a_gate_that_stays_closed_and_a_pod_from_before_have_events_at_the_pods() {
    run(async {
        let guarded = guarded().await;
        let pods = format!("{CORE}/pods");
        let first = guarded.editor.create(&pods, &analysis("holder", "twice")).await.unwrap();
        guarded
            .cluster
            .read(&format!("{pods}/holder"), |pod| (pod["status"]["phase"] == "Running").then_some(()))
            .await;
        let second = guarded.editor.create(&pods, &analysis("late", "twice")).await.unwrap();
        let before = guarded.cluster.admin.get(&format!("{pods}/{BEFORE}")).await.unwrap();
        let holder = first["metadata"]["uid"].as_str().unwrap();
        let held = format!(
            "Flamewarden keeps the gate closed: pods of another owner (uid {holder}) have this identity and were first"
        );
        let adopted = "It started before Flamewarden guarded it and is isolated from now on, but would be refused: ";
        for (reason, pod, note) in [("GateHeld", &second, held.as_str()), ("NotConforming", &before, adopted)] {
            let event = event(guarded.cluster, reason, "Pod").await;
            let about = json!([event["regarding"]["name"], event["regarding"]["uid"]]);
            assert_eq!(about, json!([pod["metadata"]["name"], pod["metadata"]["uid"]]), "{event}");
            let told = event["note"].as_str().unwrap();
            assert!(told.starts_with(note), "{told}");
            // It never had the gate, and could not get it any more.
            assert!(!told.contains("network-gate"), "{told}");
        }
    });
}

/// An analysis that says itself what the namespace's limit range would say otherwise.
fn analysis(name: &str, id: &str) -> Value {
    let mut pod = good_analysis(id);
    pod["metadata"]["name"] = json!(name);
    pod["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1"}, "limits": {"cpu": "1"}});
    pod
}

/// Waits for the Event with a reason about a kind of object.
async fn event(cluster: &Cluster, reason: &str, kind: &str) -> Value {
    cluster
        .read(EVENTS, |list| {
            let events = list["items"].as_array()?;
            events.iter().find(|event| event["reason"] == reason && event["regarding"]["kind"] == kind).cloned()
        })
        .await
}

const NAMESPACE: &str = "flame-decisions";
const CORE: &str = "/api/v1/namespaces/flame-decisions";
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/flame-decisions/events";
