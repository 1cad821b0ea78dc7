//! Everything that happened to the objects of one kind in a namespace, in the order of the API server's own versions.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures::StreamExt;
use http::Request;
use kube::Client;
use kube::api::{DynamicObject, WatchEvent};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::caller::Caller;

/// A watch from a moment on. All kinds are kept in one etcd, so their versions are in one order.
pub(crate) struct Recording {
    events: Arc<Mutex<Vec<Event>>>,
    task: JoinHandle<()>,
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) version: u64,
    pub(crate) deleted: bool,
    /// When this was heard of.
    pub(crate) heard: Instant,
    pub(crate) object: Value,
}

impl Recording {
    /// Begins with what happens from now on.
    pub(crate) async fn start(caller: &Caller, collection: &str) -> Recording {
        let list = caller.get(collection).await.unwrap();
        let mut from: u64 = list["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
        let (client, events) = (caller.client(), Arc::new(Mutex::new(Vec::new())));
        let (collection, heard) = (collection.to_owned(), Arc::clone(&events));
        let task = tokio::spawn(async move {
            // The API server ends a watch that is slow or old; the next one goes on from the last version.
            loop {
                let path = format!("{collection}?watch=1&resourceVersion={from}");
                from = watch(&client, path, from, &heard).await;
            }
        });
        Recording { events, task }
    }

    /// What happened to the objects that are meant, so far.
    pub(crate) fn of(&self, meant: impl Fn(&Value) -> bool) -> Vec<Event> {
        assert!(!self.task.is_finished(), "the watch ended by itself");
        self.events.lock().unwrap().iter().filter(|event| meant(&event.object)).cloned().collect()
    }
}

/// Hears what a watch tells until it ends; gives the last version.
async fn watch(client: &Client, path: String, from: u64, heard: &Mutex<Vec<Event>>) -> u64 {
    let request = Request::get(path).body(Vec::new()).unwrap();
    let stream = client.request_events::<DynamicObject>(request).await.unwrap();
    let (mut stream, mut last) = (std::pin::pin!(stream), from);
    while let Some(Ok(event)) = stream.next().await {
        let Some(event) = read(event) else { continue };
        last = event.version;
        heard.lock().unwrap().push(event);
    }
    last
}

fn read(event: WatchEvent<DynamicObject>) -> Option<Event> {
    let (deleted, object) = match event {
        WatchEvent::Added(object) | WatchEvent::Modified(object) => (false, object),
        WatchEvent::Deleted(object) => (true, object),
        WatchEvent::Bookmark(_) => return None,
        WatchEvent::Error(status) => panic!("the watch ended: {status:?}"),
    };
    let version = object.metadata.resource_version.as_ref().unwrap().parse().unwrap();
    Some(Event { version, deleted, heard: Instant::now(), object: serde_json::to_value(object).unwrap() })
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.task.abort();
    }
}
