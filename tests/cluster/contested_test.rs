//! Two orchestrators contest one lease while analyses come, stop, start again and go: none is lost, none is made twice.

use std::time::{Duration, Instant};

use flamewarden::cluster::LeaseTiming;
use serde_json::{Value, json};

use crate::faulty::Write;
use crate::flamewarden::{CRASH, guarded};
use crate::instance::{Instance, TURN, way};
use crate::isolated::Isolated;
use crate::node::{IMAGE, Node};
use crate::shared::{PATIENCE, run, wait_until};

/// As short as can be: a call ends within four seconds, and one that began at the deadline must end before the lease.
const TIMING: LeaseTiming = LeaseTiming {
    duration: Duration::from_millis(5500),
    deadline: Duration::from_millis(1000),
    retry: Duration::from_millis(100),
};
/// How often the lease changes hands; in `tests/soak` five times as often.
const TURNS: usize = 4;

#[test]
fn two_who_contest_a_lease_lose_no_analysis_and_make_none_twice() {
    run(async {
        let _turn = TURN.lock().await;
        let node = Node::of(guarded().await, CRASH).await;
        let isolated = Isolated::start(&node).await;
        let mut both = Vec::new();
        for name in ["first", "second"] {
            both.push(Instance::contending(way(&node).await, ("contested", name, TIMING), "", None).await);
        }
        let turns = if std::env::var_os("FLAMEWARDEN_SOAK").is_some() { TURNS * 5 } else { TURNS };
        let (mut cuts, mut made) = (Vec::new(), Vec::new());
        for turn in 0..turns {
            let leader = leader(&both).await;
            // Work for whoever leads, and half of it is under way when he is cut off.
            for number in 0..3 {
                let id = id(turn * 3 + number);
                node.ask_for(&id, IMAGE).await;
                made.push(id);
            }
            if let Some(before) = turn.checked_sub(1) {
                node.wants(&made[before * 3], json!({"state": "Stopped"})).await;
                node.wants(&made[before * 3 + 1], json!({"run": 2})).await;
                node.creator.delete(&node.at("analyses", &made[before * 3 + 2]), None).await.unwrap();
            }
            both[leader].way.hangs(true);
            cuts.push((leader, Instant::now()));
            let other = 1 - leader;
            wait_until("the other leads", PATIENCE, async || both[other].leads().then_some(())).await;
            assert!(!both[leader].leads(), "two lead");
            both[leader].way.hangs(false);
        }
        for (number, id) in made.iter().enumerate() {
            let is_last = number / 3 == turns - 1;
            ended(&node, id, if is_last { None } else { Some(number % 3) }).await;
        }
        let mut held = 0;
        for (leader, cut) in cuts {
            let writes = both[leader].way.writes();
            held += writes.iter().filter(|write| waited(write, cut)).count();
            let too_late: Vec<Write> = writes.into_iter().filter(|write| in_vain(write, cut)).collect();
            assert_eq!(too_late, [], "passed on though another led");
        }
        assert!(held > 0, "nobody was cut off from a write");
        for id in &made {
            let _ = node.creator.delete(&node.at("analyses", id), None).await;
            node.guarded.cluster.gone(&node.at("analyses", id)).await;
        }
        // One that was stopped or deleted at once may not have come so far as to have a pod.
        let ran = made.iter().enumerate().filter(|(number, _)| number / 3 == turns - 1 || number % 3 == 1);
        isolated.held(BEGIN, ran.map(|(_, id)| id)).await;
        node.nothing_left(BEGIN).await;
    });
}

/// Waits until an analysis is what was asked of it: nothing, that it stops, that it runs once more, that it goes.
async fn ended(node: &Node, id: &str, asked: Option<usize>) {
    let (run, phase) = match asked {
        None => (1, "started"),
        Some(0) => (1, "stopped"),
        Some(1) => (2, "started"),
        Some(_) => {
            node.guarded.cluster.gone(&node.at("analyses", id)).await;
            assert_eq!(node.belongings(id).await, [""; 0]);
            return;
        }
    };
    let settled = |status: &Value| {
        let ready = &status["conditions"][0];
        status["phase"] == phase && status["run"] == run && (phase == "stopped" || ready["status"] == "True")
    };
    let status = node.status(id, settled).await;
    assert_eq!(status["restarts"], json!(0));
    let wanted = if phase == "stopped" { stopped(id) } else { running(id, run) };
    wait_until("nothing else is there", PATIENCE, async || {
        let there = node.belongings(id).await;
        let there: Vec<String> = there.into_iter().filter(|name| !name.starts_with("pods ")).collect();
        (there == wanted).then_some(())
    })
    .await;
}

async fn leader(both: &[Instance]) -> usize {
    wait_until("one leads", PATIENCE, async || both.iter().position(Instance::leads)).await
}

/// Whether a write waited through the cut and was carried out for somebody who had lost his lease then.
fn in_vain(write: &Write, cut: Instant) -> bool {
    waited(write, cut) && write.passed.is_some_and(|passed| passed > cut + TIMING.duration)
}

/// Whether a write came after the cut, from somebody who did not know of it yet.
fn waited(write: &Write, cut: Instant) -> bool {
    write.came < cut + TIMING.deadline && write.came > cut && !write.what.contains("/leases")
}

fn running(id: &str, run: u32) -> Vec<String> {
    let app = format!("analysis-{id}-{run}");
    let mut all = vec![
        format!("configmaps nginx-{app}-config"),
        format!("deployments {app}"),
        format!("deployments nginx-{app}"),
        format!("networkpolicies flamewarden-nginx-{app}"),
    ];
    all.extend(stopped(id));
    all.extend([format!("services {app}"), format!("services nginx-{app}")]);
    all
}

fn stopped(id: &str) -> Vec<String> {
    vec![format!("secrets flame-harbor-{id}"), format!("secrets flame-tokens-{id}")]
}

fn id(number: usize) -> String {
    format!("{BEGIN}{number:012}")
}

/// How the ids of its analyses begin.
const BEGIN: &str = "77777777-0000-4000-8000-";
