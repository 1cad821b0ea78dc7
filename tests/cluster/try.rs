//! A cluster with Flamewarden in it, to type at: `tests/try` starts it and says what to type.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    dead_code,
    reason = "it is made of the tests' parts, uses some of them, and speaks to the one who started it"
)]

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::caller::Outcome;
use crate::control_plane::free_ports;
use crate::flamewarden::realm::Realm;
use crate::flamewarden::{Guarded, MADE, More, good_analysis, install};
use crate::node::Node;
use crate::shared::{cluster, run};

mod caller;
mod control_plane;
mod flamewarden;
mod gateway;
mod kubelet;
mod node;
mod part;
mod pki;
mod po;
mod scanned;
mod shared;
mod try_api;
mod try_by_hand;

fn main() {
    println!("starting a cluster with Flamewarden in it; its parts are built already");
    run(async {
        let [port] = free_ports();
        let pages = format!("127.0.0.1:{port}");
        let more = More {
            policies: vec![("auditor.yaml".to_owned(), AUDITOR.to_owned())],
            arguments: vec![format!("--pages={pages}")],
        };
        let guarded: &'static Guarded = Box::leak(Box::new(install(cluster().await, &Realm::of_tests(), &more).await));
        let plane = &guarded.cluster.plane;
        let folder = plane.folder().join("try");
        fs::create_dir_all(&folder).unwrap();
        let kubeconfig = plane.kubeconfig("editor", None);
        println!("\nThe namespace `flame` is guarded. In another terminal:\n");
        println!("  export KUBECONFIG={} PATH={}:$PATH", kubeconfig.display(), plane.programs().display());
        for (name, what, pod) in pods() {
            show(guarded, &folder, name, what, &pod).await;
        }
        println!("\nThen look at what became of the good one: kubectl -n flame get pods,networkpolicies");
        println!("No containers run here: what their logs say is made up, and there is nothing to exec into.");
        println!(
            "As administrator, for `flamewarden audit --preflight`: --kubeconfig {}",
            plane.admin_file().display()
        );
        try_api::show(guarded, &folder).await;
        try_by_hand::show(guarded, &folder);
        println!(
            "\nWhat the tests may do here, and what of Flamewarden runs outside the cluster, is found as `way-round`, `installed` \
             and\n`at-work`. Pages for security teams show it, and what is refused: http://{pages}/"
        );
        println!("\nNow type them yourself, or pods of your own. Ctrl-C ends everything and leaves nothing behind.");
        let node = Node::of(guarded, MADE).await;
        tokio::select! {
            done = tokio::signal::ctrl_c() => done.unwrap(),
            () = try_api::answer(&node) => {}
        }
    });
}

/// Everything is shown to whoever is on this machine.
const AUDITOR: &str = "apiVersion: flamewarden.dev/v1alpha1\nkind: Auditor\nspec:\n  audit: {everyMinutes: 1}\n  \
    pages: {url: 'http://localhost:8001', login: none}\n";

/// Writes a pod's manifest, and prints how to create it and what that is told.
async fn show(guarded: &Guarded, folder: &Path, name: &str, what: &str, pod: &Value) {
    let file = folder.join(format!("{name}.json"));
    fs::write(&file, serde_json::to_string_pretty(pod).unwrap()).unwrap();
    let answer = guarded.editor.create("/api/v1/namespaces/flame/pods?dryRun=All", pod).await;
    println!("\n# {what}\n  kubectl -n flame create -f {}", file.display());
    for line in told(&answer).lines() {
        println!("    {line}");
    }
}

fn told(answer: &Outcome) -> String {
    match answer {
        Ok(stored) => {
            let spec = &stored["spec"];
            format!(
                "is stored, with: gates {}, pull secret {}, user {}, capabilities {}",
                spec["schedulingGates"],
                spec["imagePullSecrets"],
                spec["securityContext"]["runAsUser"],
                spec["containers"][0]["securityContext"]["capabilities"],
            )
        }
        Err(refusal) => refusal.message.clone(),
    }
}

/// A good pod and some bad ones: file name, what it is, the pod.
fn pods() -> Vec<(&'static str, &'static str, Value)> {
    let made = |name: &str, pointer: &[&str], value: Value| {
        let mut pod = good_analysis(name);
        pod["metadata"]["name"] = json!(name);
        let (last, parents) = pointer.split_last().unwrap();
        let parent = parents.iter().fold(&mut pod, |at, key| match key.parse::<usize>() {
            Ok(index) => &mut at[index],
            Err(_) => &mut at[*key],
        });
        parent[*last] = value;
        pod
    };
    let first = |field: &'static str| ["spec", "containers", "0", field];
    vec![
        (
            "good",
            "a good pod: what it does not say is filled in",
            made("good", &["spec", "restartPolicy"], json!("Never")),
        ),
        ("host", "a pod in the node's network", made("host", &["spec", "hostNetwork"], json!(true))),
        (
            "privileged",
            "a privileged pod",
            made("privileged", &first("securityContext"), json!({"privileged": true, "runAsUser": 0})),
        ),
        ("image", "an image from elsewhere", made("image", &first("image"), json!("docker.io/library/alpine:3"))),
        (
            "volume",
            "somebody else's Secret and the node's disk",
            made(
                "volume",
                &["spec", "volumes"],
                json!([{"name": "a", "secret": {"secretName": "db"}}, {"name": "b", "hostPath": {"path": "/"}}]),
            ),
        ),
        (
            "broker",
            "an analysis under a false name",
            made("broker", &["metadata", "labels", "app"], json!("message-broker")),
        ),
    ]
}
