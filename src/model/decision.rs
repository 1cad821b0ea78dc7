//! A decision of the webhook as the controller fetches it: who, what and by which rules; no values, no contents.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The kinds of answers to a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Yes, as it is.
    Allowed,
    /// Mended; whether that is let in is decided after it.
    Patched,
    /// Yes, with a warning.
    Warned,
    /// Yes, because the break-glass group asks.
    BreakGlass,
    /// No.
    Refused,
}

/// One decision of one webhook replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// Counts the decisions of one run of a replica, from 1.
    pub number: u64,
    /// When it was made.
    pub time: Timestamp,
    /// What was answered.
    pub outcome: Outcome,
    /// Word of the operation.
    pub operation: String,
    /// Plural name with subresource.
    pub resource: String,
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object; may be empty at CREATE.
    pub name: String,
    /// Who asked.
    pub user: String,
    /// The analysis that it concerns, by the name that a guarded identity has in its labels, or by its id; empty where
    /// it is of none, or nobody knows.
    #[serde(default)]
    pub analysis: String,
    /// Ids of the rules that made it, or that mended the object.
    pub rules: Vec<String>,
    /// The address that asked; those who hide behind one are limited together.
    #[serde(default)]
    pub from: String,
    /// Whether who asked was known to be the API server; otherwise anybody can have made it up.
    #[serde(default)]
    pub checked: bool,
    /// What an Event of it would be about, as the request says: the controller of what was refused, or the
    /// pod that was entered.
    pub about: Option<Reference>,
}

/// Another object of the same namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    /// Group and version.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// The API server's own id of the object; empty where the request does not say.
    pub uid: String,
}

/// What a replica has to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decisions {
    /// Which run of the replica counts; another run counts from 1 again.
    pub run: String,
    /// The oldest that nobody has confirmed, in their order.
    pub decisions: Vec<Decision>,
    /// The number to confirm with the next question: that of the last of them.
    pub next: u64,
    /// How many there is no word of any more, since this run began: they were pushed out before they were fetched.
    pub lost: u64,
    /// How many of these were no refusals and no uses of break-glass.
    #[serde(default)]
    pub lost_admitted: u64,
    /// Whether the replica is on its way out.
    pub ending: bool,
}

impl Outcome {
    /// All of them, in the order in which they get worse.
    pub const ALL: [Outcome; 5] =
        [Outcome::Allowed, Outcome::Patched, Outcome::Warned, Outcome::BreakGlass, Outcome::Refused];

    /// Whether it is no more than a yes: neither a refusal nor a use of break-glass.
    pub fn is_admitted(self) -> bool {
        matches!(self, Outcome::Allowed | Outcome::Patched | Outcome::Warned)
    }

    /// The metric's label.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Allowed => "allowed",
            Outcome::Patched => "patched",
            Outcome::Warned => "warned",
            Outcome::BreakGlass => "break_glass",
            Outcome::Refused => "refused",
        }
    }
}

/// Where the webhook gives its decisions.
pub const DECISIONS_PATH: &str = "/decisions";
/// The common name of the certificate with which the controller asks for them.
pub const CONTROLLER_NAME: &str = "flamewarden-controller";
