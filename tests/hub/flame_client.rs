//! FLAME's own Hub client and ours ask the same, of the same Hub. Needs PyPI or what came from it once; run it with
//! `cargo test --features cluster --test hub`.

use std::path::{Path, PathBuf};
use std::process::Command;

use flamewarden::hub::{LogLine, ProcessStatus};
use flamewarden::policy::FieldNames;
use serde_json::{Value, json};

use crate::lab::{ANALYSIS, edge};
use crate::stand_in::{Asked, CLIENT, Hub, NODE, OTHER_NODE, SECRET};

#[tokio::test(flavor = "multi_thread")]
async fn flames_own_client_asks_and_tells_the_same() {
    for (version, names) in [("0.2.16", FieldNames::Snake), ("1.1.0", FieldNames::Camel)] {
        let (flames, ours) = (prepared(names).await, prepared(names).await);
        let address = flames.0.address.as_str().to_owned();
        let folder = install(version);
        let answered = tokio::task::spawn_blocking(move || flame_client(&folder, &address)).await.unwrap();
        assert_eq!(answered["part"], *flames.1);
        assert_eq!(answered["updated"], json!(["executing", 40]));
        assert_eq!(answered["logged"], "epoch 1");

        let edge = edge(&ours.0);
        let id = ANALYSIS.parse().unwrap();
        let part = edge.part(id).await.unwrap();
        edge.tell(id, part, ProcessStatus::Executing, 40).await.unwrap();
        let partners = edge.partners(id, part).await.unwrap();
        let partners: serde_json::Map<String, Value> =
            partners.into_iter().map(|(id, status)| (id.to_string(), json!(status.map(ProcessStatus::word)))).collect();
        let line =
            LogLine { message: "epoch 1".to_owned(), level: "info".to_owned(), status: ProcessStatus::Executing };
        edge.log(id, &line).await.unwrap();
        assert_eq!(answered["partners"], Value::Object(partners), "{version}");
        assert_eq!(compared(&ours.0), compared(&flames.0), "{version}");
        assert_eq!((ours.0.told(&ours.1), ours.0.logs()), (flames.0.told(&flames.1), flames.0.logs()), "{version}");
    }
}

/// A Hub with an analysis on this node and another; and the part of this one.
async fn prepared(names: FieldNames) -> (Hub, String) {
    let hub = Hub::start(names).await;
    hub.part(ANALYSIS, OTHER_NODE, Some("executed"));
    let own = hub.part(ANALYSIS, NODE, None);
    hub.part("44444444-0000-4000-8000-000000000002", NODE, None);
    (hub, own)
}

/// What was asked, without the related resources that FLAME's client wants along and nobody reads.
fn compared(hub: &Hub) -> Vec<Asked> {
    let mut asked = hub.asked();
    for asked in &mut asked {
        asked.query.remove("include");
    }
    asked
}

fn install(version: &str) -> PathBuf {
    let install = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hub/install");
    let output = Command::new(install).arg(version).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
}

fn flame_client(folder: &Path, address: &str) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hub/flame_client.py");
    let mut command = Command::new(folder.join("bin/python"));
    command.arg(script).args([address, address, CLIENT, SECRET, ANALYSIS]);
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
