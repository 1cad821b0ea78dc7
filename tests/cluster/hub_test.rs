//! The Hub is told how each analysis is doing, whatever happens to it in between, and nothing waits for it.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use flamewarden::orchestrator::OutsideFiles;
use flamewarden::policy::FieldNames;
use serde_json::{Value, json};

use crate::flamewarden::realm::{REALM, Realm};
use crate::flamewarden::{CRASH, MADE, guarded, policy_files, with_api};
use crate::gateway::{Gateway, Manner};
use crate::hub::{CLIENT, Fault, Hub, NODE, OTHER_NODE, SECRET};
use crate::instance::{Instance, TURN, connected, way};
use crate::node::{IMAGE, Node};
use crate::po::{claims, request, token};
use crate::proxy::Proxy;
use crate::served::Served;
use crate::shared::{PATIENCE, run, wait_until};

#[test]
fn the_hub_is_told_each_phase_and_what_it_missed_while_it_was_away() {
    run(async {
        let _turn = TURN.lock().await;
        let scene = Scene::begun().await;
        let Scene { node, hub, .. } = &scene;
        let (first, second) = ("77777777-0000-4000-8000-000000000001", "77777777-0000-4000-8000-000000000002");
        let part = hub.part(first, NODE, None);
        hub.part(second, NODE, None);
        let elsewhere = hub.part(first, OTHER_NODE, Some("executed"));
        let instance = scene.instance().await;

        node.ask_for(first, IMAGE).await;
        let one = Gateway::of(node, &app(first), Manner::Says("executing")).await;
        knows(node, first, "executing").await;
        assert_eq!(hub.told(&part).last(), Some(&("executing".to_owned(), Some(0))));
        let partners = json!({"partner_status": {elsewhere: "executed"}});
        let told = async || one.posted("partner_status").contains(&partners).then_some(());
        wait_until("it knows its partners", PATIENCE, told).await;

        // The Hub is away: everything goes on, and is told afterwards.
        hub.stop().await;
        node.ask_for(second, IMAGE).await;
        let two = Gateway::of(node, &app(second), Manner::Says("executing")).await;
        node.status(second, |status| status["phase"] == "executing").await;
        one.does(Manner::Says("executed"));
        node.status(first, |status| status["phase"] == "executed").await;
        for id in [first, second] {
            told_not(node, id, "HubUnavailable").await;
        }
        assert!(metric(&instance, r#"flamewarden_remote_up{system="hub"} 0"#));
        hub.start_again().await;
        knows(node, first, "executed").await;
        knows(node, second, "executing").await;
        assert!(metric(&instance, r#"flamewarden_remote_up{system="hub"} 1"#));

        // Whoever leads next tells no end again.
        let told = hub.told(&part).len();
        instance.stopped().await;
        let next = scene.instance().await;
        two.does(Manner::Says("executed"));
        knows(node, second, "executed").await;
        assert_eq!(hub.told(&part).len(), told);
        scene.silent().await;
        scene.cleared(&[first, second]).await;
        drop(next);
    });
}

#[test]
fn a_hub_that_takes_questions_and_answers_none_delays_nothing_and_no_end() {
    run(async {
        let _turn = TURN.lock().await;
        let scene = Scene::begun().await;
        let Scene { node, hub, .. } = &scene;
        let [first, second, unknown] = [3, 4, 5].map(|number| format!("77777777-0000-4000-8000-{number:012}"));
        let part = hub.part(&first, NODE, None);
        hub.part(&second, NODE, None);
        hub.fails(Some(Fault::Silence));
        let instance = scene.instance().await;
        node.ask_for(&second, IMAGE).await;
        let two = Gateway::of(node, &app(&second), Manner::Says("stuck")).await;
        let again = Gateway::of(node, &format!("analysis-{second}-2"), Manner::Says("executing")).await;
        node.status(&second, |status| status["phase"] == "executing" && status["run"] == 2).await;
        instance.stopped().await;

        let instance = scene.instance().await;
        node.ask_for(&first, IMAGE).await;
        let one = Gateway::of(node, &app(&first), Manner::Says("executing")).await;
        node.status(&first, |status| status["phase"] == "executing").await;
        hub.fails(Some(Fault::Echo));
        told_not(node, &first, "HubRefused").await;
        hub.fails(None);
        hub.end_tokens();
        knows(node, &first, "executing").await;
        knows(node, &second, "executing").await;
        node.ask_for(&unknown, IMAGE).await;
        told_not(node, &unknown, "HubUnknown").await;

        // What is deleted while it runs has stopped.
        node.creator.delete(&node.at("analyses", &first), None).await.unwrap();
        node.guarded.cluster.gone(&node.at("analyses", &first)).await;
        let stopped = ("stopped".to_owned(), Some(0));
        let told = async || (hub.told(&part).last() == Some(&stopped)).then_some(());
        wait_until("its end is told", PATIENCE, told).await;
        scene.silent().await;
        scene.cleared(&[&second, &unknown]).await;
        drop((instance, one, two, again));
    });
}

#[test]
fn one_that_is_deleted_and_asked_for_again_while_the_hub_is_away_is_told_as_it_is() {
    run(async {
        let _turn = TURN.lock().await;
        let scene = Scene::begun().await;
        let Scene { node, hub, .. } = &scene;
        let id = "77777777-0000-4000-8000-000000000007";
        let part = hub.part(id, NODE, None);
        let instance = scene.instance().await;
        for begins in [true, false] {
            node.ask_for(id, IMAGE).await;
            let gateway = Gateway::of(node, &app(id), Manner::Says("executing")).await;
            node.status(id, |status| status["phase"] == "executing").await;
            if begins {
                hub.stop().await;
                scene.cleared(&[id]).await;
            } else {
                hub.start_again().await;
                knows(node, id, "executing").await;
            }
            drop(gateway);
        }
        scene.cleared(&[id]).await;
        let ended = async || (hub.told(&part).last()?.0 == "stopped").then_some(());
        wait_until("its end is told", PATIENCE, ended).await;
        let words: Vec<String> = hub.told(&part).into_iter().map(|(word, _)| word).collect();
        let last = words.iter().rposition(|word| word == "executing").unwrap();
        assert_eq!(words[last + 1..], ["stopped"], "{words:?}");
        drop(instance);
    });
}

#[test]
fn people_read_in_the_hub_what_flame_writes_there() {
    run(async {
        let _turn = TURN.lock().await;
        let scene = Scene::begun().await;
        let Scene { node, hub, .. } = &scene;
        let id = "77777777-0000-4000-8000-000000000006";
        hub.part(id, NODE, None);
        let instance = scene.instance().await;
        node.ask_for(id, IMAGE).await;
        let first = Gateway::of(node, &app(id), Manner::Says("stuck")).await;
        let second = Gateway::of(node, &format!("analysis-{id}-2"), Manner::Says("executing")).await;
        node.status(id, |status| status["phase"] == "executing" && status["run"] == 2).await;
        node.wants(id, json!({"state": "Stopped"})).await;
        knows(node, id, "stopped").await;
        let lines = async || Some(hub.logs()).filter(|lines| lines.len() == 2);
        for (line, (level, status, begin, end)) in wait_until("lines are logged", PATIENCE, lines).await.iter().zip([
            (
                "error",
                "failed",
                "STARTUPERROR -- ",
                "Error: The analysis failed to connect to other node components [restart 1 of 1].",
            ),
            (
                "info",
                "stopped",
                "STOPPED -- ",
                "Info: The analysis was stopped either locally, or externally on another node.",
            ),
        ]) {
            let message = line["message"].as_str().unwrap();
            assert_eq!(
                (&line["level"], &line["status"], &line["analysisId"]),
                (&json!(level), &json!(status), &json!(id))
            );
            assert!(
                message.starts_with(&format!("[flame -- POAPI: ANALYSIS{begin}")) && message.ends_with(end),
                "{message}"
            );
        }
        scene.cleared(&[id]).await;
        drop((instance, first, second));
    });
}

#[test]
fn the_hub_is_told_through_a_proxy_that_the_settings_name() {
    run(async {
        let _turn = TURN.lock().await;
        let node = Node::of(guarded().await, CRASH).await;
        let (hub, proxy) = (Hub::start(FieldNames::Snake).await, Proxy::start().await);
        let id = "77777777-0000-4000-8000-000000000011";
        let part = hub.part(id, NODE, None);
        let mut files = Files::with(SECRET);
        files.proxy(&format!("http://node:hunter2@{}\n", proxy.authority));
        let ways = "  ways: {httpProxy: fromSecret}\n";
        let section = section(&hub, ways).replace("logs: true", "logs: false, fieldNames: snake_case");
        let instance = Instance::with_files(&node, &section, files.outside.clone()).await;
        node.ask_for(id, IMAGE).await;
        knows(&node, id, "started").await;
        assert_eq!(hub.told(&part).last(), Some(&("started".to_owned(), Some(0))));
        let passed = proxy.passed();
        assert_eq!(passed[0].line, format!("POST {}token", hub.address.as_str()));
        assert_eq!(passed[0].authorization.as_deref(), Some("Basic bm9kZTpodW50ZXIy"));
        node.wants(id, json!({"state": "Stopped"})).await;
        knows(&node, id, "stopped").await;
        node.creator.delete(&node.at("analyses", id), None).await.unwrap();
        node.guarded.cluster.gone(&node.at("analyses", id)).await;
        assert_eq!(hub.logs(), [] as [Value; 0], "no line leaves the node");
        drop(instance);
    });
}

#[test]
fn lines_that_an_analysis_streams_are_passed_on_and_the_realm_is_asked_by_the_same_ways() {
    run(async {
        let guarded = guarded().await;
        let (hub, proxy) = (Hub::start(FieldNames::Camel).await, Proxy::start().await);
        let id = "77777777-0000-4000-8000-000000000021";
        hub.part(id, NODE, None);
        let mut files = with_api(policy_files(&[]), &Realm::of_tests());
        let more = section(&hub, &format!("  ways: {{httpProxy: 'http://{}'}}\n", proxy.authority));
        files.iter_mut().filter(|(name, _)| name == "orchestrator.yaml").for_each(|(_, text)| text.push_str(&more));
        let secrets = Files::with(SECRET);
        let way = way(&Node::of(guarded, MADE).await).await;
        let cluster = connected(&way, "test").await;
        let served = Served::start(guarded, cluster, &files, secrets.outside.clone()).await;
        let api = &served.api;
        assert_eq!(api.ask("POST", "/po", Some(&request(id))).await.0, 201);

        let own = Some(token(&REALM.key, &claims(id)));
        hub.stop().await;
        let line = |log: &str| json!({"log": log, "log_type": "notice", "analysis_id": id, "status": "executing", "progress": 1});
        for log in ["epoch 1", "epoch 2", "epoch 3"] {
            let taken = api.ask_with(own.clone(), "POST", "/po/stream_logs", Some(&line(log))).await;
            assert_eq!(taken, (200, Value::Null), "whether the Hub is there or not");
        }
        hub.start_again().await;
        let lines = async || Some(hub.logs()).filter(|lines| lines.len() == 3);
        let lines = wait_until("lines are logged", PATIENCE, lines).await;
        for (line, log) in lines.iter().zip(["epoch 1", "epoch 2", "epoch 3"]) {
            let want = json!({
                "analysisId": id, "nodeId": NODE, "code": null, "status": "executing", "message": log, "level": "notice",
            });
            assert_eq!(*line, want, "in their order");
        }
        let passed: Vec<String> = proxy.passed().into_iter().map(|passed| passed.line).collect();
        let keys = format!("GET {}/realms/flame/protocol/openid-connect/certs", REALM.address);
        assert!(
            passed.contains(&keys) && passed.contains(&format!("POST {}token", hub.address.as_str())),
            "{passed:?}"
        );
        api.ask("DELETE", &format!("/po/delete/{id}"), None).await;
        served.stopped().await;
    });
}

/// A node with a Hub.
struct Scene {
    node: Node,
    hub: Hub,
    files: Files,
    log: Log,
}

impl Scene {
    async fn begun() -> Scene {
        let log = Log::kept();
        let node = Node::of(guarded().await, CRASH).await;
        Scene { node, hub: Hub::start(FieldNames::Camel).await, files: Files::with(SECRET), log }
    }

    /// An orchestrator that tells it.
    async fn instance(&self) -> Instance {
        Instance::with_files(&self.node, &section(&self.hub, ""), self.files.outside.clone()).await
    }

    /// Nothing that anybody can read holds what is secret.
    async fn silent(&self) {
        assert!(self.log.text().contains("the Hub cannot be told anything"), "the log is kept");
        silent_about(&self.node, &self.log, &[SECRET, "token-1", "token-2"]).await;
    }

    async fn cleared(&self, ids: &[&str]) {
        for id in ids {
            self.node.creator.delete(&self.node.at("analyses", id), None).await.unwrap();
            self.node.guarded.cluster.gone(&self.node.at("analyses", id)).await;
        }
    }
}

/// The files that a controller finds its secrets in.
struct Files {
    folder: tempfile::TempDir,
    outside: OutsideFiles,
}

impl Files {
    fn with(hub_secret: &str) -> Files {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("client-secret");
        std::fs::write(&file, format!("{hub_secret}\n")).unwrap();
        Files { folder, outside: OutsideFiles { hub_secret: Some(file), ..OutsideFiles::default() } }
    }

    fn proxy(&mut self, address: &str) {
        std::fs::write(self.folder.path().join("http-proxy"), address).unwrap();
        self.outside.proxies = Some(self.folder.path().to_owned());
    }
}

fn section(hub: &Hub, more: &str) -> String {
    let address = hub.address.as_str();
    format!(
        "  health: {{periodSeconds: 1, startSeconds: 86400, silenceSeconds: 86400, restarts: 1}}\n  \
         hub: {{core: '{address}', auth: '{address}', client: {CLIENT}, logs: true}}\n{more}"
    )
}

fn app(id: &str) -> String {
    format!("analysis-{id}-1")
}

/// Waits until the status says that the Hub knows this.
async fn knows(node: &Node, id: &str, word: &str) {
    let message = json!(format!("the Hub knows that it is {word}"));
    node.status(id, |status| {
        let told = condition(status, "HubTold");
        told["status"] == "True" && told["message"] == message && status["phase"] == word
    })
    .await;
}

async fn told_not(node: &Node, id: &str, reason: &str) {
    node.status(id, |status| condition(status, "HubTold")["reason"] == reason).await;
}

fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
    let conditions = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    conditions.iter().find(|condition| condition["type"] == kind).unwrap_or(&Value::Null)
}

fn metric(instance: &Instance, line: &str) -> bool {
    instance.metrics.text().lines().any(|known| known == line)
}

/// Nothing that anybody can read holds one of these.
pub(crate) async fn silent_about(node: &Node, log: &Log, secrets: &[&str]) {
    let mut texts = vec![log.text()];
    for kind in ["analyses", "events", "configmaps", "deployments", "replicasets", "pods"] {
        texts.push(node.admin().get(&node.collection(kind)).await.unwrap().to_string());
    }
    for (text, secret) in texts.iter().flat_map(|text| secrets.iter().map(move |secret| (text, secret))) {
        assert!(!text.contains(secret), "{secret}");
    }
}

/// What all that runs in this process logs.
#[derive(Clone)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// From the first call on.
    pub(crate) fn kept() -> Log {
        static LOG: std::sync::OnceLock<Log> = std::sync::OnceLock::new();
        let log = LOG.get_or_init(|| {
            let log = Log(Arc::default());
            let (filter, writer) = ("flamewarden=debug", log.clone());
            let writer = move || writer.clone();
            tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(writer).init();
            log
        });
        log.clone()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
