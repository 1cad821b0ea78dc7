//! Edge: the page of what the webhook decided, as it happens.

use askama::Template;
use serde::Serialize;

use super::PageParts;
use super::answer::Answer;
use super::frame::Frame;
use super::look::Look;
use super::problem::PageProblem;
use super::query::Query;
use crate::archive::{DecisionFilter, KeptDecision, Told};
use crate::model::{Decision, Outcome, moment, one_line};

#[derive(Template)]
#[template(path = "pages/decisions.html")]
struct Page {
    frame: Frame,
    outcome: String,
    analysis: String,
    rule: String,
    user: String,
    text: String,
    rows: Vec<Row>,
    /// Where the script asks for what comes next; only where the newest are shown.
    next: Option<String>,
    /// The number of the newest entry.
    newest: i64,
    before: Option<String>,
}

/// One entry, as page and script show it.
#[derive(Serialize)]
pub(super) struct Row {
    pub(super) number: i64,
    pub(super) time: [String; 2],
    pub(super) outcome: &'static str,
    /// Operation, resource, namespace and name.
    pub(super) what: String,
    pub(super) user: String,
    pub(super) rules: String,
    /// What else is to be known of it.
    pub(super) notes: String,
}

impl Row {
    pub(super) fn of(kept: &KeptDecision) -> Self {
        let shown = |text: &str| one_line(text, LONGEST);
        let written = kept.written.as_ref().map(moment).unwrap_or_default();
        let empty = Row {
            number: kept.number,
            time: written,
            outcome: "",
            what: String::new(),
            user: String::new(),
            rules: String::new(),
            notes: String::new(),
        };
        match &kept.told {
            Told::Decision { decision, .. } => Row {
                time: moment(&decision.time),
                outcome: decision.outcome.word(),
                what: shown(&what(decision)),
                user: shown(&decision.user),
                rules: shown(&decision.rules.join(", ")),
                notes: if decision.checked { String::new() } else { UNCHECKED.to_owned() },
                ..empty
            },
            Told::Gap { reason, count } => {
                let count = count.map_or_else(|| "an unknown number".to_owned(), |count| count.to_string());
                Row { outcome: "lost", notes: shown(&format!("{count} are lost: {reason}")), ..empty }
            }
            Told::Unreadable => Row { outcome: "unreadable", notes: CHANGED.to_owned(), ..empty },
        }
    }
}

pub(super) async fn page(parts: &PageParts, look: &Look) -> Result<Answer, PageProblem> {
    let query = &look.query;
    let before = query.get("before").parse().ok();
    let kept = parts.archive.decisions(DecisionFilter { before, ..filter(look) }, ROWS).await?;
    let rows: Vec<Row> = kept.iter().map(Row::of).collect();
    let said = |name: &str| one_line(query.get(name), LONGEST);
    let last = rows.last().map(|row| row.number.to_string());
    let is_full = rows.len() >= usize::try_from(ROWS).unwrap_or_default();
    let page = Page {
        frame: look.frame.clone(),
        outcome: said("outcome"),
        analysis: said("analysis"),
        rule: said("rule"),
        user: said("user"),
        text: said("text"),
        next: before.is_none().then(|| format!("/decisions/new{}", query.without(&["after", "before"]))),
        newest: rows.first().map_or(0, |row| row.number),
        before: last.filter(|_| is_full).map(|last| format!("/decisions{}", query.with("before", &last))),
        rows,
    };
    Ok(Answer::page(200, page.render()?))
}

/// What has come since the entry with the number `after`, the newest first, and whether there is more than that.
#[derive(Serialize)]
struct New {
    rows: Vec<Row>,
    more: bool,
}

pub(super) async fn new(parts: &PageParts, look: &Look) -> Result<Answer, PageProblem> {
    let after: i64 = look.query.get("after").parse().unwrap_or(i64::MAX);
    let kept = parts.archive.decisions(filter(look), ROWS).await?;
    let rows: Vec<Row> = kept.iter().filter(|one| one.number > after).map(Row::of).collect();
    let more = rows.len() >= usize::try_from(ROWS).unwrap_or_default();
    Ok(Answer::json(serde_json::to_string(&New { rows, more })?))
}

/// Those of one analysis.
pub(super) async fn of_analysis(parts: &PageParts, look: &Look, place: (&str, &str)) -> Result<Vec<Row>, PageProblem> {
    let (namespace, app) = place;
    let filter = DecisionFilter {
        namespaces: Some(vec![namespace.to_owned()]),
        analysis: Some(app.to_owned()),
        ..filter_of(&Query::default(), look)
    };
    Ok(parts.archive.decisions(filter, ROWS).await?.iter().map(Row::of).collect())
}

fn filter(look: &Look) -> DecisionFilter {
    filter_of(&look.query, look)
}

fn filter_of(query: &Query, look: &Look) -> DecisionFilter {
    let said = |name: &str| Some(query.get(name).to_owned()).filter(|value| !value.is_empty());
    let outcome = Outcome::ALL.iter().copied().filter(|outcome| outcome.word() == query.get("outcome"));
    DecisionFilter {
        namespaces: look.access.within.as_ref().map(|within| within.iter().cloned().collect()),
        analysis: said("analysis"),
        outcomes: outcome.collect(),
        rule: said("rule"),
        user: said("user"),
        text: said("text"),
        before: None,
    }
}

fn what(decision: &Decision) -> String {
    let Decision { operation, resource, namespace, name, .. } = decision;
    let place = if namespace.is_empty() { name.clone() } else { format!("{namespace}/{name}") };
    format!("{operation} {resource} {place}")
}

const HERE: &str = "/decisions";
const UNCHECKED: &str = "who asked showed no client certificate: anybody may have made this up";
const CHANGED: &str = "the entry is not what was written; run `flamewarden audit verify`";
const ROWS: u32 = 100;
const LONGEST: usize = 500;
