//! Which call a method and a path mean.

use super::answer::Answer;
use crate::model::AnalysisId;

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// Run an analysis.
    Create,
    /// How analyses are.
    Status,
    /// What they write now.
    Logs,
    /// What they have written.
    History,
    /// Names of their pods.
    Pods,
    /// End them.
    Stop,
    /// Forget them.
    Delete,
    /// Put things in order.
    Cleanup,
    /// A line that an analysis writes.
    StreamLogs,
    /// Whether the API answers.
    Healthz,
}

/// A call, and what stands behind the operation in its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Route<'a> {
    /// What is asked.
    pub(super) operation: Operation,
    /// The last part of the path, as it was sent.
    pub(super) rest: Option<&'a str>,
}

/// Which analyses a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// All.
    All,
    /// One.
    One(AnalysisId),
}

/// Whether something stands behind the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing.
    Never,
    /// The id of an analysis, or nothing: all of them are meant then.
    Maybe,
    /// What is to be cleaned up.
    Always,
}

/// A row of the table of routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    name: &'static str,
    /// The one method that is right.
    pub(super) method: &'static str,
    /// What is asked.
    pub(super) operation: Operation,
    /// What stands behind it.
    pub(super) rest: Rest,
}

impl Row {
    /// Its path without what stands behind the operation.
    pub(super) fn path(&self) -> String {
        format!("{BASE}/{}", self.name).trim_end_matches('/').to_owned()
    }
}

/// The call, or the answer that there is none. A slash at the end changes nothing.
pub(super) fn route<'a>(method: &str, path: &'a str) -> Result<Route<'a>, Answer> {
    let below = path.strip_prefix(BASE).filter(|below| !below.contains("//")).ok_or_else(Answer::not_found)?;
    let below = match below.strip_prefix('/') {
        Some(below) => below,
        None if below.is_empty() => "",
        None => return Err(Answer::not_found()),
    };
    let below = below.strip_suffix('/').unwrap_or(below);
    let (name, rest) = below.split_once('/').map_or((below, None), |(name, rest)| (name, Some(rest)));
    if rest.is_some_and(|rest| rest.contains('/')) {
        return Err(Answer::not_found());
    }
    let row = ROUTES.iter().find(|row| row.name == name).ok_or_else(Answer::not_found)?;
    match (row.rest, rest) {
        (Rest::Never, Some(_)) | (Rest::Always, None) => Err(Answer::not_found()),
        _ if row.method != method => Err(Answer::method_not_allowed(row.method)),
        _ => Ok(Route { operation: row.operation, rest }),
    }
}

impl Route<'_> {
    /// Which analyses are meant.
    pub(super) fn which(&self) -> Result<Which, Answer> {
        let Some(rest) = self.rest else { return Ok(Which::All) };
        rest.parse().map(Which::One).map_err(|_| Answer::no_id(rest))
    }
}

impl Operation {
    /// What FLAME says that failed, where it did.
    pub(super) fn doing(self, all: bool) -> &'static str {
        match (self, all) {
            (Operation::Create, _) => "creating analysis",
            (Operation::Status, true) => "retrieving ALL status data",
            (Operation::Status, false) => "retrieving status data",
            (Operation::Logs, true) => "retrieving ALL logs data",
            (Operation::Logs, false) => "retrieving logs data",
            (Operation::History, true) => "retrieving ALL history data",
            (Operation::History, false) => "retrieving history data",
            (Operation::Pods, true) => "retrieving ALL pod names",
            (Operation::Pods, false) => "retrieving pod name",
            (Operation::Stop, true) => "stopping ALL analyzes",
            (Operation::Stop, false) => "stopping analysis",
            (Operation::Delete, true) => "deleting ALL analyzes",
            (Operation::Delete, false) => "deleting analysis",
            (Operation::Cleanup, _) => "cleaning up",
            (Operation::StreamLogs, _) => "streaming logs",
            (Operation::Healthz, _) => "answering",
        }
    }
}

const BASE: &str = "/po";
/// Every route; the document is made of the same rows.
pub(super) const ROUTES: &[Row] = &[
    row("", "POST", Operation::Create, Rest::Never),
    row("status", "GET", Operation::Status, Rest::Maybe),
    row("logs", "GET", Operation::Logs, Rest::Maybe),
    row("history", "GET", Operation::History, Rest::Maybe),
    row("pods", "GET", Operation::Pods, Rest::Maybe),
    row("stop", "PUT", Operation::Stop, Rest::Maybe),
    row("delete", "DELETE", Operation::Delete, Rest::Maybe),
    row("cleanup", "DELETE", Operation::Cleanup, Rest::Always),
    row("stream_logs", "POST", Operation::StreamLogs, Rest::Never),
    row("healthz", "GET", Operation::Healthz, Rest::Never),
];

const fn row(name: &'static str, method: &'static str, operation: Operation, rest: Rest) -> Row {
    Row { name, method, operation, rest }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f";

    #[test]
    fn every_route_of_flame_is_there_and_no_other() {
        let to = |operation, rest| Ok(Route { operation, rest });
        let (absent, wrong) = (Err(Answer::not_found()), |right| Err(Answer::method_not_allowed(right)));
        for (method, path, want) in [
            ("POST", "/po", to(Operation::Create, None)),
            ("POST", "/po/", to(Operation::Create, None)),
            ("GET", "/po/status", to(Operation::Status, None)),
            ("GET", "/po/status/", to(Operation::Status, None)),
            ("GET", "/po/status/x", to(Operation::Status, Some("x"))),
            ("GET", "/po/logs", to(Operation::Logs, None)),
            ("GET", "/po/logs/x", to(Operation::Logs, Some("x"))),
            ("GET", "/po/history", to(Operation::History, None)),
            ("GET", "/po/history/x", to(Operation::History, Some("x"))),
            ("GET", "/po/pods", to(Operation::Pods, None)),
            ("GET", "/po/pods/x", to(Operation::Pods, Some("x"))),
            ("PUT", "/po/stop", to(Operation::Stop, None)),
            ("PUT", "/po/stop/x", to(Operation::Stop, Some("x"))),
            ("DELETE", "/po/delete", to(Operation::Delete, None)),
            ("DELETE", "/po/delete/x", to(Operation::Delete, Some("x"))),
            ("DELETE", "/po/cleanup/all,rs", to(Operation::Cleanup, Some("all,rs"))),
            ("POST", "/po/stream_logs", to(Operation::StreamLogs, None)),
            ("GET", "/po/healthz", to(Operation::Healthz, None)),
            ("GET", "/po", wrong("POST")),
            ("HEAD", "/po/status", wrong("GET")),
            ("post", "/po", wrong("POST")),
            ("POST", "/po/delete/x", wrong("DELETE")),
            ("POST", "/po/stop", wrong("PUT")),
            ("DELETE", "/po/cleanup", absent.clone()),
            ("GET", "/", absent.clone()),
            ("GET", "", absent.clone()),
            ("POST", "/pox", absent.clone()),
            ("POST", "/PO", absent.clone()),
            ("POST", "//po", absent.clone()),
            ("POST", "/po//", absent.clone()),
            ("GET", "/po/status//", absent.clone()),
            ("GET", "/po/x/status", absent.clone()),
            ("GET", "/po/status/x/y", absent.clone()),
            ("POST", "/po/stream_logs/x", absent.clone()),
            ("GET", "/po/healthz/x", absent.clone()),
            ("GET", "/po/statusx", absent),
        ] {
            assert_eq!(route(method, path), want, "{method} {path}");
        }
    }

    #[test]
    fn an_id_is_read_in_any_case_and_nothing_else_is_one() {
        let upper = ID.to_uppercase();
        let id = Ok(Which::One(ID.parse().unwrap()));
        for (rest, want) in [
            (None, Ok(Which::All)),
            (Some(ID), id.clone()),
            (Some(upper.as_str()), id),
            (Some("x"), Err(Answer::no_id("x"))),
            (Some("..%2f"), Err(Answer::no_id("..%2f"))),
            (Some(&ID[1..]), Err(Answer::no_id(&ID[1..]))),
        ] {
            assert_eq!(Route { operation: Operation::Status, rest }.which(), want, "{rest:?}");
        }
    }
}
