//! Edge: decisions of webhook replicas as entries of the journal: each once, however often it is fetched.

use serde_json::{Value, json};
use sqlx::AnyConnection;

use super::body::LONGEST;
use super::listed::Listed;
use super::{EntryKind, Fresh, JournalHead, Pen};
use crate::archive::many::parts;
use crate::archive::{Archive, ArchiveProblem};
use crate::model::Decision;

/// What was fetched of one run of a replica.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Which run counts the decisions.
    pub run: String,
    /// In their order.
    pub decisions: Vec<Decision>,
    /// Up to which number none is to come any more.
    pub through: u64,
    /// How many the replica itself says it has given up, since the run began.
    pub lost: u64,
}

impl Archive {
    /// Writes decisions into the journal that are not there yet, a part at a time. Where numbers are left out, a gap says
    /// how many: those that the replica says it has given up are `pushed_out`, the others are `not_kept`.
    ///
    /// # Errors
    /// It is not known whether all were written; doing it again writes none twice.
    pub async fn keep_decisions(&self, fetched: Fetched) -> Result<JournalHead, ArchiveProblem> {
        let Fetched { run, decisions, through, lost } = fetched;
        let mut parts = parts(decisions, (FEW, BYTES), size);
        let last = parts.pop().unwrap_or_default();
        for decisions in parts {
            let through = decisions.last().map_or(0, |last| last.number);
            self.keep_part(Fetched { run: run.clone(), decisions, through, lost }).await?;
        }
        self.keep_part(Fetched { run, decisions: last, through, lost }).await
    }

    async fn keep_part(&self, fetched: Fetched) -> Result<JournalHead, ArchiveProblem> {
        let pen = self.pen();
        let keep = self.write("write decisions into the journal".to_owned(), |connection| {
            Box::pin(keep(connection, pen, fetched))
        });
        Ok(self.written(keep.await?))
    }

    /// Writes down that something is lost: why, and how many of what should stand here. Under one name that is written
    /// once, whoever writes it.
    ///
    /// # Errors
    /// It is not known whether it was written; doing it again does not write it twice.
    pub async fn chain_gap(&self, name: &str, reason: &str, count: u64) -> Result<JournalHead, ArchiveProblem> {
        let (pen, name) = (self.pen(), name.to_owned());
        let gap = Fresh::gap(&json!({"reason": reason, "count": count}));
        let write = self.write("write a gap into the journal".to_owned(), |connection| {
            Box::pin(async move {
                let known: Option<(i64, i64)> =
                    sqlx::query_as(MARK).bind(name.clone()).fetch_optional(&mut *connection).await?;
                let head = pen.append(connection, known.is_none().then_some(gap).into_iter().collect()).await?;
                mark(connection, name, head.number, Mark { last: signed(count), explained: 0 }).await?;
                Ok(head)
            })
        });
        Ok(self.written(write.await?))
    }
}

/// About as many bytes as its entry has.
fn size(decision: &Decision) -> usize {
    let Decision { namespace, name, user, rules, .. } = decision;
    let texts = [namespace, name, user].into_iter().chain(rules);
    texts.map(String::len).sum::<usize>().saturating_add(400).min(LONGEST)
}

/// How far a run is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Mark {
    last: i64,
    explained: i64,
}

async fn keep(connection: &mut AnyConnection, pen: Pen, fetched: Fetched) -> Result<JournalHead, sqlx::Error> {
    let mark: Option<(i64, i64)> =
        sqlx::query_as(MARK).bind(fetched.run.clone()).fetch_optional(&mut *connection).await?;
    let mark = mark.map_or_else(Mark::default, |(last, explained)| Mark { last, explained });
    let (fresh, next) = entries(&fetched, mark);
    let head = pen.append(connection, fresh).await?;
    self::mark(connection, fetched.run, head.number, next).await?;
    Ok(head)
}

async fn mark(connection: &mut AnyConnection, source: String, place: i64, mark: Mark) -> Result<(), sqlx::Error> {
    let set = sqlx::query(SET_MARK).bind(source).bind(place).bind(mark.last).bind(mark.explained);
    set.execute(&mut *connection).await?;
    sqlx::query(FORGET).bind(SOURCES).execute(connection).await.map(drop)
}

/// What is to be written, and how far the run is known then.
fn entries(fetched: &Fetched, mark: Mark) -> (Vec<Fresh>, Mark) {
    let mut last = mark.last;
    let (mut fresh, mut written) = (Vec::new(), 0_i64);
    for decision in &fetched.decisions {
        let number = signed(decision.number);
        if number > last {
            (last, written) = (number, written.saturating_add(1));
            let listed = Some(Listed::decision(decision));
            fresh.push(Fresh { listed, ..Fresh::new(EntryKind::Decision, &told(&fetched.run, decision)) });
        }
    }
    let last = last.max(signed(fetched.through));
    let missing = last.saturating_sub(mark.last).saturating_sub(written);
    let explained = missing.min(signed(fetched.lost).saturating_sub(mark.explained)).max(0);
    let gaps = [("pushed_out", explained), ("not_kept", missing.saturating_sub(explained))];
    let gaps = gaps.into_iter().filter_map(|(reason, count)| {
        let count = u64::try_from(count).ok().filter(|count| *count > 0)?;
        Some(Fresh::gap(&json!({"reason": reason, "count": count})))
    });
    let next = Mark { last, explained: mark.explained.saturating_add(explained) };
    (gaps.chain(fresh).collect(), next)
}

fn told(run: &str, decision: &Decision) -> Value {
    let mut told = json!(decision);
    if let Some(told) = told.as_object_mut() {
        told.insert("run".to_owned(), json!(run));
    }
    told
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// More runs of replicas than there are at one time; older ones have ended.
const SOURCES: i64 = 1000;
/// Decisions of one transaction, and about as many bytes: it ends well within the deadline.
const FEW: usize = 1000;
const BYTES: usize = 2 * 1024 * 1024;
const MARK: &str = "SELECT last, explained FROM journal_sources WHERE source = $1";
const SET_MARK: &str = "\
    INSERT INTO journal_sources (source, place, last, explained) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (source) DO UPDATE SET place = excluded.place, last = excluded.last, explained = excluded.explained";
const FORGET: &str = "\
    DELETE FROM journal_sources WHERE source NOT IN \
    (SELECT source FROM journal_sources ORDER BY place DESC, source LIMIT $1)";

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::Outcome;

    fn decision(number: u64) -> Decision {
        let text = str::to_owned;
        Decision {
            number,
            time: Timestamp::UNIX_EPOCH,
            outcome: Outcome::Refused,
            operation: text("CREATE"),
            resource: text("pods"),
            namespace: text("flame"),
            name: text("p"),
            user: text("jane"),
            analysis: text("analysis-a"),
            rules: vec![text("labels")],
            from: text("10.0.0.1"),
            checked: false,
            about: None,
        }
    }

    #[test]
    fn each_decision_is_written_once_and_what_is_left_out_is_a_gap() {
        let mark = |last, explained| Mark { last, explained };
        for (before, numbers, through, lost, want, after) in [
            (mark(0, 0), vec![1, 2], 2, 0, vec!["1", "2"], mark(2, 0)),
            (mark(2, 0), vec![1, 2, 3], 3, 0, vec!["3"], mark(3, 0)),
            (mark(3, 0), vec![1, 2], 2, 0, vec![], mark(3, 0)),
            (mark(3, 0), vec![6, 7], 7, 2, vec!["pushed_out 2", "6", "7"], mark(7, 2)),
            (mark(7, 2), vec![10], 10, 2, vec!["not_kept 2", "10"], mark(10, 2)),
            (mark(10, 2), vec![14], 14, 3, vec!["pushed_out 1", "not_kept 2", "14"], mark(14, 3)),
            // The replica knows of losses behind what it tells now.
            (mark(14, 3), vec![15], 15, 9, vec!["15"], mark(15, 3)),
            (mark(15, 3), vec![22], 22, 9, vec!["pushed_out 6", "22"], mark(22, 9)),
            // Fetched and never written.
            (mark(22, 9), vec![], 30, 9, vec!["not_kept 8"], mark(30, 9)),
            (mark(30, 9), vec![], 30, 9, vec![], mark(30, 9)),
            (mark(30, 9), vec![], 30, 0, vec![], mark(30, 9)),
            (
                mark(0, 0),
                vec![u64::MAX],
                u64::MAX,
                u64::MAX,
                vec!["pushed_out 9223372036854775806", "18446744073709551615"],
                mark(i64::MAX, i64::MAX - 1),
            ),
        ] {
            let decisions = numbers.iter().copied().map(decision).collect();
            let fetched = Fetched { run: "r".to_owned(), decisions, through, lost };
            let (fresh, next) = entries(&fetched, before);
            let shown = |fresh: &Fresh| {
                let body: Value = serde_json::from_str(&fresh.body).unwrap();
                match fresh.kind {
                    EntryKind::Gap => format!("{} {}", body["reason"].as_str().unwrap(), body["count"]),
                    _ => body["number"].to_string(),
                }
            };
            assert_eq!(fresh.iter().map(shown).collect::<Vec<_>>(), want, "{before:?} {numbers:?}");
            assert_eq!(next, after, "{before:?} {numbers:?}");
        }
    }

    #[test]
    fn an_entry_says_all_of_a_decision() {
        let text = Fresh::new(EntryKind::Decision, &told("r-1", &decision(7))).body;
        assert_eq!(
            text,
            r#"{"about":null,"analysis":"analysis-a","checked":false,"from":"10.0.0.1","name":"p","namespace":"flame","number":7,"operation":"CREATE","outcome":"refused","resource":"pods","rules":["labels"],"run":"r-1","time":"1970-01-01T00:00:00Z","user":"jane"}"#
        );
    }
}
