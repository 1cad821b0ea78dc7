//! Edge: reads the analyses that run, and holds the objects of each against what its Analysis asks for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::auditor::rules::BUNDLE;
use crate::bundle::{Order, Services, differences, objects};
use crate::cluster::{Cluster, ClusterProblem, Kind, List};
use crate::facts::Place;
use crate::model::{AnalysisObject, FieldPath, Finding, Phase, Run, labels, parse};
use crate::policy::{Orchestrator, PolicySet};
use crate::report::{Object, Problem};
use crate::telemetry::whole;

/// What was found on the objects of analyses.
#[derive(Default)]
pub(super) struct Bundles {
    pub(super) judged: Vec<(Object, Vec<Finding>)>,
    pub(super) problems: Vec<Problem>,
}

/// Looks at every analysis that runs; at none where Flamewarden makes none.
pub(super) async fn look(cluster: &Cluster, policies: &PolicySet) -> Bundles {
    let Some(settings) = &policies.orchestrator else { return Bundles::default() };
    let mut found = Bundles::default();
    match read(cluster, settings).await {
        Ok(known) => judge(cluster, policies, settings, &known, &mut found).await,
        Err(problem) => found.problems.push(Problem::of_cluster(whole(&problem))),
    }
    found
}

/// What is there.
#[derive(Default)]
struct Known {
    analyses: Vec<Value>,
    services: Services,
    /// The objects that bear the label of an analysis.
    stored: BTreeMap<(Kind, String), Value>,
    /// Kinds of objects that cannot be read, each as often as there are such.
    unread: Vec<Kind>,
}

async fn read(cluster: &Cluster, settings: &Orchestrator) -> Result<Known, ClusterProblem> {
    let namespace = settings.namespace.as_str();
    let mut known = Known::default();
    let mut values = |text: &[u8]| match parse(text) {
        Ok(object) => known.analyses.push(object.to_value()),
        Err(_) => known.unread.push(Kind::Analysis),
    };
    cluster.each_paged(List { kind: Kind::Analysis, namespace, labels: "", fields: "" }, &[&[]], &mut values).await?;
    let upstreams = settings.upstreams.each().into_values().filter_map(|upstream| upstream.namespace.as_deref());
    for namespace in upstreams.chain([namespace]).collect::<BTreeSet<&str>>() {
        let learn = |text: &[u8]| match parse(text) {
            Ok(service) => drop(known.services.learn(&service.to_value())),
            Err(_) => known.unread.push(Kind::Service),
        };
        cluster.each_paged(List { kind: Kind::Service, namespace, labels: "", fields: "" }, &[&[]], learn).await?;
    }
    for kind in PARTS {
        let keep = |text: &[u8]| {
            let Ok(object) = parse(text) else { return known.unread.push(*kind) };
            let name = object.text_at(&["metadata", "name"]).unwrap_or_default().to_owned();
            known.stored.insert((*kind, name), object.to_value());
        };
        cluster.each_paged(List { kind: *kind, namespace, labels: labels::ANALYSIS, fields: "" }, &[&[]], keep).await?;
    }
    Ok(known)
}

async fn judge(cluster: &Cluster, policies: &PolicySet, settings: &Orchestrator, known: &Known, found: &mut Bundles) {
    let unread = known.unread.iter().map(|kind| format!("a {kind:?} of {} cannot be read", settings.namespace));
    found.problems.extend(unread.map(Problem::of_cluster));
    let mut seen = BTreeSet::new();
    for analysis in &known.analyses {
        let analysis = match AnalysisObject::read(analysis) {
            Ok(analysis) => analysis,
            Err(problem) => {
                found.problems.push(Problem::of_cluster(format!("an Analysis of {}: {problem}", settings.namespace)));
                continue;
            }
        };
        // Before and after, some of its objects are not there yet or any more.
        if analysis.deleting || !matches!(analysis.status.phase, Some(Phase::Started | Phase::Executing)) {
            continue;
        }
        let order = Order {
            run: Run { analysis: analysis.id, number: analysis.status.run },
            project: analysis.spec.project_id,
            image: &analysis.spec.image,
            policies,
            settings,
            services: &known.services,
        };
        let wanted = match objects(&order) {
            Ok(wanted) => wanted,
            Err(problems) => {
                let why = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                found.problems.push(Problem::of_cluster(format!("Analysis {}: {why}", analysis.id)));
                continue;
            }
        };
        for wanted in wanted {
            let object = named(&wanted);
            // Some objects belong to all analyses.
            if !seen.insert(object.clone()) {
                continue;
            }
            match stored(cluster, known, &object).await {
                Ok(stored) => found.judged.push((object, held(stored.as_ref(), &wanted))),
                Err(problem) => found.problems.push(Problem::of_cluster(whole(&problem))),
            }
        }
    }
}

/// The object as it is stored: what bears no label of an analysis, or is missing, is asked for by its name.
async fn stored(cluster: &Cluster, known: &Known, object: &Object) -> Result<Option<Value>, ClusterProblem> {
    let Some(kind) = PARTS.iter().find(|kind| kind.type_names().1 == object.kind) else { return Ok(None) };
    if let Some(stored) = known.stored.get(&(*kind, object.name.clone())) {
        return Ok(Some(stored.clone()));
    }
    let place = Place { namespace: object.namespace.clone(), name: object.name.clone() };
    let text = cluster.read(*kind, &place).await?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// What an object says otherwise than its Analysis asks for.
fn held(stored: Option<&Value>, wanted: &Value) -> Vec<Finding> {
    let Some(stored) = stored else {
        let why = "it is not there; the controller makes it";
        return vec![BUNDLE.finds(FieldPath::of(&["metadata", "name"]), None, why)];
    };
    let findings = differences(stored, wanted).into_iter().map(|path| {
        let value = stored.pointer(&path.pointer()).map_or_else(|| "absent".to_owned(), Value::to_string);
        let why = "it is another than the Analysis asks for; the controller puts it right";
        Finding { value, ..BUNDLE.finds(path, None, why) }
    });
    findings.collect()
}

/// What names an object that is to be there.
pub(super) fn named(wanted: &Value) -> Object {
    let text = |pointer: &str| wanted.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    Object {
        api_version: text("/apiVersion"),
        kind: text("/kind"),
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name"),
        uid: String::new(),
    }
}

/// What a bundle is made of, but for its Secrets, which others write.
const PARTS: &[Kind] = &[Kind::Service, Kind::NetworkPolicy, Kind::ConfigMap, Kind::Deployment];
