//! What others add to an analysis or beside it is put back and taken away, and holds nothing up.

use serde_json::{Value, json};

use crate::caller::PatchKind;
use crate::flamewarden::{CRASH, guarded};
use crate::instance::{Instance, TURN};
use crate::node::{IMAGE, Node};
use crate::shared::run;

#[test]
fn what_others_add_to_lists_is_taken_out_again_and_a_pod_of_theirs_holds_nothing_up() {
    run(async {
        let _turn = TURN.lock().await;
        let node = Node::of(guarded().await, CRASH).await;
        let instance = Instance::start(&node, None).await;
        let id = "88888888-0000-4000-8000-000000000041";
        node.ask_for(id, IMAGE).await;
        node.status(id, |status| status["conditions"][0]["status"] == "True").await;

        // Server-side apply merges such lists by key and leaves what others have added.
        let analysis = format!("analysis-{id}-1");
        let path = node.at("deployments", &analysis);
        let env = |deployment: &Value| deployment["spec"]["template"]["spec"]["containers"][0]["env"].clone();
        let before = env(&node.admin().get(&path).await.unwrap());
        let added = json!({"spec": {"template": {"spec": {"containers": [{
            "name": analysis, "env": [{"name": "THEIRS", "value": "1"}],
        }]}}}});
        let with_theirs = node.admin().patch(&path, PatchKind::Strategic, &added).await.unwrap();
        assert_ne!(env(&with_theirs), before);
        node.guarded.cluster.read(&path, |stored| (env(stored) == before).then_some(())).await;

        // A pod that nobody controls goes, though it says that it belongs to another run.
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": format!("analysis-{id}-9-x"),
                "labels": {
                    "app": format!("analysis-{id}-9"), "component": "flame-analysis", "flamewarden.dev/analysis": id,
                },
            },
            "spec": {"containers": [{"name": format!("analysis-{id}-9"), "image": IMAGE}]},
        });
        node.admin().create(&node.collection("pods"), &pod).await.unwrap();
        node.guarded.cluster.gone(&node.at("pods", &format!("analysis-{id}-9-x"))).await;
        node.status(id, |status| status["conditions"][0]["status"] == "True").await;

        let writes = instance.writes();
        node.creator.delete(&node.at("analyses", id), None).await.unwrap();
        node.guarded.cluster.gone(&node.at("analyses", id)).await;
        assert!(instance.writes() < writes + 30, "it does not write again and again");
        drop(instance);
    });
}
