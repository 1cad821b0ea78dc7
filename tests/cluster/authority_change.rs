//! A change of the webhook's own authority while calls go on: what takes years is put before the controller as if the
//! years were over, and the controller does the rest.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use flamewarden::install::{AUTHORITY_SECRET, SERVING_SECRET};
use flamewarden::serve::{Authority, Bundle, Leaf, Renewal, renewed};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::by_service::{ByService, Replica, SYSTEM};
use crate::caller::PatchKind;
use crate::shared::{PATIENCE, wait_until};

/// Puts a new authority beside the old one, and waits until the replicas serve what the new one has signed.
pub(crate) async fn change_authority(cluster: &ByService, replicas: &[Replica]) {
    let (authority, serving) = (read(cluster, AUTHORITY_SECRET).await, read(cluster, SERVING_SECRET).await);
    let leaf = Leaf::parse(&text(&serving, "tls.crt"), &text(&serving, "tls.key")).unwrap();
    let names: BTreeSet<String> = leaf.names.clone();
    let bundle = Bundle {
        authority: Authority::parse(&text(&authority, "tls.crt"), &text(&authority, "tls.key")),
        former: Vec::new(),
        leaf: Some(leaf),
    };
    // An authority signs when it has been published for an hour; this one has half a minute left of it, in which the
    // controller publishes it.
    let begun = Timestamp::now() - SignedDuration::from_hours(1) + SignedDuration::from_secs(30);
    let next = renewed(&bundle, Renewal::Authority, &names, begun).unwrap();
    let new = next.authority.unwrap();
    let data = json!({
        "tls.crt": STANDARD.encode(&new.certificate), "tls.key": STANDARD.encode(&new.key),
        "former.crt": STANDARD.encode(next.former.concat()),
    });
    cluster.admin.patch(&secret(AUTHORITY_SECRET), PatchKind::Merge, &json!({"data": data})).await.unwrap();
    let before: Vec<usize> = replicas.iter().map(Replica::certificates).collect();
    wait_until("every replica serves what the new authority signed", 2 * PATIENCE, async || {
        let serving = read(cluster, SERVING_SECRET).await;
        let leaf = Leaf::parse(&text(&serving, "tls.crt"), &text(&serving, "tls.key"))?;
        let taken = replicas.iter().zip(&before).all(|(replica, before)| replica.certificates() > *before);
        (leaf.issuer == new.subject && taken).then_some(())
    })
    .await;
}

async fn read(cluster: &ByService, name: &str) -> Value {
    cluster.admin.get(&secret(name)).await.unwrap()
}

fn text(secret: &Value, key: &str) -> String {
    String::from_utf8(STANDARD.decode(secret["data"][key].as_str().unwrap()).unwrap()).unwrap()
}

fn secret(name: &str) -> String {
    format!("/api/v1/namespaces/{SYSTEM}/secrets/{name}")
}
