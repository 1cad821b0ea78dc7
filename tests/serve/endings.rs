//! How serving ends: nobody's call is lost, and it does end.

use std::time::Duration;

use flamewarden::app::start;

use crate::client::{Caller, Connection};
use crate::server::{PATIENCE, Place, review, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_answers_everybody_moves_connections_away_and_then_ends() {
    let place = Place::mounted();
    let mut settings = place.settings();
    settings.connections.linger = Duration::from_millis(50);
    let running = start(&settings, flamewarden::rules::judge).await.unwrap();
    let (address, probes, drain) = (running.webhook.unwrap(), running.probes, running.drain.clone());
    let caller = Caller::trusting(&place.generation("first"));
    let mut kept = Vec::new();
    for _ in 0..8 {
        let mut connection = caller.connect(address).await.unwrap();
        let response = connection.post("/validate", review()).await.unwrap();
        assert_eq!(response.header("connection"), None);
        kept.push(connection);
    }
    let ended = tokio::spawn(running.ended());
    drain.begin();
    let ready = Connection::plain(probes).await.fetch("/readyz").await;
    assert_eq!((ready.status, ready.text.as_str()), (503, "drain: on the way out\n"));
    let mut late = caller.connect(address).await.unwrap();
    for connection in kept.iter_mut().chain([&mut late]) {
        assert!(!connection.is_closed(), "a resting connection is left to the caller");
        assert!(!ended.is_finished());
        let response = connection.post("/validate", review()).await.unwrap();
        assert_eq!(response.answer(), ("u-1".to_owned(), false, Some(403)));
        assert_eq!(response.header("connection"), Some("close"));
    }
    tokio::time::timeout(PATIENCE, ended).await.unwrap().unwrap().unwrap();
    until("the port is free", async || caller.connect(address).await.is_err()).await;
}

#[tokio::test]
async fn a_drain_ends_although_somebody_holds_on() {
    let place = Place::mounted();
    let mut settings = place.settings();
    settings.connections.drain = Duration::from_millis(100);
    let running = start(&settings, flamewarden::rules::judge).await.unwrap();
    let mut held = Caller::trusting(&place.generation("first")).connect(running.webhook.unwrap()).await.unwrap();
    held.post("/validate", review()).await.unwrap();
    running.drain.begin();
    tokio::time::timeout(PATIENCE, running.ended()).await.unwrap().unwrap();
    until("the connection is cut", async || held.is_closed()).await;
}
