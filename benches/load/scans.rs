//! A stand-in for the API server, from which a webhook hears what has passed.

use std::path::PathBuf;
use std::sync::mpsc;

use flamewarden::policy::PolicySet;
use serde_json::{Value, json};

use crate::api_server::ApiServer;
use crate::reviews::{POLICIES, image_digest};

/// Serves until the benchmark ends, on a thread of its own; gives the kubeconfig.
pub(crate) fn served() -> PathBuf {
    let (tell, told) = mpsc::channel();
    let list = list();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            // A watch hears nothing new.
            let answers = move |asked: &str| (!asked.contains("watch=")).then(|| (200, list.clone()));
            let server = ApiServer::start(Box::new(answers)).await;
            tell.send(server.kubeconfig()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    told.recv().unwrap()
}

fn list() -> Value {
    let policy = String::from(PolicySet::parse(POLICIES).unwrap().analysis.scan_hash());
    let scan = |number: usize| {
        let digest = image_digest(number).to_string();
        json!({
            "metadata": {"name": digest.replacen(':', "-", 1), "uid": digest, "resourceVersion": "1"},
            "spec": {"image": format!("harbor.example/node/a@{digest}")},
            "status": {
                "tags": [{"name": format!("harbor.example/node/a:{}", number + 1), "until": LATE}],
                "verdicts": [{"policy": policy, "profile": "flame-analysis", "outcome": "pass", "until": LATE}],
            },
        })
    };
    json!({
        "apiVersion": "flamewarden.dev/v1alpha1", "kind": "ImageScanList", "metadata": {"resourceVersion": "1"},
        "items": (0..SCANS).map(scan).collect::<Vec<_>>(),
    })
}

/// What a node may have seen.
const SCANS: usize = 1_000;
const LATE: &str = "2099-01-01T00:00:00Z";
