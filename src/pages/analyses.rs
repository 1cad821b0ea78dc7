//! Edge: the page of the analyses that have pods now.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use askama::Template;
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tracing::warn;

use super::PageParts;
use super::answer::Answer;
use super::frame::Frame;
use super::look::Look;
use super::problem::PageProblem;
use crate::cluster::Kind;
use crate::cluster::List;
use crate::facts::Scans;
use crate::model::{FieldPath, Json, Keep, PodView, ScanOutcome, labels, one_line, parse};
use crate::policy::{PolicySet, Profile};
use crate::report::Subject;
use crate::telemetry::whole;

#[derive(Template)]
#[template(path = "pages/analyses.html")]
struct Page {
    frame: Frame,
    text: String,
    /// Namespaces that could not be listed, and why.
    problems: Vec<String>,
    /// Whether some are left out.
    is_cut: bool,
    rows: Vec<Row>,
}

struct Row {
    address: String,
    app: String,
    namespace: String,
    pods: usize,
    /// How they stand, with how many.
    phases: String,
    verdict: &'static str,
    failing: i64,
}

/// What is gathered of one analysis.
#[derive(Default)]
struct Gathered {
    names: Vec<String>,
    phases: BTreeMap<String, usize>,
    verdicts: BTreeSet<ScanOutcome>,
}

pub(super) async fn page(parts: &PageParts, look: &Look) -> Result<Answer, PageProblem> {
    let policies = &look.policies;
    let text = one_line(look.query.get("text"), LONGEST);
    let (mut gathered, mut problems, mut unread) = (BTreeMap::new(), Vec::new(), 0_usize);
    for namespace in policies.installation.namespaces.iter().map(|one| one.name.as_str()) {
        if !look.access.sees(namespace) {
            continue;
        }
        let list = List { kind: Kind::Pod, namespace, labels: labels::APP, fields: "" };
        let scans = &parts.scans;
        let take = |pod: &[u8]| {
            let Ok(pod) = parse(pod) else {
                unread += 1;
                return;
            };
            gather(&mut gathered, &pod, (namespace, policies), &|image, profile| {
                verdict(&scans.read(), image, profile, look.now)
            });
        };
        if let Err(problem) = parts.cluster.each_paged(list, POD, take).await {
            warn!(problem = %whole(&problem), namespace, "a page cannot list pods");
            problems.push(format!("pods of {namespace} cannot be listed now; the controller's log says why"));
        }
    }
    if unread > 0 {
        problems.push(format!("{unread} pods that cannot be read"));
    }
    let failing = parts.archive.failing_objects(Subject::Cluster, "Pod", look.access.within.clone()).await?;
    let failing = failing.into_iter().map(|(namespace, name, count)| ((namespace, name), count)).collect();
    let wanted = gathered.into_iter().filter(|((_, app), _)| app.contains(&text));
    let mut rows: Vec<Row> = wanted.map(|(place, gathered)| row(place, &gathered, &failing)).collect();
    let is_cut = rows.len() > ROWS;
    rows.truncate(ROWS);
    let page = Page { frame: look.frame.clone(), text, problems, is_cut, rows };
    Ok(Answer::page(200, page.render()?))
}

fn gather(
    gathered: &mut BTreeMap<(String, String), Gathered>,
    pod: &Json<'_>,
    (namespace, policies): (&str, &PolicySet),
    verdict: &dyn Fn(&str, &Profile) -> ScanOutcome,
) {
    let view = PodView::new(pod, FieldPath::default());
    let Some(profile) = policies.profile_of(&view) else { return };
    let app = view.label(labels::APP).unwrap_or_default();
    let app = profile.analysis_of(app).unwrap_or(app).to_owned();
    let one = gathered.entry((namespace.to_owned(), app)).or_default();
    one.names.push(pod.text_at(&["metadata", "name"]).unwrap_or_default().to_owned());
    *one.phases.entry(phase(pod)).or_default() += 1;
    let images = view.containers().filter_map(|container| container.at(&["image"]).and_then(Json::text));
    one.verdicts.extend(images.map(|image| verdict(image, profile)));
}

/// Its phase, or for what it waits.
pub(super) fn phase(pod: &Json<'_>) -> String {
    let gates = pod.at(&["spec", "schedulingGates"]).map(Json::items).unwrap_or_default();
    match gates.first().and_then(|gate| gate.text_at(&["name"])) {
        Some(gate) => one_line(&format!("waits behind {gate}"), LONGEST),
        None => one_line(pod.text_at(&["status", "phase"]).unwrap_or("unknown"), LONGEST),
    }
}

/// The answer on an image as a pod of this profile names it.
fn verdict(scans: &Scans, image: &str, profile: &Profile, now: Timestamp) -> ScanOutcome {
    scans.of_image(image, profile.scan_hash(), now).0
}

fn row((namespace, app): (String, String), gathered: &Gathered, failing: &HashMap<(String, String), i64>) -> Row {
    let count = |name: &String| failing.get(&(namespace.clone(), name.clone())).copied().unwrap_or_default();
    let phases = gathered.phases.iter().map(|(phase, count)| format!("{count} {phase}"));
    Row {
        address: format!("/analyses/{}/{}", in_path(&namespace), in_path(&app)),
        pods: gathered.names.len(),
        phases: phases.collect::<Vec<_>>().join(", "),
        // Outcomes are in the order in which they get worse.
        verdict: gathered.verdicts.last().map_or("", |outcome| outcome.words()),
        failing: gathered.names.iter().map(count).sum(),
        app: one_line(&app, LONGEST),
        namespace,
    }
}

/// A part of a path.
fn in_path(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Of a pod, what is told of it.
pub(super) const POD: Keep =
    &[&["metadata", "name"], &["metadata", "namespace"], &["metadata", "labels"], &["spec"], &["status", "phase"]];
const HERE: &str = "/analyses";
const ROWS: usize = 500;
const LONGEST: usize = 300;
