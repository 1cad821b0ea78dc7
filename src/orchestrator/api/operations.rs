//! Edge: does what a call asks, by the API server alone: what is stored there is all that is known.

use std::collections::BTreeMap;

use futures::future::{join_all, try_join};
use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation, TestOperation};
use serde_json::{Value, json};
use tracing::{info, warn};

use super::answer::Answer;
use super::creation::{Creation, created, decide, object, problem, secrets};
use super::history::history;
use super::route::{Operation, Which};
use super::view;
use crate::archive::Archive;
use crate::bundle::CreateRequest;
use crate::cluster::{Cluster, ClusterProblem, Kind, List, LogBounds};
use crate::facts::Place;
use crate::isolation::gateway_app;
use crate::model::{AnalysisId, AnalysisObject, AnalysisSpec, Phase, Report, WantedState, labels};
use crate::orchestrator::secrets::Secrets;
use crate::policy::PolicySet;
use crate::telemetry::whole;

/// Where analyses are, and how they are reached.
pub(super) struct Operations<'a> {
    /// The API server. Whoever answers need not lead: what is written here is what is wanted.
    pub(super) cluster: &'a Cluster,
    /// Where analyses are made.
    pub(super) namespace: &'a str,
}

/// What is written to analyses that are there.
#[derive(Debug, Clone, Copy)]
enum Write {
    Stop,
    Delete,
}

/// Names of pods by their label `app`.
type Names = BTreeMap<String, Vec<String>>;

impl Operations<'_> {
    /// Has an analysis run.
    pub(super) async fn create(
        &self,
        request: &CreateRequest,
        policies: &PolicySet,
        body: &Value,
    ) -> Result<Answer, ClusterProblem> {
        if let Some(fault) = problem(request, policies) {
            return Ok(Answer::faults(&[fault], body));
        }
        let id = request.analysis;
        let mut tries = 0;
        loop {
            tries += 1;
            let existing = self.read(id).await?;
            let done = match (decide(request, existing.as_ref()), &existing) {
                (Creation::Refused(answer), _) => return Ok(answer),
                (Creation::First(spec), _) => self.first(request, &spec).await.map(|()| Phase::Started),
                (Creation::Running(phase), Some(existing)) => self.complete(request, existing).await.map(|()| phase),
                (Creation::Again(spec), Some(existing)) => {
                    self.again(request, existing, &spec).await.map(|()| Phase::Started)
                }
                (_, None) => return Ok(Answer::failed("creating analysis")),
            };
            match done {
                Ok(phase) => {
                    info!(analysis = %id, ?phase, "analysis asked for");
                    return Ok(created(id, phase));
                }
                // Somebody wrote it between reading and writing.
                Err(problem) if problem.may_be_outdated() && tries < TRIES => {}
                Err(problem) => return Err(problem),
            }
        }
    }

    async fn first(&self, request: &CreateRequest, spec: &AnalysisSpec) -> Result<(), ClusterProblem> {
        let place = self.place(request.analysis.to_string());
        self.cluster.store(Kind::Analysis, &place, &object(request, self.namespace, spec)).await?;
        match self.read(request.analysis).await? {
            Some(owner) => self.apply_secrets(request, &owner).await,
            // Deleted again by somebody else, and what would belong to it is not made.
            None => Ok(()),
        }
    }

    /// A new run gets the credentials of its own request, before it begins.
    async fn again(
        &self,
        request: &CreateRequest,
        existing: &AnalysisObject,
        spec: &AnalysisSpec,
    ) -> Result<(), ClusterProblem> {
        self.apply_secrets(request, existing).await?;
        let patch = Patch(vec![
            PatchOperation::Test(TestOperation {
                path: at(&["metadata", "resourceVersion"]),
                value: json!(existing.resource_version),
            }),
            PatchOperation::Add(AddOperation { path: at(&["spec"]), value: json!(spec) }),
        ]);
        self.cluster.change(Kind::Analysis, &self.place(existing.id.to_string()), patch).await.map(drop)
    }

    async fn apply_secrets(&self, request: &CreateRequest, owner: &AnalysisObject) -> Result<(), ClusterProblem> {
        let [pull, token] = secrets(request, owner);
        try_join(self.apply(pull), self.apply(token)).await.map(drop)
    }

    async fn apply(&self, secret: Value) -> Result<(), ClusterProblem> {
        self.cluster.apply(Kind::Secret, &self.place(name(&secret)), &secret).await.map(drop)
    }

    /// Makes the Secrets of one that was made without them, because whoever made it ended in between.
    async fn complete(&self, request: &CreateRequest, owner: &AnalysisObject) -> Result<(), ClusterProblem> {
        let [pull, token] = secrets(request, owner);
        try_join(self.make(pull), self.make(token)).await.map(drop)
    }

    async fn make(&self, secret: Value) -> Result<(), ClusterProblem> {
        match self.cluster.store(Kind::Secret, &self.place(name(&secret)), &secret).await {
            Err(problem) if problem.is_there_already() => Ok(()),
            done => done,
        }
    }

    /// How analyses are.
    pub(super) async fn status(&self, which: Which) -> Result<Answer, ClusterProblem> {
        Ok(Answer::ok(view::status(&self.analyses(which).await?)))
    }

    /// The names of analyses' pods.
    pub(super) async fn pods(&self, which: Which) -> Result<Answer, ClusterProblem> {
        let (analyses, names) = try_join(self.analyses(which), self.pod_names(which)).await?;
        Ok(Answer::ok(view::pods(which, &analyses, &names)))
    }

    /// What analyses that execute and their gateways write.
    pub(super) async fn logs(&self, which: Which) -> Result<Answer, ClusterProblem> {
        let (mut analyses, names) = try_join(self.analyses(which), self.pod_names(which)).await?;
        analyses.retain(|analysis| view::present(analysis) == Phase::Executing);
        let most = (LONGEST_ANSWER / analyses.len().max(1) / 2).min(LONGEST_LOG);
        let each = analyses.iter().map(|analysis| self.logs_of_both(analysis, &names, most));
        Ok(Answer::ok(view::logs(&join_all(each).await.into_iter().collect())))
    }

    async fn logs_of_both(
        &self,
        analysis: &AnalysisObject,
        names: &Names,
        most: usize,
    ) -> (AnalysisId, [Vec<String>; 2]) {
        let app = view::app(analysis);
        let secrets = match Secrets::read(self.cluster, self.namespace, analysis.id).await {
            Ok(secrets) => secrets,
            Err(problem) => {
                warn!(analysis = %analysis.id, problem, "without knowing its secrets no log is told");
                return (analysis.id, [Vec::new(), Vec::new()]);
            }
        };
        let own = self.logs_of(&app, names, most, &secrets).await;
        (analysis.id, [own, self.logs_of(&gateway_app(&app), names, most, &secrets).await])
    }

    /// The logs of an app's pods; one that cannot be read is left out, so that it keeps nobody from the others.
    async fn logs_of(&self, app: &str, names: &Names, most: usize, secrets: &Secrets) -> Vec<String> {
        let mut texts = Vec::new();
        for pod in names.get(app).into_iter().flatten() {
            match self.cluster.log(&self.place(pod.clone()), app, LogBounds { head: 0, tail: most }).await {
                Ok(text) => texts.extend(text.map(|text| secrets.clean_log(&text))),
                Err(problem) => warn!(pod, problem = %whole(&problem), "a pod's log cannot be read"),
            }
        }
        texts
    }

    /// Ends analyses.
    pub(super) async fn stop(&self, which: Which) -> Result<Answer, ClusterProblem> {
        let analyses = self.analyses(which).await?;
        let stop = analyses.iter().filter(|one| one.spec.state != WantedState::Stopped && !one.deleting);
        self.each(stop, Write::Stop).await?;
        Ok(Answer::ok(view::stopped(&analyses)))
    }

    /// Deletes analyses; the controller takes away what belongs to them.
    pub(super) async fn delete(&self, which: Which) -> Result<Answer, ClusterProblem> {
        let analyses = self.delete_objects(which).await?;
        Ok(Answer::ok(view::deleted(&analyses)))
    }

    /// What analyses that have ended and their gateways wrote; nothing without an archive.
    pub(super) async fn history(&self, archive: Option<&Archive>, which: Which) -> Result<Answer, ClusterProblem> {
        let Some(archive) = archive else { return Ok(Answer::ok(view::logs(&BTreeMap::new()))) };
        let analyses = self.analyses(which).await?;
        match history(archive, &analyses).await {
            Ok(texts) => Ok(Answer::ok(view::logs(&texts.into_iter().collect()))),
            Err(problem) => {
                warn!(problem = %whole(&problem), "the archive does not tell");
                Ok(Answer::failed(Operation::History.doing(which == Which::All)))
            }
        }
    }

    /// Stores what an analysis says of itself, where the controller sees it.
    pub(super) async fn report(&self, analysis: &AnalysisObject, report: Report) -> Result<(), ClusterProblem> {
        let id = analysis.id.to_string();
        let object = json!({
            "apiVersion": "flamewarden.dev/v1alpha1", "kind": "Analysis",
            // Of this object, and of none that was made under its name since.
            "metadata": {"name": id, "namespace": self.namespace, "uid": analysis.uid},
            "status": {"reported": report},
        });
        match self.cluster.apply_status(Kind::Analysis, &self.place(id), &object).await {
            Err(problem) if !problem.is_gone() => Err(problem),
            _ => Ok(()),
        }
    }

    /// Deletes analyses and gives those that go.
    pub(super) async fn delete_objects(&self, which: Which) -> Result<Vec<AnalysisObject>, ClusterProblem> {
        let analyses = self.analyses(which).await?;
        self.each(analyses.iter(), Write::Delete).await?;
        Ok(analyses)
    }

    /// Does something with each, side by side; one that is gone in the meantime is done. All are tried before a problem
    /// is told.
    async fn each<'o>(
        &self,
        analyses: impl Iterator<Item = &'o AnalysisObject>,
        write: Write,
    ) -> Result<(), ClusterProblem> {
        let done = join_all(analyses.map(|analysis| self.write(analysis, write))).await;
        let problem = done.into_iter().filter_map(Result::err).find(|problem| !problem.is_gone());
        problem.map_or(Ok(()), Err)
    }

    async fn write(&self, analysis: &AnalysisObject, write: Write) -> Result<(), ClusterProblem> {
        let place = self.place(analysis.id.to_string());
        match write {
            Write::Delete => self.cluster.delete(Kind::Analysis, &place, &analysis.uid).await?,
            Write::Stop => {
                let value = json!(WantedState::Stopped);
                let patch = Patch(vec![PatchOperation::Add(AddOperation { path: at(&["spec", "state"]), value })]);
                self.cluster.change(Kind::Analysis, &place, patch).await?;
            }
        }
        info!(analysis = %analysis.id, ?write, "done as asked");
        Ok(())
    }

    /// Analyses as they are stored.
    pub(super) async fn analyses(&self, which: Which) -> Result<Vec<AnalysisObject>, ClusterProblem> {
        if let Which::One(id) = which {
            return Ok(self.read(id).await?.into_iter().collect());
        }
        let mut analyses = Vec::new();
        let take = |text: &[u8]| analyses.extend(read(text));
        self.cluster.each(Kind::Analysis, self.namespace, "", take).await?;
        Ok(analyses)
    }

    /// One analysis.
    pub(super) async fn read(&self, id: AnalysisId) -> Result<Option<AnalysisObject>, ClusterProblem> {
        let text = self.cluster.read(Kind::Analysis, &self.place(id.to_string())).await?;
        text.map(|text| read(text.as_bytes()).ok_or(ClusterProblem::Shape(id.to_string()))).transpose()
    }

    /// Names of pods by their label `app`.
    async fn pod_names(&self, which: Which) -> Result<Names, ClusterProblem> {
        let selector = match which {
            Which::All => labels::ANALYSIS.to_owned(),
            Which::One(id) => format!("{}={id}", labels::ANALYSIS),
        };
        let list = List { kind: Kind::Pod, namespace: self.namespace, labels: &selector, fields: "" };
        let mut names = Names::new();
        let take = |text: &[u8]| {
            let pod: Value = serde_json::from_slice(text).unwrap_or_default();
            let app = pod.pointer("/metadata/labels/app").and_then(Value::as_str);
            names.entry(app.unwrap_or_default().to_owned()).or_default().push(name(&pod));
        };
        self.cluster.each_part(list, &[&["metadata"]], take).await?;
        names.values_mut().for_each(|names| names.sort());
        Ok(names)
    }

    fn place(&self, name: String) -> Place {
        Place { namespace: self.namespace.to_owned(), name }
    }
}

fn read(text: &[u8]) -> Option<AnalysisObject> {
    AnalysisObject::read(&serde_json::from_slice(text).ok()?).ok()
}

fn name(object: &Value) -> String {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn at(keys: &[&str]) -> PointerBuf {
    PointerBuf::from_tokens(keys.iter().copied())
}

/// How often a request reads and writes an Analysis that others write too.
const TRIES: u8 = 4;
/// Of one pod's log.
const LONGEST_LOG: usize = 1 << 20;
/// Of all logs in one answer.
const LONGEST_ANSWER: usize = 16 << 20;
