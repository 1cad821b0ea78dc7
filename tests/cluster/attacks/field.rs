//! What stands around one trial: it is prepared beforehand, looked at before and after, and compared.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Map, Value, json};

use super::catalogue::{Request, Trial, Verb, Victim, filled};
use crate::caller::{Caller, Outcome, PatchKind};
use crate::flamewarden::{CONTROLLER, good_analysis};
use crate::shared::{Cluster, PATIENCE, within};

/// Where trials are made.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) cluster: &'a Cluster,
    /// The editor of the guarded namespaces.
    pub(super) editor: &'a Caller,
}

/// One trial's names, and what stands around it.
pub(super) struct Field<'a> {
    scene: Scene<'a>,
    trial: &'a Trial,
    id: &'a str,
    victim: String,
}

impl<'a> Field<'a> {
    /// Places the victim, and does what is given.
    pub(super) async fn prepare(scene: Scene<'a>, trial: &'a Trial, id: &'a str) -> Result<Self, String> {
        let field = Field { scene, trial, id, victim: format!("v-{id}") };
        if trial.victim != Victim::None {
            field.place_victim().await?;
        }
        for request in &trial.given {
            let ask = async || field.ask(request, &scene.cluster.admin).await;
            // What changes nothing waits until some part of the cluster has noticed what was given before.
            let waits = request.verb == Verb::Get || request.path.contains("dryRun");
            let answer = match waits {
                true => within(PATIENCE, async || ask().await.ok()).await.ok_or("it never could".to_owned()),
                false => ask().await.map_err(|refusal| refusal.message),
            };
            let given = answer.map_err(|problem| format!("the field cannot be prepared: {problem}"))?;
            if !waits && given["kind"] == "Pod" && given["spec"]["schedulingGates"].is_null() {
                field.runs(given["metadata"]["name"].as_str().unwrap_or_default()).await;
            }
        }
        Ok(field)
    }

    /// A good analysis of the trial's own, behind its gate or running, or a gateway.
    async fn place_victim(&self) -> Result<(), String> {
        let pods = absolute("pods", &self.trial.namespace);
        let admin = &self.scene.cluster.admin;
        let mut pod = good_analysis(self.id);
        let mut maker = admin.clone();
        if self.trial.victim == Victim::Gateway {
            maker = admin.acting_as(CREATOR, &["system:masters"]);
            let app = format!("nginx-analysis-{}", self.id);
            pod["metadata"]["labels"] = json!({"component": "flame-analysis-nginx", "app": app});
            pod["spec"] = json!({"containers": [{"name": app, "image": "nginx:latest"}]});
        }
        pod["metadata"]["name"] = json!(self.victim);
        let answer = maker.create(&pods, &pod).await;
        answer.map_err(|refusal| format!("the victim is refused: {}", refusal.message))?;
        if self.trial.victim == Victim::Running {
            let controller = admin.acting_as(CONTROLLER, &[]);
            let lift = json!({"spec": {"schedulingGates": null}});
            let lifted = controller.patch(&format!("{pods}/{}", self.victim), PatchKind::Merge, &lift).await;
            lifted.map_err(|refusal| format!("the gate cannot be lifted: {}", refusal.message))?;
        }
        if self.trial.victim != Victim::Gated {
            self.runs(&self.victim).await;
        }
        Ok(())
    }

    async fn runs(&self, pod: &str) {
        let path = format!("{}/{pod}", absolute("pods", &self.trial.namespace));
        self.scene.cluster.read(&path, |pod| (pod["status"]["phase"] == "Running").then_some(())).await;
    }

    /// Everything that a request could change: its victim, what was given, and what it is about, by path;
    /// for what is not there, the code of the answer.
    pub(super) async fn stored(&self, request: &Request) -> BTreeMap<String, Value> {
        let victim = (self.trial.victim != Victim::None).then(|| self.path("pods/{victim}"));
        let others = self.trial.given.iter().chain([request]).filter_map(|request| self.object(request, None));
        let mut stored = BTreeMap::new();
        for path in victim.into_iter().chain(others) {
            let object = self.scene.cluster.admin.get(&path).await;
            let object = object.map_or_else(|refusal| json!(refusal.code), |object| lasting(&object));
            stored.insert(path, object);
        }
        if let Some((collection, prefix)) = self.generated(request) {
            let list = self.scene.cluster.admin.get(&collection).await.unwrap_or_default();
            let names = list["items"].as_array().into_iter().flatten().map(|object| object["metadata"]["name"].clone());
            let ours = names.filter(|name| name.as_str().is_some_and(|name| name.starts_with(&prefix)));
            stored.insert(format!("{collection}/{prefix}*"), ours.collect());
        }
        stored
    }

    /// The path of the object that a request is about; a creation's by the name that it gives or was given.
    fn object(&self, request: &Request, named: Option<&str>) -> Option<String> {
        let place = Place::of(&self.path(&request.path));
        let body = request.body.as_ref().map(|body| filled(body, &self.names()));
        let own = body.as_ref().and_then(|body| body["metadata"]["name"].as_str());
        let name = place.name.as_deref().or(named).or(own)?;
        Some(format!("{}/{name}", place.collection))
    }

    /// Where a creation lets the API server choose the name, and how that begins.
    fn generated(&self, request: &Request) -> Option<(String, String)> {
        let body = filled(request.body.as_ref()?, &self.names());
        let prefix = body["metadata"]["generateName"].as_str()?;
        Some((Place::of(&self.path(&request.path)).collection, prefix.to_owned()))
    }

    /// What was asked for and let through has come about.
    pub(super) async fn is_done(&self, request: &Request, answer: &Value) -> Result<(), String> {
        let path = self.object(request, answer["metadata"]["name"].as_str()).ok_or("it is about nothing by name")?;
        let asked = request.body.as_ref().map(|body| filled(body, &self.names())).unwrap_or_default();
        let is_read_back = !Place::of(&self.path(&request.path)).is_part;
        match request.verb {
            Verb::Get => Ok(()),
            Verb::Delete => self.is_gone(&path).await,
            Verb::Patch if request.patch != PatchKind::Merge => Err("say what is stored".to_owned()),
            Verb::Create | Verb::Patch => {
                let stored = match is_read_back {
                    true => self.scene.cluster.admin.get(&path).await.map_err(|refusal| refusal.message)?,
                    false => answer.clone(),
                };
                if holds(&stored, &asked) { Ok(()) } else { Err(format!("wanted {asked} in {stored}")) }
            }
        }
    }

    /// What stands at a path gets these values soon.
    pub(super) async fn has(&self, path: &str, wanted: &Map<String, Value>) -> Result<(), String> {
        let path = self.path(path);
        let wanted = filled(&Value::Object(wanted.clone()), &self.names());
        let members = || wanted.as_object().into_iter().flatten();
        let admin = &self.scene.cluster.admin;
        let has = |object: &Value| members().all(|(at, value)| object.pointer(at).unwrap_or(&Value::Null) == value);
        let seen = within(PATIENCE, async || admin.get(&path).await.ok().filter(has)).await;
        match seen {
            Some(_) => Ok(()),
            None => Err(format!("wanted {wanted} at {path}, got {:?}", admin.get(&path).await)),
        }
    }

    pub(super) async fn is_gone(&self, path: &str) -> Result<(), String> {
        let (path, admin) = (self.path(path), &self.scene.cluster.admin);
        let gone = async || admin.get(&path).await.is_err_and(|refusal| refusal.code == 404).then_some(());
        within(PATIENCE, gone).await.ok_or_else(|| format!("{path} is still there"))
    }

    fn names(&self) -> [(&str, &str); 3] {
        [("{victim}", &self.victim), ("{id}", self.id), ("{namespace}", &self.trial.namespace)]
    }

    fn path(&self, path: &str) -> String {
        let path = self.names().iter().fold(path.to_owned(), |path, (key, name)| path.replace(key, name));
        absolute(&path, &self.trial.namespace)
    }

    /// Makes a request, as its caller or as the usual one.
    pub(super) async fn ask(&self, request: &Request, usual: &Caller) -> Outcome {
        let path = self.path(&request.path);
        let body = request.body.as_ref().map(|body| filled(body, &self.names()));
        let caller = match &request.by {
            None => usual.clone(),
            Some(by) => {
                let groups: Vec<&str> = by.groups.iter().map(String::as_str).collect();
                let asks = match &by.impersonated_by {
                    Some(user) => self.scene.cluster.plane.caller(user, None).await,
                    None => self.scene.cluster.admin.clone(),
                };
                asks.acting_as(&by.user, &groups)
            }
        };
        match request.verb {
            Verb::Get => caller.get(&path).await,
            Verb::Create => caller.call(Method::POST, &path, body.as_ref()).await,
            Verb::Patch => caller.patch(&path, request.patch, &body.unwrap_or_default()).await,
            Verb::Delete => caller.delete(&path, body.as_ref()).await,
        }
    }
}

/// What a path says of the object that a request is about.
struct Place {
    collection: String,
    name: Option<String>,
    /// Whether the path goes on to a subresource.
    is_part: bool,
}

impl Place {
    fn of(path: &str) -> Self {
        let path = path.split('?').next().unwrap_or_default();
        let words: Vec<&str> = path.split('/').filter(|word| !word.is_empty()).collect();
        let group = if words.first() == Some(&"api") { 2 } else { 3 };
        // A namespace comes first where there is more to the path than the namespace itself.
        let is_namespaced = words.get(group) == Some(&"namespaces") && words.len() > group + 2;
        let resource = if is_namespaced { group + 2 } else { group };
        let collection = words.iter().take(resource + 1).map(|word| format!("/{word}")).collect();
        let name = words.get(resource + 1).map(|name| (*name).to_owned());
        Place { collection, name, is_part: words.len() > resource + 2 }
    }
}

/// The whole path of a resource in a namespace.
pub(super) fn absolute(path: &str, namespace: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    let resource = path.split(['/', '?']).next().unwrap_or_default();
    let group = match resource {
        "deployments" | "replicasets" | "statefulsets" | "daemonsets" | "controllerrevisions" => "/apis/apps/v1",
        "jobs" | "cronjobs" => "/apis/batch/v1",
        "networkpolicies" => "/apis/networking.k8s.io/v1",
        "endpointslices" => "/apis/discovery.k8s.io/v1",
        "analyses" => "/apis/flamewarden.dev/v1alpha1",
        "rolebindings" => "/apis/rbac.authorization.k8s.io/v1",
        _ => "/api/v1",
    };
    format!("{group}/namespaces/{namespace}/{path}")
}

/// Whether all of one value stands in another: each member of an object, each item of a list.
pub(super) fn holds(stored: &Value, asked: &Value) -> bool {
    match (stored, asked) {
        (stored, Value::Null) => stored.is_null(),
        (Value::Object(_), Value::Object(asked)) => asked.iter().all(|(key, asked)| holds(&stored[key], asked)),
        (Value::Array(stored), Value::Array(asked)) => {
            stored.len() == asked.len() && stored.iter().zip(asked).all(|(stored, asked)| holds(stored, asked))
        }
        _ => stored == asked,
    }
}

/// An object without what the API server and Kubernetes' controllers write by themselves.
fn lasting(object: &Value) -> Value {
    let mut object = object.clone();
    let status = object["status"].take();
    object["status"] = match object["kind"].as_str() {
        Some("Pod") => {
            let conditions = status["conditions"].as_array().into_iter().flatten();
            let ready: Vec<&Value> = conditions.filter(|condition| condition["type"] == "Ready").collect();
            let kept = ["phase", "hostIP", "podIP", "podIPs", "nominatedNodeName"].map(|key| status[key].clone());
            json!({"ready": ready, "kept": kept})
        }
        Some("Service") => status,
        _ => Value::Null,
    };
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|key, _| !["resourceVersion", "managedFields", "generation"].contains(&key.as_str()));
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove("deployment.kubernetes.io/revision");
        }
        metadata.retain(|key, value| key != "annotations" || *value != json!({}));
    }
    object
}

/// Who makes the gateways that are attacked.
const CREATOR: &str = "system:serviceaccount:flame:flame-po";
