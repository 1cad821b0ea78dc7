//! Edge: tells a receiver what fails newly: one message for all that an audit found, again until it was taken.
//!
//! With an archive it is what the runs since the last message have found, so that nothing is lost with this process and
//! nothing is told twice because another leads. Without one it is what this process has seen.

use std::cmp::Reverse;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::warn;

use crate::archive::{Archive, ArchiveProblem, FindingFilter, KnownFinding, Sent, Which};
use crate::model::{Backoff, Severity, one_line};
use crate::policy::{NotifySettings, PolicySet};
use crate::remote::{Address, Content, Question, Remote, RemoteProblem, Ways};
use crate::report::{Entry, Object, Subject};
use crate::telemetry::{Metrics, OutcomeLabels, whole};

/// What is still to be told, and how that goes.
pub(super) struct Notifier {
    archive: Option<Arc<Archive>>,
    due: Due,
    failures: u32,
    not_before: Option<Instant>,
}

/// What is still to be told.
#[derive(Debug, Default)]
enum Due {
    #[default]
    Nothing,
    /// What the archive says of the runs up to this one.
    Through(i64),
    /// These.
    These(Group),
}

/// What one message tells.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Group {
    total: u64,
    /// Whether there were more, too long ago for one message.
    left_out: bool,
    /// Some of them, the worst first.
    some: Vec<Line>,
}

/// A finding without what stands in its field, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    severity: Severity,
    rule: String,
    object: Object,
    path: String,
    message: String,
}

/// Why nothing was told.
#[derive(Debug, thiserror::Error)]
enum NotifyProblem {
    #[error("cannot read {0}")]
    File(String, #[source] std::io::Error),
    #[error(transparent)]
    Archive(#[from] ArchiveProblem),
    #[error(transparent)]
    Remote(#[from] RemoteProblem),
    #[error("the receiver answers {0}")]
    Answer(u16),
}

impl Notifier {
    /// One that has nothing to tell.
    pub(super) fn new(archive: Option<Arc<Archive>>) -> Self {
        Notifier { archive, due: Due::Nothing, failures: 0, not_before: None }
    }

    /// Takes in what an audit found newly; `run` is its number in the archive, where it stands there.
    pub(super) fn take(&mut self, opened: &[&Entry], run: Option<i64>, policies: &PolicySet) {
        let Some(settings) = &policies.auditor.notify else { return self.forget() };
        if let Some(run) = run {
            self.due = Due::Through(run);
            return;
        }
        // What is not written down in time is found again by the next audit, and told then.
        if self.archive.is_some() {
            return;
        }
        let lines: Vec<Line> = opened
            .iter()
            .filter(|entry| entry.severity >= settings.least_severity)
            .map(|entry| Line::from(*entry))
            .collect();
        let mut group = match std::mem::take(&mut self.due) {
            Due::These(group) => group,
            Due::Nothing | Due::Through(_) => Group::default(),
        };
        group.add(u64::try_from(lines.len()).unwrap_or(u64::MAX), lines.into_iter());
        self.due = if group.total == 0 { Due::Nothing } else { Due::These(group) };
    }

    /// Another process tells it now.
    pub(super) fn forget(&mut self) {
        (self.due, self.failures, self.not_before) = (Due::Nothing, 0, None);
    }

    /// Tells what is due, where it is time to.
    pub(super) async fn tell(&mut self, policies: &PolicySet, metrics: &Metrics) {
        let rests = self.not_before.is_some_and(|until| Instant::now() < until);
        let Some(settings) = policies.auditor.notify.as_ref().filter(|_| !rests) else { return };
        let done = match &self.due {
            Due::Nothing => return,
            Due::These(group) => send(settings, group).await,
            Due::Through(run) => self.tell_runs(settings, *run).await,
        };
        let outcome = match done {
            Ok(()) => {
                self.forget();
                "done"
            }
            Err(problem) => {
                self.failures = self.failures.saturating_add(1);
                self.not_before = Some(Instant::now() + BACKOFF.after(self.failures));
                if self.failures == 1 {
                    warn!(problem = %whole(&problem), "new findings are not told; it is tried again");
                }
                "failed"
            }
        };
        metrics.notifications.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Tells what the runs since the last message have found and what fails still.
    async fn tell_runs(&self, settings: &NotifySettings, last: i64) -> Result<(), NotifyProblem> {
        let Some(archive) = &self.archive else { return Ok(()) };
        let told = match archive.sent_to(RECEIVER).await? {
            Some(sent) => sent.number,
            // From now on, whatever comes of this attempt.
            None => {
                archive.mark_sent(RECEIVER, Sent { number: last - 1, hash: String::new() }).await?;
                last - 1
            }
        };
        let mut group = Group { left_out: told < last - RUNS, ..Group::default() };
        for run in told.max(last - RUNS) + 1..=last {
            let least = Some(settings.least_severity);
            let filter = FindingFilter { which: Which::NewIn(run), least, ..FindingFilter::default() };
            let page = archive.findings(Subject::Cluster, filter, 0, SOME).await?;
            group.add(page.total, page.findings.into_iter().map(Line::from));
        }
        if group.total > 0 {
            send(settings, &group).await?;
        }
        archive.mark_sent(RECEIVER, Sent { number: last, hash: String::new() }).await?;
        Ok(())
    }
}

impl Group {
    fn add(&mut self, total: u64, lines: impl Iterator<Item = Line>) {
        self.total = self.total.saturating_add(total);
        self.some.extend(lines);
        self.some.sort_by_key(|line| Reverse(line.severity));
        self.some.truncate(usize::try_from(SOME).unwrap_or(usize::MAX));
    }

    /// The message. Its `text` is what chat systems show.
    fn message(&self, now: Timestamp) -> Value {
        let some: Vec<Value> = self.some.iter().map(Line::told).collect();
        json!({
            "apiVersion": "flamewarden.dev/notification/v1alpha1", "kind": "Notification",
            "made": now, "text": self.text(), "newFindings": self.total, "findings": some,
        })
    }

    fn text(&self) -> String {
        let findings = if self.total == 1 { "finding" } else { "findings" };
        let mut text = format!("Flamewarden: {} new {findings}", self.total);
        for line in self.some.iter().take(SHOWN) {
            let (object, path) = (plain(&line.object.to_string()), plain(&line.path));
            text += &format!("\n{}: {} on {object} at {path}", line.severity.word(), line.rule);
        }
        let rest = self.total.saturating_sub(u64::try_from(self.some.len().min(SHOWN)).unwrap_or(u64::MAX));
        if rest > 0 {
            text += &format!("\nand {rest} more");
        }
        if self.left_out {
            text += "\nand older ones, which stand in the report alone";
        }
        text
    }
}

impl Line {
    fn told(&self) -> Value {
        let Line { severity, rule, object, path, message } = self;
        json!({"severity": severity, "rule": rule, "object": object, "path": path, "message": message})
    }
}

impl From<&Entry> for Line {
    fn from(entry: &Entry) -> Self {
        Line {
            severity: entry.severity,
            rule: entry.rule.to_string(),
            object: (*entry.object).clone(),
            path: entry.path.to_string(),
            message: entry.message.to_string(),
        }
    }
}

impl From<KnownFinding> for Line {
    fn from(found: KnownFinding) -> Self {
        let KnownFinding { severity, rule, object, path, message, .. } = found;
        Line { severity, rule, object, path, message }
    }
}

async fn read(path: &Path) -> Result<String, NotifyProblem> {
    tokio::fs::read_to_string(path).await.map_err(|problem| NotifyProblem::File(path.display().to_string(), problem))
}

async fn send(settings: &NotifySettings, group: &Group) -> Result<(), NotifyProblem> {
    let text = read(&settings.url_file).await?;
    // Its query may be the token.
    let place = text.trim().split('?').next().unwrap_or_default();
    let address = Address::parse(place)?.led_to(text.trim())?;
    let ways = Ways::plain(PATIENCE);
    let authority = match read(&settings.url_file.with_file_name("ca.crt")).await {
        Err(NotifyProblem::File(_, problem)) if problem.kind() == ErrorKind::NotFound => None,
        text => Some(text?),
    };
    let remote = authority.map_or_else(|| Remote::new(&ways), |text| Remote::trusting(&ways, &text))?;
    let message = group.message(Timestamp::now());
    let question =
        Question { method: Method::POST, address, bearer: None, content: Content::Json(&message), longest: LONGEST };
    match remote.ask(question).await?.status {
        200..300 => Ok(()),
        status => Err(NotifyProblem::Answer(status)),
    }
}

/// A text in one line that chat systems show and do not obey: `<!channel>` calls everybody.
fn plain(text: &str) -> String {
    one_line(text, 200).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// As the archive knows how far it was told.
const RECEIVER: &str = "notifications";
/// What nobody took for so many runs is in the report alone.
const RUNS: i64 = 100;
/// Findings in one message.
const SOME: u32 = 50;
/// Those of them in its text.
const SHOWN: usize = 10;
const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST: usize = 64 * 1024;
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_mins(10));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auditor::continuous::tests::report;
    use crate::report::Report;

    fn policies(notify: &str) -> PolicySet {
        let auditor = format!("apiVersion: flamewarden.dev/v1alpha1\nkind: Auditor\nspec: {{{notify}}}\n");
        PolicySet::parse([
            ("a", include_str!("../../../policies/flame-analysis.yaml")),
            ("g", include_str!("../../../policies/flame-gateway.yaml")),
            ("i", include_str!("../../../tests/fixtures/installation.yaml")),
            ("o", &auditor),
        ])
        .unwrap()
    }

    fn names(notifier: &Notifier) -> Vec<&str> {
        match &notifier.due {
            Due::These(group) => group.some.iter().map(|line| line.object.name.as_str()).collect(),
            Due::Nothing | Due::Through(_) => Vec::new(),
        }
    }

    #[test]
    fn what_is_bad_enough_waits_in_one_message_until_it_was_told() {
        let mut notifier = Notifier::new(None);
        let (first, second) = (report(&["a"], 0), report(&["b"], 0));
        let opened = |report| -> Vec<&Entry> { Report::failing(report).collect() };
        notifier.take(&opened(&first), None, &policies(""));
        assert_eq!(names(&notifier), [""; 0], "nobody wants to be told");
        notifier.take(&opened(&first), None, &policies("notify: {leastSeverity: critical}"));
        assert_eq!(names(&notifier), [""; 0], "it is less bad");
        let wanted = policies("notify: {}");
        notifier.take(&opened(&first), None, &wanted);
        notifier.take(&[], None, &wanted);
        notifier.take(&opened(&second), None, &wanted);
        assert_eq!(names(&notifier), ["a", "b"]);
        notifier.forget();
        assert_eq!(names(&notifier), [""; 0]);
    }

    #[test]
    fn a_message_says_how_many_and_the_worst_and_not_what_stands_there() {
        let all = report(&["a", "b"], 0);
        let mut group = Group::default();
        group.add(90, all.failing().map(Line::from));
        let worst = Line { severity: Severity::Critical, ..group.some[1].clone() };
        group.add(1, std::iter::once(worst));
        let message = group.message(Timestamp::UNIX_EPOCH);
        let text = "Flamewarden: 91 new findings\ncritical: privileged on Pod flame/b at spec\n\
                    high: privileged on Pod flame/a at spec\nhigh: privileged on Pod flame/b at spec\nand 88 more";
        assert_eq!(message["text"], text);
        assert_eq!((&message["newFindings"], message["findings"].as_array().map(Vec::len)), (&json!(91), Some(3)));
        assert!(!message.to_string().contains("secret"), "{message}");
        group.add(100, (0..100).map(|_| group_line(&all)));
        assert_eq!(group.message(Timestamp::UNIX_EPOCH)["findings"].as_array().map(Vec::len), Some(50));
    }

    fn group_line(report: &Report) -> Line {
        Line::from(report.failing().next().unwrap())
    }
}
