//! The journal: every change of what was written shows, whoever writes beside whom, and pruning is told.

use std::sync::atomic::{AtomicU64, Ordering};

use flamewarden::archive::{Archive, ArchiveProblem, Fetched, JournalHead, Keep, KnownEntry, Misfit, Pruned, Verdict};
use flamewarden::model::{Decision, Outcome};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sqlx::Executor as _;

use crate::Server;
use crate::database::{archive, beside, column, moment};

#[tokio::test]
async fn what_was_written_verifies_and_is_told_in_its_order() {
    let (_server, archive) = archive().await;
    let empty = archive.verify_journal(None).await.unwrap();
    assert_eq!((empty.verdict, empty.entries, empty.head.number), (Verdict::Whole, 0, 0));
    let before = Timestamp::now();
    gap(&archive, "pushed_out", 3).await;
    let head = archive.keep_decisions(fetched("r", &[1, 2], 0)).await.unwrap();
    assert_eq!(head.number, 3);
    assert_eq!(archive.journal_head().await.unwrap(), head);
    let whole = archive.verify_journal(Some(known(&head))).await.unwrap();
    assert_eq!((whole.verdict, whole.entries, whole.head), (Verdict::Whole, 3, head));
    assert_eq!(told(&archive).await, ["gap pushed_out 3", "decision r 1", "decision r 2"]);
    assert_eq!(archive.journal_after(1, 1).await.unwrap()[0].number, 2);
    assert_eq!(archive.journal_since(before).await.unwrap(), Some(1));
    assert_eq!(archive.journal_since(Timestamp::now() + SignedDuration::from_hours(1)).await.unwrap(), None);
    let lines: Vec<Value> = lines(&archive).await;
    assert_eq!(lines[1]["unchecked"], true, "{}", lines[1]);
    assert_eq!(lines[0].get("unchecked"), None);
}

#[tokio::test]
async fn whatever_is_changed_put_in_or_taken_out_shows_at_the_first_entry_that_does_not_fit() {
    let (server, archive) = archive().await;
    for number in 1..=10 {
        gap(&archive, "a", number).await;
    }
    let mut connection = beside(&server).await;
    connection.execute("CREATE TABLE kept AS SELECT * FROM journal").await.unwrap();
    for (act, number, misfit) in ACTS {
        connection.execute(*act).await.unwrap();
        let found = archive.verify_journal(None).await.unwrap().verdict;
        assert_eq!(found, Verdict::Broken { number: *number, misfit: misfit.clone() }, "{act}");
        connection.execute("DELETE FROM journal").await.unwrap();
        connection.execute("INSERT INTO journal SELECT * FROM kept").await.unwrap();
        assert_eq!(archive.verify_journal(None).await.unwrap().verdict, Verdict::Whole, "{act}, taken back");
    }
}

#[tokio::test]
async fn an_entry_that_is_known_from_elsewhere_shows_a_journal_that_was_cut_off_or_made_anew() {
    let (server, archive) = archive().await;
    let (mut heads, mut connection) = (Vec::new(), beside(&server).await);
    for number in 1..=10 {
        heads.push(gap(&archive, "a", number).await);
    }
    for head in &heads {
        assert_eq!(archive.verify_journal(Some(known(head))).await.unwrap().verdict, Verdict::Whole);
    }
    // By itself the chain cannot show that its end is gone.
    connection.execute("DELETE FROM journal WHERE number > 8").await.unwrap();
    assert_eq!(archive.verify_journal(None).await.unwrap().verdict, Verdict::Whole);
    let unknown = |number| Verdict::Broken { number, misfit: Misfit::Unknown };
    assert_eq!(archive.verify_journal(Some(known(&heads[9]))).await.unwrap().verdict, unknown(10));
    // Who has written it knows.
    gap(&archive, "a", 11).await;
    let lines = lines(&archive).await;
    let last = &lines[8]["body"];
    assert_eq!(
        (last["reason"].as_str(), last["entry"].as_i64(), last["hash"].as_str()),
        (Some("changed"), Some(10), Some(heads[9].hash.as_str()))
    );
    // Another journal, each of whose entries fits.
    connection.execute("DELETE FROM journal").await.unwrap();
    let other = Archive::open(&server.url()).await.unwrap();
    for number in 1..=10 {
        gap(&other, "b", number).await;
    }
    assert_eq!(other.verify_journal(None).await.unwrap().verdict, Verdict::Whole);
    assert_eq!(other.verify_journal(Some(known(&heads[4]))).await.unwrap().verdict, unknown(5));
}

#[tokio::test]
async fn what_a_receiver_was_sent_is_known_too() {
    let (server, archive) = archive().await;
    for number in 1..=4 {
        let JournalHead { number, hash } = gap(&archive, "a", number).await;
        archive.mark_sent("siem:1", flamewarden::archive::Sent { number, hash }).await.unwrap();
    }
    // How far runs of the audit were told is no entry of the journal.
    archive.mark_sent("notifications", flamewarden::archive::Sent { number: 2, hash: String::new() }).await.unwrap();
    assert_eq!(archive.verify_journal(None).await.unwrap().verdict, Verdict::Whole);
    beside(&server).await.execute("DELETE FROM journal WHERE number = 4").await.unwrap();
    let found = archive.verify_journal(None).await.unwrap().verdict;
    assert_eq!(found, Verdict::Broken { number: 4, misfit: Misfit::Unknown });
}

#[tokio::test]
async fn what_is_pruned_is_told_and_the_rest_still_verifies() {
    let (server, archive) = archive().await;
    let mut heads = Vec::new();
    for number in 1..=10 {
        heads.push(gap(&archive, "a", number).await);
    }
    let (now, keep) = (Timestamp::now(), |entries| Keep { days: 30, entries });
    assert_eq!(archive.prune_journal(keep(10), now).await.unwrap(), 0);
    assert_eq!(archive.prune_journal(keep(5), now).await.unwrap(), 6);
    assert_eq!(archive.prune_journal(keep(5), now).await.unwrap(), 0);
    let pruned = Pruned { through: 6, hash: heads[5].hash.clone(), count: 6 };
    let found = archive.verify_journal(None).await.unwrap();
    assert_eq!((found.verdict, found.entries, found.pruned.as_ref()), (Verdict::Whole, 5, Some(&pruned)));
    assert_eq!(told(&archive).await[4], "pruned 6");
    for (head, verdict) in [
        (&heads[4], Verdict::Pruned),
        (&heads[5], Verdict::Whole),
        (&heads[6], Verdict::Whole),
        (
            &JournalHead { number: 6, hash: heads[4].hash.clone() },
            Verdict::Broken { number: 6, misfit: Misfit::Unknown },
        ),
    ] {
        assert_eq!(archive.verify_journal(Some(known(head))).await.unwrap().verdict, verdict, "{head:?}");
    }
    // All is old; one stays, and what tells of it.
    assert_eq!(archive.prune_journal(keep(1000), now + SignedDuration::from_hours(31 * 24)).await.unwrap(), 4);
    assert_eq!(told(&archive).await, ["pruned 6", "pruned 10"]);
    assert_eq!(archive.verify_journal(None).await.unwrap().verdict, Verdict::Whole);
    // Nobody takes out a beginning and says that it was pruned, but at the journal's end.
    let mut connection = beside(&server).await;
    for (act, number) in [
        ("UPDATE journal SET body = REPLACE(body, '\"through\":10', '\"through\":11') WHERE number = 12", 12),
        ("DELETE FROM journal WHERE number = 11", 11),
        ("UPDATE journal SET kind = 'gap' WHERE number = 12", 7),
        ("UPDATE journal SET body = '{}' WHERE number = 12", 12),
        ("INSERT INTO journal SELECT 3, written, kind, body, hash FROM journal WHERE number = 11", 3),
        ("INSERT INTO journal SELECT -3, written, kind, body, hash FROM journal WHERE number = 11", -3),
    ] {
        connection.execute("CREATE TABLE kept AS SELECT * FROM journal").await.unwrap();
        connection.execute(act).await.unwrap();
        let verdict = archive.verify_journal(None).await.unwrap().verdict;
        assert!(matches!(verdict, Verdict::Broken { number: found, .. } if found == number), "{act}: {verdict:?}");
        connection.execute("DELETE FROM journal").await.unwrap();
        connection.execute("INSERT INTO journal SELECT * FROM kept").await.unwrap();
        connection.execute("DROP TABLE kept").await.unwrap();
    }
}

#[tokio::test]
async fn what_was_changed_is_not_pruned_and_neither_is_what_stands_behind_it() {
    let (server, archive) = archive().await;
    let mut connection = beside(&server).await;
    for number in 1..=10 {
        gap(&archive, "a", number).await;
    }
    let keep = |entries| Keep { days: 30, entries };
    let count = async || column(&server, "SELECT CAST(number AS TEXT) FROM journal").await.len();
    // Entries 1 to 3 go.
    assert_eq!(archive.prune_journal(keep(8), Timestamp::now()).await.unwrap(), 3);
    connection.execute("CREATE TABLE kept AS SELECT * FROM journal").await.unwrap();
    for (act, number) in [
        ("UPDATE journal SET body = REPLACE(body, '4', '5') WHERE number = 4", Some(4)),
        ("UPDATE journal SET written = written - 1 WHERE number = 6", Some(6)),
        ("DELETE FROM journal WHERE number = 4", Some(4)),
        ("DELETE FROM journal WHERE number = 5", Some(5)),
        ("DELETE FROM journal WHERE number = 6", Some(6)),
        ("INSERT INTO journal SELECT 2, written, kind, body, hash FROM journal WHERE number = 5", Some(4)),
        // What says where it begins.
        ("UPDATE journal SET body = '{}' WHERE number = 11", Some(11)),
        ("UPDATE journal SET body = REPLACE(body, '\"through\":3', '\"through\":4') WHERE number = 11", Some(5)),
        // Behind what goes.
        ("UPDATE journal SET written = written - 1 WHERE number = 8", None),
    ] {
        connection.execute(act).await.unwrap();
        let before = count().await;
        let pruned = archive.prune_journal(keep(5), Timestamp::now()).await;
        match (pruned, number) {
            (Err(ArchiveProblem::Changed { number: found, .. }), Some(number)) => {
                assert_eq!((found, count().await), (number, before), "{act}");
            }
            (Ok(pruned), None) => assert!(pruned > 0, "{act}"),
            (pruned, _) => panic!("{act}: {pruned:?}"),
        }
        connection.execute("DELETE FROM journal").await.unwrap();
        connection.execute("INSERT INTO journal SELECT * FROM kept").await.unwrap();
    }
    // Put in before all that there can be: it is nobody's, keeps nothing, and is seen all the same.
    connection
        .execute("INSERT INTO journal SELECT -3, written, kind, body, hash FROM journal WHERE number = 5")
        .await
        .unwrap();
    assert!(archive.prune_journal(keep(5), Timestamp::now()).await.unwrap() > 0);
    let verdict = archive.verify_journal(None).await.unwrap().verdict;
    assert_eq!(verdict, Verdict::Broken { number: -3, misfit: Misfit::Changed });
}

#[tokio::test]
async fn what_is_long_is_pruned_and_written_in_parts_and_nothing_is_left_out() {
    let (server, archive) = archive().await;
    let numbers: Vec<u64> = (1..=1500).collect();
    let mut given = fetched("r", &numbers, 0);
    for decision in &mut given.decisions {
        decision.rules = vec!["r".repeat(200); 20];
    }
    archive.keep_decisions(given).await.unwrap();
    let told_before = told(&archive).await;
    assert_eq!(told_before.len(), 1500);
    assert_eq!(told_before.last().unwrap(), "decision r 1500");
    let pruned = archive.prune_journal(Keep { days: 30, entries: 10 }, Timestamp::now()).await.unwrap();
    let parts = told(&archive).await.iter().filter(|entry| entry.starts_with("pruned ")).count();
    assert_eq!((pruned, parts), (1492, 2), "six megabytes in parts of four and a little");
    assert_eq!(archive.verify_journal(None).await.unwrap().verdict, Verdict::Whole);
    let listed = "SELECT CAST(number AS TEXT) FROM decisions";
    assert_eq!(column(&server, listed).await.len(), 1500 - usize::try_from(pruned).unwrap());
}

#[tokio::test]
async fn a_gap_is_written_once_under_its_name_whoever_writes_it() {
    let (server, archive) = archive().await;
    let other = Archive::open(&server.url()).await.unwrap();
    for (archive, name) in [(&archive, "x"), (&archive, "x"), (&other, "x"), (&other, "y"), (&archive, "y")] {
        archive.chain_gap(name, "replica_gone", 1).await.unwrap();
    }
    assert_eq!(told(&archive).await, ["gap replica_gone 1"; 2]);
    // Where it is there already, it is still told that somebody changed the journal.
    beside(&server).await.execute("DELETE FROM journal WHERE number = 2").await.unwrap();
    archive.chain_gap("y", "replica_gone", 1).await.unwrap();
    assert_eq!(lines(&archive).await[1]["body"]["reason"], "changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_that_overlap_write_one_chain() {
    let server = Server::shared().await;
    let archives = [Archive::open(&server.url()).await.unwrap(), Archive::open(&server.url()).await.unwrap()];
    let write = |archive: Archive, name: &'static str| async move {
        for number in 1..=30 {
            archive.keep_decisions(fetched(name, &[2 * number - 1, 2 * number], 0)).await.unwrap();
            // What another fetches as well is there once.
            archive.keep_decisions(fetched("both", &[number], 0)).await.unwrap();
        }
    };
    let [one, other] = archives;
    let tasks = [tokio::spawn(write(one, "one")), tokio::spawn(write(other, "other"))];
    for task in join_all(tasks).await {
        task.unwrap();
    }
    let archive = Archive::open(&server.url()).await.unwrap();
    let found = archive.verify_journal(None).await.unwrap();
    assert_eq!((found.verdict, found.entries), (Verdict::Whole, 60 + 60 + 30));
    let told = told(&archive).await;
    for (name, count) in [("one", 60), ("other", 60), ("both", 30)] {
        let of_run = told.iter().filter(|entry| entry.starts_with(&format!("decision {name} ")));
        let want: Vec<_> = (1..=count).map(|number| format!("decision {name} {number}")).collect();
        assert_eq!(of_run.cloned().collect::<Vec<_>>(), want);
    }
}

#[tokio::test]
async fn a_decision_is_written_once_and_one_that_is_missing_is_a_gap() {
    let (server, archive) = archive().await;
    archive.keep_decisions(fetched("r", &[1, 2], 0)).await.unwrap();
    let next = Archive::open(&server.url()).await.unwrap();
    next.keep_decisions(fetched("r", &[1, 2, 3], 0)).await.unwrap();
    next.keep_decisions(fetched("r", &[6], 1)).await.unwrap();
    next.keep_decisions(fetched("s", &[2], 0)).await.unwrap();
    next.keep_decisions(Fetched { through: 9, ..fetched("r", &[], 1) }).await.unwrap();
    assert_eq!(
        told(&next).await,
        [
            "decision r 1",
            "decision r 2",
            "decision r 3",
            "gap pushed_out 1",
            "gap not_kept 1",
            "decision r 6",
            "gap not_kept 1",
            "decision s 2",
            "gap not_kept 3",
        ]
    );
    assert_eq!(column(&server, "SELECT source FROM journal_sources ORDER BY source").await, ["r", "s"]);
}

#[tokio::test]
async fn whatever_a_decision_says_comes_back_as_it_was_and_is_bounded() {
    let (_server, archive) = archive().await;
    let hostile = ["'; DROP TABLE journal; --", "\0 \u{1b}[31m \u{202e}", "j\u{e4}ne \u{1f525}", "\\ \" ' $1 ? %s"];
    let long = "\u{fc}".repeat(100_000);
    let texts = hostile.into_iter().chain([long.as_str()]);
    let decisions =
        (1..).zip(texts.clone()).map(|(number, user)| Decision { user: user.to_owned(), ..decision(number) });
    let given = Fetched { decisions: decisions.collect(), ..fetched("r", &[], 0) };
    archive.keep_decisions(given).await.unwrap();
    let lines = lines(&archive).await;
    let users: Vec<_> = lines.iter().map(|line| line["body"]["user"].as_str().unwrap()).collect();
    assert_eq!(users[..4], hostile);
    assert!(users[4].ends_with(" bytes left out]") && users[4].len() < 4096, "{}", users[4].len());
    assert_eq!(archive.verify_journal(None).await.unwrap().verdict, Verdict::Whole);
}

#[tokio::test]
async fn what_is_there_is_read_without_being_made_or_brought_up_to_date() {
    let server = Server::shared().await;
    assert!(Archive::existing(&server.url()).await.is_err());
    let archive = Archive::open(&server.url()).await.unwrap();
    gap(&archive, "a", 1).await;
    let reader = Archive::existing(&server.url()).await.unwrap();
    assert_eq!(reader.verify_journal(None).await.unwrap().entries, 1);
    beside(&server).await.execute("DELETE FROM archive_migrations WHERE number > 4").await.unwrap();
    let problem = Archive::existing(&server.url()).await.map(drop).unwrap_err().to_string();
    assert!(problem.contains("it has form 4, and 8 is read here"), "{problem}");
    let numbers = column(&server, "SELECT CAST(number AS TEXT) FROM archive_migrations ORDER BY number").await;
    assert_eq!(numbers, ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn while_the_database_is_away_nothing_is_written_and_afterwards_the_chain_goes_on() {
    let mut server = Server::alone().await;
    let archive = Archive::open(&server.url()).await.unwrap();
    archive.keep_decisions(fetched("r", &[1], 0)).await.unwrap();
    server.stop().await;
    let problem = archive.keep_decisions(fetched("r", &[2, 3], 0)).await.unwrap_err();
    assert!(problem.may_pass(), "{problem:?}");
    server.start().await;
    archive.keep_decisions(fetched("r", &[4], 0)).await.unwrap();
    assert_eq!(told(&archive).await, ["decision r 1", "gap not_kept 2", "decision r 4"]);
    assert_eq!(archive.verify_journal(None).await.unwrap().verdict, Verdict::Whole);
}

/// What is done to a journal of ten entries, and where it shows.
const ACTS: &[(&str, i64, Misfit)] = &[
    ("UPDATE journal SET written = written + 1 WHERE number = 5", 5, Misfit::Changed),
    ("UPDATE journal SET kind = 'run' WHERE number = 5", 5, Misfit::Changed),
    ("UPDATE journal SET kind = '' WHERE number = 5", 5, Misfit::Unreadable),
    ("UPDATE journal SET kind = 'gap 1' WHERE number = 5", 5, Misfit::Unreadable),
    ("UPDATE journal SET body = REPLACE(body, '5', '6') WHERE number = 5", 5, Misfit::Changed),
    ("UPDATE journal SET body = body || ' ' WHERE number = 5", 5, Misfit::Changed),
    ("UPDATE journal SET body = '' WHERE number = 5", 5, Misfit::Changed),
    ("UPDATE journal SET body = 'no JSON' WHERE number = 1", 1, Misfit::Changed),
    ("UPDATE journal SET hash = 'sha256:' WHERE number = 5", 5, Misfit::Changed),
    ("UPDATE journal SET hash = (SELECT hash FROM journal WHERE number = 4) WHERE number = 5", 5, Misfit::Changed),
    ("UPDATE journal SET hash = 'x' WHERE number = 10", 10, Misfit::Changed),
    ("UPDATE journal SET number = 50 WHERE number = 5", 5, Misfit::Missing { next: 6 }),
    ("UPDATE journal SET number = 0 WHERE number = 1", 1, Misfit::Missing { next: 2 }),
    ("DELETE FROM journal WHERE number = 5", 5, Misfit::Missing { next: 6 }),
    ("DELETE FROM journal WHERE number < 5", 1, Misfit::Missing { next: 5 }),
    ("DELETE FROM journal WHERE number BETWEEN 4 AND 7", 4, Misfit::Missing { next: 8 }),
    (
        "DELETE FROM journal WHERE number = 5; UPDATE journal SET number = -number WHERE number > 5; \
         UPDATE journal SET number = -number - 1 WHERE number < 0",
        5,
        Misfit::Changed,
    ),
    (
        "UPDATE journal SET number = -number WHERE number >= 5; UPDATE journal SET number = 1 - number WHERE number < 0; \
         INSERT INTO journal SELECT 5, written, kind, body, hash FROM journal WHERE number = 4",
        5,
        Misfit::Changed,
    ),
    ("INSERT INTO journal SELECT 11, written, kind, body, hash FROM journal WHERE number = 10", 11, Misfit::Changed),
    (
        "INSERT INTO journal SELECT 12, written, kind, body, hash FROM journal WHERE number = 10",
        11,
        Misfit::Missing { next: 12 },
    ),
    (
        "UPDATE journal SET number = 0 WHERE number = 4; UPDATE journal SET number = 4 WHERE number = 6; \
         UPDATE journal SET number = 6 WHERE number = 0",
        4,
        Misfit::Changed,
    ),
    (
        "UPDATE journal SET number = 0 WHERE number = 9; UPDATE journal SET number = 9 WHERE number = 10; \
         UPDATE journal SET number = 10 WHERE number = 0",
        9,
        Misfit::Changed,
    ),
    ("UPDATE journal SET kind = 'pruned' WHERE number = 5", 5, Misfit::Unreadable),
    (
        "UPDATE journal SET kind = 'pruned', body = '{\"through\":4,\"hash\":\"x\",\"count\":4}' WHERE number = 5; \
         DELETE FROM journal WHERE number < 5",
        5,
        Misfit::Unreadable,
    ),
    (
        "UPDATE journal SET kind = 'pruned', body = '{\"through\":4,\"count\":4,\"hash\":\"' || \
         (SELECT hash FROM journal WHERE number = 4) || '\"}' WHERE number = 5; DELETE FROM journal WHERE number < 5",
        5,
        Misfit::Changed,
    ),
];

/// Writes a gap that nobody has written before.
pub(crate) async fn gap(archive: &Archive, reason: &str, count: u64) -> JournalHead {
    static NAMES: AtomicU64 = AtomicU64::new(0);
    let name = format!("gap/{}", NAMES.fetch_add(1, Ordering::Relaxed));
    archive.chain_gap(&name, reason, count).await.unwrap()
}

/// What a replica gives of a run.
pub(crate) fn fetched(run: &str, numbers: &[u64], lost: u64) -> Fetched {
    let decisions = numbers.iter().copied().map(decision).collect();
    Fetched { run: run.to_owned(), decisions, through: numbers.last().copied().unwrap_or(0), lost }
}

/// A decision with something in every field.
pub(crate) fn decision(number: u64) -> Decision {
    let text = str::to_owned;
    Decision {
        number,
        time: moment(1),
        outcome: Outcome::Refused,
        operation: text("CREATE"),
        resource: text("pods"),
        namespace: text("flame"),
        name: text("analysis"),
        user: text("jane"),
        analysis: text("analysis-a"),
        rules: vec![text("labels"), text("volumes")],
        from: text("10.0.0.1"),
        checked: false,
        about: None,
    }
}

pub(crate) fn known(head: &JournalHead) -> KnownEntry {
    KnownEntry { number: head.number, hash: head.hash.clone() }
}

async fn lines(archive: &Archive) -> Vec<Value> {
    let entries = archive.journal_after(0, 10_000).await.unwrap();
    entries.iter().map(|entry| serde_json::from_str(&entry.line()).unwrap()).collect()
}

/// Each entry in a few words.
pub(crate) async fn told(archive: &Archive) -> Vec<String> {
    let told = |line: Value| {
        let (kind, body) = (line["kind"].as_str().unwrap().to_owned(), &line["body"]);
        match kind.as_str() {
            "decision" => format!("decision {} {}", body["run"].as_str().unwrap(), body["number"]),
            "gap" => format!("gap {} {}", body["reason"].as_str().unwrap(), body["count"]),
            "pruned" => format!("pruned {}", body["through"]),
            "run" => format!("run {} opened {} fixed {}", body["number"], body["opened"], body["fixed"]),
            _ => format!("{kind} {}", body["name"].as_str().unwrap()),
        }
    };
    lines(archive).await.into_iter().map(told).collect()
}
