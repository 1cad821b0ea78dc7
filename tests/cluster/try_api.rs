//! The REST API to type at: what to type and what that is told, and analyses that say that they work.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::time::interval;

use crate::flamewarden::realm::REALM;
use crate::flamewarden::{Guarded, MADE};
use crate::gateway::{Gateway, Manner};
use crate::node::{Node, services};
use crate::po::{claims, request, token};

/// Prints each call with its answer.
pub(crate) async fn show(guarded: &Guarded, folder: &Path) {
    services(guarded.cluster, MADE).await;
    let mut administrator = claims("hub-adapter");
    administrator["exp"] = json!(administrator["iat"].as_i64().unwrap() + HOURS * 3600);
    let file = folder.join("request.json");
    fs::write(&file, serde_json::to_string_pretty(&request(ID)).unwrap()).unwrap();
    println!("\nFLAME's REST API is answered there, too; the analyses that it makes say that they work:\n");
    println!("  export PO={}/po TOKEN={}", guarded.api, token(&REALM.key, &administrator));
    let written = |part: &str| json!({ID: [format!("{part}-{ID}-1 writes a line\n")]});
    let logs = json!({"analysis": written("analysis"), "nginx": written("nginx-analysis")});
    for (what, call, told) in [
        ("asks for an analysis", format!("--data @{} $PO", file.display()), json!({ID: "started"})),
        ("how it is, after a while", format!("$PO/status/{ID}"), json!({ID: {"status": "executing", "progress": 0}})),
        ("what it writes", format!("$PO/logs/{ID}"), logs.clone()),
        ("ends it", format!("-X PUT $PO/stop/{ID}"), json!({ID: "stopped"})),
        ("what it has written, once its pods are gone", format!("$PO/history/{ID}"), logs),
        ("forgets it", format!("-X DELETE $PO/delete/{ID}"), json!({ID: null})),
    ] {
        println!("\n# {what}\n  curl -sS -H \"Authorization: Bearer $TOKEN\" {call}\n    {told}");
    }
    println!("\nA page to try the others: {}/api/docs", guarded.api);
}

/// Stands in for every analysis that is made, for as long as it is polled.
pub(crate) async fn answer(node: &Node) {
    let mut gateways = BTreeMap::new();
    let mut pace = interval(Duration::from_millis(500));
    loop {
        pace.tick().await;
        let Ok(services) = node.admin().get(&node.collection("services")).await else { continue };
        let names = services["items"].as_array().into_iter().flatten();
        let names = names.filter_map(|service| service["metadata"]["name"].as_str()?.strip_prefix("nginx-"));
        let apps: Vec<String> = names.filter(|name| name.starts_with("analysis-")).map(str::to_owned).collect();
        gateways.retain(|app, _| apps.contains(app));
        for app in apps {
            if let Entry::Vacant(place) = gateways.entry(app) {
                let gateway = Gateway::of(node, place.key(), Manner::Says("executing")).await;
                place.insert(gateway);
            }
        }
    }
}

const ID: &str = "0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f";
const HOURS: i64 = 12;
