//! The whole life of many analyses at one time, by the REST API alone: nothing is lost, left or made twice.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};

use crate::flamewarden::{MADE, guarded};
use crate::gateway::{Gateway, Manner};
use crate::isolated::Isolated;
use crate::node::Node;
use crate::po::{Api, PASSWORD, request};
use crate::shared::{PATIENCE, run, wait_until};

/// At one time; in `tests/soak` there are 200.
const ANALYSES: usize = 20;
/// How the ids of its analyses begin.
const BEGIN: &str = "33333333-0000-4000-8001-";

#[test]
fn many_analyses_live_by_the_rest_api_from_create_to_delete() {
    run(async {
        let guarded = guarded().await;
        let (api, node) = (Api::of(guarded).await, Node::of(guarded, MADE).await);
        let analyses = if std::env::var_os("FLAMEWARDEN_SOAK").is_some() { ANALYSES * 10 } else { ANALYSES };
        let ids: Vec<String> = (0..analyses).map(|number| format!("{BEGIN}{number:012}")).collect();
        let isolated = Isolated::start(&node).await;
        for told in join_all(ids.iter().map(|id| create(&api, id))).await {
            assert_eq!(told, 201);
        }
        // Again, as the Hub adapter does it: one run each all the same.
        for told in join_all(ids.iter().map(|id| create(&api, id))).await {
            assert_eq!(told, 201);
        }
        let gateway =
            async |id: &String| Gateway::of(&node, &format!("analysis-{id}-1"), Manner::Says("executing")).await;
        let gateways = join_all(ids.iter().map(gateway)).await;
        until_all(&api, "/po/status", &ids, |of| of["status"] == "executing").await;

        println!("logs of {analyses} analyses after {:?}", all_have_logs(&api, &node, &ids).await);
        let pods = api.ask("GET", "/po/pods", None).await.1;
        for id in &ids {
            let names: Vec<String> = serde_json::from_str(pods[id][0].as_str().unwrap()).unwrap();
            assert_eq!(names.len(), 1, "{names:?}");
        }

        let halves = ids.split_at(analyses / 2);
        let (ended, stopped) = halves;
        // What comes to its end by itself, and what is stopped.
        gateways[..analyses / 2].iter().for_each(|gateway| gateway.does(Manner::Says("executed")));
        until_all(&api, "/po/status", ended, |of| of["status"] == "executed").await;
        for told in join_all(stopped.iter().map(|id| stop(&api, id))).await {
            assert_eq!(told, json!("stopped"));
        }
        until_all(&api, "/po/status", stopped, |of| of["status"] == "stopped").await;
        for id in &ids {
            wait_until("its Secrets are left", PATIENCE, async || (node.belongings(id).await.len() == 2).then_some(()))
                .await;
        }
        until_all(&api, "/po/status", ended, |of| of["status"] == "executed").await;
        let history = wait_until("all have a history", PATIENCE, async || {
            let history = api.ask("GET", "/po/history", None).await.1;
            let whole =
                |part: &str| ids.iter().all(|id| history[part][id].as_array().is_some_and(|logs| !logs.is_empty()));
            (whole("analysis") && whole("nginx")).then_some(history)
        })
        .await;
        assert!(!history.to_string().contains(PASSWORD));

        for told in join_all(ids.iter().map(|id| delete(&api, id))).await {
            assert_eq!(told, Value::Null);
        }
        for id in &ids {
            guarded.cluster.gone(&node.at("analyses", id)).await;
            assert_eq!(node.belongings(id).await, [""; 0]);
        }
        for path in ["/po/status", "/po/history", "/po/logs", "/po/pods"] {
            let told = api.ask("GET", path, None).await.1.to_string();
            assert!(ids.iter().all(|id| !told.contains(id)), "{path}: {told}");
        }
        isolated.held(BEGIN, &ids).await;
        node.nothing_left(BEGIN).await;
    });
}

/// Waits until each has written something, as has its gateway; gives how long it was asked for.
async fn all_have_logs(api: &Api, node: &Node, ids: &[String]) -> Duration {
    // The stand-in says that an analysis works before its pod runs.
    for id in ids {
        node.status(id, |status| status["conditions"][0]["status"] == "True").await;
    }
    let written = |logs: &Value, part: &str, id: &str| logs[part][id][0].as_str().is_some_and(|log| !log.is_empty());
    let asked = Instant::now();
    let all = |logs: &Value| ids.iter().all(|id| written(logs, "analysis", id) && written(logs, "nginx", id));
    api.until("GET", "/po/logs", all).await;
    asked.elapsed()
}

async fn create(api: &Api, id: &str) -> u16 {
    api.ask("POST", "/po/", Some(&request(id))).await.0
}

async fn stop(api: &Api, id: &str) -> Value {
    api.ask("PUT", &format!("/po/stop/{id}"), None).await.1[id].clone()
}

async fn delete(api: &Api, id: &str) -> Value {
    let (status, told) = api.ask("DELETE", &format!("/po/delete/{id}"), None).await;
    assert_eq!((status, told.as_object().unwrap().len()), (200, 1));
    told[id].clone()
}

/// Asks until the answer is as wanted for each of them.
async fn until_all(api: &Api, path: &str, ids: &[String], wanted: impl Fn(&Value) -> bool) {
    api.until("GET", path, |told| ids.iter().all(|id| wanted(&told[id]))).await;
}
