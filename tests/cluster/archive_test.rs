//! What analyses wrote is kept in SQLite and in PostgreSQL until they are deleted, and an archive that is down stops nothing.

use std::fs;
use std::path::Path;

use flamewarden::archive::{Archive, LogSource, RunRecord};
use flamewarden::model::{Phase, Run};
use serde_json::{Value, json};

use crate::Server;
use crate::caller::PatchKind;
use crate::flamewarden::realm::REALM;
use crate::flamewarden::{CONTROLLER, CRASH, MADE, guarded};
use crate::gateway::{Gateway, Manner};
use crate::instance::{Instance, TURN};
use crate::node::{IMAGE, Node};
use crate::po::{Api, claims, request, token};
use crate::shared::{PATIENCE, run, wait_until};

#[test]
fn what_an_analysis_wrote_is_told_while_it_executes_after_it_was_stopped_and_never_after_it_is_deleted() {
    run(async {
        let guarded = guarded().await;
        let (api, node) = (Api::of(guarded).await, Node::of(guarded, MADE).await);
        let id = "77777777-0000-4000-8000-000000000001";
        let app = format!("analysis-{id}-1");
        let keycloak = token(&REALM.key, &claims(id));
        let kubelet = &guarded.cluster.kubelet;
        kubelet.writes(MADE, &app, &format!("KEYCLOAK_TOKEN={keycloak}\nepoch 1\nKEY=key-of-kong\n"));
        kubelet.writes(MADE, &format!("nginx-{app}"), "10.0.0.1 - \"GET /healthz HTTP/1.0\" 200 OK\nPOST /po\n");
        let nothing = json!({"analysis": {}, "nginx": {}});
        let at = |what: &str| format!("/po/{what}/{id}");

        assert_eq!(api.ask("POST", "/po", Some(&request(id))).await.0, 201);
        let gateway = Gateway::of(&node, &app, Manner::Says("executing")).await;
        api.until("GET", &at("status"), |told| told[id]["status"] == "executing").await;
        node.status(id, |status| is(status, "Ready", "Running")).await;
        let now = json!({
            "analysis": {id: ["KEYCLOAK_TOKEN=[token left out]\nepoch 1\nKEY=[secret left out]\n"]},
            "nginx": {id: ["POST /po\n"]},
        });
        assert_eq!(api.ask("GET", &at("logs"), None).await, (200, now.clone()));
        assert_eq!(api.ask("GET", &at("history"), None).await, (200, nothing.clone()));
        let line = json!({"log": format!("a line with {keycloak}"), "log_type": "info", "analysis_id": id,
            "status": "executing", "progress": 40});
        let own = Some(token(&REALM.key, &claims(id)));
        assert_eq!(api.ask_with(own, "POST", "/po/stream_logs", Some(&line)).await, (200, Value::Null));

        assert_eq!(api.ask("PUT", &at("stop"), None).await, (200, json!({id: "stopped"})));
        let kept = now;
        api.until("GET", &at("history"), |told| *told == kept).await;
        assert_eq!(api.ask("GET", "/po/history", None).await.1["nginx"][id], kept["nginx"][id]);
        assert_eq!(api.ask("GET", &at("logs"), None).await, (200, nothing.clone()));

        let folder = guarded.cluster.plane.folder().join("flamewarden/archive-controller");
        let archive = Archive::open(&format!("sqlite:{}", folder.join("archive.db").display())).await.unwrap();
        let of_run = Run { analysis: id.parse().unwrap(), number: 1 };
        let lines =
            until("the line is kept", async || archive.lines(of_run, 9).await.ok().filter(|all| !all.is_empty()));
        assert_eq!(lines.await[0].log, "a line with [token left out]");
        let ended = |run: &RunRecord| run.phase == Phase::Stopped && run.ended.is_some();
        let recorded =
            until("its end is recorded", async || archive.latest_run(of_run.analysis).await.ok()?.filter(ended));
        let recorded = recorded.await;
        assert_eq!(
            (recorded.run, recorded.progress, recorded.reason),
            (of_run, 40, "Stopped: it was stopped".to_owned())
        );
        assert!(recorded.pods.len() == 1 && recorded.pods[0].starts_with(&app), "{:?}", recorded.pods);

        assert_eq!(api.ask("DELETE", &at("delete"), None).await, (200, json!({id: null})));
        api.until("GET", &at("status"), |told| *told == json!({})).await;
        assert_eq!(api.ask("GET", &at("history"), None).await, (200, nothing));
        assert_eq!(archive.latest_run(of_run.analysis).await.unwrap(), None);
        assert_eq!(archive.logs(of_run).await.unwrap().len(), 0);
        for secret in [keycloak.as_str(), "key-of-kong", "hunter2-of-the-registry"] {
            assert_eq!(files_with(&folder, secret), [""; 0], "{secret}");
        }
        assert!(!files_with(&folder, "epoch 1").is_empty(), "what was written is looked for where it was");
        drop(gateway);
    });
}

#[test]
fn a_server_that_is_down_stops_nothing_and_learns_what_has_happened() {
    run(async {
        let _turn = TURN.lock().await;
        let node = Node::of(guarded().await, CRASH).await;
        let mut server = Server::alone().await;
        let instance = Instance::archiving(&node, None, "", &server.url()).await;
        let [stops, goes, stays, kept] = [1, 2, 3, 4].map(|number| format!("88888888-0000-4000-8000-{number:012}"));
        for id in [&stops, &goes, &stays, &kept] {
            node.ask_for(id, IMAGE).await;
        }
        for id in [&stops, &goes, &stays, &kept] {
            node.status(id, |status| is(status, "Ready", "Running")).await;
        }
        node.wants(&kept, json!({"state": "Stopped"})).await;
        node.status(&kept, |status| status["phase"] == "stopped").await;
        let archive = Archive::at(&server.url()).unwrap();
        let of = |id: &str| Run { analysis: id.parse().unwrap(), number: 1 };
        let logs = archive.logs(of(&kept)).await.unwrap();
        assert_eq!(logs[&LogSource::Analysis], format!("analysis-{kept}-1 writes a line\n"));
        assert_eq!(logs[&LogSource::Nginx], format!("nginx-analysis-{kept}-1 writes a line\n"));
        until("all are recorded", async || (archive.latest_runs(&[]).await.ok()?.len() == 4).then_some(())).await;

        server.stop().await;
        node.wants(&stops, json!({"state": "Stopped"})).await;
        node.creator.delete(&node.at("analyses", &goes), None).await.unwrap();
        node.creator.patch(&node.at("analyses", &stays), PatchKind::Merge, &json!({"spec": {"run": 2}})).await.unwrap();
        let lost =
            node.status(&stops, |status| status["phase"] == "stopped" && is(status, "Archived", "LogsLost")).await;
        assert_eq!(lost["run"], json!(1));
        node.guarded.cluster.gone(&node.at("analyses", &goes)).await;
        node.status(&stays, |status| {
            status["run"] == 2 && is(status, "Ready", "Running") && is(status, "Archived", "ArchiveDown")
        })
        .await;
        let numbers = instance.metrics.text();
        for line in ["flamewarden_archive_up 0", "flamewarden_archive_logs_lost_total 2"] {
            assert!(numbers.contains(line), "{line} is missing in\n{numbers}");
        }

        server.start().await;
        node.status(&stays, |status| is(status, "Archived", "Recorded")).await;
        node.status(&stops, |status| is(status, "Archived", "LogsLost")).await;
        let phases = until("it learns all", async || {
            let runs = archive.latest_runs(&[]).await.ok()?;
            let told: Vec<_> =
                runs.into_iter().map(|run| (run.run.analysis.to_string(), run.run.number, run.phase)).collect();
            let want = [
                (stops.clone(), 1, Phase::Stopped),
                (stays.clone(), 2, Phase::Started),
                (kept.clone(), 1, Phase::Stopped),
            ];
            (told == want).then_some(told)
        });
        phases.await;
        for id in [&stops, &stays, &kept] {
            node.creator.delete(&node.at("analyses", id), None).await.unwrap();
            node.guarded.cluster.gone(&node.at("analyses", id)).await;
        }
        assert_eq!(archive.latest_runs(&[]).await.unwrap(), []);
        drop(instance);
    });
}

#[test]
fn an_archive_that_nobody_can_write_stops_nothing() {
    run(async {
        let _turn = TURN.lock().await;
        let node = Node::of(guarded().await, CRASH).await;
        let instance = Instance::archiving(&node, None, "", "sqlite:/nowhere/archive.db").await;
        let id = "88888888-0000-4000-8000-000000000005";
        node.ask_for(id, IMAGE).await;
        node.status(id, |status| is(status, "Ready", "Running")).await;
        node.wants(id, json!({"state": "Stopped"})).await;
        node.status(id, |status| status["phase"] == "stopped" && is(status, "Archived", "LogsLost")).await;
        node.creator.delete(&node.at("analyses", id), None).await.unwrap();
        node.guarded.cluster.gone(&node.at("analyses", id)).await;
        drop(instance);
    });
}

#[test]
fn whoever_goes_on_after_a_death_keeps_the_logs_and_forgets_what_is_deleted() {
    run(async {
        let _turn = TURN.lock().await;
        let node = Node::of(guarded().await, CRASH).await;
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("archive.db").display());
        let archive = Archive::open(&url).await.unwrap();
        for dies_after in 1..=3 {
            let id = format!("88888888-0000-4000-8000-{:012}", 10 + dies_after);
            let of_run = Run { analysis: id.parse().unwrap(), number: 1 };
            let first = Instance::archiving(&node, None, "", &url).await;
            node.ask_for(&id, IMAGE).await;
            node.status(&id, |status| is(status, "Ready", "Running")).await;
            drop(first);
            node.wants(&id, json!({"state": "Stopped"})).await;
            assert!(Instance::archiving(&node, Some(dies_after), "", &url).await.died().await, "at call {dies_after}");
            let next = Instance::archiving(&node, None, "", &url).await;
            node.status(&id, |status| status["phase"] == "stopped").await;
            assert_eq!(archive.logs(of_run).await.unwrap().len(), 2, "after a death at call {dies_after}");
            drop(next);
            node.creator.delete(&node.at("analyses", &id), None).await.unwrap();
            assert!(Instance::archiving(&node, Some(dies_after), "", &url).await.died().await, "at call {dies_after}");
            let last = Instance::archiving(&node, None, "", &url).await;
            node.guarded.cluster.gone(&node.at("analyses", &id)).await;
            assert_eq!(archive.latest_run(of_run.analysis).await.unwrap(), None, "after a death at call {dies_after}");
            drop(last);
        }
    });
}

#[test]
fn what_ended_longer_ago_than_it_is_to_be_kept_goes_from_cluster_and_archive() {
    run(async {
        let _turn = TURN.lock().await;
        let node = Node::of(guarded().await, CRASH).await;
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("archive.db").display());
        let archive = Archive::open(&url).await.unwrap();
        let instance = Instance::archiving(&node, None, "  archive: {keepDays: 2}\n", &url).await;
        let [old, young] = [21, 22].map(|number| format!("88888888-0000-4000-8000-{number:012}"));
        for id in [&old, &young] {
            node.ask_for(id, IMAGE).await;
            node.status(id, |status| is(status, "Ready", "Running")).await;
            node.wants(id, json!({"state": "Stopped"})).await;
            node.status(id, |status| status["phase"] == "stopped").await;
        }
        let controller = node.guarded.cluster.plane.caller(CONTROLLER, Some("system:masters")).await;
        for (id, hours) in [(&young, 47), (&old, 49)] {
            let ended = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours);
            let path = format!("{}/status", node.at("analyses", id));
            controller
                .patch(&path, PatchKind::Merge, &json!({"status": {"endedAt": ended.to_string()}}))
                .await
                .unwrap();
        }
        node.guarded.cluster.gone(&node.at("analyses", &old)).await;
        assert_eq!(node.belongings(&old).await, [""; 0]);
        let ids: Vec<String> =
            archive.latest_runs(&[]).await.unwrap().iter().map(|run| run.run.analysis.to_string()).collect();
        assert_eq!(ids, std::slice::from_ref(&young));
        node.status(&young, |status| status["phase"] == "stopped").await;
        node.creator.delete(&node.at("analyses", &young), None).await.unwrap();
        node.guarded.cluster.gone(&node.at("analyses", &young)).await;
        drop(instance);
    });
}

async fn until<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    wait_until(what, PATIENCE, ask).await
}

fn is(status: &Value, kind: &str, reason: &str) -> bool {
    let mut conditions = status["conditions"].as_array().into_iter().flatten();
    conditions.any(|condition| condition["type"] == kind && condition["reason"] == reason)
}

/// The files of a folder in whose bytes a text stands.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let has = |file: &Path| fs::read(file).unwrap().windows(text.len()).any(|bytes| bytes == text.as_bytes());
    files.filter(|file| has(file)).map(|file| file.display().to_string()).collect()
}
