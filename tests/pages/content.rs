//! Something of everything that pages can show, in two namespaces, with hostile texts wherever somebody else writes them.

use std::collections::HashSet;
use std::sync::Arc;

use flamewarden::archive::{Archive, Fetched};
use flamewarden::model::{Decision, Excepted, Outcome as Decided, Severity};
use flamewarden::report::{
    Entry, ExceptionUse, Found, Object, Outcome, Problem, Report, RuleAbout, Subject, Summary, Told,
};
use jiff::{SignedDuration, Timestamp};

/// A text that becomes elements, runs, and asks for something, wherever a page takes it for markup.
pub(crate) const MARK: &str = "<b class=injected>\"'&amp;</b><img src=/injected onerror=document.title='injected'><script>document.title='injected'</script>";
/// Of each of these something is told.
pub(crate) const NAMESPACES: [&str; 2] = ["flame", "analyses"];

/// Fills an archive as two audits and a webhook would.
pub(crate) async fn fill(archive: &Archive, now: Timestamp) {
    for (hours, more) in [(30, 3), (20, 9), (10, 6), (0, 0)] {
        let (report, judged) = report(now - SignedDuration::from_hours(hours), more);
        archive.record_audit(&report, Some(&judged)).await.unwrap();
    }
    let decisions = decisions(now);
    let through = u64::try_from(decisions.len()).unwrap();
    let fetched = Fetched { run: format!("webhook{MARK}"), decisions, through, lost: 0 };
    archive.keep_decisions(fetched).await.unwrap();
    archive.chain_gap("a gap", &format!("gap{MARK}"), 3).await.unwrap();
}

/// Findings of each severity and outcome in each namespace and on the cluster, and so many besides.
fn report(made: Timestamp, more: usize) -> (Report, HashSet<Object>) {
    let mut findings = Vec::new();
    for namespace in NAMESPACES.into_iter().chain([""]) {
        for (severity, outcome) in [
            (Severity::Critical, Outcome::Violated),
            (Severity::High, Outcome::Violated),
            (Severity::Medium, Outcome::Warning),
            (Severity::Low, Outcome::Reported),
        ] {
            let name = format!("analysis-of-{namespace}-0{MARK}{}", severity.word());
            let kind = if namespace.is_empty() { "Node" } else { "Pod" };
            findings.push(finding(object(kind, namespace, name), severity, outcome));
        }
        let many = (0..60).map(|number| object("Pod", namespace, format!("many-of-{namespace}-{number}")));
        findings.extend(many.map(|object| finding(object, Severity::High, Outcome::Violated)));
    }
    let gone = || (0..9).map(|number| object("Pod", "flame", format!("gone-{number}")));
    findings.extend(gone().take(more).map(|object| finding(object, Severity::Medium, Outcome::Violated)));
    let judged = findings.iter().map(|finding| (*finding.object).clone()).chain(gone()).collect();
    let found = Found {
        subject: Subject::Cluster,
        objects: Summary { judged: 500, ..Summary::default() },
        looked_at: 9,
        findings,
        exceptions: exceptions(made),
        problems: vec![Problem::of_cluster(format!("problem{MARK}"))],
    };
    let about = |id: &str| RuleAbout::new(id, &format!("title{MARK}"), &format!("why{MARK}"), Severity::High, &[]);
    (Report::new(found, about, made), judged)
}

fn object(kind: &str, namespace: &str, name: String) -> Object {
    let (api_version, kind, namespace) = ("v1".to_owned(), kind.to_owned(), namespace.to_owned());
    Object { api_version, kind, namespace, name, uid: String::new() }
}

fn finding(object: Object, severity: Severity, outcome: Outcome) -> Entry {
    let rule = if severity == Severity::Critical { format!("rule{MARK}") } else { "host-namespaces".to_owned() };
    let value = format!("value of {}{MARK}", object.namespace);
    Entry {
        place: None,
        object: Arc::new(object),
        outcome,
        excepted: None,
        since: None,
        told: Told {
            rule: rule.into(),
            severity,
            path: format!("spec.path{MARK}").into(),
            value: value.into(),
            message: format!("message{MARK}").into(),
            remedy: Arc::new([format!("remedy{MARK}")]),
        }
        .into(),
    }
}

/// In use, unused, at an end, and of unknown use.
fn exceptions(made: Timestamp) -> Vec<ExceptionUse> {
    let excepted = |days: i64| Excepted {
        covers: format!("covers{MARK}"),
        owner: format!("owner{MARK}"),
        reason: format!("reason{MARK}"),
        expires: made + SignedDuration::from_hours(24 * days),
    };
    let used =
        |days, count| ExceptionUse::new(&format!("profile{MARK}"), &format!("from{MARK}"), excepted(days), count, made);
    vec![used(10, Some(2)), used(400, Some(0)), used(-1, Some(1)), used(400, None)]
}

/// Of each outcome one in each namespace, and one of which nobody knows where.
fn decisions(now: Timestamp) -> Vec<Decision> {
    let outcomes = [Decided::Allowed, Decided::Patched, Decided::Warned, Decided::BreakGlass, Decided::Refused];
    let places = NAMESPACES.into_iter().chain([""]).flat_map(|namespace| outcomes.map(|outcome| (namespace, outcome)));
    let decision = |(number, (namespace, outcome)): (u64, (&str, Decided))| Decision {
        number,
        time: now,
        outcome,
        operation: "CREATE".to_owned(),
        resource: "pods".to_owned(),
        namespace: namespace.to_owned(),
        name: format!("decided-of-{namespace}{MARK}"),
        user: format!("user{MARK}"),
        analysis: format!("analysis-of-{namespace}"),
        rules: vec![format!("decided-by{MARK}")],
        from: format!("from{MARK}"),
        checked: outcome != Decided::Refused,
        about: None,
    };
    (1..).zip(places).map(decision).collect()
}

/// One more, as it happens.
pub(crate) async fn decide(archive: &Archive, name: &str) {
    let mut decision = decisions(Timestamp::now()).swap_remove(0);
    name.clone_into(&mut decision.name);
    decision.number = 1;
    let fetched = Fetched { run: name.to_owned(), decisions: vec![decision], through: 1, lost: 0 };
    archive.keep_decisions(fetched).await.unwrap();
}
