//! Plans, carried out on a world of values: what is done, in which order, and that an end between two steps loses
//! nothing.

use serde_json::json;

use super::*;
use crate::model::AnalysisSpec;

pub(super) const ID: &str = "0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f";
const NOW: &str = "2026-11-21T12:00:00Z";

/// What the API server would hold.
#[derive(Clone)]
pub(super) struct World {
    pub(super) analysis: AnalysisObject,
    pub(super) objects: Objects,
    /// What belongs to the namespace.
    pub(super) common: Objects,
    pub(super) services: Services,
    policies: PolicySet,
    pub(super) heard: Option<Heard>,
    /// Whether pods become available.
    pub(super) available: bool,
    pub(super) archived: Option<Archived>,
    pub(super) hub: Option<Word>,
    pub(super) token_rest: Option<TokenRest>,
    pub(super) unscanned: Option<Unscanned>,
    pub(super) unwritten: Option<Unwritten>,
    pub(super) now: Timestamp,
    /// Every step that was carried out, in short.
    done: Vec<String>,
}

impl World {
    /// An analysis that was just asked for, with its Secrets, among the node's services.
    pub(super) fn new(section: &str) -> World {
        World::in_namespace("flame", section)
    }

    /// The same in a namespace that is dedicated to analyses, or shared.
    pub(super) fn in_namespace(namespace: &str, section: &str) -> World {
        let orchestrator =
            include_str!("../../../tests/bundle/orchestrator.yaml").replace("analyses", namespace) + section;
        let policies = PolicySet::parse([
            ("flame-analysis.yaml", include_str!("../../../policies/flame-analysis.yaml")),
            ("flame-gateway.yaml", include_str!("../../../policies/flame-gateway.yaml")),
            ("installation.yaml", include_str!("../../../tests/bundle/installation.yaml")),
            ("orchestrator.yaml", orchestrator.as_str()),
        ])
        .unwrap();
        let listed: Value = serde_saphyr::from_str(include_str!("../../../tests/bundle/services.yaml")).unwrap();
        let mut services = Services::default();
        for service in listed["items"].as_array().unwrap() {
            services.learn(service);
        }
        let mut objects = Objects::new();
        for name in [format!("flame-harbor-{ID}"), format!("flame-tokens-{ID}")] {
            let secret = json!({"metadata": {"name": name, "uid": format!("uid of {name}")}});
            objects.insert((Kind::Secret, name), secret);
        }
        let analysis = AnalysisObject {
            id: ID.parse().unwrap(),
            namespace: namespace.to_owned(),
            uid: "uid".to_owned(),
            resource_version: "1".to_owned(),
            generation: 1,
            deleting: false,
            finalizers: Vec::new(),
            spec: AnalysisSpec {
                project_id: ID.parse().unwrap(),
                image: "harbor.example/node/a".to_owned(),
                state: WantedState::Running,
                run: 1,
                progress: 0,
            },
            status: AnalysisStatus::default(),
            reported: None,
        };
        World {
            analysis,
            objects,
            common: Objects::new(),
            services,
            policies,
            heard: None,
            available: true,
            archived: None,
            hub: None,
            token_rest: None,
            unscanned: None,
            unwritten: None,
            now: NOW.parse().unwrap(),
            done: Vec::new(),
        }
    }

    pub(super) fn plan(&self) -> (Step, Option<Timestamp>) {
        let view = self.view();
        (plan(&view), view.next_look())
    }

    pub(super) fn view(&self) -> View<'_> {
        View {
            analysis: &self.analysis,
            objects: &self.objects,
            common: &self.common,
            services: &self.services,
            policies: &self.policies,
            settings: self.policies.orchestrator.as_ref().unwrap(),
            heard: self.heard.as_ref(),
            archived: self.archived.clone(),
            hub: self.hub,
            token_rest: self.token_rest.as_ref(),
            unscanned: self.unscanned.clone(),
            unwritten: self.unwritten.as_ref(),
            now: self.now,
        }
    }

    /// Carries out one step; none is left where it waits.
    pub(super) fn step(&mut self) -> Option<()> {
        let (step, _) = self.plan();
        let told = match step {
            Step::Wait => return None,
            Step::Hold => {
                self.analysis.finalizers.push(labels::ANALYSIS_FINALIZER.to_owned());
                "hold".to_owned()
            }
            Step::LetGo { .. } => {
                self.analysis.finalizers.clear();
                "let go".to_owned()
            }
            Step::Report(status) => {
                let told = format!("report {:?} {}", status.phase.unwrap(), reason_of(&status));
                self.analysis.status = status;
                told
            }
            Step::Token(uid) => {
                let name = format!("flame-tokens-{ID}");
                assert_eq!(uid, format!("uid of {name}"));
                let secret = self.objects.get_mut(&(Kind::Secret, name)).unwrap();
                let after = self.now + jiff::SignedDuration::from_secs(60);
                secret["metadata"]["annotations"] = json!({labels::RENEW_TOKEN: after.to_string()});
                "token".to_owned()
            }
            Step::Write(kind, object) => self.write(kind, object),
            Step::Amend(kind, object, _) => self.write(kind, object).replace("write", "amend"),
            Step::KeepLogs(logs) => {
                let archived = self.archived.as_mut().unwrap();
                assert!(archived.tried.insert(logs.run.number));
                let pods: Vec<String> = logs.pods.iter().map(|(of, pod)| format!("{} of {}", pod, of.name())).collect();
                format!("keep {}", pods.join(" and "))
            }
            Step::Forget => {
                self.archived.as_mut().unwrap().forgotten = true;
                "forget".to_owned()
            }
            Step::Expire => {
                self.analysis.deleting = true;
                "expire".to_owned()
            }
            Step::Delete(kind, name, uid) => {
                let gone = self.objects.remove(&(kind, name.clone())).unwrap();
                assert_eq!(gone["metadata"]["uid"], *uid);
                format!("delete {kind:?} {}", short(&name))
            }
        };
        self.done.push(told);
        Some(())
    }

    fn write(&mut self, kind: Kind, mut object: Value) -> String {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        object["metadata"]["uid"] = json!(format!("uid of {name}"));
        if kind == Kind::Service {
            object["spec"]["clusterIP"] = json!(if name.starts_with("nginx") { "10.0.1.1" } else { "10.0.1.2" });
            self.services.learn(&object);
        }
        if kind == Kind::Deployment {
            object["status"] = json!({"availableReplicas": u8::from(self.available)});
        }
        let labelled = object["metadata"]["labels"].get(labels::ANALYSIS).is_some();
        let objects = if labelled { &mut self.objects } else { &mut self.common };
        objects.insert((kind, name.clone()), object);
        format!("write {kind:?} {}", short(&name))
    }

    /// Carries out steps until there is nothing to do; gives what was done.
    pub(super) fn settle(&mut self) -> Vec<String> {
        for _ in 0..100 {
            if self.step().is_none() {
                return std::mem::take(&mut self.done);
            }
        }
        panic!("no end: {:?}", self.done);
    }
}

fn reason_of(status: &AnalysisStatus) -> String {
    status.conditions.first().map(|condition| condition.reason.clone()).unwrap_or_default()
}

/// A name without the id.
fn short(name: &str) -> String {
    name.replace(ID, "ID")
}

const MADE: [&str; 10] = [
    "hold",
    "report Starting ",
    "write Service analysis-ID-1",
    "write Service nginx-analysis-ID-1",
    "write NetworkPolicy flamewarden-nginx-analysis-ID-1",
    "write ConfigMap nginx-analysis-ID-1-config",
    "write Deployment nginx-analysis-ID-1",
    "write Deployment analysis-ID-1",
    "report Started Running",
    "",
];
pub(super) const TAKEN_AWAY: [&str; 6] = [
    "delete Deployment analysis-ID-1",
    "delete Deployment nginx-analysis-ID-1",
    "delete ConfigMap nginx-analysis-ID-1-config",
    "delete Service nginx-analysis-ID-1",
    "delete Service analysis-ID-1",
    "delete NetworkPolicy flamewarden-nginx-analysis-ID-1",
];

pub(super) fn made() -> Vec<&'static str> {
    MADE.into_iter().filter(|step| !step.is_empty()).collect()
}

pub(super) fn running() -> World {
    let mut world = World::new("");
    world.settle();
    world
}

#[test]
fn an_analysis_is_made_step_by_step_and_is_last() {
    let mut world = World::new("");
    assert_eq!(world.settle(), made());
    assert_eq!(world.settle(), [""; 0], "and then there is nothing to do");
}

#[test]
fn whoever_goes_on_after_an_end_does_what_is_left() {
    for stop in 0..made().len() {
        let mut world = World::new("");
        (0..stop).for_each(|_| world.step().unwrap());
        let mut next = World { done: Vec::new(), ..world };
        assert_eq!(next.settle(), made()[stop..], "after {stop} steps");
    }
}

#[test]
fn a_deleted_analysis_goes_the_other_way_round_with_secrets_before_policies() {
    let mut world = running();
    world.analysis.deleting = true;
    let done = world.settle();
    let (secrets, rest): (Vec<String>, Vec<String>) = done.into_iter().partition(|step| step.contains("Secret"));
    assert_eq!(rest, [&TAKEN_AWAY[..], &["let go"]].concat());
    assert_eq!(secrets.len(), 2);
    assert!(world.objects.is_empty());
}

#[test]
fn pods_that_are_still_there_hold_up_what_follows() {
    let mut world = running();
    world.analysis.deleting = true;
    world.objects.insert((Kind::Pod, "p".to_owned()), pod(1, true));
    assert_eq!(world.settle(), TAKEN_AWAY[..2]);
    world.objects.remove(&(Kind::Pod, "p".to_owned()));
    assert_eq!(world.settle().len(), 4 + 2 + 1);
}

/// A pod of a run; with a controller, or without.
fn pod(run: u32, is_controlled: bool) -> Value {
    let owners = if is_controlled { json!([{"kind": "ReplicaSet", "controller": true}]) } else { json!([]) };
    let labels = json!({"app": format!("analysis-{ID}-{run}")});
    json!({"metadata": {"name": "p", "uid": "uid of p", "labels": labels, "ownerReferences": owners}})
}

#[test]
fn a_pod_of_another_run_that_nobody_controls_is_deleted_and_any_other_is_waited_for_and_said() {
    let mut world = running();
    world.objects.insert((Kind::Pod, "p".to_owned()), pod(9, false));
    assert_eq!(world.settle(), ["delete Pod p"]);
    world.objects.insert((Kind::Pod, "p".to_owned()), pod(9, true));
    assert_eq!(world.settle(), ["report Started OtherRunEnds"]);
    world.objects.clear();
}

#[test]
fn what_says_something_else_is_written_again_and_nothing_besides() {
    let mut world = running();
    let key = (Kind::ConfigMap, format!("nginx-analysis-{ID}-1-config"));
    world.objects.get_mut(&key).unwrap()["data"]["nginx.conf"] = json!("events {}");
    assert_eq!(world.settle(), ["write ConfigMap nginx-analysis-ID-1-config"]);
    world.objects.remove(&(Kind::NetworkPolicy, format!("flamewarden-nginx-analysis-{ID}-1")));
    assert_eq!(world.settle(), ["write NetworkPolicy flamewarden-nginx-analysis-ID-1"]);
    // Scaled by somebody: two pods would be two analyses.
    let key = (Kind::Deployment, format!("analysis-{ID}-1"));
    world.objects.get_mut(&key).unwrap()["spec"]["replicas"] = json!(2);
    assert_eq!(world.settle(), ["write Deployment analysis-ID-1"]);
}

#[test]
fn where_an_analysis_may_ask_nobody_for_names_it_knows_its_gateway_by_the_address_of_its_service() {
    let own = json!([{"ip": "10.0.1.1", "hostnames": [format!("nginx-analysis-{ID}-1")]}]);
    for (asks, want) in [(true, Value::Null), (false, own)] {
        let mut world = World::new("");
        if !asks {
            world.policies.analysis.network.dns.clear();
        }
        world.settle();
        let aliases = |name: String| {
            let deployment = &world.objects[&(Kind::Deployment, name)];
            deployment["spec"]["template"]["spec"]["hostAliases"].clone()
        };
        assert_eq!(
            (aliases(format!("analysis-{ID}-1")), aliases(format!("nginx-analysis-{ID}-1"))),
            (want, Value::Null)
        );
    }
}

#[test]
fn a_service_of_the_node_that_moves_changes_the_configuration_and_replaces_the_gateway() {
    let mut world = running();
    let kong = json!({
        "metadata": {"name": "flame-node-kong-proxy", "namespace": "flame"},
        "spec": {
            "clusterIP": "10.0.9.9", "ports": [{"port": 80, "targetPort": "proxy"}],
            "selector": {"app.kubernetes.io/name": "kong", "app.kubernetes.io/component": "app"},
        },
    });
    world.services.learn(&kong);
    assert_eq!(world.settle(), ["write ConfigMap nginx-analysis-ID-1-config", "write Deployment nginx-analysis-ID-1"]);
}

#[test]
fn stopped_it_goes_but_for_its_secrets_and_started_again_it_is_another_run() {
    let mut world = running();
    world.analysis.spec.state = WantedState::Stopped;
    let want = [&["report Stopping Stopping"], &TAKEN_AWAY[..], &["report Stopped Stopped"]].concat();
    assert_eq!(world.settle(), want);
    assert_eq!(world.objects.len(), 2);
    world.analysis.spec.state = WantedState::Running;
    world.analysis.generation = 2;
    assert_eq!(world.settle(), [""; 0], "the same run is not run again");
    world.analysis.spec.run = 2;
    let again: Vec<String> = made()[1..].iter().map(|step| step.replace("ID-1", "ID-2")).collect();
    assert_eq!(world.settle(), again);
}

#[test]
fn another_run_begins_when_nothing_of_the_last_one_is_left() {
    let mut world = running();
    world.analysis.spec.run = 2;
    let again: Vec<String> = made()[2..].iter().map(|step| step.replace("ID-1", "ID-2")).collect();
    let away = TAKEN_AWAY.map(str::to_owned);
    assert_eq!(world.settle(), [&["report Starting ".to_owned()], &away[..], &again[..]].concat());
}

#[test]
fn what_is_missing_is_said_once() {
    let mut world = World::new("");
    world.analysis.spec.image = "elsewhere.example/a".to_owned();
    world.objects.clear();
    assert_eq!(world.settle(), ["hold", "report Starting ", "report Starting ImageRefused"]);
    let mut world = World::new("");
    world.objects.clear();
    assert_eq!(world.settle(), ["hold", "report Starting ", "report Starting CredentialsMissing"]);
    let mut world = World::new("");
    world.services = Services::default();
    assert_eq!(world.settle(), ["hold", "report Starting ", "report Starting UpstreamMissing"]);
}

#[test]
fn a_token_comes_before_the_analysis_and_is_renewed_when_it_is_time() {
    let mut world = World::new("  tokens: {keycloak: 'http://keycloak'}\n");
    let mut want: Vec<&str> = made();
    want.insert(want.len() - 2, "token");
    assert_eq!(world.settle(), want);
    let (step, at) = world.plan();
    assert_eq!((step, at), (Step::Wait, Some("2026-11-21T12:01:00Z".parse().unwrap())));
    world.now = "2026-11-21T12:01:00Z".parse().unwrap();
    assert_eq!(world.settle(), ["token"]);
    world.analysis.deleting = true;
    assert_eq!(world.plan().1, None, "what goes needs none");
}
