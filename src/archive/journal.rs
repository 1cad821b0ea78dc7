//! Edge: the journal: what has happened, in entries that are chained by their hashes, so that a later change shows.
//!
//! Writers are the leading controller. Where two overlap for a moment, their transactions come one after the other, and
//! each takes the end of the chain as it finds it.

mod body;
mod chain;
mod decisions;
mod kept;
mod listed;
mod prune;
mod receivers;
mod verify;

use std::sync::PoisonError;

use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe};

use super::many::{TOGETHER, values};
use super::runs::unreadable;
use super::{Archive, ArchiveProblem};

pub use chain::Misfit;
pub use decisions::Fetched;
pub use kept::{DecisionFilter, KeptDecision, Told};
pub use prune::{Keep, Pruned};
pub use receivers::Sent;
pub use verify::{KnownEntry, Verdict, Verified};

use body::{ascii, body};
use chain::{NOTHING, Row, hash};
use listed::Listed;

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A decision of the webhook.
    Decision,
    /// A run of the audit.
    Run,
    /// A finding that fails and did not before.
    Opened,
    /// A finding that failed and does so no more.
    Fixed,
    /// What should stand here and is lost.
    Gap,
    /// Old entries that were pruned, and the hash of the last of them.
    Pruned,
}

/// An entry as it stands in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// Counts from 1, without holes.
    pub number: i64,
    /// When it was written.
    pub written: Timestamp,
    /// What it is about, as [`EntryKind::word`] says it.
    pub kind: String,
    /// A JSON object.
    pub body: String,
    /// Of this entry and of all before it.
    pub hash: String,
}

/// The end of the journal: whoever knows it can tell later whether all before it is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalHead {
    /// Of the newest entry; 0 of a journal without any.
    pub number: i64,
    /// Its hash; empty of a journal without any.
    pub hash: String,
}

impl EntryKind {
    /// As entries have it.
    pub fn word(self) -> &'static str {
        match self {
            EntryKind::Decision => "decision",
            EntryKind::Run => "run",
            EntryKind::Opened => "opened",
            EntryKind::Fixed => "fixed",
            EntryKind::Gap => "gap",
            EntryKind::Pruned => "pruned",
        }
    }
}

impl JournalEntry {
    /// What stands for something that is no entry.
    fn unreadable(number: i64) -> Self {
        let body = r#"{"problem":"this is no entry as it was written; audit verify says more"}"#.to_owned();
        let kind = UNREADABLE.to_owned();
        JournalEntry { number, written: Timestamp::UNIX_EPOCH, kind, body, hash: String::new() }
    }

    /// Whether it stands for something that is no entry.
    pub fn is_unreadable(&self) -> bool {
        self.kind == UNREADABLE
    }

    /// Whether it is a decision of which nobody knows who asked for it: then anybody can have made it up.
    pub fn is_unchecked(&self) -> bool {
        self.kind == EntryKind::Decision.word() && self.value().get("checked") != Some(&Value::Bool(true))
    }

    /// The entry as one line of JSON, without its end. What is no decision of a known caller is marked `unchecked`.
    pub fn line(&self) -> String {
        let JournalEntry { number, written, kind, hash, .. } = self;
        let mut line = json!({
            "number": number, "time": format!("{written:.6}"), "kind": kind, "body": self.value(), "hash": hash,
        });
        if let (true, Some(line)) = (self.is_unchecked(), line.as_object_mut()) {
            line.insert("unchecked".to_owned(), Value::Bool(true));
        }
        ascii(&line)
    }

    /// The body; what is no JSON, so that somebody else has written it, as a text.
    fn value(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| Value::String(self.body.clone()))
    }
}

impl Archive {
    /// The end of the journal.
    ///
    /// # Errors
    /// Anything but an answer.
    pub async fn journal_head(&self) -> Result<JournalHead, ArchiveProblem> {
        self.read("find the end of the journal".to_owned(), |connection| Box::pin(head(connection))).await
    }

    /// Entries after one with this number, in their order, at most so many. What was pruned is not among them. What
    /// cannot be read as an entry, so that somebody else has written it, is told in its place by one of the kind
    /// [`UNREADABLE`].
    ///
    /// # Errors
    /// Anything but an answer.
    pub async fn journal_after(&self, number: i64, most: u32) -> Result<Vec<JournalEntry>, ArchiveProblem> {
        let (mut entries, mut after) = (Vec::new(), number);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        loop {
            let wanted = most.saturating_sub(entries.len());
            let (some, stopped) = self.some_after(after, u32::try_from(wanted).unwrap_or(u32::MAX)).await?;
            after = some.last().map_or(after, |last| last.number);
            entries.extend(some);
            if !stopped || entries.len() >= most {
                return Ok(entries);
            }
        }
    }

    /// Entries up to one that cannot be read, or that one; and whether there was such.
    async fn some_after(&self, number: i64, most: u32) -> Result<(Vec<JournalEntry>, bool), ArchiveProblem> {
        let mut few = most;
        loop {
            let read = self.read(format!("read the journal after entry {number}"), |connection| {
                Box::pin(async move { rows(connection, number, few).await?.into_iter().map(entry).collect() })
            });
            match read.await {
                Err(problem) if problem.is_unreadable() && few > 1 => few /= 2,
                Err(problem) if problem.is_unreadable() => return Ok((self.unreadable_after(number).await?, true)),
                entries => return Ok((entries?, few < most)),
            }
        }
    }

    async fn unreadable_after(&self, number: i64) -> Result<Vec<JournalEntry>, ArchiveProblem> {
        let next = self.read(format!("find the entry after {number}"), |connection| {
            Box::pin(async move { sqlx::query_scalar::<_, i64>(NEXT).bind(number).fetch_optional(connection).await })
        });
        let next = next.await?;
        Ok(next.map(JournalEntry::unreadable).into_iter().collect())
    }

    /// The number of the first entry that was written at a moment or later; none where all are older.
    ///
    /// # Errors
    /// Anything but an answer.
    pub async fn journal_since(&self, moment: Timestamp) -> Result<Option<i64>, ArchiveProblem> {
        self.read(format!("find what was written since {moment}"), |connection| {
            Box::pin(async move {
                let first = sqlx::query_scalar(SINCE).bind(moment.as_microsecond());
                let first: i64 = first.fetch_one(connection).await?;
                Ok((first > 0).then_some(first))
            })
        })
        .await
    }

    /// What writes into the journal in one transaction.
    pub(super) fn pen(&self) -> Pen {
        let left = self.head.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Pen { left, now: Timestamp::now() }
    }

    /// Remembers how the journal was left, now that it is certain.
    pub(super) fn written(&self, head: JournalHead) -> JournalHead {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner) = Some(head.clone());
        head
    }
}

/// An entry that is to be written.
#[derive(Debug)]
pub(super) struct Fresh {
    kind: EntryKind,
    body: String,
    /// By what it is found, where it is asked for.
    listed: Option<Listed>,
}

impl Fresh {
    pub(super) fn new(kind: EntryKind, value: &Value) -> Self {
        Fresh { kind, body: body(value), listed: None }
    }

    fn gap(value: &Value) -> Self {
        Fresh { listed: Some(Listed::gap()), ..Fresh::new(EntryKind::Gap, value) }
    }
}

/// Writes at the end of the chain.
#[derive(Debug, Clone)]
pub(super) struct Pen {
    /// How this process left the journal last.
    left: Option<JournalHead>,
    now: Timestamp,
}

impl Pen {
    /// Adds entries. Where the journal is not as this process left it, that is told first.
    pub(super) async fn append(
        &self,
        connection: &mut AnyConnection,
        fresh: Vec<Fresh>,
    ) -> Result<JournalHead, sqlx::Error> {
        let mut end = head(connection).await?;
        let told = self.changed(connection).await?;
        let (mut rows, mut list) = (Vec::with_capacity(fresh.len() + 1), Vec::new());
        for Fresh { kind, body, listed } in told.into_iter().chain(fresh) {
            let (number, written) = (end.number.saturating_add(1), self.now.as_microsecond());
            let link = hash(&end.hash, number, written, kind.word(), &body);
            end = JournalHead { number, hash: link.clone() };
            rows.push((number, written, kind.word().to_owned(), body, link));
            list.extend(listed.map(|listed| (number, listed)));
        }
        insert(connection, rows).await?;
        listed::insert(connection, &list).await?;
        Ok(end)
    }

    /// Says so where the entry that was the last one is another or gone, though nobody has pruned it.
    async fn changed(&self, connection: &mut AnyConnection) -> Result<Option<Fresh>, sqlx::Error> {
        let Some(left) = &self.left else { return Ok(None) };
        let found = sqlx::query_scalar("SELECT SUBSTR(hash, 1, 80) FROM journal WHERE number = $1").bind(left.number);
        let found: Option<String> = found.fetch_optional(&mut *connection).await?;
        let as_left = match found {
            Some(found) => found == left.hash,
            None => {
                let first: i64 = sqlx::query_scalar(FIRST).fetch_one(connection).await?;
                left.number == 0 || first > left.number
            }
        };
        if as_left {
            return Ok(None);
        }
        tracing::error!(
            number = left.number,
            hash = left.hash,
            "the journal is not as it was left; somebody changed it"
        );
        let JournalHead { number, hash } = left;
        Ok(Some(Fresh::gap(&json!({"reason": "changed", "entry": number, "hash": hash}))))
    }
}

async fn head(connection: &mut AnyConnection) -> Result<JournalHead, sqlx::Error> {
    let last: Option<(i64, String)> = sqlx::query_as(HEAD).fetch_optional(connection).await?;
    let (number, hash) = last.unwrap_or_else(|| (0, NOTHING.to_owned()));
    Ok(JournalHead { number, hash })
}

async fn insert(connection: &mut AnyConnection, rows: Vec<Row>) -> Result<(), sqlx::Error> {
    for few in rows.chunks(TOGETHER) {
        let at_once = if few.len() == TOGETHER { TOGETHER } else { 1 };
        for few in few.chunks(at_once) {
            let text = format!("{INSERT}{}", values(at_once, 5));
            let mut insert = sqlx::query(AssertSqlSafe(text));
            for (number, written, kind, body, hash) in few {
                insert = insert.bind(*number).bind(*written).bind(kind.clone()).bind(body.clone()).bind(hash.clone());
            }
            insert.execute(&mut *connection).await?;
        }
    }
    Ok(())
}

/// Entries after a number, as somebody may have changed them: whatever is longer than an entry can be comes cut.
async fn rows(connection: &mut AnyConnection, after: i64, most: u32) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as::<_, Row>(AFTER).bind(after).bind(i64::from(most)).fetch_all(connection).await
}

fn entry((number, written, kind, body, hash): Row) -> Result<JournalEntry, sqlx::Error> {
    let written = Timestamp::from_microsecond(written).map_err(unreadable)?;
    Ok(JournalEntry { number, written, kind, body, hash })
}

/// The kind of what stands for something that is no entry.
pub const UNREADABLE: &str = "unreadable";
const HEAD: &str = "SELECT number, SUBSTR(hash, 1, 80) FROM journal ORDER BY number DESC LIMIT 1";
const FIRST: &str = "SELECT COALESCE(MIN(number), 0) FROM journal";
const SINCE: &str = "SELECT COALESCE(MIN(number), 0) FROM journal WHERE written >= $1";
const INSERT: &str = "INSERT INTO journal (number, written, kind, body, hash) VALUES ";
const NEXT: &str = "SELECT CAST(number AS BIGINT) FROM journal WHERE number > $1 ORDER BY number LIMIT 1";
/// SQLite stores what it is given, whatever the column's type; so types are asked for. It also takes a text for ended at
/// the first NUL wherever it looks into one, and counts all of its bytes: what stands behind would be seen by others and
/// not by the hash, so it is told that there is more.
macro_rules! entries {
    ($end:literal) => {
        concat!(
            "SELECT CAST(number AS BIGINT), CAST(written AS BIGINT), ",
            "SUBSTR(CAST(kind AS TEXT), 1, 40) || CASE WHEN OCTET_LENGTH(SUBSTR(CAST(kind AS TEXT), 1, 40)) = ",
            "OCTET_LENGTH(CAST(kind AS TEXT)) THEN '' ELSE ' [and more]' END, ",
            "SUBSTR(CAST(body AS TEXT), 1, 8000) || CASE WHEN OCTET_LENGTH(SUBSTR(CAST(body AS TEXT), 1, 8000)) = ",
            "OCTET_LENGTH(CAST(body AS TEXT)) THEN '' ELSE ' [and more]' END, ",
            "SUBSTR(CAST(hash AS TEXT), 1, 80) || CASE WHEN OCTET_LENGTH(SUBSTR(CAST(hash AS TEXT), 1, 80)) = ",
            "OCTET_LENGTH(CAST(hash AS TEXT)) THEN '' ELSE ' [and more]' END FROM journal ",
            $end
        )
    };
}
use entries;
const AFTER: &str = entries!("WHERE number > $1 ORDER BY number LIMIT $2");

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: EntryKind, body: &str) -> JournalEntry {
        let (kind, body) = (kind.word().to_owned(), body.to_owned());
        JournalEntry { number: 7, written: Timestamp::UNIX_EPOCH, kind, body, hash: "sha256:0".to_owned() }
    }

    #[test]
    fn a_line_holds_the_body_as_it_stands_and_marks_what_nobody_checked() {
        let around = |body: &str, kind: &str, end: &str| {
            format!(
                r#"{{"body":{body},"hash":"sha256:0","kind":"{kind}","number":7,"time":"1970-01-01T00:00:00.000000Z"{end}}}"#
            )
        };
        let marked = r#","unchecked":true"#;
        for (kind, body, told, end) in [
            (
                EntryKind::Decision,
                r#"{"checked":true,"user":"j\u00e4ne"}"#,
                r#"{"checked":true,"user":"j\u00e4ne"}"#,
                "",
            ),
            (EntryKind::Decision, r#"{"checked":false}"#, r#"{"checked":false}"#, marked),
            (EntryKind::Decision, r#"{"checked":"true"}"#, r#"{"checked":"true"}"#, marked),
            (EntryKind::Decision, "{}", "{}", marked),
            (EntryKind::Gap, "{}", "{}", ""),
            (EntryKind::Decision, "somebody's\nown", r#""somebody's\nown""#, marked),
        ] {
            let entry = entry(kind, body);
            assert_eq!(entry.line(), around(told, kind.word(), end));
            assert_eq!(entry.is_unchecked(), !end.is_empty(), "{body}");
        }
    }
}
