//! Two replicas of the controller: one leads, the other takes over, and who was cut off writes nothing.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::flamewarden::good_analysis;
use crate::lab::{GUARDED, Lab, log};
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

/// A pod made now waits for the new leader, and gets its policy and its turn within the lease.
async fn taken_over(lab: &Lab, identity: &str, pod: &str) {
    let begun = Instant::now();
    start(lab, pod).await;
    leads(lab, identity).await;
    assert!(begun.elapsed() < LEASE + SLACK, "{identity} took over after {:?}", begun.elapsed());
}

async fn leads(lab: &Lab, identity: &str) {
    let lease = "/apis/coordination.k8s.io/v1/namespaces/flamewarden-system/leases/flamewarden-controller";
    lab.cluster.read(lease, |lease| (lease["spec"]["holderIdentity"] == *identity).then_some(())).await;
}

async fn start(lab: &Lab, id: &str) {
    let mut analysis = good_analysis(id);
    analysis["metadata"]["name"] = json!(id);
    lab.create(GUARDED[0], &analysis).await;
    lab.running(GUARDED[0], &format!("analysis-{id}"), 1).await;
}

fn news(part: &Part, said: &str) -> String {
    log(part)[said.len()..].to_owned()
}

/// What the guard says of each thing that it wrote.
const WRITES: [&str; 3] = ["isolation policy written", "isolation policy freed", "gate lifted"];
const LEASE: Duration = Duration::from_secs(15);
/// For the attempts, two seconds apart, the lifting of a gate and a machine that is busy.
const SLACK: Duration = Duration::from_secs(15);
