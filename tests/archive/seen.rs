//! What pages show of the archive: what somebody may see, what the last audit told, and who is logged in.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use flamewarden::archive::{FindingFilter, LastReport, Session, Which};
use flamewarden::model::{Excepted, Severity};
use flamewarden::report::{
    Entry, ExceptionUse, Found, Object, Outcome, Problem, Report, RuleAbout, Subject, Summary, Told,
};

use crate::database::{archive, moment};

#[tokio::test]
async fn nobody_is_told_of_a_namespace_that_they_may_not_see() {
    let (_server, archive) = archive().await;
    let (report, judged) = report();
    archive.record_audit(&report, Some(&judged)).await.unwrap();
    for (within, names) in [
        (None, vec!["", "a", "b", "c"]),
        (Some(vec![]), vec![]),
        (Some(vec!["a"]), vec!["a"]),
        (Some(vec!["a", "c", "x"]), vec!["a", "c"]),
        (Some(vec!["*", "%", "A", "a' OR '1'='1"]), vec![]),
        (Some(vec![""]), vec![""]),
    ] {
        let within: Option<BTreeSet<String>> = within.map(|names| names.into_iter().map(str::to_owned).collect());
        let counts = archive.finding_counts(Subject::Cluster, within.clone()).await.unwrap();
        let mut seen: Vec<&str> = counts.iter().map(|one| one.namespace.as_str()).collect();
        seen.sort_unstable();
        assert_eq!(seen, names, "{within:?}");
        for filter in [
            FindingFilter::default(),
            FindingFilter { which: Which::Standing, ..FindingFilter::default() },
            FindingFilter { which: Which::NewIn(1), ..FindingFilter::default() },
            FindingFilter { text: Some("of".to_owned()), ..FindingFilter::default() },
        ] {
            let filter = FindingFilter { within: within.clone(), ..filter };
            let page = archive.findings(Subject::Cluster, filter, 0, 100).await.unwrap();
            let mut found: Vec<_> = page.findings.iter().map(|one| one.object.namespace.as_str()).collect();
            found.sort_unstable();
            assert_eq!((found, page.total), (names.clone(), u64::try_from(names.len()).unwrap()), "{within:?}");
        }
        let objects = archive.failing_objects(Subject::Cluster, "Pod", within.clone()).await.unwrap();
        let pods = objects.into_iter().map(|(namespace, name, count)| format!("{namespace} {name} {count}"));
        let mut pods: Vec<String> = pods.collect();
        pods.sort_unstable();
        let want = names.iter().filter(|name| !name.is_empty()).map(|name| format!("{name} of-{name} 1"));
        assert_eq!(pods, want.collect::<Vec<_>>(), "{within:?}");
        // Asking for another one's by name shows nothing of it.
        let filter =
            FindingFilter { namespace: Some("b".to_owned()), within: within.clone(), ..FindingFilter::default() };
        let page = archive.findings(Subject::Cluster, filter, 0, 100).await.unwrap();
        assert_eq!(page.total, u64::from(within.is_none()), "{within:?}");
    }
}

#[tokio::test]
async fn what_the_last_audit_told_besides_findings_is_kept_and_replaced() {
    let (_server, archive) = archive().await;
    assert_eq!(archive.last_report(Subject::Cluster).await.unwrap(), None);
    let (mut report, judged) = report();
    archive.record_audit(&report, Some(&judged)).await.unwrap();
    let LastReport { report: told, objects } = archive.last_report(Subject::Cluster).await.unwrap().unwrap();
    assert_eq!((told.findings.len(), &told.exceptions, &told.problems), (0, &report.exceptions, &report.problems));
    assert_eq!((told.summary, told.score, told.coverage), (report.summary, report.score, report.coverage));
    let each = ["", "a", "b", "c"].map(|name| (name.to_owned(), 1));
    assert_eq!(objects, BTreeMap::from(each));
    report.exceptions.clear();
    archive.record_audit(&report, None).await.unwrap();
    let last = archive.last_report(Subject::Cluster).await.unwrap().unwrap();
    assert_eq!((last.report.exceptions.len(), last.objects.len()), (0, 0));
    assert_eq!(archive.last_report(Subject::Files).await.unwrap(), None);
}

#[tokio::test]
async fn a_session_is_there_until_it_is_over_or_ended() {
    let (_server, archive) = archive().await;
    let session = |key: &str, ends: i64| {
        let who = format!("{{\"name\": \"{key}\"}}");
        Session { key: key.to_owned(), who, ends: moment(ends) }
    };
    archive.begin_session(session("a", 10), moment(1)).await.unwrap();
    archive.begin_session(session("b", 20), moment(1)).await.unwrap();
    assert_eq!(archive.session("a", moment(9)).await.unwrap(), Some(session("a", 10)));
    assert_eq!(archive.session("a", moment(10)).await.unwrap(), None, "its end is no part of it");
    for other in ["", "A", "a' OR '1'='1", "%", "c"] {
        assert_eq!(archive.session(other, moment(1)).await.unwrap(), None, "{other}");
    }
    archive.end_session("b").await.unwrap();
    assert_eq!(archive.session("b", moment(1)).await.unwrap(), None);
    // Many logins push out those that end first, and what is over goes.
    for number in 0..1005 {
        archive.begin_session(session(&format!("s-{number}"), 100 + number), moment(50)).await.unwrap();
    }
    assert_eq!(archive.session("a", moment(1)).await.unwrap(), None);
    let mut there = Vec::new();
    for number in [0, 3, 4, 1004] {
        there.push(archive.session(&format!("s-{number}"), moment(60)).await.unwrap().is_some());
    }
    assert_eq!(there, [false, false, true, true]);
}

/// A finding on a node and on a pod of each of three namespaces.
fn report() -> (Report, HashSet<Object>) {
    let object = |namespace: &str| Object {
        api_version: "v1".to_owned(),
        kind: if namespace.is_empty() { "Node" } else { "Pod" }.to_owned(),
        namespace: namespace.to_owned(),
        name: format!("of-{namespace}"),
        uid: String::new(),
    };
    let entry = |namespace: &str| Entry {
        place: None,
        object: Arc::new(object(namespace)),
        outcome: Outcome::Violated,
        excepted: None,
        since: None,
        told: Told {
            rule: "labels".into(),
            severity: Severity::High,
            path: "spec".into(),
            value: "".into(),
            message: "m".into(),
            remedy: Arc::new([]),
        }
        .into(),
    };
    let namespaces = ["", "a", "b", "c"];
    let text = str::to_owned;
    let excepted = Excepted { covers: text("x"), owner: text("o"), reason: text("r"), expires: moment(99) };
    let found = Found {
        subject: Subject::Cluster,
        objects: Summary { judged: 4, ..Summary::default() },
        looked_at: 1,
        findings: namespaces.map(entry).into(),
        exceptions: vec![ExceptionUse::new("p", "f", excepted, Some(1), moment(1))],
        problems: vec![Problem::of_cluster(text("away"))],
    };
    let report = Report::new(found, |rule| RuleAbout::new(rule, "t", "w", Severity::High, &[]), moment(1));
    (report, namespaces.map(object).into())
}
