//! Edge: the page of what stands although a rule says otherwise: who answers for it, until when, and whether it is needed.

use askama::Template;

use super::PageParts;
use super::answer::Answer;
use super::frame::Frame;
use super::look::Look;
use super::overview::refused;
use super::problem::PageProblem;
use crate::model::{moment, one_line};
use crate::report::{ExceptionState, ExceptionUse, Subject};

#[derive(Template)]
#[template(path = "pages/exceptions.html")]
struct Page {
    frame: Frame,
    sees_all: bool,
    /// Why the policy files as they are now are not in force: an exception that is none is among the reasons.
    refused: Option<String>,
    made: Option<[String; 2]>,
    rows: Vec<Row>,
}

struct Row {
    state: &'static str,
    is_idle: bool,
    profile: String,
    from: String,
    covers: String,
    owner: String,
    reason: String,
    expires: [String; 2],
    findings: usize,
}

pub(super) async fn page(parts: &PageParts, look: &Look) -> Result<Answer, PageProblem> {
    let sees_all = look.access.sees_all();
    let last = match sees_all {
        true => parts.archive.last_report(Subject::Cluster).await?,
        false => None,
    };
    let mut rows: Vec<Row> = last.iter().flat_map(|last| &last.report.exceptions).map(row).collect();
    // Those that somebody should do something about come first.
    rows.sort_by_key(|row| !row.is_idle);
    let page = Page {
        frame: look.frame.clone(),
        sees_all,
        refused: if sees_all { refused(parts) } else { None },
        made: last.as_ref().map(|last| moment(&last.report.made)),
        rows,
    };
    Ok(Answer::page(200, page.render()?))
}

fn row(one: &ExceptionUse) -> Row {
    let shown = |text: &str| one_line(text, LONGEST);
    Row {
        state: one.state.word(),
        is_idle: matches!(one.state, ExceptionState::Expired | ExceptionState::Unused),
        profile: shown(&one.profile),
        from: shown(&one.from),
        covers: shown(&one.exception.covers),
        owner: shown(&one.exception.owner),
        reason: shown(&one.exception.reason),
        expires: moment(&one.exception.expires),
        findings: one.findings,
    }
}

const HERE: &str = "/exceptions";
const LONGEST: usize = 1000;
