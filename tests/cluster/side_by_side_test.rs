//! Two replicas side by side on the way from one set of policies to another: one mends, the other judges, in both
//! orders, and both mend where the API server asks again.

use serde_json::{Value, json};

use flamewarden::policy::ALSO;

use crate::caller::Caller;
use crate::flamewarden::{good_analysis, policy_files, settled};
use crate::lab::{GUARDED, Lab, collection, unguarded};
use crate::part::Part;
use crate::shared::run;

#[test]
fn side_by_side_replicas_refuse_no_good_pod_and_let_no_bad_one_pass() {
    run(async {
        let lab = Lab::start().await;
        let admin = &lab.cluster.admin;
        let runtime = json!({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass",
            "metadata": {"name": "sandbox"}, "handler": "sandbox"});
        admin.create("/apis/node.k8s.io/v1/runtimeclasses", &runtime).await.unwrap();
        let steps = steps(&lab).await;
        for pair in steps.windows(2) {
            for [mends, judges] in [[&pair[0], &pair[1]], [&pair[1], &pair[0]]] {
                for again in [None, Some(judges)] {
                    register(admin, mends, judges, again).await;
                    expect_answers(
                        admin,
                        &format!("{} mends, {} judges, {}", mends.name, judges.name, again.is_some()),
                    )
                    .await;
                }
            }
        }
        // Without the steps between, each refuses what the other makes of a pod that both take.
        let (older, newer) = (&steps[0], &steps[3]);
        for [mends, judges] in [[older, newer], [newer, older]] {
            register(admin, mends, judges, None).await;
            let refusal = create(admin, &good_under_both()[0].1).await.unwrap_err();
            assert!(refusal.contains("\nruntime-class: "), "{refusal}");
        }
    });
}

async fn expect_answers(admin: &Caller, way: &str) {
    for (what, pod) in good_under_both() {
        let stored = create(admin, &pod).await;
        let stored = stored.unwrap_or_else(|refusal| panic!("{way}: {what}: {refusal}"));
        assert!(stored["spec"]["schedulingGates"].is_array(), "{way}: {what}");
    }
    for (what, pod, rules) in bad_under_both() {
        let refusal = create(admin, &pod).await.expect_err(&format!("{way}: {what}"));
        let said = rules.iter().any(|rule| refusal.contains(&format!("\n{rule}: ")));
        assert!(said, "{way}: {what}: {refusal}");
    }
}

/// One replica, and what it is on the way.
struct Step {
    name: &'static str,
    base: String,
    _webhook: Part,
}

/// What README says: the newer set is accepted too, then in force with the older one accepted too, then alone.
async fn steps(lab: &Lab) -> Vec<Step> {
    let older = policy_files(&unguarded());
    let mut newer = older.clone();
    for (from, to) in CHANGES {
        assert!(newer[0].1.contains(from), "the profile says {from}");
        newer[0].1 = newer[0].1.replace(from, to);
    }
    let with = |set: &[(String, String)], also: &[(String, String)]| -> Vec<(String, String)> {
        let also = also.iter().map(|(name, text)| (format!("{ALSO}{name}"), text.clone()));
        set.iter().cloned().chain(also).collect()
    };
    let mut steps = Vec::new();
    for (name, files) in [
        ("older", older.clone()),
        ("older-newer-too", with(&older, &newer)),
        ("newer-older-too", with(&newer, &older)),
        ("newer", newer),
    ] {
        let (webhook, base) = lab.add_webhook(name, &files).await;
        steps.push(Step { name, base, _webhook: webhook });
    }
    steps
}

/// Has the API server ask these: all configurations as they are, but for their addresses. Where `again` is one, it is
/// asked to mend too, and what it changes makes the API server ask the first one once more.
async fn register(admin: &Caller, mends: &Step, judges: &Step, again: Option<&Step>) {
    let again_path = format!("{CONFIGURATIONS}/mutatingwebhookconfigurations/flamewarden-pods-again");
    if admin.get(&again_path).await.is_ok() {
        admin.delete(&again_path, None).await.unwrap();
    }
    for (kind, step, path) in [("mutating", mends, "mutate"), ("validating", judges, "validate")] {
        let kind = format!("{CONFIGURATIONS}/{kind}webhookconfigurations");
        for mut configuration in admin.get(&kind).await.unwrap()["items"].as_array().unwrap().clone() {
            configuration["webhooks"][0]["clientConfig"]["url"] = json!(format!("{}/{path}", step.base));
            let name = configuration["metadata"]["name"].as_str().unwrap();
            admin.call(http::Method::PUT, &format!("{kind}/{name}"), Some(&configuration)).await.unwrap();
        }
    }
    if let Some(again) = again {
        let kind = format!("{CONFIGURATIONS}/mutatingwebhookconfigurations");
        let mut configuration = admin.get(&format!("{kind}/flamewarden-pods")).await.unwrap();
        configuration["metadata"] = json!({"name": "flamewarden-pods-again"});
        configuration["webhooks"][0]["clientConfig"]["url"] = json!(format!("{}/mutate", again.base));
        admin.create(&kind, &configuration).await.unwrap();
    }
    settled(admin).await;
}

/// As it would be stored.
async fn create(admin: &Caller, pod: &Value) -> Result<Value, String> {
    let path = format!("{}?dryRun=All", collection(NAMESPACE, "Pod"));
    admin.create(&path, pod).await.map_err(|refusal| refusal.message)
}

fn good_under_both() -> Vec<(&'static str, Value)> {
    vec![
        ("says nothing", pod(json!({}), json!({}))),
        ("asks for the most that both allow", pod(json!({}), json!({"resources": {"limits": {"memory": "2Gi"}}}))),
        ("ends soon", pod(json!({"terminationGracePeriodSeconds": 5}), json!({}))),
        ("ends late", pod(json!({"terminationGracePeriodSeconds": 300}), json!({}))),
        ("has a volume", pod(json!({"volumes": [{"name": "tmp", "emptyDir": {}}]}), json!({}))),
    ]
}

/// Each with the rules of which one at least must be named.
fn bad_under_both() -> Vec<(&'static str, Value, &'static [&'static str])> {
    let mut halves = pod(json!({}), json!({"resources": {"limits": {"memory": "8Gi"}}}));
    halves["metadata"]["annotations"] = json!({"example.org/team": "x"});
    let mut unknown = pod(json!({}), json!({}));
    unknown["metadata"]["annotations"] = json!({"example.org/other": "x"});
    vec![
        ("is in the host's network", pod(json!({"hostNetwork": true}), json!({})), &["host-namespaces"]),
        ("is privileged", pod(json!({}), json!({"securityContext": {"privileged": true}})), &["privileged"]),
        ("asks for too much", pod(json!({}), json!({"resources": {"limits": {"memory": "64Gi"}}})), &["resources"]),
        ("has an unknown annotation", unknown, &["annotations"]),
        ("is half good under each", halves, &["annotations", "resources"]),
    ]
}

fn pod(spec: Value, container: Value) -> Value {
    let mut pod = good_analysis("between");
    pod["metadata"]["name"] = json!("between");
    let add = |to: &mut Value, more: Value| to.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    add(&mut pod["spec"], spec);
    add(&mut pod["spec"]["containers"][0], container);
    pod
}

/// Other defaults and bounds, more that is asked for, and one more annotation that is allowed.
const CHANGES: [(&str, &str); 5] = [
    ("limits: {cpu: \"2\", memory: 4Gi,", "limits: {cpu: \"2\", memory: 1Gi,"),
    ("maximum: {cpu: \"8\", memory: 32Gi,", "maximum: {cpu: \"8\", memory: 2Gi,"),
    ("readOnlyRootFilesystem: any", "readOnlyRootFilesystem: required\n    runtimeClass: sandbox"),
    ("graceMaximum: 30", "graceMaximum: 10"),
    ("    annotations:\n", "    annotations:\n      - example.org/team\n"),
];
const NAMESPACE: &str = GUARDED[0];
const CONFIGURATIONS: &str = "/apis/admissionregistration.k8s.io/v1";
