//! Decisions as somebody asks for them: by place, analysis, outcome, rule, user and text, in pages, the newest first.

use std::time::{Duration, Instant};

use flamewarden::archive::{Archive, DecisionFilter, Fetched, Keep, KeptDecision, Told};
use flamewarden::model::{Decision, Outcome};
use jiff::Timestamp;
use sqlx::Executor as _;

use crate::database::{archive, beside, column};
use crate::journal::{decision, gap};

const ID: &str = "0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f";

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn some(number: u64, namespace: &str, analysis: &str, outcome: Outcome) -> Decision {
    let (namespace, analysis) = (namespace.to_owned(), analysis.to_owned());
    Decision { namespace, analysis, outcome, rules: vec!["labels".to_owned()], ..decision(number) }
}

async fn keep(archive: &Archive, run: &str, decisions: Vec<Decision>) {
    let through = decisions.last().unwrap().number;
    archive.keep_decisions(Fetched { run: run.to_owned(), decisions, through, lost: 0 }).await.unwrap();
}

/// Each in a word: the number that the replica gave it, or what else it is.
fn words(kept: &[KeptDecision]) -> String {
    let word = |kept: &KeptDecision| match &kept.told {
        Told::Decision { decision, .. } => decision.number.to_string(),
        Told::Gap { reason, count } => format!("{reason}:{}", count.map_or("?".to_owned(), |count| count.to_string())),
        Told::Unreadable => "unreadable".to_owned(),
    };
    kept.iter().map(word).collect::<Vec<_>>().join(" ")
}

async fn found(archive: &Archive, filter: DecisionFilter) -> String {
    words(&archive.decisions(filter, 100).await.unwrap())
}

/// Seven decisions and two gaps.
async fn filled(archive: &Archive) {
    let run = |number: u32| format!("analysis-{ID}-{number}");
    let mut entered = some(4, "flame", "analysis-a", Outcome::BreakGlass);
    (entered.user, entered.rules) = ("J\u{c4}NE_100%".to_owned(), vec!["connection".to_owned()]);
    let decisions = vec![
        some(1, "flame", "analysis-a", Outcome::Allowed),
        some(2, "flame", "analysis-b", Outcome::Refused),
        some(3, "other", &run(1), Outcome::Patched),
        entered,
        some(5, "other", &run(2), Outcome::Warned),
        // An unreadable review.
        some(6, "", "", Outcome::Refused),
    ];
    keep(archive, "r", decisions).await;
    gap(archive, "replica_gone", 1).await;
    keep(archive, "r", vec![some(9, "flame", "", Outcome::Refused)]).await;
}

#[tokio::test]
async fn decisions_are_found_by_all_that_is_asked_and_by_nobody_who_may_not_see_them() {
    let (_server, archive) = archive().await;
    filled(&archive).await;
    let any = DecisionFilter::default();
    let namespaces = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let run = |number: u32| text(&format!("analysis-{ID}-{number}"));
    for (filter, want) in [
        (any.clone(), "9 not_kept:2 replica_gone:1 6 5 4 3 2 1"),
        (DecisionFilter { before: Some(7), ..any.clone() }, "6 5 4 3 2 1"),
        (DecisionFilter { namespaces: namespaces(&[]), ..any.clone() }, ""),
        (DecisionFilter { namespaces: namespaces(&[""]), ..any.clone() }, ""),
        (DecisionFilter { namespaces: namespaces(&["flame"]), ..any.clone() }, "9 4 2 1"),
        (DecisionFilter { namespaces: namespaces(&["other", "flame", ""]), ..any.clone() }, "9 5 4 3 2 1"),
        (DecisionFilter { namespaces: namespaces(&["flame' OR ''='"]), ..any.clone() }, ""),
        (DecisionFilter { analysis: text("analysis-a"), ..any.clone() }, "4 1"),
        (DecisionFilter { analysis: text(ID), ..any.clone() }, "5 3"),
        (DecisionFilter { analysis: run(2), ..any.clone() }, "5"),
        (DecisionFilter { analysis: run(3), ..any.clone() }, ""),
        (DecisionFilter { analysis: text(ID), namespaces: namespaces(&["flame"]), ..any.clone() }, ""),
        (DecisionFilter { analysis: run(1), namespaces: namespaces(&["flame", "other"]), ..any.clone() }, "3"),
        (DecisionFilter { outcomes: vec![Outcome::Refused], ..any.clone() }, "9 6 2"),
        (DecisionFilter { outcomes: vec![Outcome::Refused, Outcome::Patched], ..any.clone() }, "9 6 3 2"),
        (DecisionFilter { rule: text("connection"), ..any.clone() }, "4"),
        (DecisionFilter { rule: text("labels"), namespaces: namespaces(&["other"]), ..any.clone() }, "5 3"),
        (DecisionFilter { rule: text("label"), ..any.clone() }, ""),
        (DecisionFilter { user: text("J\u{c4}NE_100%"), ..any.clone() }, "4"),
        (DecisionFilter { user: text("jane"), rule: text("labels"), before: Some(3), ..any.clone() }, "2 1"),
        (DecisionFilter { text: text("j\u{e4}ne_1"), ..any.clone() }, "4"),
        (DecisionFilter { text: text("0%"), ..any.clone() }, "4"),
        (DecisionFilter { text: text("j_ne"), ..any.clone() }, ""),
        (DecisionFilter { text: text("PODS"), analysis: text("analysis-b"), ..any.clone() }, "2"),
        (DecisionFilter { text: text("'; DROP TABLE journal; --"), ..any.clone() }, ""),
    ] {
        assert_eq!(found(&archive, filter.clone()).await, want, "{filter:?}");
    }
    let kept = archive.decisions(DecisionFilter { analysis: run(2), ..any }, 1).await.unwrap();
    let [KeptDecision { number: 5, written: Some(_), told: Told::Decision { run, decision } }] = &kept[..] else {
        panic!("{kept:?}")
    };
    assert_eq!((run.as_str(), &**decision), ("r", &some(5, "other", &format!("analysis-{ID}-2"), Outcome::Warned)));
}

#[tokio::test]
async fn pages_follow_each_other_without_a_hole() {
    let (_server, archive) = archive().await;
    let outcomes = [Outcome::Allowed, Outcome::Refused, Outcome::Warned];
    let decisions = (1..=100).map(|number| {
        let place = usize::try_from(number).unwrap();
        some(number, ["flame", "other", "third"][place % 3], "analysis-a", outcomes[place % 7 % 3])
    });
    keep(&archive, "r", decisions.collect()).await;
    for namespaces in [None, Some(vec!["flame".to_owned(), "other".to_owned()])] {
        let (mut all, mut before) = (Vec::new(), None);
        loop {
            let filter = DecisionFilter { namespaces: namespaces.clone(), before, ..DecisionFilter::default() };
            let page = archive.decisions(filter, 7).await.unwrap();
            let Some(last) = page.last() else { break };
            before = Some(last.number);
            all.extend(page);
        }
        let want: Vec<i64> = (1..=100).rev().filter(|number| namespaces.is_none() || number % 3 != 2).collect();
        assert_eq!(all.iter().map(|kept| kept.number).collect::<Vec<_>>(), want);
    }
}

#[tokio::test]
async fn the_list_only_finds_and_what_is_told_is_what_stands_in_the_journal() {
    let (server, archive) = archive().await;
    filled(&archive).await;
    let mut connection = beside(&server).await;
    // Somebody has put another's decision into the list of a namespace, changed an entry and taken one out.
    connection.execute("UPDATE decisions SET namespace = 'flame' WHERE number = 3").await.unwrap();
    let seen = DecisionFilter { namespaces: Some(vec!["flame".to_owned()]), ..DecisionFilter::default() };
    assert_eq!(found(&archive, seen).await, "9 4 2 1");
    connection.execute("UPDATE journal SET body = 'none' WHERE number = 2").await.unwrap();
    connection.execute("UPDATE journal SET written = 9223372036854775807 WHERE number = 1").await.unwrap();
    connection.execute("DELETE FROM journal WHERE number = 4").await.unwrap();
    let all = archive.decisions(DecisionFilter::default(), 100).await.unwrap();
    assert_eq!(words(&all), "9 not_kept:2 replica_gone:1 6 5 unreadable 3 unreadable 1");
    assert_eq!(all.last().unwrap().written, None);
}

#[tokio::test]
async fn what_is_pruned_is_found_no_more() {
    let (server, archive) = archive().await;
    filled(&archive).await;
    archive.prune_journal(Keep { days: 30, entries: 4 }, Timestamp::now()).await.unwrap();
    assert_eq!(found(&archive, DecisionFilter::default()).await, "9 not_kept:2 replica_gone:1");
    for list in ["SELECT CAST(number AS TEXT) FROM decisions", "SELECT CAST(number AS TEXT) FROM decision_rules"] {
        assert!(column(&server, list).await.iter().all(|number| number.parse::<i64>().unwrap() > 6), "{list}");
    }
}

/// What is rare is found at once among very many, whichever way it is asked for.
#[tokio::test]
async fn a_page_costs_little_among_very_many() {
    let (server, archive) = archive().await;
    let mut rare = some(1, "third", "analysis-z", Outcome::BreakGlass);
    (rare.user, rare.rules) = ("rarely".to_owned(), vec!["rare".to_owned()]);
    keep(&archive, "r", vec![rare]).await;
    let mut connection = beside(&server).await;
    let begun = Instant::now();
    for statement in MANY {
        connection.execute(*statement).await.unwrap();
    }
    let filling = begun.elapsed();
    let any = DecisionFilter::default();
    let namespaces = Some(["third", "other", "fourth"].map(str::to_owned).to_vec());
    let mut times = Vec::new();
    for (filter, many) in [
        (any.clone(), true),
        (DecisionFilter { namespaces: Some(vec!["flame".to_owned()]), ..any.clone() }, true),
        (DecisionFilter { before: Some(COUNT / 2), ..any.clone() }, true),
        (DecisionFilter { namespaces, ..any.clone() }, false),
        (DecisionFilter { outcomes: vec![Outcome::BreakGlass], ..any.clone() }, false),
        (DecisionFilter { analysis: text("analysis-z"), ..any.clone() }, false),
        (DecisionFilter { rule: text("rare"), ..any.clone() }, false),
        (DecisionFilter { user: text("rarely"), ..any.clone() }, false),
        (DecisionFilter { user: text("rarely"), namespaces: Some(vec!["third".to_owned()]), ..any.clone() }, false),
    ] {
        let begun = Instant::now();
        let kept = archive.decisions(filter.clone(), 50).await.unwrap();
        times.push(begun.elapsed());
        assert_eq!(kept.len(), if many { 50 } else { 1 }, "{filter:?}");
    }
    // The one way that has no index.
    let begun = Instant::now();
    let searched = archive.decisions(DecisionFilter { text: text("RARELY"), ..any }, 50).await.unwrap();
    println!("{COUNT} decisions in {filling:?}; pages: {times:?}; a text that is rare: {:?}", begun.elapsed());
    assert_eq!(searched.len(), 1);
    assert!(times.iter().all(|time| *time < Duration::from_millis(500)), "{times:?}");
}

const COUNT: i64 = 200_000;
/// As many more as that, each as the first is, but common.
const MANY: &[&str] = &[
    "WITH RECURSIVE n(i) AS (SELECT CAST(2 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < 200000) \
     INSERT INTO journal (number, written, kind, body, hash) SELECT i, written, kind, \
     REPLACE(body, 'third', 'flame'), hash FROM n, journal WHERE number = 1",
    "WITH RECURSIVE n(i) AS (SELECT CAST(2 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < 200000) \
     INSERT INTO decisions (number, outcome, namespace, analysis, run, asker, words) SELECT i, 'allowed', 'flame', \
     'analysis-a', '', 'jane', 'create pods p jane' FROM n",
    "INSERT INTO decision_rules (rule, outcome, number) SELECT 'labels', 'allowed', number FROM decisions WHERE number > 1",
];
