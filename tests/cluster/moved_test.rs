//! A service of the node that moves to another address: gateways follow it.

use serde_json::{Value, json};

use crate::flamewarden::{CRASH, guarded};
use crate::instance::{Instance, TURN};
use crate::node::{IMAGE, Node};
use crate::shared::run;

#[test]
fn a_service_made_anew_at_another_address_has_the_gateway_configured_anew_and_replaced() {
    run(async {
        let _turn = TURN.lock().await;
        let node = Node::of(guarded().await, CRASH).await;
        let instance = Instance::start(&node, None).await;
        let id = "88888888-0000-4000-8000-000000000001";
        node.ask_for(id, IMAGE).await;
        node.status(id, |status| status["conditions"][0]["status"] == "True").await;
        let gateway = node.at("deployments", &format!("nginx-analysis-{id}-1"));
        let analysis = node.at("deployments", &format!("analysis-{id}-1"));
        let config = node.at("configmaps", &format!("nginx-analysis-{id}-1-config"));
        let hash = |deployment: &Value| {
            deployment["spec"]["template"]["metadata"]["annotations"]["flamewarden.dev/configuration"].clone()
        };
        let before = node.admin().get(&gateway).await.unwrap();
        let untouched = node.admin().get(&analysis).await.unwrap()["metadata"]["generation"].clone();

        let kong = node.at("services", "kong-proxy");
        let mut service = node.admin().get(&kong).await.unwrap();
        let old = service["spec"]["clusterIP"].as_str().unwrap().to_owned();
        node.admin().delete(&kong, None).await.unwrap();
        service["metadata"] = json!({"name": "kong-proxy"});
        for field in ["clusterIP", "clusterIPs"] {
            service["spec"].as_object_mut().unwrap().remove(field);
        }
        let made = node.admin().create(&node.collection("services"), &service).await.unwrap();
        let new = made["spec"]["clusterIP"].as_str().unwrap().to_owned();
        assert_ne!(new, old);

        let follows = |config: &Value| {
            let text = config["data"]["nginx.conf"].as_str().unwrap();
            (text.contains(&format!("{new}:")) && !text.contains(&format!("{old}:"))).then_some(())
        };
        node.guarded.cluster.read(&config, follows).await;
        let rolled = |deployment: &Value| (hash(deployment) != hash(&before)).then(|| deployment.clone());
        let after = node.guarded.cluster.read(&gateway, rolled).await;
        assert_eq!(after["spec"]["strategy"]["type"], json!("Recreate"));
        let other = |pods: &Value| {
            let pods = pods["items"].as_array().unwrap();
            let names = pods
                .iter()
                .filter(|pod| pod["metadata"]["annotations"]["flamewarden.dev/configuration"] == hash(&after));
            (pods.len() == 1 && names.count() == 1).then_some(())
        };
        let pods = format!("{}?labelSelector=app=nginx-analysis-{id}-1", node.collection("pods"));
        node.guarded.cluster.read(&pods, other).await;
        let analysis = node.admin().get(&analysis).await.unwrap();
        assert_eq!(analysis["metadata"]["generation"], untouched, "the analysis itself runs on");

        node.creator.delete(&node.at("analyses", id), None).await.unwrap();
        node.guarded.cluster.gone(&node.at("analyses", id)).await;
        drop(instance);
    });
}
