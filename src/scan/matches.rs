//! The matches of a report, summed up while they are read: what is the same but for its place in the image is one.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::mem::size_of;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};

use super::report::Match;
use super::settings::{IgnoreRule, IgnoredBy};
use super::summed::{Few, Sum, Summed};
use super::written::{Score, Text};
use crate::model::{Digest, FixState, VulnerabilitySeverity};

/// Matches, and of ignored ones by whom, of which not more than so many mebibytes are kept.
#[derive(Default)]
pub(super) struct Matches<const MEBIBYTES: usize> {
    pub(super) found: Vec<(Match, IgnoredBy)>,
}

impl<'de, const MEBIBYTES: usize> Deserialize<'de> for Matches<MEBIBYTES> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(MatchesVisitor::<MEBIBYTES>)
    }
}

struct MatchesVisitor<const MEBIBYTES: usize>;

impl<'de, const MEBIBYTES: usize> Visitor<'de> for MatchesVisitor<MEBIBYTES> {
    type Value = Matches<MEBIBYTES>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of matches")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let (mut found, mut seen, mut kept) = (Vec::new(), HashSet::new(), 0);
        while let Some(written) = items.next_element::<WrittenMatch>()? {
            let ignored = written.applied_ignore_rules.0.least.unwrap_or(IgnoredBy::Settings);
            let summed = written.summed();
            // By a hash for which nobody finds two texts: of two that are taken for one, one is lost.
            if !seen.insert(Digest::of(format!("{summed:?}{ignored:?}").as_bytes())) {
                continue;
            }
            if found.len() == MOST_MATCHES {
                return Err(A::Error::custom(format!("more than {MOST_MATCHES} matches")));
            }
            kept += weight(&summed);
            if kept > MEBIBYTES << 20 {
                return Err(A::Error::custom(format!("matches that take more than {MEBIBYTES} MiB")));
            }
            found.push((summed, ignored));
        }
        Ok(Matches { found })
    }
}

/// About how many bytes a match takes in memory.
fn weight(found: &Match) -> usize {
    let Match { id, aliases, fixed_in, package, version, kind, .. } = found;
    let texts = [id, package, version, kind].into_iter().chain(aliases).chain(fixed_in);
    size_of::<(Match, IgnoredBy)>() + texts.map(|text| size_of::<String>() + text.len()).sum::<usize>()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenMatch {
    vulnerability: Vulnerability,
    #[serde(default)]
    related_vulnerabilities: Summed<Related>,
    artifact: Artifact,
    #[serde(default)]
    applied_ignore_rules: Summed<Rules>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vulnerability {
    id: Text,
    #[serde(default)]
    severity: Text,
    #[serde(default)]
    cvss: Summed<HighestCvss>,
    #[serde(default)]
    known_exploited: Summed<Entries>,
    #[serde(default)]
    epss: Summed<HighestEpss>,
    #[serde(default)]
    fix: Option<Fix>,
}

/// What other names of a vulnerability say of it.
#[derive(Default)]
struct Related {
    ids: BTreeSet<String>,
    severity: Option<VulnerabilitySeverity>,
    cvss: Option<f64>,
    epss: Option<f64>,
    is_exploited: bool,
}

impl Sum for Related {
    type Item = Vulnerability;

    fn add(&mut self, one: Vulnerability) -> Result<(), String> {
        self.severity = self.severity.max(severity(&one.severity));
        self.cvss = higher(self.cvss, one.cvss.0.0);
        self.epss = higher(self.epss, one.epss.0.0);
        self.is_exploited |= one.known_exploited.0.0;
        self.ids.insert(one.id.0);
        if self.ids.len() > MOST_ALIASES {
            return Err(format!("a vulnerability with more than {MOST_ALIASES} other names"));
        }
        Ok(())
    }
}

/// By whom a match is ignored: by Grype where one of Grype's rules would be enough.
#[derive(Default)]
struct Rules {
    least: Option<IgnoredBy>,
}

impl Sum for Rules {
    type Item = IgnoreRule;

    fn add(&mut self, rule: IgnoreRule) -> Result<(), String> {
        let by = rule.by();
        self.least = Some(self.least.map_or(by, |least| least.min(by)));
        Ok(())
    }
}

/// Whether there are any.
#[derive(Default)]
struct Entries(bool);

impl Sum for Entries {
    type Item = IgnoredAny;

    fn add(&mut self, _: IgnoredAny) -> Result<(), String> {
        self.0 = true;
        Ok(())
    }
}

#[derive(Default)]
struct HighestCvss(Option<f64>);

impl Sum for HighestCvss {
    type Item = Cvss;

    fn add(&mut self, one: Cvss) -> Result<(), String> {
        self.0 = higher(self.0, one.metrics.and_then(|metrics| metrics.base_score.0));
        Ok(())
    }
}

#[derive(Default)]
struct HighestEpss(Option<f64>);

impl Sum for HighestEpss {
    type Item = Epss;

    fn add(&mut self, one: Epss) -> Result<(), String> {
        self.0 = higher(self.0, one.epss.0);
        Ok(())
    }
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
    versions: Summed<Few<Text, MOST_VERSIONS>>,
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
    fn summed(self) -> Match {
        let WrittenMatch { vulnerability, related_vulnerabilities: Summed(mut related), artifact, .. } = self;
        related.ids.remove(&vulnerability.id.0);
        let mut aliases: Vec<String> = related.ids.into_iter().collect();
        aliases.shrink_to_fit();
        let Fix { versions, state } = vulnerability.fix.unwrap_or_default();
        Match {
            severity: severity(&vulnerability.severity).or(related.severity),
            cvss: higher(vulnerability.cvss.0.0, related.cvss),
            epss: higher(vulnerability.epss.0.0, related.epss),
            known_exploited: vulnerability.known_exploited.0.0 || related.is_exploited,
            fix: FixState::read(&state.0),
            fixed_in: versions.0.0.into_iter().map(|version| version.0).collect(),
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

fn higher(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).max_by(f64::total_cmp)
}

/// Far beyond what images have: the most seen in reports is some thousands.
pub(super) const MOST_MATCHES: usize = 100_000;
/// An advisory on a kernel names some hundreds.
const MOST_ALIASES: usize = 4096;
const MOST_VERSIONS: usize = 256;
