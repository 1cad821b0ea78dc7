//! Edge: the page of what was found, by a filter that lives in its address.

use askama::Template;

use super::PageParts;
use super::answer::Answer;
use super::frame::Frame;
use super::look::Look;
use super::problem::PageProblem;
use super::query::{CLUSTER, finding_filter};
use crate::archive::{FoundPage, KnownFinding, Which};
use crate::model::{Severity, moment, one_line};
use crate::report::{Form, Subject};

#[derive(Template)]
#[template(path = "pages/findings.html")]
struct Page {
    frame: Frame,
    filter: Shown,
    /// What may stand in the filter.
    rules: Vec<String>,
    namespaces: Vec<String>,
    total: u64,
    /// Of how many pages which, from 1.
    pages: (u64, u64),
    before: Option<String>,
    after: Option<String>,
    rows: Vec<Row>,
    /// Downloads: what is added to the address, and the form's name.
    files: Vec<(String, &'static str)>,
}

/// The filter as the form shows it.
struct Shown {
    severity: String,
    rule: String,
    namespace: String,
    kind: String,
    text: String,
    all: bool,
    /// Which run's, where it is one's.
    run: Option<(&'static str, String)>,
}

/// One finding.
pub(super) struct Row {
    pub(super) severity: Severity,
    pub(super) rule: String,
    pub(super) object: String,
    pub(super) path: String,
    pub(super) value: String,
    pub(super) message: String,
    pub(super) remedy: String,
    pub(super) outcome: &'static str,
    pub(super) first_seen: [String; 2],
    pub(super) since: [String; 2],
    pub(super) last_seen: [String; 2],
    pub(super) fixed: Option<[String; 2]>,
}

impl Row {
    pub(super) fn of(finding: &KnownFinding) -> Self {
        let shown = |text: &str| one_line(text, LONGEST);
        Row {
            severity: finding.severity,
            rule: shown(&finding.rule),
            object: shown(&finding.object.to_string()),
            path: shown(&finding.path),
            value: shown(&finding.value),
            message: shown(&finding.message),
            remedy: shown(&finding.remedy),
            outcome: finding.outcome.words(),
            first_seen: moment(&finding.first_seen),
            since: moment(&finding.since),
            last_seen: moment(&finding.last_seen),
            fixed: finding.fixed.as_ref().map(moment),
        }
    }
}

pub(super) async fn page(parts: &PageParts, look: &Look) -> Result<Answer, PageProblem> {
    let (query, access) = (&look.query, &look.access);
    let filter = finding_filter(query, access);
    let which = filter.which;
    let number = query.number("page", 1, MOST_PAGES).max(1);
    let from = (number - 1).saturating_mul(ROWS);
    let FoundPage { total, findings } = parts.archive.findings(Subject::Cluster, filter, from, ROWS).await?;
    let counts = parts.archive.finding_counts(Subject::Cluster, access.within.clone()).await?;
    let mut rules: Vec<String> = counts.iter().map(|one| one_line(&one.rule, LONGEST)).collect();
    let mut namespaces: Vec<String> = counts.into_iter().map(|one| called(one.namespace)).collect();
    for names in [&mut rules, &mut namespaces] {
        names.sort();
        names.dedup();
    }
    let pages = total.div_ceil(u64::from(ROWS)).max(1);
    let to = |page: u32| format!("/findings{}", query.with("page", &page.to_string()));
    let page = Page {
        frame: look.frame.clone(),
        filter: shown(look, which),
        rules,
        namespaces,
        total,
        pages: (u64::from(number), pages),
        before: (number > 1).then(|| to(number - 1)),
        after: (u64::from(number) < pages).then(|| to(number + 1)),
        rows: findings.iter().map(Row::of).collect(),
        files: Form::ALL
            .iter()
            .map(|(_, name, _)| (format!("/report/{name}{}", query.without(&["page"])), *name))
            .collect(),
    };
    Ok(Answer::page(200, page.render()?))
}

fn shown(look: &Look, which: Which) -> Shown {
    let said = |name: &str| one_line(look.query.get(name), LONGEST);
    Shown {
        severity: said("severity"),
        rule: said("rule"),
        namespace: said("namespace"),
        kind: said("kind"),
        text: said("text"),
        all: which == Which::Standing,
        run: match which {
            Which::NewIn(run) => Some(("new", run.to_string())),
            Which::FixedIn(run) => Some(("fixed", run.to_string())),
            Which::Failing | Which::Standing => None,
        },
    }
}

/// As the address calls a namespace.
fn called(namespace: String) -> String {
    if namespace.is_empty() { CLUSTER.to_owned() } else { namespace }
}

const HERE: &str = "/findings";
const ROWS: u32 = 50;
const MOST_PAGES: u32 = 100_000;
const LONGEST: usize = 2000;
