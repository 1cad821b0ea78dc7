//! The matches of a report, summed up while they are read: what is the same but for its place in the image is one.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use super::report::Match;
use super::settings::{IgnoreRule, IgnoredBy};
use super::written::{Score, Text};
use crate::model::{FixState, VulnerabilitySeverity};

/// Matches, and of ignored ones by whom.
#[derive(Default)]
pub(super) struct Matches {
    pub(super) found: Vec<(Match, IgnoredBy)>,
}

impl<'de> Deserialize<'de> for Matches {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(MatchesVisitor)
    }
}

struct MatchesVisitor;

impl<'de> Visitor<'de> for MatchesVisitor {
    type Value = Matches;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of matches")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Matches, A::Error> {
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        while let Some(written) = items.next_element::<WrittenMatch>()? {
            let ignored = written.ignored_by();
            let summed = written.summed();
            if !seen.insert(format!("{summed:?}{ignored:?}")) {
                continue;
            }
            if found.len() == MOST_MATCHES {
                return Err(A::Error::custom(format!("more than {MOST_MATCHES} matches")));
            }
            found.push((summed, ignored));
        }
        Ok(Matches { found })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenMatch {
    vulnerability: Vulnerability,
    #[serde(default)]
    related_vulnerabilities: Option<Vec<Vulnerability>>,
    artifact: Artifact,
    #[serde(default)]
    applied_ignore_rules: Option<Vec<IgnoreRule>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vulnerability {
    id: Text,
    #[serde(default)]
    severity: Text,
    #[serde(default)]
    cvss: Option<Vec<Cvss>>,
    #[serde(default)]
    known_exploited: Option<Vec<serde::de::IgnoredAny>>,
    #[serde(default)]
    epss: Option<Vec<Epss>>,
    #[serde(default)]
    fix: Option<Fix>,
}

#[derive(Deserialize)]
struct Cvss {
    #[serde(default)]
    metrics: Option<Metrics>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    base_score: Score,
}

#[derive(Deserialize)]
struct Epss {
    epss: Score,
}

#[derive(Default, Deserialize)]
struct Fix {
    #[serde(default)]
    versions: Option<Vec<Text>>,
    #[serde(default)]
    state: Text,
}

#[derive(Deserialize)]
struct Artifact {
    name: Text,
    #[serde(default)]
    version: Text,
    #[serde(rename = "type", default)]
    kind: Text,
}

impl WrittenMatch {
    /// By whom it is ignored: by Grype where one of Grype's rules would be enough.
    fn ignored_by(&self) -> IgnoredBy {
        let rules = self.applied_ignore_rules.iter().flatten();
        rules.map(IgnoreRule::by).min().unwrap_or(IgnoredBy::Settings)
    }

    fn summed(self) -> Match {
        let WrittenMatch { vulnerability, related_vulnerabilities, artifact, .. } = self;
        let related = related_vulnerabilities.unwrap_or_default();
        let every = || [&vulnerability].into_iter().chain(&related);
        let aliases = related.iter().map(|one| &one.id.0).filter(|id| **id != vulnerability.id.0);
        let mut aliases: Vec<String> = aliases.cloned().collect();
        aliases.sort();
        aliases.dedup();
        let cvss = every().flat_map(|one| one.cvss.iter().flatten());
        let epss = every().flat_map(|one| one.epss.iter().flatten());
        let cvss = highest(cvss.filter_map(|one| one.metrics.as_ref()?.base_score.0));
        let epss = highest(epss.filter_map(|one| one.epss.0));
        let known_exploited = every().any(|one| one.known_exploited.as_ref().is_some_and(|all| !all.is_empty()));
        let Fix { versions, state } = vulnerability.fix.unwrap_or_default();
        Match {
            severity: severity(&vulnerability.severity)
                .or_else(|| related.iter().filter_map(|one| severity(&one.severity)).max()),
            cvss,
            epss,
            known_exploited,
            fix: FixState::read(&state.0),
            fixed_in: versions.unwrap_or_default().into_iter().map(|version| version.0).collect(),
            id: vulnerability.id.0,
            aliases,
            package: artifact.name.0,
            version: artifact.version.0,
            kind: artifact.kind.0,
        }
    }
}

fn severity(word: &Text) -> Option<VulnerabilitySeverity> {
    VulnerabilitySeverity::read(&word.0)
}

fn highest(scores: impl Iterator<Item = f64>) -> Option<f64> {
    scores.max_by(f64::total_cmp)
}

/// Far beyond what images have: the most seen in reports is some thousands.
const MOST_MATCHES: usize = 250_000;
