//! What a watch of Secrets tells: who they are, and never what they hold.

use flamewarden::cluster::{self, Change, FEW_BYTES, Interest, Kind};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::caller::PatchKind;
use crate::flamewarden::{CRASH, guarded};
use crate::instance::{connected, way};
use crate::node::Node;
use crate::shared::run;

#[test]
fn of_secrets_a_watch_hears_who_they_are_and_never_what_they_hold() {
    run(async {
        let node = Node::of(guarded().await, CRASH).await;
        let id = "88888888-0000-4000-8000-000000000031";
        node.secrets(id).await;
        let way = way(&node).await;
        let cluster = connected(&way, "test").await;
        let interest = Interest { selector: format!("flamewarden.dev/analysis={id}"), keep: &[&[]], most: FEW_BYTES };
        let (sender, mut news) = mpsc::channel(8);
        let watching = tokio::spawn(cluster::watch(cluster, Kind::Secret, CRASH.to_owned(), interest, sender));
        let mut seen = async || loop {
            if let (Kind::Secret, _, Change::Seen(place, object)) = news.recv().await.unwrap() {
                return (place.name, object);
            }
        };
        let listed = [seen().await, seen().await];
        let path = node.at("secrets", &format!("flame-tokens-{id}"));
        let change = json!({"metadata": {"annotations": {"a": "b"}}, "stringData": {"KEYCLOAK_TOKEN": "another"}});
        node.creator.patch(&path, PatchKind::Merge, &change).await.unwrap();
        let (changed, whole) = seen().await;
        assert_eq!(changed, format!("flame-tokens-{id}"));
        assert_eq!(whole["metadata"]["annotations"]["a"], "b");
        for (name, object) in listed.into_iter().chain([(changed, whole)]) {
            assert_eq!(object["metadata"]["name"], json!(name));
            assert_eq!((&object["data"], &object["type"]), (&Value::Null, &Value::Null), "{object}");
        }
        watching.abort();
        for name in ["flame-harbor", "flame-tokens"] {
            node.creator.delete(&node.at("secrets", &format!("{name}-{id}")), None).await.unwrap();
        }
    });
}
