//! Attested scans as they are written: `https://cosign.sigstore.dev/attestation/vuln/v1`, and version 0.1 and 0.2 of
//! `https://in-toto.io/attestation/vulns`. They have one form, but for what they leave out.

use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::census;
use super::matches::MOST_MATCHES;
use super::summed::{Few, Summed};
use super::written::{Document, Moment, Text};

/// A statement, of which only what was scanned and found counts here.
#[derive(Deserialize)]
pub(super) struct Scanned {
    pub(super) predicate: Predicate,
}

/// A statement of what is in an image: CycloneDX.
#[derive(Deserialize)]
pub(super) struct Listed {
    pub(super) predicate: census::Document,
}

#[derive(Deserialize)]
pub(super) struct Predicate {
    #[serde(default)]
    pub(super) scanner: Option<Scanner>,
    #[serde(default)]
    pub(super) scanners: Option<Summed<Few<Scanner, MOST_SCANNERS>>>,
    #[serde(default)]
    pub(super) metadata: Option<Metadata>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    #[serde(default)]
    pub(super) scan_finished_on: Moment,
}

#[derive(Deserialize)]
pub(super) struct Scanner {
    #[serde(default)]
    pub(super) uri: Text,
    #[serde(default)]
    pub(super) version: Text,
    #[serde(default)]
    pub(super) db: Option<Db>,
    pub(super) result: ScanResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Db {
    #[serde(default)]
    pub(super) uri: Text,
    #[serde(default)]
    pub(super) last_update: Moment,
}

/// What a scanner found.
pub(super) enum ScanResult {
    /// A whole report of Grype's.
    Report(Box<Document>),
    /// Vulnerabilities, and nothing of where they are.
    List(Vec<Vulnerability>),
}

/// One entry of a list.
#[derive(Debug, PartialEq)]
pub(super) struct Vulnerability {
    pub(super) id: String,
    pub(super) severities: Vec<Severity>,
}

#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Severity {
    #[serde(deserialize_with = "text")]
    pub(super) method: String,
    #[serde(deserialize_with = "text_or_number")]
    pub(super) score: String,
}

impl Predicate {
    /// The scanners that it names: one of the two ways to name them.
    pub(super) fn scanners(self) -> Option<(Vec<Scanner>, Option<Timestamp>)> {
        let scanners = match (self.scanner, self.scanners) {
            (Some(scanner), None) => vec![scanner],
            (None, Some(Summed(scanners))) => scanners.0,
            _ => return None,
        };
        let finished = self.metadata.unwrap_or_default().scan_finished_on.0;
        (!scanners.is_empty()).then_some((scanners, finished))
    }
}

impl<'de> Deserialize<'de> for ScanResult {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ResultVisitor)
    }
}

struct ResultVisitor;

impl<'de> Visitor<'de> for ResultVisitor {
    type Value = ScanResult;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a report of Grype's or a list of vulnerabilities")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ScanResult, A::Error> {
        let report = Document::deserialize(MapAccessDeserializer::new(map));
        let report = report.map_err(|problem| A::Error::custom(format!("no report of Grype's: {problem}")))?;
        Ok(ScanResult::Report(Box::new(report)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<ScanResult, A::Error> {
        let mut found = Vec::new();
        while let Some(entry) = items.next_element::<Entry>()? {
            if found.len() == MOST_MATCHES {
                return Err(A::Error::custom(format!("more than {MOST_MATCHES} vulnerabilities")));
            }
            found.push(entry.vulnerability().ok_or_else(|| A::Error::custom("a vulnerability without one `id`"))?);
        }
        Ok(ScanResult::List(found))
    }
}

impl Entry {
    /// Version 0.1 describes its entries with one level more than it shows them.
    fn vulnerability(self) -> Option<Vulnerability> {
        let (id, severity) = match (self.vulnerability, self.id) {
            (None, Some(id)) => (id, self.severity),
            (Some(inner), None) if self.severity.is_none() => (inner.id, inner.severity),
            _ => return None,
        };
        (!id.is_empty()).then(|| Vulnerability { id, severities: severity.unwrap_or_default().0.0 })
    }
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    severity: Option<Summed<Few<Severity, MOST_SEVERITIES>>>,
    #[serde(default)]
    vulnerability: Option<Inner>,
}

#[derive(Deserialize)]
struct Inner {
    id: String,
    #[serde(default)]
    severity: Option<Summed<Few<Severity, MOST_SEVERITIES>>>,
}

fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Text::deserialize(from).map(|text| text.0)
}

/// Scores are texts by the form, and numbers where somebody writes them so.
fn text_or_number<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a text or a number")]
    enum Written {
        Number(f64),
        Word(String),
    }
    Ok(match Written::deserialize(from)? {
        Written::Number(number) => number.to_string(),
        Written::Word(word) => word,
    })
}

const MOST_SCANNERS: usize = 16;
const MOST_SEVERITIES: usize = 64;
