//! How long it takes from a create request for an image that nobody has seen yet to its pod, and how much of that is Grype's
//! scan. Prints what it measures (`--nocapture`); `tests/soak` has the numbers of a release build.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::flamewarden::MADE;
use crate::gate::{Gate, SOUND, gate};
use crate::grype::programs;
use crate::po::{Rest, request};
use crate::recording::Recording;
use crate::shared::{PATIENCE, run, wait_until};

/// One after the other; in `tests/soak` five times as many.
const ANALYSES: usize = 4;

#[test]
fn a_new_image_is_scanned_and_runs_soon_after_it_was_asked_for() {
    run(async {
        let gate = gate().await;
        let turn = gate.changed("").await;
        gate.judged(&gate.gateway, "pass").await;
        let analyses = if std::env::var_os("FLAMEWARDEN_SOAK").is_some() { ANALYSES * 5 } else { ANALYSES };
        let mut all = Vec::new();
        for number in 0..analyses {
            all.push(asked(gate, number).await);
        }
        let median = |of: &dyn Fn(&Taken) -> Duration| {
            let mut times: Vec<Duration> = all.iter().map(of).collect();
            times.sort();
            times[times.len() / 2].as_millis()
        };
        println!(
            "{analyses} new images, medians: from the create request to the verdict {} ms, to the admitted pod {} ms, to the \
             bound pod {} ms; Grype alone on the same image {} ms",
            median(&|taken| taken.judged),
            median(&|taken| taken.admitted),
            median(&|taken| taken.bound),
            median(&|taken| taken.grype),
        );
        drop(turn);
    });
}

/// Times since the create request, and what Grype takes without any of ours.
struct Taken {
    judged: Duration,
    admitted: Duration,
    bound: Duration,
    grype: Duration,
}

async fn asked(gate: &Gate, number: usize) -> Taken {
    let image = gate.debian(&format!("timed-{number}"), SOUND).await;
    let id = format!("99999999-0000-4000-8000-{number:012}");
    let mut body = request(&id);
    body["registry_url"] = json!(gate.registry.host);
    body["image_url"] = json!(image);
    let admin = &gate.cluster.admin;
    let scans = Recording::start(admin, "/apis/flamewarden.dev/v1alpha1/imagescans").await;
    let pods = Recording::start(admin, &format!("/api/v1/namespaces/{MADE}/pods")).await;
    let api = Rest::at(&gate.api);
    let begun = Instant::now();
    let (status, answer) = api.ask("POST", "/po", Some(&body)).await;
    assert_eq!(status, 201, "{answer}");
    let is_bound = |pod: &serde_json::Value| pod["spec"]["nodeName"].is_string();
    let of_it = |pod: &serde_json::Value| pod["metadata"]["labels"]["app"] == format!("analysis-{id}-1");
    wait_until("the pod is bound", PATIENCE, async || {
        pods.of(of_it).iter().any(|event| is_bound(&event.object)).then_some(())
    })
    .await;
    let events = pods.of(of_it);
    let bound = events.iter().find(|event| is_bound(&event.object)).unwrap();
    let digits = image.split_once("@sha256:").unwrap().1;
    let judged = scans.of(|scan| scan["metadata"]["name"] == format!("sha256-{digits}"));
    let judged = judged.iter().find(|event| event.object["status"]["verdicts"][0]["outcome"] == "pass").unwrap();
    assert_eq!(events[0].object["spec"]["containers"][0]["image"], *image);
    let taken = Taken {
        judged: judged.heard - begun,
        admitted: events[0].heard - begun,
        bound: bound.heard - begun,
        grype: alone(gate, &image),
    };
    assert_eq!(api.ask("PUT", &format!("/po/stop/{id}"), None).await.0, 200);
    taken
}

fn alone(gate: &Gate, image: &str) -> Duration {
    let begun = Instant::now();
    let mut grype = Command::new(programs().join("grype"));
    grype.args([&format!("registry:{image}"), "--output=json", "--quiet"]);
    grype.envs([("GRYPE_DB_AUTO_UPDATE", "false"), ("GRYPE_CHECK_FOR_APP_UPDATE", "false")]);
    grype.envs([("GRYPE_REGISTRY_INSECURE_USE_HTTP", "true"), ("GRYPE_DB_VALIDATE_AGE", "false")]);
    grype.env("GRYPE_DB_CACHE_DIR", gate.databases());
    let done = grype.stdout(Stdio::null()).status().unwrap();
    assert!(done.success(), "{done}");
    begun.elapsed()
}
