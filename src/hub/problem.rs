//! What kept the Hub from doing what was asked, and at what.

use std::fmt;

use serde::Deserialize;

use crate::model::{AnalysisId, Secret};
use crate::remote::{Answer, RemoteProblem};
use crate::telemetry::printable;

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Our own token.
    LogIn,
    /// The node of our client.
    FindNode,
    /// This node's part in an analysis, and others'.
    FindParts(AnalysisId),
    /// What the Hub has built of an analysis.
    FindBuild(AnalysisId),
    /// How this node's part is doing.
    Tell(AnalysisId),
    /// A line for people.
    Log(AnalysisId),
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum HubProblem {
    /// The Hub did not answer.
    #[error("cannot {doing}: {source}")]
    Remote {
        /// What was being done.
        doing: Doing,
        /// Why not.
        source: RemoteProblem,
    },
    /// The Hub refused.
    #[error("cannot {doing}: the Hub answered {status}{reason}")]
    Refused {
        /// What was being done.
        doing: Doing,
        /// 401 and so on.
        status: u16,
        /// What it says of it, if anything, with a colon before it.
        reason: String,
    },
    /// The Hub answered something else than it does.
    #[error("cannot {doing}: the Hub's answer is not understood")]
    Shape {
        /// What was being done.
        doing: Doing,
    },
    /// The settings name a client of no node.
    #[error("the Hub knows no node of our client")]
    NoNode,
    /// It was deleted there, or is somebody else's.
    #[error("the Hub knows no analysis {0} on this node")]
    NoAnalysis(AnalysisId),
}

/// What came of a question, in one word for metrics and conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It was done.
    Done,
    /// No answer, or the Hub was too busy to give one.
    Unavailable,
    /// The Hub does not let us.
    Refused,
    /// An answer that nobody understands.
    NotUnderstood,
    /// The Hub does not know the node or the analysis.
    Unknown,
}

impl Outcome {
    /// As metrics have it.
    pub fn label(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Unavailable => "unavailable",
            Outcome::Refused => "refused",
            Outcome::NotUnderstood => "not_understood",
            Outcome::Unknown => "unknown",
        }
    }
}

impl HubProblem {
    /// What kind of problem it is.
    pub fn outcome(&self) -> Outcome {
        match self {
            HubProblem::Remote { source: RemoteProblem::Large(_), .. } | HubProblem::Shape { .. } => {
                Outcome::NotUnderstood
            }
            HubProblem::Remote { .. } => Outcome::Unavailable,
            HubProblem::Refused { status: 408 | 429 | 500.., .. } => Outcome::Unavailable,
            HubProblem::Refused { .. } => Outcome::Refused,
            HubProblem::NoNode | HubProblem::NoAnalysis(_) => Outcome::Unknown,
        }
    }

    /// An answer with a status that it should not have. What the Hub says is told, unless it repeats a secret.
    pub(super) fn refused(doing: Doing, answer: &Answer, secrets: &[&Secret]) -> Self {
        let said: Said = answer.json().unwrap_or_default();
        let text = said.message.or(said.code).unwrap_or_default();
        let repeats = secrets.iter().any(|secret| !secret.reveal().is_empty() && text.contains(secret.reveal()));
        let reason = if text.is_empty() || repeats { String::new() } else { format!(": {}", printable(&text)) };
        HubProblem::Refused { doing, status: answer.status, reason }
    }
}

/// How the Hub says what it does not like.
#[derive(Default, Deserialize)]
struct Said {
    code: Option<String>,
    message: Option<String>,
}

impl fmt::Display for Doing {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doing::LogIn => to.write_str("log in to the Hub"),
            Doing::FindNode => to.write_str("find this node in the Hub"),
            Doing::FindParts(id) => write!(to, "find the nodes of analysis {id} in the Hub"),
            Doing::FindBuild(id) => write!(to, "find what the Hub has built of analysis {id}"),
            Doing::Tell(id) => write!(to, "tell the Hub how analysis {id} is doing"),
            Doing::Log(id) => write!(to, "log a line of analysis {id} in the Hub"),
        }
    }
}
