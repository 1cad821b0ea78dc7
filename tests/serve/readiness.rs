//! When the controller is ready.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flamewarden::app::{Part, start};
use serde_json::json;

use crate::api_server::{ApiServer, refusal};
use crate::client::Connection;
use crate::server::{Place, until};

const LATE: &str = "GET /apis/networking.k8s.io/v1/namespaces/analyses/networkpolicies?";

/// Lists nothing, and the policies of one namespace only when it is told to; a watch never tells anything.
async fn cluster(late: &Arc<AtomicBool>) -> ApiServer {
    let late = late.clone();
    ApiServer::start(Box::new(move |asked| {
        if !asked.starts_with("GET ") || !asked.contains("/pods?") && !asked.contains("/networkpolicies?") {
            return Some((404, refusal(404)));
        }
        if asked.contains("watch=true") {
            return None;
        }
        if asked.starts_with(LATE) && !late.load(Ordering::Relaxed) {
            return Some((500, refusal(500)));
        }
        Some((200, json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "1"}, "items": []})))
    }))
    .await
}

#[tokio::test]
async fn the_controller_is_ready_when_it_has_seen_every_guarded_namespace() {
    let place = Place::new();
    let listed = Arc::new(AtomicBool::new(false));
    let cluster = cluster(&listed).await;
    let mut settings = place.settings();
    settings.parts = vec![Part::Controller];
    settings.certificates = None;
    settings.controller.kubeconfig = Some(cluster.kubeconfig());
    let running = start(&settings, flamewarden::rules::judge).await.unwrap();
    assert_eq!(running.webhook, None);
    let probes = running.probes;
    let ready = async || {
        let response = Connection::plain(probes).await.fetch("/readyz").await;
        (response.status, response.text)
    };
    let unseen = (503, "watches: not every guarded namespace was seen yet\n".to_owned());
    assert_eq!(ready().await, unseen);
    until("all is listed but one, which was asked for again", async || {
        let asked = cluster.asked();
        let watched = asked.iter().filter(|asked| asked.contains("watch=true")).count();
        let late = asked.iter().filter(|asked| asked.starts_with(LATE)).count();
        watched == 5 && late > 1
    })
    .await;
    assert_eq!(ready().await, unseen);
    assert_eq!(Connection::plain(probes).await.fetch("/livez").await.status, 200);
    listed.store(true, Ordering::Relaxed);
    until("it is ready", async || ready().await == (200, "ok\n".to_owned())).await;
    running.drain.begin();
    running.ended().await.unwrap();
}
