//! What can be seen from outside: the names of all metrics, and how logs are written.

mod audit;
mod network;

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write as _;

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tracing_subscriber::EnvFilter;

pub use audit::{AuditMetrics, Audited};
pub use network::NetworkMetrics;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Every metric; each field is one name, registered once in [`Metrics::new`].
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Reviews answered.
    pub requests: Family<ReviewLabels, Counter>,
    /// Time from a review's header to its answer.
    pub duration: Family<SideLabels, Histogram>,
    /// Refusals, one for each rule that refused.
    pub refusals: Family<RuleLabels, Counter>,
    /// Requests that were turned away before they were read.
    pub turned_away: Family<ReasonLabels, Counter>,
    /// Log lines not written, because an address that nobody checked asked for too many.
    pub lines_left_out: Family<ReasonLabels, Counter>,
    /// Refusals and uses of break-glass that were pushed out of a replica's queue before they were fetched.
    pub decisions_pushed_out: Counter,
    /// Other decisions that were.
    pub decisions_admitted_pushed_out: Counter,
    /// Decisions that no Event can come of any more, as the controller knows.
    pub decisions_lost: Family<ReasonLabels, Counter>,
    /// Events written.
    pub events: Family<ReasonLabels, Counter>,
    /// Events not written, because the same or too many were a moment before.
    pub events_suppressed: Counter,
    /// Analysis pods as the guard sees them.
    pub guard_pods: Family<StateLabels, Gauge>,
    /// Guarded namespaces that the guard has not seen whole, and so guards not yet.
    pub guard_namespaces_unseen: Gauge,
    /// Analyses by their phase, as the leading orchestrator knows them.
    pub analyses: Family<PhaseLabels, Gauge>,
    /// Steps of the orchestrator by how they ended.
    pub steps: Family<OutcomeLabels, Counter>,
    /// Audits of the cluster by how they ended.
    pub audits: Family<OutcomeLabels, Counter>,
    /// Attempts to tell a receiver what fails newly.
    pub notifications: Family<OutcomeLabels, Counter>,
    /// Scans of images by how they ended.
    pub scans: Family<OutcomeLabels, Counter>,
    /// How long they took.
    pub scan_duration: Histogram,
    /// Questions how an analysis is, by what was answered.
    pub visits: Family<AnswerLabels, Counter>,
    /// Bytes of review bodies held at this moment.
    pub bytes_in_flight: Gauge,
    /// Threads that hang in users' rules, as of the last review.
    pub rule_threads_stuck: Gauge,
    /// Last moment of the serving certificate, in seconds since 1970.
    pub certificate_expiry: Gauge,
    /// Webhook configurations that are missing or not as they would be printed.
    pub configurations_drifted: Gauge,
    /// Whether the policy files as they are now are in force.
    pub policies_valid: Gauge,
    /// When the keys that tokens are checked with were last fetched, in seconds since 1970.
    pub realm_keys_fetched: Gauge,
    /// Times that they could not be fetched.
    pub realm_key_fetches_failed: Counter,
    /// Whether the archive has taken what the leading controller wrote last.
    pub archive_up: Gauge,
    /// Runs whose logs were not kept before their pods went.
    pub archive_logs_lost: Counter,
    /// Lines that analyses streamed and that are not kept.
    pub archive_lines_lost: Counter,
    /// Number of the journal's newest entry, as the leading controller has written it.
    pub journal_number: Gauge,
    /// Decisions that were not written into the journal, because the archive took nothing.
    pub journal_decisions_lost: Counter,
    /// Times that old entries of the journal could not be pruned, or were kept since they are not as they were written.
    pub journal_prunes_failed: Counter,
    /// Whether the receiver of syslog took what it was sent last.
    pub syslog_up: Gauge,
    /// Entries of the journal that it was sent.
    pub syslog_sent: Counter,
    /// Entries that it is still to be sent.
    pub syslog_waiting: Gauge,
    /// Entries that were pruned before it was sent them.
    pub syslog_lost: Counter,
    /// Whether another system answered when it was asked last.
    pub remote_up: Family<SystemLabels, Gauge>,
    /// Calls of other systems.
    pub remote_calls: Family<CallLabels, Counter>,
    /// Log lines that were not passed on to the Hub.
    pub hub_lines_lost: Counter,
    /// What the last audit of the cluster came to.
    pub audit: AuditMetrics,
    /// What is known of the cluster's network.
    pub network: NetworkMetrics,
}

/// Labels of a review; every value comes from a table, none from a caller.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReviewLabels {
    /// `mutate` or `validate`.
    pub side: &'static str,
    /// Word of the operation, or `unknown`.
    pub operation: &'static str,
    /// Plural name with subresource, or `other`.
    pub resource: &'static str,
    /// `allowed`, `patched`, `warned`, `break_glass` or `refused`.
    pub decision: &'static str,
}

/// The webhook's side.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SideLabels {
    /// `mutate` or `validate`.
    pub side: &'static str,
}

/// A rule; as many as there are rules, built in or in policy files.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RuleLabels {
    /// Id of the rule.
    pub rule: String,
}

/// Why a request was turned away.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabels {
    /// `overload`, `oversize`, `late` and so on.
    pub reason: &'static str,
}

/// How a pod is guarded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StateLabels {
    /// `held`, `open`, `adopted` or `not_conforming`.
    pub state: &'static str,
}

/// Where in its life an analysis is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PhaseLabels {
    /// As FLAME names it; `none` before the first run.
    pub phase: &'static str,
}

/// How something ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabels {
    /// `done` or `failed`; of audits `not_recorded` too.
    pub outcome: &'static str,
}

/// What an analysis answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AnswerLabels {
    /// What it says of itself, `silent` or `unreachable`.
    pub answer: &'static str,
}

/// Another system.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SystemLabels {
    /// `hub`, `keycloak` or `login`.
    pub system: &'static str,
}

/// A call of another system.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallLabels {
    /// `hub`, `keycloak` or `login`.
    pub system: &'static str,
    /// `done`, `unavailable` and so on.
    pub outcome: &'static str,
}

impl Metrics {
    /// All metrics, at zero.
    pub fn new() -> Self {
        let mut metrics = Metrics {
            registry: Registry::with_prefix("flamewarden"),
            requests: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            refusals: Family::default(),
            turned_away: Family::default(),
            lines_left_out: Family::default(),
            decisions_pushed_out: Counter::default(),
            decisions_admitted_pushed_out: Counter::default(),
            decisions_lost: Family::default(),
            events: Family::default(),
            events_suppressed: Counter::default(),
            guard_pods: Family::default(),
            guard_namespaces_unseen: Gauge::default(),
            analyses: Family::default(),
            steps: Family::default(),
            audits: Family::default(),
            notifications: Family::default(),
            scans: Family::default(),
            scan_duration: Histogram::new(SCAN_BUCKETS),
            visits: Family::default(),
            bytes_in_flight: Gauge::default(),
            rule_threads_stuck: Gauge::default(),
            certificate_expiry: Gauge::default(),
            configurations_drifted: Gauge::default(),
            policies_valid: Gauge::default(),
            realm_keys_fetched: Gauge::default(),
            realm_key_fetches_failed: Counter::default(),
            archive_up: Gauge::default(),
            archive_logs_lost: Counter::default(),
            archive_lines_lost: Counter::default(),
            journal_number: Gauge::default(),
            journal_decisions_lost: Counter::default(),
            journal_prunes_failed: Counter::default(),
            syslog_up: Gauge::default(),
            syslog_sent: Counter::default(),
            syslog_waiting: Gauge::default(),
            syslog_lost: Counter::default(),
            remote_up: Family::default(),
            remote_calls: Family::default(),
            hub_lines_lost: Counter::default(),
            audit: AuditMetrics::default(),
            network: NetworkMetrics::default(),
        };
        metrics.register();
        metrics
    }

    /// All metrics in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(problem) => format!("# cannot write metrics: {problem}\n"),
        }
    }

    /// Counts a call of another system, and whether that answered.
    pub fn called(&self, system: &'static str, outcome: &'static str, answered: bool) {
        self.remote_up.get_or_create(&SystemLabels { system }).set(answered.into());
        self.remote_calls.get_or_create(&CallLabels { system, outcome }).inc();
    }

    /// Counts a scan of an image, and whether it brought a report.
    pub fn scanned(&self, took: std::time::Duration, brought: bool) {
        let outcome = if brought { "done" } else { "failed" };
        self.scans.get_or_create(&OutcomeLabels { outcome }).inc();
        self.scan_duration.observe(took.as_secs_f64());
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("admission_requests", "Reviews answered", self.requests.clone());
        registry.register("admission_duration_seconds", "Time from header to answer", self.duration.clone());
        registry.register("admission_refusals", "Refusals by rule", self.refusals.clone());
        registry.register("admission_turned_away", "Requests turned away unread", self.turned_away.clone());
        registry.register("admission_log_lines_left_out", "Log lines not written", self.lines_left_out.clone());
        let pushed_out = self.decisions_pushed_out.clone();
        registry.register("decisions_pushed_out", "Refusals pushed out of the queue unfetched", pushed_out);
        let admitted = self.decisions_admitted_pushed_out.clone();
        registry.register("decisions_admitted_pushed_out", "Other decisions pushed out unfetched", admitted);
        registry.register("decisions_lost", "Decisions lost on the way to an Event", self.decisions_lost.clone());
        registry.register("events", "Events written", self.events.clone());
        registry.register("events_suppressed", "Events too many to be written", self.events_suppressed.clone());
        registry.register("guard_pods", "Analysis pods by how they are guarded", self.guard_pods.clone());
        let unseen = self.guard_namespaces_unseen.clone();
        registry.register("guard_namespaces_unseen", "Guarded namespaces not seen whole", unseen);
        registry.register("analyses", "Analyses by phase", self.analyses.clone());
        registry.register("orchestrator_steps", "Steps of the orchestrator by outcome", self.steps.clone());
        registry.register("audits", "Audits of the cluster by outcome", self.audits.clone());
        let notifications = self.notifications.clone();
        registry.register("notifications", "Attempts to tell a receiver what fails newly, by outcome", notifications);
        registry.register("scans", "Scans of images by outcome", self.scans.clone());
        registry.register("scan_duration_seconds", "Time that scans of images took", self.scan_duration.clone());
        registry.register("analysis_health_answers", "What analyses answer when asked", self.visits.clone());
        registry.register("admission_in_flight_bytes", "Bytes of bodies held", self.bytes_in_flight.clone());
        let stuck = self.rule_threads_stuck.clone();
        registry.register("admission_rule_threads_stuck", "Threads that hang in users' rules", stuck);
        registry.register(
            "certificate_expiry_timestamp_seconds",
            "Last moment of the serving certificate",
            self.certificate_expiry.clone(),
        );
        let drifted = self.configurations_drifted.clone();
        registry.register("webhook_configurations_drifted", "Webhook configurations not as printed", drifted);
        registry.register("policies_valid", "Whether the policy files are in force", self.policies_valid.clone());
        let fetched = self.realm_keys_fetched.clone();
        registry.register("realm_keys_fetched_timestamp_seconds", "When keys of tokens were last fetched", fetched);
        let failed = self.realm_key_fetches_failed.clone();
        registry.register("realm_key_fetches_failed", "Times that keys of tokens could not be fetched", failed);
        registry.register("archive_up", "Whether the archive takes what is written", self.archive_up.clone());
        let logs = self.archive_logs_lost.clone();
        registry.register("archive_logs_lost", "Runs whose logs were not kept", logs);
        let lines = self.archive_lines_lost.clone();
        registry.register("archive_lines_lost", "Streamed lines that are not kept", lines);
        registry.register("journal_number", "Number of the journal's newest entry", self.journal_number.clone());
        let lost = self.journal_decisions_lost.clone();
        registry.register("journal_decisions_lost", "Decisions not written into the journal", lost);
        let failed = self.journal_prunes_failed.clone();
        registry.register("journal_prunes_failed", "Times that the journal was not pruned", failed);
        registry.register("syslog_up", "Whether the receiver of syslog takes entries", self.syslog_up.clone());
        registry.register("syslog_sent", "Entries sent by syslog", self.syslog_sent.clone());
        registry.register("syslog_waiting", "Entries still to be sent by syslog", self.syslog_waiting.clone());
        registry.register("syslog_lost", "Entries pruned before they were sent", self.syslog_lost.clone());
        registry.register("remote_up", "Whether another system answered last", self.remote_up.clone());
        registry.register("remote_calls", "Calls of other systems by outcome", self.remote_calls.clone());
        registry.register("hub_lines_lost", "Log lines not passed on to the Hub", self.hub_lines_lost.clone());
        self.audit.register(registry);
        self.network.register(registry);
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Version of this program", build);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

/// Writes logs to standard error from now on; `RUST_LOG` chooses what, from `info` up otherwise.
pub fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,kube_runtime=off"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => log.with_ansi(false).try_init(),
        LogFormat::Json => log.json().flatten_event(true).with_current_span(false).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logs were started before");
    }
}

/// An error and its causes on one line, each where the text before does not hold it.
pub fn whole(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = next.source();
    }
    text
}

/// A caller's text as it may stand in a log line: no control characters, not endless.
pub fn printable(text: &str) -> Cow<'_, str> {
    let short = text.char_indices().nth(SHOWN).map_or(text, |(end, _)| text.get(..end).unwrap_or_default());
    let plain = |c: char| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}');
    if short.len() == text.len() && text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(short.len() + 8);
    for c in short.chars() {
        if plain(c) {
            shown.push(c);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(shown, "{}", c.escape_unicode());
        }
    }
    if short.len() < text.len() {
        shown.push('…');
    }
    Cow::Owned(shown)
}

/// Up to 10 s, the longest a webhook call takes by default: what lies above the last bucket cannot be told apart.
const BUCKETS: [f64; 13] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const SCAN_BUCKETS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0];
const SHOWN: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_text_cannot_break_a_log_line() {
        let long = "x".repeat(300);
        for (text, shown) in [
            ("web-1", "web-1"),
            ("a\nlevel=INFO", "a\\u{a}level=INFO"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("a\u{202e}b", "a\\u{202e}b"),
            (&long, &format!("{}…", "x".repeat(253))),
        ] {
            assert_eq!(printable(text), shown);
        }
    }

    #[test]
    fn metrics_have_their_names() {
        let metrics = Metrics::new();
        let labels = ReviewLabels { side: "mutate", operation: "CREATE", resource: "pods", decision: "allowed" };
        metrics.requests.get_or_create(&labels).inc();
        let text = metrics.text();
        for line in [
            "flamewarden_admission_requests_total{side=\"mutate\",operation=\"CREATE\",resource=\"pods\",decision=\"allowed\"} 1",
            "flamewarden_admission_in_flight_bytes 0",
            "flamewarden_certificate_expiry_timestamp_seconds 0",
            "flamewarden_policies_valid 0",
            concat!("flamewarden_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        ] {
            assert!(text.lines().any(|had| had == line), "{line} is missing in\n{text}");
        }
    }
}
