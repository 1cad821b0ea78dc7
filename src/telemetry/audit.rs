//! What the last audit of the cluster came to, as metrics.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What the last audit came to. Whoever does not audit tells nothing, rather than zeros that look like an answer.
#[derive(Debug, Default)]
pub struct AuditMetrics {
    last_run: Family<NoLabels, Gauge>,
    coverage: Family<NoLabels, Gauge<f64, AtomicU64>>,
    score: Family<NoLabels, Gauge>,
    findings: Family<SeverityLabels, Gauge>,
    objects: Family<NoLabels, Gauge>,
    exceptions_expiring: Family<NoLabels, Gauge>,
}

/// An audit of the cluster in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Audited {
    /// When it ended, in seconds since 1970.
    pub at: i64,
    /// How much of what there is was looked at, from 0 to 1.
    pub coverage: f64,
    /// From 0 to 100.
    pub score: u8,
    /// Failing findings by the word of their severity; each severity is there, with 0 where nothing fails.
    pub findings: [(&'static str, usize); 4],
    /// Objects that were judged.
    pub objects: usize,
    /// Exceptions that end soon.
    pub exceptions_expiring: usize,
}

/// How bad something is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SeverityLabels {
    /// `critical`, `high`, `medium` or `low`.
    severity: &'static str,
}

type NoLabels = [(&'static str, &'static str); 0];

impl AuditMetrics {
    /// Tells what an audit came to, in the place of the one before.
    pub fn tell(&self, audited: &Audited) {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.last_run.get_or_create(&[]).set(audited.at);
        self.coverage.get_or_create(&[]).set(audited.coverage);
        self.score.get_or_create(&[]).set(audited.score.into());
        for (severity, number) in audited.findings {
            self.findings.get_or_create(&SeverityLabels { severity }).set(count(number));
        }
        self.objects.get_or_create(&[]).set(count(audited.objects));
        self.exceptions_expiring.get_or_create(&[]).set(count(audited.exceptions_expiring));
    }

    /// Tells nothing any more: another process audits now, and the two would be added up.
    pub fn clear(&self) {
        let AuditMetrics { last_run, coverage, score, findings, objects, exceptions_expiring } = self;
        [last_run, score, objects, exceptions_expiring].into_iter().for_each(Family::clear);
        coverage.clear();
        findings.clear();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let last_run = self.last_run.clone();
        registry.register("audit_last_run_timestamp_seconds", "When the cluster was last audited", last_run);
        registry.register("audit_coverage_ratio", "How much of what there is was looked at", self.coverage.clone());
        registry.register("audit_score", "Score of the last audit", self.score.clone());
        registry.register("audit_findings", "Failing findings of the last audit", self.findings.clone());
        registry.register("audit_objects", "Objects judged by the last audit", self.objects.clone());
        let expiring = self.exceptions_expiring.clone();
        registry.register("audit_exceptions_expiring", "Exceptions that end soon", expiring);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    #[test]
    fn audits_are_told_by_who_audits_alone() {
        let metrics = Metrics::new();
        let samples = || {
            let text = metrics.text();
            let samples = text.lines().filter_map(|line| line.strip_prefix("flamewarden_audit_")).map(str::to_owned);
            let mut samples: Vec<String> = samples.collect();
            samples.sort();
            samples
        };
        assert_eq!(samples(), Vec::<String>::new());
        let findings = [("critical", 1), ("high", 0), ("medium", 2), ("low", 0)];
        metrics.audit.tell(&Audited { at: 7, coverage: 0.5, score: 49, findings, objects: 3, exceptions_expiring: 4 });
        let told = [
            "coverage_ratio{} 0.5",
            "exceptions_expiring{} 4",
            "findings{severity=\"critical\"} 1",
            "findings{severity=\"high\"} 0",
            "findings{severity=\"low\"} 0",
            "findings{severity=\"medium\"} 2",
            "last_run_timestamp_seconds{} 7",
            "objects{} 3",
            "score{} 49",
        ];
        assert_eq!(samples(), told);
        metrics.audit.clear();
        assert_eq!(samples(), Vec::<String>::new());
    }
}
