//! Two replicas of the controller: one leads, the other takes over, and who was cut off writes nothing.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::caller::{Caller, PatchKind};
use crate::faulty::{Faulty, Write};
use crate::flamewarden::{CONTROLLER, good_analysis};
use crate::lab::{GUARDED, Lab, collection, log};
use crate::part::Part;
use crate::shared::{PATIENCE, run, wait_until};

/// With the lease's own timing, so each change of hands takes its 15 seconds.
#[test]
fn the_other_replica_takes_over_and_who_was_cut_off_does_not_write() {
    run(async {
        let mut lab = Lab::start().await;
        leads(&lab, "first").await;
        lab.add_controller("second");
        start(&lab, "before").await;
        lab.controllers[0].signal("STOP");
        taken_over(&lab, "second", "during").await;
        let said = log(&lab.controllers[0]);
        lab.controllers[0].signal("CONT");
        // It knows of the lease again once it has said so; what it found waiting in its watches came before.
        wait_until("the first knows that it does not lead", PATIENCE, async || {
            let news = news(&lab.controllers[0], &said);
            news.contains("leads=false").then_some(())
        })
        .await;
        start(&lab, "after").await;
        let news = news(&lab.controllers[0], &said);
        assert_eq!(news.lines().filter(|line| WRITES.iter().any(|write| line.contains(write))).count(), 0, "{news}");
        assert!(log(&lab.controllers[1]).contains("pod=\"after\""), "the second lifts the gate");

        lab.controllers[1].signal("KILL");
        lab.controllers[1].wait();
        taken_over(&lab, "first", "again").await;
    });
}

/// It runs on, sees everything and would have work all the time; but its writes hang, and all that it asks of its lease.
/// What hangs is carried out in the end if it still waits for the answer.
#[test]
fn a_leader_whose_writes_hang_stops_writing_before_its_lease_ends() {
    run(async {
        let mut lab = Lab::start().await;
        let somebody = lab.cluster.plane.caller(CONTROLLER, None).await;
        let way = Faulty::open(&somebody).await;
        lab.lead_controller_by(&way.kubeconfig(lab.cluster.plane.folder()));
        leads(&lab, "first").await;
        lab.add_controller("second");
        let (mut edited, mut before) = (IDS.into_iter(), Vec::new());
        for id in IDS {
            start(&lab, id).await;
            before.push(lab.cluster.admin.get(&policy(id)).await.unwrap()["spec"].clone());
        }
        let mut edit = async || widen(&somebody, edited.next().unwrap()).await;

        let said = log(&lab.controllers[0]);
        way.hangs(true);
        let cut = Instant::now();
        edit().await;
        let tries = |write: &Write| write.came > cut && write.what == format!("PATCH {}", policy(IDS[0]));
        wait_until("the first would put the policy right", PATIENCE, async || {
            way.writes().iter().any(tries).then_some(())
        })
        .await;
        wait_until("the first knows by itself that it does not lead", PATIENCE, async || {
            news(&lab.controllers[0], &said).contains("leads=false").then_some(())
        })
        .await;
        edit().await;
        leads(&lab, "second").await;
        assert!(cut.elapsed() < LEASE + SLACK, "the second took over after {:?}", cut.elapsed());
        edit().await;
        for (id, before) in IDS.iter().zip(&before) {
            is_right(&lab, id, before).await;
        }
        // What still waits for an answer is carried out now.
        way.take_asked();
        way.hangs(false);
        wait_until("the first asks for the lease again", PATIENCE, async || {
            way.take_asked().contains_key(&format!("GET {LEASE_PATH}")).then_some(())
        })
        .await;
        edit().await;
        is_right(&lab, IDS[3], &before[3]).await;
        start(&lab, "after").await;

        let too_late = |write: &Write| write.came > cut + DEADLINE || write.passed.is_some_and(|passed| passed > cut);
        let writes = way.writes();
        assert!(writes.iter().any(|write| write.passed.is_some()), "the first has written: {writes:?}");
        let too_late: Vec<_> = writes.iter().filter(|write| too_late(write)).collect();
        assert_eq!(too_late, Vec::<&Write>::new(), "after {cut:?}");
    });
}

/// A pod made now waits for the new leader, and gets its policy and its turn within the lease.
async fn taken_over(lab: &Lab, identity: &str, pod: &str) {
    let begun = Instant::now();
    start(lab, pod).await;
    leads(lab, identity).await;
    assert!(begun.elapsed() < LEASE + SLACK, "{identity} took over after {:?}", begun.elapsed());
}

async fn leads(lab: &Lab, identity: &str) {
    lab.cluster.read(LEASE_PATH, |lease| (lease["spec"]["holderIdentity"] == *identity).then_some(())).await;
}

async fn start(lab: &Lab, id: &str) {
    let mut analysis = good_analysis(id);
    analysis["metadata"]["name"] = json!(id);
    lab.create(GUARDED[0], &analysis).await;
    lab.running(GUARDED[0], &format!("analysis-{id}"), 1).await;
}

/// The guard's own identity stands for whoever found a way.
async fn widen(somebody: &Caller, id: &str) {
    let wide = json!({"spec": {"egress": [{}]}});
    somebody.patch(&policy(id), PatchKind::Merge, &wide).await.unwrap();
}

async fn is_right(lab: &Lab, id: &str, spec: &Value) {
    lab.cluster.read(&policy(id), |policy| (policy["spec"] == *spec).then_some(())).await;
}

fn policy(id: &str) -> String {
    format!("{}/flamewarden-analysis-{id}", collection(GUARDED[0], "NetworkPolicy"))
}

fn news(part: &Part, said: &str) -> String {
    log(part)[said.len()..].to_owned()
}

/// What the guard says of each thing that it wrote.
const WRITES: [&str; 3] = ["isolation policy written", "isolation policy freed", "gate lifted"];
/// An analysis for each moment at which somebody edits a policy.
const IDS: [&str; 4] = ["at-once", "unled", "led", "healed"];
const LEASE_PATH: &str = "/apis/coordination.k8s.io/v1/namespaces/flamewarden-system/leases/flamewarden-controller";
/// After ten seconds without a renewal it stops; a second is for the way of the last call.
const DEADLINE: Duration = Duration::from_secs(11);
const LEASE: Duration = Duration::from_secs(15);
/// For the attempts, two seconds apart, the lifting of a gate and a machine that is busy.
const SLACK: Duration = Duration::from_secs(15);
