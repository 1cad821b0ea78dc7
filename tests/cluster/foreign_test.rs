//! Kinds of policies of other networks come and go while the guard is at work: nothing of theirs opens an analysis,
//! nothing hangs, nothing loops.

use std::collections::BTreeSet;

use flamewarden::isolation::Scope;
use serde_json::{Value, json};

use crate::caller::PatchKind;
use crate::faulty::Faulty;
use crate::flamewarden::{CONTROLLER, good_analysis};
use crate::foreign_kinds::{KINDS, define, editor};
use crate::lab::{GUARDED, Lab, collection, log};
use crate::shared::{PATIENCE, run, wait_until};

#[test]
fn kinds_of_other_networks_come_and_go_and_none_opens_an_analysis() {
    run(async {
        let mut lab = Lab::start().await;
        // Nothing is broken here; the way counts what the controller asks for.
        let way = Faulty::open(&lab.cluster.plane.caller(CONTROLLER, None).await).await;
        lab.lead_controller_by(&way.kubeconfig(lab.cluster.plane.folder()));
        start(&lab, "before").await;
        lab.running(NAMESPACE, "analysis-before", 1).await;
        define(&lab).await;
        namespaced_ones_are_refused(&lab).await;
        for kind in KINDS.iter().filter(|kind| kind.scope() == Scope::Cluster) {
            for object in [kind.object("elsewhere", &kind.excluding), kind.object("open", &kind.reaching)] {
                lab.cluster.admin.create(&kind.collection(), &object).await.unwrap();
            }
        }
        start(&lab, "held").await;
        the_gate_stays_and_is_asked_about_ever_less(&lab, &way).await;
        // One half goes by itself, the other with its kind.
        for (number, kind) in KINDS.iter().filter(|kind| kind.scope() == Scope::Cluster).enumerate() {
            let path = if number % 2 == 0 { format!("{}/open", kind.collection()) } else { kind.definition_path() };
            lab.cluster.admin.delete(&path, None).await.unwrap();
        }
        lab.running(NAMESPACE, "analysis-held", 1).await;
        for kind in &KINDS {
            // Some are on their way out already.
            let _ = lab.cluster.admin.delete(&kind.definition_path(), None).await;
            lab.cluster.gone(&kind.definition_path()).await;
        }
        start(&lab, "after").await;
        lab.running(NAMESPACE, "analysis-after", 1).await;
        nothing_is_asked_for_but_what_is_due(&lab, &way).await;
    });
}

async fn namespaced_ones_are_refused(lab: &Lab) {
    let editor = editor(lab).await;
    for kind in KINDS.iter().filter(|kind| kind.scope() == Scope::Namespaced) {
        let refusal = editor.create(&kind.collection(), &kind.object("open", &kind.reaching)).await.unwrap_err();
        let by_rule = refusal.code == 403 && refusal.message.contains("\nnetwork-policy: ");
        assert!(by_rule, "{} of {}: {}", kind.plural, kind.group, refusal.message);
        let gone = lab.cluster.admin.get(&format!("{}/open", kind.collection())).await.unwrap_err();
        assert_eq!(gone.code, 404, "{}", kind.plural);
        let stored = editor.create(&kind.collection(), &kind.object("elsewhere", &kind.excluding)).await.unwrap();
        let changed = json!([{"op": "replace", "path": "/spec", "value": (kind.reaching)()}]);
        let path = format!("{}/elsewhere", kind.collection());
        let refusal = editor.patch(&path, PatchKind::Json, &changed).await.unwrap_err();
        assert!(refusal.message.contains("\nnetwork-policy: "), "{}", refusal.message);
        assert_eq!(lab.cluster.admin.get(&path).await.unwrap(), stored, "{}", kind.plural);
    }
}

async fn the_gate_stays_and_is_asked_about_ever_less(lab: &Lab, way: &Faulty) {
    let said = || {
        let log = log(&lab.controllers[0]);
        log.lines().filter(|line| line.contains("gate stays closed")).map(str::to_owned).collect::<Vec<_>>()
    };
    let told =
        wait_until("the gate was tried a few times", PATIENCE, async || Some(said()).filter(|said| said.len() > 3));
    let told = told.await.pop().unwrap();
    let named: BTreeSet<&str> =
        told.split([' ', '(', ')', ',', '"']).filter(|word| word.contains("policies.")).collect();
    let open = KINDS.iter().filter(|kind| kind.scope() == Scope::Cluster).map(|kind| format!("{}.open", kind.plural));
    let open: Vec<String> = open.collect();
    assert_eq!(named, open.iter().map(String::as_str).collect(), "{told}");
    way.take_asked();
    renewals(lab, 2).await;
    let lists = way.take_asked().remove(&format!("GET {}", collection(NAMESPACE, "NetworkPolicy"))).unwrap_or_default();
    assert!(lists <= 3, "{lists} tries within two renewals of the lease");
    let held = lab.cluster.admin.get(&format!("{}/held", collection(NAMESPACE, "Pod"))).await.unwrap();
    assert_eq!(held["spec"]["schedulingGates"], json!([{"name": "flamewarden.dev/network-policy"}]));
}

/// Over some renewals of the lease, only that and what the registration, the fetching of decisions and the look at the namespaces ask for.
async fn nothing_is_asked_for_but_what_is_due(lab: &Lab, way: &Faulty) {
    way.take_asked();
    renewals(lab, 3).await;
    let asked = way.take_asked();
    let due = ["leases/", "secrets/", "webhookconfigurations/", "/endpointslices"];
    let namespaces = GUARDED.map(|name| format!("GET /api/v1/namespaces/{name}"));
    let is_due = |path: &&String| due.iter().any(|due| path.contains(due)) || namespaces.contains(path);
    let other: BTreeSet<&String> = asked.keys().filter(|path| !is_due(path)).collect();
    assert_eq!(other, BTreeSet::new());
    let most = asked.values().max().copied().unwrap_or_default();
    assert!((1..=10).contains(&most), "{asked:?}");
}

/// Waits until the leader has renewed its lease so often.
async fn renewals(lab: &Lab, times: usize) {
    let lease = "/apis/coordination.k8s.io/v1/namespaces/flamewarden-system/leases/flamewarden-controller";
    let mut last = lab.cluster.read(lease, |lease| Some(lease["spec"]["renewTime"].clone())).await;
    for _ in 0..times {
        let newer = |lease: &Value| Some(lease["spec"]["renewTime"].clone()).filter(|time| *time != last);
        last = lab.cluster.read(lease, newer).await;
    }
}

async fn start(lab: &Lab, id: &str) {
    let mut analysis = good_analysis(id);
    analysis["metadata"]["name"] = json!(id);
    lab.create(NAMESPACE, &analysis).await;
}

const NAMESPACE: &str = GUARDED[0];
