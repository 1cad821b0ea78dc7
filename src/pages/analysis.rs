//! Edge: the page of one analysis: its pods, what they may reach, its images' verdicts, what was found and decided.

use std::collections::BTreeSet;

use askama::Template;
use tracing::warn;

use super::PageParts;
use super::analyses::{POD, phase};
use super::answer::Answer;
use super::decisions::{Row as Decision, of_analysis};
use super::findings::Row as Finding;
use super::frame::Frame;
use super::graph::{Graph, graph};
use super::look::Look;
use super::problem::PageProblem;
use crate::archive::{FindingFilter, Which};
use crate::cluster::{Kind, List};
use crate::isolation::{Opening, Reach, gateway_app, reach};
use crate::model::{FieldPath, Json, Keep, PodView, ScanOutcome, labels, one_line, parse};
use crate::report::Subject;
use crate::telemetry::whole;

#[derive(Template)]
#[template(path = "pages/analysis.html")]
struct Page {
    frame: Frame,
    app: String,
    namespace: String,
    /// What could not be looked at.
    problems: Vec<String>,
    pods: Vec<Pod>,
    findings: Vec<Finding>,
    /// How many are not shown.
    more: u64,
    decisions: Vec<Decision>,
}

/// One of its pods, or of its gateway's.
struct Pod {
    name: String,
    phase: String,
    images: Vec<Image>,
    /// Whether it has the node's network, which no policy holds.
    has_node_network: bool,
    /// What it may reach; none where not all policies were seen.
    graph: Option<Graph>,
}

struct Image {
    container: String,
    image: String,
    outcome: &'static str,
    passes: bool,
    ground: String,
}

pub(super) async fn page(
    parts: &PageParts,
    look: &Look,
    (namespace, app): (&str, &str),
) -> Result<Answer, PageProblem> {
    let policies = &look.policies;
    let is_one = policies.tenancy(namespace).is_some() && policies.analysis.guards.app.fits(app);
    if !is_one || !look.access.sees(namespace) {
        return Err(PageProblem::None);
    }
    let mut problems = Vec::new();
    let texts = pods(parts, (namespace, app), &mut problems).await;
    let read: Vec<Json<'_>> = texts.iter().filter_map(|text| parse(text).ok()).collect();
    if read.len() < texts.len() {
        problems.push(format!("{} pods that cannot be read", texts.len() - read.len()));
    }
    let reaches = reaches(parts, namespace, &read, &mut problems).await;
    let pods = read.iter().enumerate().map(|(place, pod)| {
        let drawn = reaches.as_ref().and_then(|reaches| reaches.get(place)).map(|reach| graph(place, reach));
        told(parts, look, pod, drawn)
    });
    let pods: Vec<Pod> = pods.collect();
    let filter = FindingFilter {
        which: Which::Standing,
        namespace: Some(namespace.to_owned()),
        text: Some(app.to_owned()),
        within: look.access.within.clone(),
        ..FindingFilter::default()
    };
    let found = parts.archive.findings(Subject::Cluster, filter, 0, FINDINGS).await?;
    let page = Page {
        frame: look.frame.clone(),
        app: one_line(app, LONGEST),
        namespace: namespace.to_owned(),
        problems,
        pods,
        more: found.total.saturating_sub(u64::try_from(found.findings.len()).unwrap_or_default()),
        findings: found.findings.iter().map(Finding::of).collect(),
        decisions: of_analysis(parts, look, (namespace, app)).await?,
    };
    Ok(Answer::page(200, page.render()?))
}

/// The texts of its pods and its gateway's.
async fn pods(parts: &PageParts, (namespace, app): (&str, &str), problems: &mut Vec<String>) -> Vec<Vec<u8>> {
    let labels = format!("{} in ({app},{})", labels::APP, gateway_app(app));
    let (mut texts, mut more) = (Vec::new(), 0_usize);
    let take = |text: &[u8]| if texts.len() < PODS { texts.push(text.to_vec()) } else { more += 1 };
    if let Err(problem) =
        parts.cluster.each_paged(List { kind: Kind::Pod, namespace, labels: &labels, fields: "" }, POD, take).await
    {
        warn!(problem = %whole(&problem), namespace, "a page cannot list pods");
        problems.push(NO_PODS.to_owned());
    }
    if more > 0 {
        problems.push(format!("{more} more pods, of which nothing is shown"));
    }
    texts
}

/// What the namespace's policies let through for each pod; none where not all of them were seen.
async fn reaches(
    parts: &PageParts,
    namespace: &str,
    pods: &[Json<'_>],
    problems: &mut Vec<String>,
) -> Option<Vec<Reach>> {
    let nothing = || Reach { isolated: BTreeSet::new(), openings: Vec::new() };
    let mut reaches: Vec<Reach> = pods.iter().map(|_| nothing()).collect();
    let (mut unread, mut held) = (0_usize, 0_usize);
    let take = |text: &[u8]| {
        // Whoever writes policies decides how many they are, and how long.
        if held > HELD {
            return;
        }
        let Ok(policy) = parse(text) else {
            unread += 1;
            return;
        };
        let policy = [policy];
        for (pod, known) in pods.iter().zip(&mut reaches) {
            let Reach { isolated, openings } = reach(&policy, &PodView::new(pod, FieldPath::default()));
            held += openings.iter().map(size).sum::<usize>();
            known.isolated.extend(isolated);
            known.openings.extend(openings);
        }
    };
    let list = List { kind: Kind::NetworkPolicy, namespace, labels: "", fields: "" };
    let read = parts.cluster.each_paged(list, POLICY, take).await;
    if let Err(problem) = &read {
        warn!(problem = %whole(problem), namespace, "a page cannot list network policies");
        problems.push(NO_POLICIES.to_owned());
    }
    if unread > 0 {
        problems.push(format!("{unread} NetworkPolicies that cannot be read"));
    }
    if held > HELD {
        problems.push(TOO_OPEN.to_owned());
    }
    (read.is_ok() && unread == 0 && held <= HELD).then_some(reaches)
}

/// What an opening takes, roughly.
fn size(opening: &Opening) -> usize {
    opening.peers.iter().chain(&opening.ports).map(|text| text.len() + 32).sum::<usize>() + opening.policy.len() + 128
}

fn told(parts: &PageParts, look: &Look, pod: &Json<'_>, graph: Option<Graph>) -> Pod {
    let view = PodView::new(pod, FieldPath::default());
    let name = one_line(pod.text_at(&["metadata", "name"]).unwrap_or_default(), LONGEST);
    let profile = look.policies.profile_of(&view);
    let scans = parts.scans.read();
    let images = view.containers().map(|container| {
        let image = container.at(&["image"]).and_then(Json::text).unwrap_or_default();
        let (outcome, ground) = profile
            .map_or((ScanOutcome::NoResult, None), |profile| scans.of_image(image, profile.scan_hash(), look.now));
        Image {
            container: one_line(container.name(), LONGEST),
            image: one_line(image, LONGEST),
            outcome: outcome.words(),
            passes: matches!(outcome, ScanOutcome::Pass | ScanOutcome::Excepted),
            ground: one_line(ground.unwrap_or_default(), LONGEST),
        }
    });
    let images = images.collect();
    let has_node_network = view.spec("hostNetwork").and_then(Json::boolean).unwrap_or_default();
    Pod { phase: phase(pod), images, has_node_network, graph: graph.filter(|_| !has_node_network), name }
}

/// Of a policy, what says whom it lets through.
const POLICY: Keep = &[&["metadata", "name"], &["metadata", "namespace"], &["spec"]];
/// None of those that have a place in the frame.
const HERE: &str = "/analyses";
const NO_PODS: &str = "its pods cannot be listed now; the controller's log says why";
const NO_POLICIES: &str =
    "network policies cannot be listed now, so nobody knows what it may reach; the controller's log says why";
const TOO_OPEN: &str = "what network policies open is more than can be shown here; the findings say what is too much";
const PODS: usize = 10;
const HELD: usize = 2 << 20;
const FINDINGS: u32 = 100;
const LONGEST: usize = 500;
