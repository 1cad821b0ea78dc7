//! Edge: audits the cluster again and again while this process leads, and tells what is new: to metrics, the archive,
//! Events, objects of OpenReports, and a receiver of notifications.

mod changes;
mod events;
mod news;
mod notify;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::publish::{Publishing, publish};
use super::{Asker, Auditor, Collection, Live, audit_cluster};
use crate::archive::{Archive, RecordedRun};
use crate::cluster::{Cluster, Leadership, Recorder};
use crate::install::Settings;
use crate::policy::{PolicySet, ReportApi};
use crate::report::{Dialect, Entry, Object, Report, Subject};
use crate::telemetry::{Audited, Metrics, OutcomeLabels, whole};
use changes::Changes;
use news::News;
use notify::Notifier;

/// What auditing works with.
pub struct AuditingSettings {
    /// Its connection; it writes as the leader.
    pub cluster: Cluster,
    /// Whether this process audits.
    pub leadership: Leadership,
    /// The policies in force.
    pub policies: Arc<ArcSwap<PolicySet>>,
    /// The text of their files, read anew for each audit, or why they cannot be read.
    pub files: Arc<dyn Fn() -> Result<BTreeMap<String, String>, String> + Send + Sync>,
    /// What `manifests` was told, but for the policy files.
    pub installation: Settings,
    /// Where findings are kept, where there is one.
    pub archive: Option<Arc<Archive>>,
    /// Tells of new findings.
    pub recorder: Arc<Recorder>,
    /// Where each audit is told.
    pub metrics: Arc<Metrics>,
}

/// Audits for as long as the process lives.
pub struct Auditing {
    settings: AuditingSettings,
    news: News,
    notifier: Notifier,
}

impl Auditing {
    /// One that has seen nothing yet.
    pub fn new(settings: AuditingSettings) -> Self {
        let notifier = Notifier::new(settings.archive.clone());
        Auditing { settings, news: News::default(), notifier }
    }

    /// Goes on until `stop` says so.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.go_on() => {}
        }
        self.settings.metrics.audit.clear();
    }

    async fn go_on(&mut self) {
        let (mut changes, mut changed) = (None::<(Arc<PolicySet>, Changes)>, false);
        let (mut last, mut rest) = (None::<Instant>, Duration::ZERO);
        loop {
            if self.settings.leadership.holds() {
                let policies = self.settings.policies.load_full();
                if changes.as_ref().is_none_or(|(under, _)| !Arc::ptr_eq(under, &policies)) {
                    changes = Some((policies.clone(), Changes::of(&self.settings.cluster, &policies)));
                }
                let every = Duration::from_mins(policies.auditor.audit.every_minutes.into());
                // Others decide how often roles change: as long as an audit takes, nothing is looked at again.
                let between = if changed { AFTER_CHANGE.max(rest) } else { every };
                if last.is_none_or(|last| last.elapsed() >= between) {
                    let begun = Instant::now();
                    changed &= !self.audit(&policies).await;
                    (last, rest) = (Some(Instant::now()), begun.elapsed());
                }
                // It may have taken long.
                if self.settings.leadership.holds() {
                    self.notifier.tell(&policies, &self.settings.metrics).await;
                }
            } else if changes.take().is_some() {
                // Another process audits now: what it finds is its to tell.
                (last, changed) = (None, false);
                self.settings.metrics.audit.clear();
                self.news = News::default();
                self.notifier.forget();
            }
            match &mut changes {
                Some((_, changes)) => tokio::select! {
                    () = changes.next() => changed = true,
                    () = sleep(LOOK) => {}
                },
                None => sleep(LOOK).await,
            }
        }
    }

    /// Whether all was done.
    async fn audit(&mut self, policies: &PolicySet) -> bool {
        let begun = Instant::now();
        let (report, judged) = match self.look(policies).await {
            Ok(found) => found,
            Err(problem) => {
                self.count("failed");
                warn!(problem, "the cluster is not audited");
                return false;
            }
        };
        // Whoever has lost the lease meanwhile says nothing of what it has seen.
        if !self.settings.leadership.holds() {
            return false;
        }
        self.settings.metrics.audit.tell(&told(&report));
        let (opened, run) = self.opened(&report, &judged).await;
        let failing = report.failing().count();
        info!(
            findings = failing,
            new = opened.len(),
            missed = report.coverage.missed,
            score = report.score.number(),
            took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            "the cluster was audited"
        );
        events::tell(&self.settings.recorder, policies, &opened, &self.settings.metrics).await;
        self.notifier.take(&opened, run, policies);
        self.publish(&report, policies).await;
        true
    }

    /// The report of the cluster as it is now, and all that it is about.
    async fn look(&self, policies: &PolicySet) -> Result<(Report, HashSet<Object>), String> {
        let now = Timestamp::now();
        let files = (self.settings.files)()?;
        // Who has created a stored object, nobody knows any more: it is judged as the controller's.
        let asker = Asker { user: policies.installation.controller.clone(), ..Asker::default() };
        let auditor = Auditor::new(policies, asker, now).map_err(|problem| whole(&problem))?;
        let installation = Settings { files, ..self.settings.installation.clone() };
        let live = Live { cluster: &self.settings.cluster, policies, installation, now };
        let mut collection = Collection::new(Subject::Cluster).remembering();
        let looking: BoxFuture<'_, ()> = Box::pin(audit_cluster(&live, &auditor, &mut collection, |_| {}));
        looking.await;
        Ok(collection.report(policies, now))
    }

    /// What fails and did not before: by the archive, which outlives this process and has given the run a number, or else
    /// as far as this process knows.
    async fn opened<'r>(&mut self, report: &'r Report, judged: &HashSet<Object>) -> (Vec<&'r Entry>, Option<i64>) {
        let known = self.news.take(report, judged);
        let Some(archive) = &self.settings.archive else {
            self.count("done");
            return (known, None);
        };
        match archive.record_audit(report, Some(judged)).await {
            Ok(RecordedRun { number, opened, .. }) => {
                self.count("done");
                (opened.iter().filter_map(|place| report.findings.get(*place)).collect(), Some(number))
            }
            Err(problem) => {
                self.count("not_recorded");
                warn!(problem = %whole(&problem), "an audit is not written down; the next one makes up for it");
                (known, None)
            }
        }
    }

    fn count(&self, outcome: &'static str) {
        self.settings.metrics.audits.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    async fn publish(&self, report: &Report, policies: &PolicySet) {
        let dialect = |api: &ReportApi| match api {
            ReportApi::OpenReports => Dialect::OpenReports,
            ReportApi::PolicyReports => Dialect::PolicyReports,
        };
        let dialects: Vec<Dialect> = policies.auditor.audit.publish.iter().map(dialect).collect();
        match publish(&self.settings.cluster, report, &dialects).await {
            Ok(Some(done)) => {
                let Publishing { created, changed, deleted, unchanged, refused, .. } = done;
                info!(created, changed, deleted, unchanged, "the report is published");
                if let Some(first) = refused.first() {
                    warn!(count = refused.len(), first, "some of the report's objects are not published");
                }
            }
            // The cluster has no such API.
            Ok(None) => {}
            Err(problem) => warn!(problem = %whole(&problem), "the report is not published; the next one is"),
        }
    }
}

fn told(report: &Report) -> Audited {
    let counts = report.summary.failing.each().map(|(severity, count)| (severity.word(), count));
    let soon = report.made + EXPIRES_SOON;
    let expiring = |expires: Timestamp| expires > report.made && expires <= soon;
    let seen = report.coverage.seen;
    let all = seen.saturating_add(report.coverage.missed);
    Audited {
        at: report.made.as_second(),
        // Nothing is all that there is where nothing is.
        coverage: if all == 0 { 1.0 } else { ratio(seen, all) },
        score: report.score.number(),
        findings: counts,
        objects: report.summary.judged,
        exceptions_expiring: report.exceptions.iter().filter(|one| expiring(one.exception.expires)).count(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a metric, of counts far below 2^52")]
fn ratio(part: usize, all: usize) -> f64 {
    part as f64 / all as f64
}

/// How soon a lost lease, other settings and a notification that failed are seen.
const LOOK: Duration = Duration::from_secs(5);
/// Several changes are looked at together, and whoever changes things all the time does not have us audit all the time.
const AFTER_CHANGE: Duration = Duration::from_secs(30);
const EXPIRES_SOON: jiff::SignedDuration = jiff::SignedDuration::from_hours(14 * 24);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Severity;
    use crate::report::{Found, Outcome, Problem, RuleAbout, Summary, Told};

    pub(super) fn object(name: &str) -> Object {
        Object {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            namespace: "flame".to_owned(),
            name: name.to_owned(),
            uid: format!("uid-{name}"),
        }
    }

    /// A report by which these pods fail, and by which so much was missed.
    pub(super) fn report(failing: &[&str], missed: usize) -> Report {
        let entry = |name: &&str| Entry {
            place: None,
            object: object(name).into(),
            outcome: Outcome::Violated,
            excepted: None,
            since: None,
            told: Told {
                rule: "privileged".into(),
                severity: Severity::High,
                path: "spec".into(),
                value: "secret".into(),
                message: "leave it out".into(),
                remedy: [].into(),
            }
            .into(),
        };
        let found = Found {
            subject: Subject::Cluster,
            objects: Summary::default(),
            looked_at: 0,
            findings: failing.iter().map(entry).collect(),
            exceptions: Vec::new(),
            problems: (0..missed).map(|_| Problem::of_cluster("away".to_owned())).collect(),
        };
        let about = |rule: &str| RuleAbout::new(rule, "title", "", Severity::High, &[]);
        Report::new(found, about, Timestamp::UNIX_EPOCH)
    }
}
