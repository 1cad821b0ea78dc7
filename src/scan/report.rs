//! A Grype report, as far as a verdict depends on it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{FixState, VulnerabilitySeverity};

/// What one run of Grype found. Matches that are the same but for their place in the image are one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Which version of Grype made it, as it says.
    pub version: String,
    /// When, as it says.
    pub taken: Option<Timestamp>,
    /// What it looked at.
    pub source: Source,
    /// The distribution that was recognised; none where Grype recognised none.
    pub distribution: Option<Distribution>,
    /// The database that it looked into.
    pub database: Option<Database>,
    /// What was found: also what Grype was told to ignore, except for what it ignores by itself.
    pub matches: Vec<Match>,
    /// Packages of a distribution that gets no fixes any more.
    pub end_of_life: usize,
    /// What the settings say under which it ran; none where they were left out.
    pub settings: Option<Told>,
}

/// What a run's settings mean for what it has found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// What was left out or looked at otherwise, so that nothing can be told from what was not found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suppressions: Vec<String>,
    /// Whether it could have told of a distribution that gets no fixes any more.
    pub tells_end_of_life: bool,
}

/// What was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// An image.
    Image(ImageSource),
    /// Something else: Grype's word for it.
    Other(String),
}

/// What Grype says of the image that it looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageSource {
    /// Digest of the manifest that Grype read, or made up where it had it from a container daemon.
    pub manifest: String,
    /// Whether manifest and configuration stand in the report and have the digests that it names.
    pub is_whole: bool,
    /// Operating system and architecture, as `linux/amd64`.
    pub platform: String,
}

/// A Linux distribution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Distribution {
    /// Its id, such as `debian`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A vulnerability database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Database {
    /// Version of its schema, such as `v6.1.4` or `5`.
    pub schema: String,
    /// Where it came from: with its checksum where it was fetched.
    pub from: String,
    /// When it was built.
    pub built: Option<Timestamp>,
    /// What Grype found wrong with it.
    pub problem: Option<String>,
    /// When what each provider gave was captured.
    pub providers: BTreeMap<String, Option<Timestamp>>,
}

/// One vulnerability of one package.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Match {
    /// The vulnerability's id, as the matched source names it.
    pub id: String,
    /// Its ids elsewhere.
    pub aliases: Vec<String>,
    /// Its severity; that of its aliases, the gravest, where the source gives none.
    pub severity: Option<VulnerabilitySeverity>,
    /// Whether there is a fix.
    pub fix: FixState,
    /// The versions that fix it.
    pub fixed_in: Vec<String>,
    /// The highest CVSS base score that is given.
    pub cvss: Option<f64>,
    /// The highest EPSS probability that is given.
    pub epss: Option<f64>,
    /// Whether it is known to be exploited.
    pub known_exploited: bool,
    /// The package's name.
    pub package: String,
    /// The package's version.
    pub version: String,
    /// The package's type, such as `deb`.
    pub kind: String,
}

impl Report {
    /// The digest of the image's manifest, where the report bears it out.
    pub fn digest(&self) -> Option<&str> {
        match &self.source {
            Source::Image(image) if image.is_whole => Some(&image.manifest),
            _ => None,
        }
    }
}

impl Match {
    /// Whether it has a name that the test knows: for what fails, one is enough.
    pub fn is_called(&self, knows: impl Fn(&str) -> bool) -> bool {
        knows(&self.id) || self.aliases.iter().any(|alias| knows(alias))
    }

    /// Whether all that it stands for is known to the test: for what passes. An advisory that stands for several
    /// vulnerabilities is not covered by one of them.
    pub fn is_covered(&self, knows: impl Fn(&str) -> bool) -> bool {
        knows(&self.id) || (!self.aliases.is_empty() && self.aliases.iter().all(|alias| knows(alias)))
    }
}
