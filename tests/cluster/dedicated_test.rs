//! Analyses in a namespace of their own, which ask nobody for names: what denies by default there stands before them, is
//! put right and stays; they know their gateway and count what they send, and the webhook has judged that.

use serde_json::{Value, json};

use crate::caller::PatchKind;
use crate::faulty::Faulty;
use crate::flamewarden::{CONTROLLER, DEDICATED, MADE, orchestrator, policy_files};
use crate::lab::{GUARDED, Lab, collection, unguarded};
use crate::node::{IMAGE, analysis, secrets, services};
use crate::scanned::{STATISTICS, pinned};
use crate::shared::run;

#[test]
fn a_dedicated_namespace_denies_by_default_before_while_and_after_an_analysis_is_there() {
    run(async {
        let (lab, way) = started().await;
        let (cluster, admin) = (&lab.cluster, &lab.cluster.admin);
        let creator = cluster.plane.caller("system:serviceaccount:flame:flame-po", Some("system:masters")).await;
        for secret in secrets(ID, json!({"DATA_SOURCE_TOKEN": "none_needed", "KEYCLOAK_TOKEN": "x"})) {
            creator.create(&collection(NAMESPACE, "Secret"), &secret).await.unwrap();
        }
        creator.create(ANALYSES, &analysis(ID, IMAGE)).await.unwrap();
        let own = format!("{ANALYSES}/{ID}");
        cluster.read(&own, |own| (own["status"]["conditions"][0]["status"] == "True").then_some(())).await;
        asks_nobody_for_names_and_counts(&lab).await;

        let policy = format!("{}/flamewarden-default-deny", collection(NAMESPACE, "NetworkPolicy"));
        let writes = way.writes();
        let written = |what: &str| writes.iter().find(|write| write.what.ends_with(what)).expect(what);
        let runs = written(&format!("deployments/analysis-{ID}-1"));
        assert!(written(&policy).answered.unwrap() < runs.passed.unwrap(), "{writes:?}");

        // From here on nothing happens but what is done to it, so that each is followed by one write and no more.
        let before = admin.get(&policy).await.unwrap();
        assert_eq!(before["spec"], json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}));
        let all = || way.writes().iter().filter(|write| !write.what.contains("/leases")).count();
        let so_far = all();
        let emergency = admin.acting_as("emergency", &["system:masters", "flamewarden:break-glass"]);
        let edits = [
            json!({"spec": {"egress": [{}]}}),
            json!({"spec": {"ingress": [{}], "podSelector": {"matchLabels": {"app": "x"}}}}),
            json!({"spec": {"policyTypes": ["Ingress"]}}),
            json!({"metadata": {"labels": null}}),
        ];
        let kept = |policy: &Value| json!([policy["spec"], policy["metadata"]["labels"]]);
        for edit in &edits {
            let edited = emergency.patch(&policy, PatchKind::Merge, edit).await.unwrap();
            assert_ne!(kept(&edited), kept(&before), "{edit}");
            let right = cluster.read(&policy, |now| (kept(now) == kept(&before)).then(|| now.clone())).await;
            assert_eq!(right["metadata"]["uid"], before["metadata"]["uid"], "{edit}");
        }
        emergency.delete(&policy, None).await.unwrap();
        let made_again = cluster.read(&policy, |now| Some(now.clone())).await;
        assert_eq!(kept(&made_again), kept(&before));
        assert_ne!(made_again["metadata"]["uid"], before["metadata"]["uid"]);
        assert_eq!(all() - so_far, edits.len() + 1, "{:?}", &way.writes()[so_far..]);

        creator.delete(&own, None).await.unwrap();
        cluster.gone(&own).await;
        let after = admin.get(&policy).await.unwrap();
        assert_eq!(after["metadata"]["resourceVersion"], made_again["metadata"]["resourceVersion"], "{after}");
        let of_it = way.writes().iter().filter(|write| write.what.ends_with(&policy)).count();
        assert_eq!(of_it, 1 + edits.len() + 1);
    });
}

/// A cluster whose controller makes analyses in a dedicated namespace, and the way by which it writes.
async fn started() -> (Lab, Faulty) {
    let mut lab = Lab::start().await;
    lab.cluster.namespace_named(NAMESPACE).await;
    services(&lab.cluster, GUARDED[0]).await;
    lab.install_again(&files()).await;
    let way = Faulty::open(&lab.cluster.plane.caller(CONTROLLER, None).await).await;
    lab.lead_controller_by(&way.kubeconfig(lab.cluster.plane.folder()));
    (lab, way)
}

/// The policies: nobody is asked for names, statistics are counted, and nobody is asked how he is while a test looks.
fn files() -> Vec<(String, String)> {
    let but: Vec<&str> = unguarded().into_iter().filter(|name| *name != NAMESPACE).collect();
    let mut files = policy_files(&but);
    let mut change = |file: &str, from: &str, to: &str| {
        let (_, text) = files.iter_mut().find(|(name, _)| name == file).unwrap();
        assert!(text.contains(from), "{file} says {from}");
        *text = text.replace(from, to);
    };
    change("flame-analysis.yaml", "dns: cluster", "dns: none");
    change("installation.yaml", "[\"busybox:1.37\"]", &format!("[\"{STATISTICS}\"]"));
    let orchestrator = orchestrator()
        .replace(&format!("namespace: {MADE}\n"), &format!("namespace: {NAMESPACE}\n"))
        .replace(&format!("namespace: {MADE},"), &format!("namespace: {},", GUARDED[0]));
    let more = format!("  networkStatisticsImage: {STATISTICS}\n  health: {{periodSeconds: 86400}}\n");
    files.push(("orchestrator.yaml".to_owned(), orchestrator + &more));
    files
}

/// What is stored says so, and with any other name the webhook would have refused it.
async fn asks_nobody_for_names_and_counts(lab: &Lab) {
    let (app, gateway) = (format!("analysis-{ID}-1"), format!("nginx-analysis-{ID}-1"));
    let path = format!("{}/{app}", collection(NAMESPACE, "Deployment"));
    let service = format!("{}/{gateway}", collection(NAMESPACE, "Service"));
    let address = lab.cluster.admin.get(&service).await.unwrap()["spec"]["clusterIP"].clone();
    assert!(address.is_string(), "{address}");
    let aliases = json!([{"ip": address, "hostnames": [gateway]}]);
    let says = |pod: &Value, image: &str| {
        let containers = pod["containers"].as_array().unwrap().iter();
        let named: Vec<Value> = containers.map(|container| json!([container["name"], container["image"]])).collect();
        let want = [json!([app, image]), json!([format!("net-stats-{app}"), STATISTICS])];
        assert_eq!((&pod["hostAliases"], &named[..]), (&aliases, &want[..]), "{pod}");
    };
    says(&lab.cluster.admin.get(&path).await.unwrap()["spec"]["template"]["spec"], IMAGE);
    for pod in lab.running(NAMESPACE, &app, 1).await {
        let pod = lab.cluster.admin.get(&format!("{}/{pod}", collection(NAMESPACE, "Pod"))).await.unwrap();
        says(&pod["spec"], &pinned(IMAGE));
    }
    let controller = lab.cluster.plane.caller(CONTROLLER, None).await;
    let other = json!([{"op": "replace", "path": "/spec/template/spec/hostAliases/0/hostnames/0", "value": "kong"}]);
    let refusal = controller.patch(&format!("{path}?dryRun=All"), PatchKind::Json, &other).await.unwrap_err();
    let said = "\ndns: spec.template.spec.hostAliases";
    assert!(refusal.code == 403 && refusal.message.contains(said), "{}", refusal.message);
}

const ID: &str = "88888888-0000-4000-8000-000000000031";
const NAMESPACE: &str = DEDICATED[0];
const ANALYSES: &str = "/apis/flamewarden.dev/v1alpha1/namespaces/analyses/analyses";
