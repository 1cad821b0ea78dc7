//! One request as an attack or as a good one: what is said, and what becomes of the objects around it.

use http::Method;
use serde_json::{Map, Value, json};

use super::catalogue::{Expect, Request, Trial, Verb, Victim, filled};
use crate::caller::{Caller, Outcome, Refusal};
use crate::flamewarden::{CONTROLLER, Guarded, good_analysis};
use crate::shared::{PATIENCE, within};

/// Prepares the field, asks, and looks at the answer and at the victim.
pub(super) async fn attempt_request(guarded: &Guarded, trial: &Trial, request: &Request) -> Result<(), String> {
    let field = Field { guarded, trial, victim: format!("v-{}", trial.id) };
    field.prepare().await?;
    let before = field.victim().await;
    let answer = field.ask(request, &guarded.editor).await;
    told(&trial.expect, &answer)?;
    match &trial.expect {
        Expect::Allowed(_) => Ok(()),
        Expect::Stored { at, has } => field.has(at.as_deref().unwrap_or("pods/{victim}"), has).await,
        Expect::Gone { at } => field.is_gone(at).await,
        _ => {
            let after = field.victim().await;
            if before == after { Ok(()) } else { Err(format!("the victim changed from {before} to {after}")) }
        }
    }
}

/// Whether a refusal is this rule's: it names it at the beginning of a line.
pub(super) fn is_refused_by(refusal: &Refusal, rule: &str) -> bool {
    refusal.code == 403 && refusal.message.lines().any(|line| line.starts_with(&format!("{rule}:")))
}

/// Compares an answer with what is expected of it.
pub(super) fn told(expect: &Expect, answer: &Outcome) -> Result<(), String> {
    let shown = || match answer {
        Ok(stored) => format!("got {}", stored.to_string().chars().take(400).collect::<String>()),
        Err(refusal) => format!("got {} {}", refusal.code, refusal.message),
    };
    let fits = match (expect, answer) {
        (Expect::Refused(rule), Err(refusal)) => is_refused_by(refusal, rule),
        (Expect::Stopped { code, says, .. }, Err(refusal)) => refusal.code == *code && refusal.message.contains(says),
        (Expect::Allowed(_) | Expect::Stored { .. } | Expect::Gone { .. }, Ok(_)) => true,
        (Expect::Mended { stored, .. }, Ok(answer)) => {
            stored.iter().all(|(pointer, value)| answer.pointer(pointer).unwrap_or(&Value::Null) == value)
        }
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("wanted {expect:?}, {}", shown())) }
}

/// One trial's names, and what stands around it.
struct Field<'a> {
    guarded: &'a Guarded,
    trial: &'a Trial,
    victim: String,
}

impl Field<'_> {
    async fn prepare(&self) -> Result<(), String> {
        if self.trial.victim != Victim::None {
            self.place_victim().await?;
        }
        for request in &self.trial.given {
            let answer = self.ask(request, &self.guarded.cluster.admin).await;
            answer.map_err(|refusal| format!("the field cannot be prepared: {}", refusal.message))?;
        }
        Ok(())
    }

    /// A good analysis of the trial's own, behind its gate or running.
    async fn place_victim(&self) -> Result<(), String> {
        let pods = format!("/api/v1/namespaces/{}/pods", self.trial.namespace);
        let mut pod = good_analysis(&self.trial.id);
        pod["metadata"]["name"] = json!(self.victim);
        let answer = self.guarded.cluster.admin.create(&pods, &pod).await;
        answer.map_err(|refusal| format!("the victim is refused: {}", refusal.message))?;
        if self.trial.victim == Victim::Running {
            let path = format!("{pods}/{}", self.victim);
            let controller = self.guarded.cluster.admin.acting_as(CONTROLLER, &[]);
            let lift = json!({"spec": {"schedulingGates": null}});
            let lifted = controller.patch(&path, crate::caller::PatchKind::Merge, &lift).await;
            lifted.map_err(|refusal| format!("the gate cannot be lifted: {}", refusal.message))?;
            self.guarded.cluster.read(&path, |pod| (pod["status"]["phase"] == "Running").then_some(())).await;
        }
        Ok(())
    }

    /// The victim without what the API server writes by itself.
    async fn victim(&self) -> Value {
        if self.trial.victim == Victim::None {
            return Value::Null;
        }
        let path = format!("/api/v1/namespaces/{}/pods/{}", self.trial.namespace, self.victim);
        let pod = self.guarded.cluster.admin.get(&path).await.unwrap_or_default();
        json!({
            "labels": pod["metadata"]["labels"], "annotations": pod["metadata"]["annotations"],
            "finalizers": pod["metadata"]["finalizers"], "owners": pod["metadata"]["ownerReferences"],
            "deleted": pod["metadata"]["deletionTimestamp"], "spec": pod["spec"],
            "phase": pod["status"]["phase"], "address": pod["status"]["podIP"],
        })
    }

    /// What stands at a path gets these values soon.
    async fn has(&self, path: &str, wanted: &Map<String, Value>) -> Result<(), String> {
        let path = self.path(path);
        let wanted = filled(&Value::Object(wanted.clone()), &self.names());
        let members = || wanted.as_object().into_iter().flatten();
        let admin = &self.guarded.cluster.admin;
        let has = |object: &Value| members().all(|(at, value)| object.pointer(at).unwrap_or(&Value::Null) == value);
        let seen = within(PATIENCE, async || admin.get(&path).await.ok().filter(has)).await;
        match seen {
            Some(_) => Ok(()),
            None => Err(format!("wanted {wanted} at {path}, got {:?}", admin.get(&path).await)),
        }
    }

    async fn is_gone(&self, path: &str) -> Result<(), String> {
        let (path, admin) = (self.path(path), &self.guarded.cluster.admin);
        let gone = async || admin.get(&path).await.is_err_and(|refusal| refusal.code == 404).then_some(());
        within(PATIENCE, gone).await.ok_or_else(|| format!("{path} is still there"))
    }

    fn names(&self) -> [(&str, &str); 3] {
        [("{victim}", &self.victim), ("{id}", &self.trial.id), ("{namespace}", &self.trial.namespace)]
    }

    fn path(&self, path: &str) -> String {
        let path = self.names().iter().fold(path.to_owned(), |path, (key, name)| path.replace(key, name));
        absolute(&path, &self.trial.namespace)
    }

    async fn ask(&self, request: &Request, usual: &Caller) -> Outcome {
        let path = self.path(&request.path);
        let body = request.body.as_ref().map(|body| filled(body, &self.names()));
        let caller = match &request.by {
            None => usual.clone(),
            Some(by) => {
                let groups: Vec<&str> = by.groups.iter().map(String::as_str).collect();
                self.guarded.cluster.admin.acting_as(&by.user, &groups)
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
        _ => "/api/v1",
    };
    format!("{group}/namespaces/{namespace}/{path}")
}
