//! A scan for people and for programs: as a table, as JSON, as SARIF.

use std::fmt::Write;

use serde_json::{Value, json};

use super::report::{Match, Report};
use super::weigh::{Fate, Weighed};
use crate::model::{FixState, ScanOutcome, Verdict, VulnerabilitySeverity, one_line};

/// What is to be shown of one scan.
pub struct ShownScan<'a> {
    /// What was scanned, as the user named it.
    pub name: &'a str,
    /// What Grype found; none where it came to no end.
    pub report: Option<&'a Report>,
    /// What becomes of each match.
    pub weighed: &'a [Weighed<'a>],
    /// The verdict.
    pub verdict: &'a Verdict,
}

impl ShownScan<'_> {
    /// For people: the verdict and its grounds, a table of what fails or is excepted, counts of the rest.
    pub fn text(&self) -> String {
        let mut out = format!("{}: {}\n", self.name, self.verdict.outcome.words());
        let grounds = match self.verdict.outcome {
            // What fails and what is excepted stands in the table.
            ScanOutcome::Fail | ScanOutcome::Excepted => &[][..],
            _ => &self.verdict.grounds,
        };
        for ground in grounds {
            let _ = writeln!(out, "  {ground}");
        }
        let told: Vec<&Weighed<'_>> = self.weighed.iter().filter(|one| one.fate != Fate::Passes).collect();
        out.push_str(&table(told.iter().map(|one| row(one))));
        let passing = self.weighed.len() - told.len();
        let Some(report) = self.report else { return out };
        let _ = writeln!(out, "{} reach a limit, {passing} do not{}", vulnerabilities(told.len()), self.by_severity());
        if let Some(until) = self.verdict.until {
            let _ = writeln!(out, "holds until {until}");
        }
        let _ = writeln!(out, "{}", clean(&origin(report)));
        out
    }

    /// For programs: `flamewarden.dev/scan/v1alpha1`.
    pub fn json(&self) -> Value {
        let report = self.report;
        let database = report.and_then(|report| report.database.as_ref());
        json!({
            "apiVersion": "flamewarden.dev/scan/v1alpha1",
            "kind": "ScanReport",
            "name": self.name,
            "digest": report.and_then(Report::digest),
            "scanner": {"name": "grype", "version": report.map(|report| &report.version)},
            "database": database.map(|one| json!({"schemaVersion": one.schema, "from": one.from, "built": one.built})),
            "taken": report.and_then(|report| report.taken),
            "verdict": self.verdict,
            "vulnerabilities": self.weighed.iter().map(vulnerability).collect::<Vec<Value>>(),
        })
    }

    /// For code hosts: SARIF 2.1.0. What fails is an error, what is excepted a suppressed one, the rest are notes.
    pub fn sarif(&self) -> Value {
        let mut ids: Vec<&str> = self.weighed.iter().map(|one| one.found.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        let rules: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
        let results = self.weighed.iter().map(|one| {
            let level = if one.fate == Fate::Passes { "note" } else { "error" };
            let mut result = json!({
                "ruleId": one.found.id,
                "level": level,
                "message": {"text": clean(&one.text())},
                "locations": [{
                    "physicalLocation": {"artifactLocation": {"uri": uri(self.name)}},
                    "logicalLocations": [{"name": one.found.package, "kind": "module"}],
                }],
            });
            if let (Fate::Excepted(..), Some(members)) = (&one.fate, result.as_object_mut()) {
                members.insert("suppressions".to_owned(), json!([{"kind": "external", "status": "accepted"}]));
            }
            result
        });
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": {"driver": {
                    "name": "flamewarden",
                    "version": env!("CARGO_PKG_VERSION"),
                    "rules": rules,
                }},
                "results": results.collect::<Vec<Value>>(),
                "invocations": [{"executionSuccessful": self.report.is_some()}],
                "properties": {"verdict": self.verdict},
            }],
        })
    }

    fn by_severity(&self) -> String {
        let passing = || self.weighed.iter().filter(|one| one.fate == Fate::Passes);
        let mut severities: Vec<VulnerabilitySeverity> = passing().map(|one| one.severity).collect();
        severities.dedup();
        let counts = severities.into_iter().map(|severity| {
            let count = passing().filter(|one| one.severity == severity).count();
            format!("{count} {}", severity.word())
        });
        let counts: Vec<String> = counts.collect();
        if counts.is_empty() { String::new() } else { format!(" ({})", counts.join(", ")) }
    }
}

fn origin(report: &Report) -> String {
    let taken = report.taken.map(|taken| format!(", {taken}")).unwrap_or_default();
    let database = report.database.as_ref().map(|database| {
        let built = database.built.map(|built| format!(" of {built}")).unwrap_or_default();
        format!("; database {}{built}", database.schema)
    });
    let manifest = report.digest().map(|digest| format!("; manifest {digest}")).unwrap_or_default();
    format!("grype {}{taken}{}{manifest}", report.version, database.unwrap_or_default())
}

fn vulnerabilities(count: usize) -> String {
    if count == 1 { "1 vulnerability".to_owned() } else { format!("{count} vulnerabilities") }
}

const COLUMNS: usize = 6;

fn row(one: &Weighed<'_>) -> [String; COLUMNS] {
    let Match { id, package, version, kind, fixed_in, .. } = one.found;
    let fate = match &one.fate {
        Fate::Excepted(_, until) => format!("excepted until {until}: {}", one.limits().join("; ")),
        _ => format!("fails: {}", one.limits().join("; ")),
    };
    let graded = one.found.severity.map_or("unknown", VulnerabilitySeverity::word).to_owned();
    let fixed_in = if fixed_in.is_empty() { "-".to_owned() } else { fixed_in.join(", ") };
    [graded, id.clone(), format!("{package} ({kind})"), version.clone(), fixed_in, fate]
}

/// Rows under a head, each column as wide as its widest cell.
fn table(rows: impl Iterator<Item = [String; COLUMNS]>) -> String {
    let head = ["SEVERITY", "VULNERABILITY", "PACKAGE", "VERSION", "FIXED IN", ""].map(str::to_owned);
    let rows: Vec<[String; COLUMNS]> = [head].into_iter().chain(rows).collect();
    if rows.len() == 1 {
        return String::new();
    }
    let mut widths = [0; COLUMNS];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut out = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{:width$}", clean(cell)));
        out.push_str(cells.collect::<Vec<String>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// Without what a terminal would obey.
fn clean(cell: &str) -> String {
    one_line(cell, usize::MAX)
}

fn vulnerability(one: &Weighed<'_>) -> Value {
    let Match { id, aliases, fix, fixed_in, cvss, epss, known_exploited, package, version, kind, severity } = one.found;
    let (fate, until) = match &one.fate {
        Fate::Passes => ("passes", None),
        Fate::Excepted(_, until) => ("excepted", Some(until)),
        Fate::Fails(_) => ("fails", None),
    };
    let fix: &FixState = fix;
    json!({
        "id": id, "aliases": aliases, "severity": severity, "cvss": cvss, "epss": epss,
        "knownExploited": known_exploited, "fix": {"state": fix, "versions": fixed_in},
        "package": {"name": package, "version": version, "type": kind},
        "fate": fate, "limits": one.limits(), "exceptedUntil": until,
    })
}

/// An image's name as a relative URI reference; `@` and `:` may stand in it after the first `/`.
fn uri(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '@' | '~');
    name.chars().map(|c| if plain(c) { c.to_string() } else { percent(c) }).collect()
}

fn percent(c: char) -> String {
    let mut bytes = [0; 4];
    c.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")).collect()
}
