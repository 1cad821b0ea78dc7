//! What audits found, over many runs: what is new, what is fixed, since when, and in pages.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use flamewarden::archive::{Archive, ArchiveProblem, FindingFilter, Keep, RecordedRun, Verdict, Which};
use flamewarden::model::Severity;
use flamewarden::report::{Entry, Found, Object, Outcome, Problem, Report, RuleAbout, Subject, Summary, Told};
use jiff::{SignedDuration, Timestamp};
use sqlx::Executor as _;

use crate::database::{archive, beside, column, moment};
use crate::journal::told;

#[tokio::test]
async fn a_run_tells_what_is_new_in_it_and_what_is_fixed() {
    let (server, archive) = archive().await;
    let record = async |minute: i64, found: &[(&str, Outcome)], missed: usize| {
        let report = report(minute, found, missed);
        let RecordedRun { number, opened, fixed } = archive.record_audit(&report, None).await.unwrap();
        let opened: Vec<_> = opened.iter().map(|place| report.findings[*place].object.name.clone()).collect();
        (number, opened.join(" "), fixed)
    };
    for (run, (found, missed, opened, fixed)) in (1..).zip([
        (vec![("a", VIOLATED), ("b", VIOLATED), ("c", REPORTED)], 0, "a b", 0),
        (vec![("a", VIOLATED), ("b", VIOLATED), ("c", REPORTED)], 0, "", 0),
        (vec![("a", VIOLATED), ("d", VIOLATED), ("c", VIOLATED)], 0, "d c", 1),
        // What could not be looked at is not fixed.
        (vec![("d", VIOLATED)], 1, "", 0),
        (vec![("a", VIOLATED), ("c", REPORTED), ("d", VIOLATED)], 0, "", 1),
        (vec![("b", VIOLATED)], 0, "b", 2),
    ]) {
        assert_eq!(record(run, &found, missed).await, (run, opened.to_owned(), fixed), "{run}");
    }
    let names = async |which| {
        let filter = FindingFilter { which, ..FindingFilter::default() };
        let page = archive.findings(Subject::Cluster, filter, 0, 100).await.unwrap();
        assert_eq!(page.total, u64::try_from(page.findings.len()).unwrap());
        page.findings.into_iter().map(|found| found.object.name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(Which::Failing).await, "b");
    assert_eq!(names(Which::Standing).await, "b");
    assert_eq!(names(Which::NewIn(6)).await, "b");
    assert_eq!(names(Which::FixedIn(6)).await, "a d");
    assert_eq!(names(Which::NewIn(3)).await, "", "they are fixed since");
    let entries = told(&archive).await;
    assert_eq!(
        entries,
        [
            "opened a",
            "opened b",
            "run 1 opened 2 fixed 0",
            "run 2 opened 0 fixed 0",
            "opened d",
            "opened c",
            "fixed b",
            "run 3 opened 2 fixed 1",
            "run 4 opened 0 fixed 0",
            "fixed c",
            "run 5 opened 0 fixed 1",
            "opened b",
            "fixed a",
            "fixed d",
            "run 6 opened 1 fixed 2",
        ]
    );
    assert_eq!(archive.verify_journal(None).await.unwrap().verdict, Verdict::Whole);
    assert_eq!(column(&server, "SELECT name FROM findings ORDER BY name").await, ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn a_finding_is_known_from_its_first_day_to_its_last() {
    let (_server, archive) = archive().await;
    let mut seen = Vec::new();
    for (minute, found, missed) in [
        (1, vec!["a"], 0),
        (2, vec!["a"], 0),
        (3, vec!["a", "b"], 0),
        // Nobody has looked.
        (4, vec![], 1),
        (5, vec![], 1),
        (6, vec!["a", "b"], 0),
        (7, vec!["b"], 0),
        (8, vec!["a", "b"], 0),
    ] {
        let found: Vec<_> = found.into_iter().map(|name| (name, VIOLATED)).collect();
        archive.record_audit(&report(minute, &found, missed), None).await.unwrap();
        let filter = FindingFilter { which: Which::Standing, ..FindingFilter::default() };
        let page = archive.findings(Subject::Cluster, filter, 0, 10).await.unwrap();
        let a = page.findings.into_iter().find(|found| found.object.name == "a");
        seen.push(a.map(|a| [a.first_seen, a.since, a.last_seen].map(minute_of)));
    }
    assert_eq!(
        seen,
        [
            Some([1, 1, 1]),
            Some([1, 1, 2]),
            Some([1, 1, 3]),
            Some([1, 1, 3]),
            Some([1, 1, 3]),
            Some([1, 1, 6]),
            None,
            Some([1, 8, 8]),
        ]
    );
    let filter = FindingFilter { which: Which::FixedIn(7), ..FindingFilter::default() };
    assert_eq!(archive.findings(Subject::Cluster, filter, 0, 10).await.unwrap().total, 0, "it is open again");
}

#[tokio::test]
async fn of_a_run_that_missed_something_what_was_looked_at_counts_as_fixed() {
    let (_server, archive) = archive().await;
    let both = [("a", VIOLATED), ("b", VIOLATED)];
    archive.record_audit(&report(1, &both, 0), None).await.unwrap();
    let judged = HashSet::from([Object { uid: "another".to_owned(), ..object("a") }, object("c")]);
    let recorded = archive.record_audit(&report(2, &[], 1), Some(&judged)).await.unwrap();
    assert_eq!((recorded.opened.len(), recorded.fixed), (0, 1));
    let page = archive.findings(Subject::Cluster, FindingFilter::default(), 0, 10).await.unwrap();
    assert_eq!(page.findings.iter().map(|found| found.object.name.as_str()).collect::<Vec<_>>(), ["b"]);
}

#[tokio::test]
async fn findings_are_filtered_and_told_in_pages_the_worst_first() {
    let (_server, archive) = archive().await;
    let mut report = report(1, &[], 0);
    for number in 0..25 {
        let name = format!("p-{number:02}");
        let mut one = entry(&name, VIOLATED);
        let kind = if number % 5 == 0 { "Service" } else { "Pod" };
        one.object =
            Arc::new(Object { kind: kind.to_owned(), namespace: format!("n-{}", number % 3), ..object(&name) });
        let told = Arc::make_mut(&mut one.told);
        told.severity = [Severity::Low, Severity::Medium, Severity::High, Severity::Critical][number % 4];
        told.rule = ["labels", "volumes"][number % 2].into();
        told.message = if number == 7 { "it is 100% WRONG_".into() } else { "m".into() };
        report.findings.push(one);
    }
    report.findings.push(Entry { outcome: REPORTED, ..entry("calm", REPORTED) });
    archive.record_audit(&report, None).await.unwrap();
    let any = FindingFilter::default();
    let text = |text: &str| Some(text.to_owned());
    for (filter, total) in [
        (any.clone(), 25),
        (FindingFilter { which: Which::Standing, ..any.clone() }, 26),
        (FindingFilter { least: Some(Severity::High), ..any.clone() }, 12),
        (FindingFilter { rule: text("volumes"), ..any.clone() }, 12),
        (FindingFilter { namespace: text("n-0"), ..any.clone() }, 9),
        (FindingFilter { namespace: text(""), ..any.clone() }, 0),
        (FindingFilter { kind: text("Service"), ..any.clone() }, 5),
        (FindingFilter { text: text("wrong_"), ..any.clone() }, 1),
        (FindingFilter { text: text("100%"), ..any.clone() }, 1),
        (FindingFilter { text: text("p_0"), ..any.clone() }, 0),
        (FindingFilter { text: text("P-1"), ..any.clone() }, 10),
        (FindingFilter { text: text("'; DROP TABLE findings; --"), ..any.clone() }, 0),
        (FindingFilter { rule: text("labels"), kind: text("Pod"), least: Some(Severity::High), ..any.clone() }, 5),
    ] {
        let page = archive.findings(Subject::Cluster, filter.clone(), 0, 100).await.unwrap();
        assert_eq!((page.total, page.findings.len()), (total, usize::try_from(total).unwrap()), "{filter:?}");
    }
    let mut all = Vec::new();
    for from in [0, 10, 20, 30] {
        let page = archive.findings(Subject::Cluster, any.clone(), from, 10).await.unwrap();
        assert_eq!(page.total, 25);
        all.extend(page.findings);
    }
    assert_eq!(all.len(), 25);
    assert!(all.is_sorted_by_key(|found| std::cmp::Reverse(found.severity)));
    assert_eq!(all.iter().map(|found| &found.fingerprint).collect::<HashSet<_>>().len(), 25);
    let first = &all[0];
    let given = report.findings.iter().find(|one| one.object.name == first.object.name).unwrap();
    assert_eq!((&first.object, &*first.rule, first.outcome), (&*given.object, &*given.rule, given.outcome));
    assert_eq!((first.remedy.as_str(), first.value.as_str()), ("add it", "absent"));
    assert_eq!(
        archive.findings(Subject::Files, any, 0, 10).await.unwrap().total,
        0,
        "files have findings of their own"
    );
}

#[tokio::test]
async fn runs_make_a_trend_and_what_is_old_is_forgotten() {
    let (server, archive) = archive().await;
    assert_eq!(archive.latest_audit(Subject::Cluster).await.unwrap(), None);
    for hour in 0..48 {
        let found: Vec<(String, Outcome)> = (0..hour % 3).map(|number| (format!("p-{number}"), VIOLATED)).collect();
        let found: Vec<_> = found.iter().map(|(name, outcome)| (name.as_str(), *outcome)).collect();
        archive.record_audit(&report(hour * 60, &found, usize::from(hour == 47)), None).await.unwrap();
    }
    let now = at(48 * 60);
    let runs = archive.audit_runs(Subject::Cluster, 30, now, 1000).await.unwrap();
    assert_eq!(runs.len(), 48);
    assert!(runs.is_sorted_by_key(|run| run.made));
    let last = archive.latest_audit(Subject::Cluster).await.unwrap().unwrap();
    assert_eq!(runs.last(), Some(&last));
    assert_eq!((last.number, last.summary.violated, last.coverage.is_whole()), (48, 2, false));
    assert_eq!((last.score, last.summary.failing.high), (69, 2));
    assert_eq!(archive.audit_runs(Subject::Cluster, 1, now, 1000).await.unwrap().len(), 24);
    let few = archive.audit_runs(Subject::Cluster, 2, now, 6).await.unwrap();
    assert!(few.len() <= 7 && few.len() >= 6, "{}", few.len());
    assert_eq!(few.last().map(|run| run.number), Some(48), "the newest is among them");
    let young = archive.audit_runs(Subject::Cluster, 365, now, 48).await.unwrap();
    assert!(young.len() >= 47, "a short history is told as finely as a long one: {}", young.len());

    archive.record_audit(&report(48 * 60, &[], 0), None).await.unwrap();
    let keep = Keep { days: 30, entries: 1000 };
    archive.tidy_findings(keep, at(29 * 24 * 60)).await.unwrap();
    assert_eq!(archive.audit_runs(Subject::Cluster, 3, now, 1000).await.unwrap().len(), 49);
    assert_eq!(column(&server, FIXED).await.len(), 2);
    archive.tidy_findings(Keep { entries: 1, ..keep }, at(29 * 24 * 60)).await.unwrap();
    assert_eq!(column(&server, FIXED).await.len(), 1);
    archive.tidy_findings(keep, at(90 * 24 * 60)).await.unwrap();
    assert_eq!(column(&server, FIXED).await.len(), 0);
    assert_eq!(archive.latest_audit(Subject::Cluster).await.unwrap().unwrap().number, 49, "the last run stays");
    let next = archive.record_audit(&report(49 * 60, &[], 0), None).await.unwrap();
    assert_eq!(next.number, 50, "and runs are counted on");
}

#[tokio::test]
async fn a_run_that_broke_off_is_completed_by_the_next_which_tells_what_is_new_in_both() {
    let (server, archive) = archive().await;
    archive.record_audit(&report(1, &[("a", VIOLATED)], 0), None).await.unwrap();
    let mut connection = beside(&server).await;
    // The last that is written of a run cannot be.
    connection.execute("ALTER TABLE audit_runs RENAME COLUMN counts TO other").await.unwrap();
    let broken = report(2, &[("a", VIOLATED), ("b", VIOLATED)], 0);
    archive.record_audit(&broken, None).await.unwrap_err();
    connection.execute("ALTER TABLE audit_runs RENAME COLUMN other TO counts").await.unwrap();
    let archive = Archive::open(&server.url()).await.unwrap();
    let next = report(3, &[("a", VIOLATED), ("b", VIOLATED), ("c", VIOLATED)], 0);
    let recorded = archive.record_audit(&next, None).await.unwrap();
    assert_eq!(recorded, RecordedRun { number: 2, opened: vec![1, 2], fixed: 0 });
    assert_eq!(archive.record_audit(&next, None).await.unwrap().opened, [0; 0]);
    let entries = told(&archive).await;
    assert_eq!(entries.iter().filter(|entry| *entry == "opened b").count(), 1, "{entries:?}");
    assert_eq!(archive.verify_journal(None).await.unwrap().verdict, Verdict::Whole);
}

#[tokio::test]
async fn a_run_that_broke_off_and_is_completed_tells_all_that_was_fixed_in_it() {
    let (server, archive) = archive().await;
    archive.record_audit(&report(1, &[("a", VIOLATED), ("b", VIOLATED), ("c", VIOLATED)], 0), None).await.unwrap();
    let mut connection = beside(&server).await;
    connection.execute("ALTER TABLE audit_runs RENAME COLUMN counts TO other").await.unwrap();
    archive.record_audit(&report(2, &[("b", REPORTED), ("c", VIOLATED)], 0), None).await.unwrap_err();
    connection.execute("ALTER TABLE audit_runs RENAME COLUMN other TO counts").await.unwrap();
    let archive = Archive::open(&server.url()).await.unwrap();
    let recorded = archive.record_audit(&report(3, &[("b", REPORTED)], 0), None).await.unwrap();
    assert_eq!(recorded, RecordedRun { number: 2, opened: vec![], fixed: 3 });
    let filter = FindingFilter { which: Which::FixedIn(2), ..FindingFilter::default() };
    assert_eq!(archive.latest_audit(Subject::Cluster).await.unwrap().unwrap().fixed, 3);
    let found = archive.findings(Subject::Cluster, filter, 0, 10).await.unwrap();
    assert_eq!(found.total, 3, "b among them, which is still there");
    assert_eq!(told(&archive).await.last().unwrap(), "run 2 opened 0 fixed 3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_runs_that_are_written_at_once_one_gives_way() {
    let (server, archive) = archive().await;
    let other = Archive::open(&server.url()).await.unwrap();
    let names: Vec<String> = (0..6000).map(|number| format!("p-{number}")).collect();
    let found: Vec<_> = names.iter().map(|name| (name.as_str(), VIOLATED)).collect();
    let (one, two) = (report(1, &found, 0), report(2, &found, 0));
    let (one, two) = tokio::join!(archive.record_audit(&one, None), other.record_audit(&two, None));
    let outcomes = [&one, &two];
    let overtaken = outcomes.iter().filter(|done| matches!(done, Err(ArchiveProblem::Overtaken { .. }))).count();
    let done = outcomes.iter().filter(|done| done.is_ok()).count();
    assert!(done >= 1 && done + overtaken == 2, "{outcomes:?}");
    let entries = told(&archive).await;
    let opened: Vec<_> = entries.iter().filter(|entry| entry.starts_with("opened ")).collect();
    assert_eq!((opened.len(), opened.iter().collect::<HashSet<_>>().len()), (6000, 6000), "each was opened once");
    assert_eq!(archive.verify_journal(None).await.unwrap().verdict, Verdict::Whole);
}

/// Ten thousand; `tests/soak archive` writes a hundred thousand.
#[tokio::test]
async fn many_findings_are_written_as_far_as_they_have_changed_and_read_again() {
    let many = if std::env::var_os("FLAMEWARDEN_SOAK").is_some() { 100_000 } else { 10_000 };
    let (_server, archive) = archive().await;
    let names: Vec<String> = (0..many).map(|number| format!("p-{number}")).collect();
    let found: Vec<_> = names.iter().map(|name| (name.as_str(), VIOLATED)).collect();
    let (mut times, half) = (Vec::new(), many / 2);
    for (minute, most, opened, fixed) in [(1, many, many, 0), (2, many, 0, 0), (3, half, 0, many - half)] {
        let report = report(minute, &found[..most], 0);
        let begun = Instant::now();
        let recorded = archive.record_audit(&report, None).await.unwrap();
        times.push(begun.elapsed());
        assert_eq!((recorded.opened.len(), recorded.fixed), (opened, u64::try_from(fixed).unwrap()));
    }
    let begun = Instant::now();
    let from = u32::try_from(half - 10).unwrap();
    let page = archive.findings(Subject::Cluster, FindingFilter::default(), from, 20).await.unwrap();
    times.push(begun.elapsed());
    assert_eq!((page.total, page.findings.len()), (u64::try_from(half).unwrap(), 10));
    println!("{many} findings: first, again, half fixed, a page: {times:?}");
}

const VIOLATED: Outcome = Outcome::Violated;
const REPORTED: Outcome = Outcome::Reported;
const FIXED: &str = "SELECT name FROM findings WHERE fixed IS NOT NULL";

fn object(name: &str) -> Object {
    let text = str::to_owned;
    Object {
        api_version: text("v1"),
        kind: text("Pod"),
        namespace: text("flame"),
        name: text(name),
        uid: String::new(),
    }
}

fn entry(name: &str, outcome: Outcome) -> Entry {
    Entry {
        place: None,
        object: Arc::new(object(name)),
        outcome,
        excepted: None,
        since: None,
        told: Told {
            rule: "labels".into(),
            severity: Severity::High,
            path: "metadata.labels".into(),
            value: "absent".into(),
            message: "labels are missing".into(),
            remedy: Arc::new(["add it".to_owned()]),
        }
        .into(),
    }
}

/// A report of a cluster, made so many minutes after a moment; so many things could not be looked at.
fn report(minute: i64, found: &[(&str, Outcome)], missed: usize) -> Report {
    let problem = |number: usize| Problem::of_cluster(format!("list {number} cannot be read"));
    let found = Found {
        subject: Subject::Cluster,
        objects: Summary { judged: found.len() + 10, ..Summary::default() },
        looked_at: 3,
        findings: found.iter().map(|(name, outcome)| entry(name, *outcome)).collect(),
        exceptions: Vec::new(),
        problems: (0..missed).map(problem).collect(),
    };
    Report::new(found, |rule| RuleAbout::new(rule, "t", "w", Severity::High, &[]), at(minute))
}

fn at(minute: i64) -> Timestamp {
    moment(0) + SignedDuration::from_mins(minute)
}

fn minute_of(moment: Timestamp) -> i64 {
    moment.duration_since(at(0)).as_mins()
}
