//! The exceptions of the policies in a report: whom they let pass, and which have no use any more.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::Excepted;

/// One exception and its use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExceptionUse {
    /// The profile that it stands in.
    pub profile: String,
    /// What it excepts from: a rule, or the grounds of a verdict on an image.
    pub from: String,
    /// Who answers for it, why, until when.
    #[serde(flatten)]
    pub exception: Excepted,
    /// How it stands.
    pub state: ExceptionState,
    /// How many findings it lets pass.
    pub findings: usize,
}

/// How an exception stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ExceptionState {
    /// It has ended; what it let pass is refused again.
    Expired,
    /// Nothing that was looked at needs it.
    Unused,
    /// It lets findings pass.
    Used,
    /// Its use could not be looked at.
    Unknown,
}

impl ExceptionState {
    /// As reports write it.
    pub fn word(self) -> &'static str {
        match self {
            ExceptionState::Expired => "expired",
            ExceptionState::Unused => "unused",
            ExceptionState::Used => "used",
            ExceptionState::Unknown => "unknown",
        }
    }
}

impl ExceptionUse {
    /// An exception that lets so many findings pass; none where that could not be looked at.
    pub fn new(profile: &str, from: &str, exception: Excepted, findings: Option<usize>, now: Timestamp) -> Self {
        let state = match findings {
            _ if exception.expires <= now => ExceptionState::Expired,
            None => ExceptionState::Unknown,
            Some(0) => ExceptionState::Unused,
            Some(_) => ExceptionState::Used,
        };
        let (profile, from) = (profile.to_owned(), from.to_owned());
        ExceptionUse { profile, from, exception, state, findings: findings.unwrap_or_default() }
    }
}
