//! Running analyses are asked how they are, and what they answer decides where they are in their life.

use serde_json::{Value, json};

use crate::flamewarden::{CRASH, guarded};
use crate::gateway::{Gateway, Manner};
use crate::instance::{Instance, TURN};
use crate::node::{IMAGE, Node};
use crate::shared::{PATIENCE, run, wait_until};

const SECTION: &str = "  health: {periodSeconds: 1, startSeconds: 86400, silenceSeconds: 3, restarts: 1}\n";

#[test]
fn analyses_execute_end_get_stuck_and_fail_each_for_itself() {
    run(async {
        let _turn = TURN.lock().await;
        let node = Node::of(guarded().await, CRASH).await;
        let instance = Instance::with(&node, None, SECTION, None).await;
        let manners = [Manner::Slow, Manner::Says("executing"), Manner::Says("executing"), Manner::Says("stuck")];
        let [slow, ends, breaks, stuck] = [1, 2, 3, 4].map(|number| format!("66666666-0000-4000-8000-{number:012}"));
        let mut gateways = Vec::new();
        for (id, manner) in [&slow, &ends, &breaks, &stuck].into_iter().zip(manners) {
            node.ask_for(id, IMAGE).await;
            gateways.push(Gateway::of(&node, &format!("analysis-{id}-1"), manner).await);
        }
        let [unanswered, executed, broken, _stuck] = &gateways[..] else { panic!("four gateways") };

        for id in [&ends, &breaks] {
            node.status(id, |status| status["phase"] == "executing").await;
        }
        // One that does not answer for ten seconds keeps nobody from being asked each second.
        let before = unanswered.asked();
        let asked = executed.asked();
        wait_until("it is asked again and again", PATIENCE, async || (executed.asked() >= asked + 3).then_some(()))
            .await;
        assert!(unanswered.asked() <= before + 1);
        assert_eq!(reason(&node, &ends, "Healthy").await, json!("Executing"));
        executed.does(Manner::Says("executed"));
        let status = node.status(&ends, |status| status["phase"] == "executed" && !status["endedAt"].is_null()).await;
        assert_eq!((&status["run"], &status["restarts"]), (&json!(1), &json!(0)));
        left(&node, &ends).await;
        broken.does(Manner::Silent);
        node.status(&breaks, |status| status["phase"] == "failed").await;
        assert_eq!(reason(&node, &breaks, "Ready").await, json!("Silent"));
        left(&node, &breaks).await;

        // A stuck one is another run after a pause, and has failed when that is stuck too.
        let second = Gateway::of(&node, &format!("analysis-{stuck}-2"), Manner::Says("executing")).await;
        let status = node.status(&stuck, |status| status["phase"] == "executing").await;
        assert_eq!((&status["run"], &status["restarts"]), (&json!(2), &json!(1)));
        second.does(Manner::Says("stuck"));
        let status = node.status(&stuck, |status| status["phase"] == "failed").await;
        assert_eq!((&status["run"], &status["restarts"]), (&json!(2), &json!(1)));
        left(&node, &stuck).await;

        let status = node.status(&slow, |_| true).await;
        assert_eq!(status["phase"], json!("started"), "nobody knows how it is");
        wait_until("the numbers say so", PATIENCE, async || {
            let text = instance.metrics.text();
            let wanted = [("executed", 1), ("failed", 2), ("started", 1)];
            let told = |phase: &str, number| format!("flamewarden_analyses{{phase=\"{phase}\"}} {number}\n");
            let answers = ["executing", "executed", "stuck", "silent", "unreachable"];
            let answered = |answer: &str| format!("flamewarden_analysis_health_answers_total{{answer=\"{answer}\"}} ");
            let whole = wanted.iter().all(|(phase, number)| text.contains(&told(phase, number)));
            (whole && answers.iter().all(|answer| text.contains(&answered(answer)))).then_some(())
        })
        .await;
        for id in [&slow, &ends, &breaks, &stuck] {
            node.creator.delete(&node.at("analyses", id), None).await.unwrap();
            node.guarded.cluster.gone(&node.at("analyses", id)).await;
        }
        drop(instance);
    });
}

async fn reason(node: &Node, id: &str, kind: &str) -> Value {
    let status = node.status(id, |_| true).await;
    let conditions = status["conditions"].as_array().unwrap();
    conditions.iter().find(|condition| condition["type"] == kind).unwrap()["reason"].clone()
}

/// Waits until nothing of it is there but its Secrets.
async fn left(node: &Node, id: &str) {
    let secrets = [format!("secrets flame-harbor-{id}"), format!("secrets flame-tokens-{id}")];
    wait_until("its run is gone", PATIENCE, async || (node.belongings(id).await == secrets).then_some(())).await;
}
