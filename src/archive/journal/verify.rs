//! Edge: goes along the whole journal and says where it is not as it was written.

use sqlx::AnyConnection;

use super::chain::{Misfit, NOTHING, Row, Walk};
use super::{JournalHead, Pruned, rows};
use crate::archive::{Archive, ArchiveProblem};
use crate::model::Digest;

/// An entry that is known from elsewhere: from a log, a SIEM or a sheet of paper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownEntry {
    /// Its number.
    pub number: i64,
    /// Its hash.
    pub hash: String,
}

/// What going along the journal has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many entries fit.
    pub entries: u64,
    /// The last of them.
    pub head: JournalHead,
    /// What the journal itself says of entries before the first that it has.
    pub pruned: Option<Pruned>,
    /// What follows.
    pub verdict: Verdict,
}

/// Whether the journal is as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is, as far as it shows by itself and by what is known from elsewhere.
    Whole,
    /// It is not.
    Broken {
        /// The first entry that does not fit.
        number: i64,
        /// Why not.
        misfit: Misfit,
    },
    /// What is known from elsewhere is an entry that was pruned since; nothing can be said of it.
    Pruned,
}

impl Archive {
    /// Verifies all entries from the first on, and that those are among them that are known: by the caller, and by what
    /// receivers were sent.
    ///
    /// # Errors
    /// It could not be read to its end.
    pub async fn verify_journal(&self, known: Option<KnownEntry>) -> Result<Verified, ArchiveProblem> {
        let sent = self.read("find what was sent".to_owned(), |connection| Box::pin(sent(connection))).await?;
        let anchor = self.anchor().await?;
        let (through, hash) = match &anchor {
            Anchor::Beginning => (0, NOTHING.to_owned()),
            Anchor::After(pruned) => (pruned.through, pruned.hash.clone()),
            Anchor::Unreadable(number) => return Ok(broken(*number)),
        };
        let mut check = Check {
            walk: Walk::after(through, &hash),
            entries: 0,
            pruned: anchor.pruned(),
            known: known.iter().chain(&sent).cloned().map(|known| (known, Found::Nothing)).collect(),
        };
        check.look(through, &hash);
        let misfit = check.until_the_end(self).await?;
        if misfit.is_none()
            && let Some(number) = check.before(self).await?
        {
            let verdict = Verdict::Broken { number, misfit: Misfit::Changed };
            let head = JournalHead { number: check.walk.next.saturating_sub(1), hash: check.walk.previous };
            return Ok(Verified { entries: check.entries, head, pruned: check.pruned, verdict });
        }
        let number = check.walk.next;
        let verdict = misfit.map(|misfit| Verdict::Broken { number, misfit });
        let verdict = verdict.unwrap_or_else(|| check.verdict(known.is_some()));
        let head = JournalHead { number: number.saturating_sub(1), hash: check.walk.previous };
        Ok(Verified { entries: check.entries, head, pruned: check.pruned, verdict })
    }

    async fn anchor(&self) -> Result<Anchor, ArchiveProblem> {
        self.read("find what was pruned".to_owned(), |connection| Box::pin(anchor(connection))).await
    }
}

/// Where the journal begins.
pub(super) async fn anchor(connection: &mut AnyConnection) -> Result<Anchor, sqlx::Error> {
    let last = sqlx::query_as::<_, (i64, String)>(LAST_PRUNED).fetch_optional(connection).await?;
    Ok(last.map_or(Anchor::Beginning, |(number, body)| {
        let pruned = serde_json::from_str::<Pruned>(&body).ok();
        let pruned = pruned.filter(|pruned| Digest::parse(&pruned.hash).is_some() && pruned.through < number);
        pruned.map_or(Anchor::Unreadable(number), Anchor::After)
    }))
}

/// Where the journal begins, by its own word.
pub(super) enum Anchor {
    /// With the first entry that was ever written.
    Beginning,
    After(Pruned),
    /// The entry with this number should say so, and doesn't.
    Unreadable(i64),
}

impl Anchor {
    fn pruned(self) -> Option<Pruned> {
        match self {
            Anchor::After(pruned) => Some(pruned),
            Anchor::Beginning | Anchor::Unreadable(_) => None,
        }
    }
}

/// How a known entry was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Same,
    Other,
}

struct Check {
    walk: Walk,
    entries: u64,
    pruned: Option<Pruned>,
    /// The caller's first, where there is one.
    known: Vec<(KnownEntry, Found)>,
}

impl Check {
    /// Goes on until there is nothing more, or something does not fit.
    async fn until_the_end(&mut self, archive: &Archive) -> Result<Option<Misfit>, ArchiveProblem> {
        let mut most = AT_ONCE;
        loop {
            let after = self.walk.next.saturating_sub(1);
            let read = archive.read(format!("read the journal after entry {after}"), |connection| {
                Box::pin(async move { rows(connection, after, most).await })
            });
            let rows = match read.await {
                // One of them; which, is found by reading one after the other.
                Err(problem) if problem.is_unreadable() && most > 1 => {
                    most = 1;
                    continue;
                }
                Err(problem) if problem.is_unreadable() => return Ok(Some(Misfit::Unreadable)),
                rows => rows?,
            };
            if rows.is_empty() {
                return Ok(None);
            }
            for row in rows {
                if let Some(misfit) = self.step(archive, &row).await? {
                    return Ok(Some(misfit));
                }
            }
        }
    }

    /// An entry before the first one that there can be; nobody of ours has written it.
    async fn before(&self, archive: &Archive) -> Result<Option<i64>, ArchiveProblem> {
        let first = archive.read("find the journal's first entry".to_owned(), |connection| {
            Box::pin(async move { sqlx::query_scalar::<_, i64>(FIRST).fetch_one(connection).await })
        });
        let first = first.await?;
        let pruned = self.pruned.as_ref().map_or(0, |pruned| pruned.through);
        Ok((first <= pruned).then_some(first))
    }

    async fn step(&mut self, archive: &Archive, row: &Row) -> Result<Option<Misfit>, ArchiveProblem> {
        let mut stepped = self.walk.step(row);
        if let Err(Misfit::Missing { next }) = stepped
            && self.skips_to(archive, next).await?
        {
            stepped = self.walk.step(row);
        }
        if stepped.is_ok() {
            self.entries = self.entries.saturating_add(1);
            self.look(row.0, &row.4);
        }
        Ok(stepped.err())
    }

    /// Whether what is missing before an entry was pruned while this was under way; then it goes on from there.
    async fn skips_to(&mut self, archive: &Archive, next: i64) -> Result<bool, ArchiveProblem> {
        let Anchor::After(pruned) = archive.anchor().await? else { return Ok(false) };
        // It may have gone on since these entries were read.
        if pruned.through < self.walk.next || pruned.through.saturating_add(1) < next {
            return Ok(false);
        }
        self.look(pruned.through, &pruned.hash);
        self.walk = Walk::after(pruned.through, &pruned.hash);
        self.pruned = Some(pruned);
        Ok(true)
    }

    /// An entry that fits, or the last that was pruned.
    fn look(&mut self, number: i64, hash: &str) {
        for (known, found) in self.known.iter_mut().filter(|(known, _)| known.number == number) {
            *found = if known.hash == hash { Found::Same } else { Found::Other };
        }
    }

    /// What follows where all entries fit each other.
    fn verdict(&self, asked: bool) -> Verdict {
        let pruned = self.pruned.as_ref().map_or(0, |pruned| pruned.through);
        let gone = |known: &KnownEntry, found: Found| found == Found::Nothing && known.number <= pruned;
        let other = self.known.iter().find(|(known, found)| *found != Found::Same && !gone(known, *found));
        match (other, self.known.first()) {
            (Some((known, _)), _) => Verdict::Broken { number: known.number, misfit: Misfit::Unknown },
            (None, Some((known, found))) if asked && gone(known, *found) => Verdict::Pruned,
            (None, _) => Verdict::Whole,
        }
    }
}

fn broken(number: i64) -> Verified {
    let head = JournalHead { number: 0, hash: NOTHING.to_owned() };
    let verdict = Verdict::Broken { number, misfit: Misfit::Unreadable };
    Verified { entries: 0, head, pruned: None, verdict }
}

/// What was sent of the journal itself. Who is told of runs of the audit is known there by a run's number, without a hash.
async fn sent(connection: &mut AnyConnection) -> Result<Vec<KnownEntry>, sqlx::Error> {
    let sent =
        sqlx::query_as::<_, (i64, String)>("SELECT number, hash FROM journal_receivers WHERE hash <> '' LIMIT 100");
    let sent = sent.fetch_all(connection).await?;
    Ok(sent.into_iter().map(|(number, hash)| KnownEntry { number, hash }).collect())
}

const FIRST: &str = "SELECT COALESCE(MIN(number), 9223372036854775807) FROM journal";
/// Entries that are read together: some 15 MB at most.
const AT_ONCE: u32 = 2000;
const LAST_PRUNED: &str = "\
    SELECT number, SUBSTR(CAST(body AS TEXT), 1, 8000) FROM journal WHERE kind = 'pruned' ORDER BY number DESC LIMIT 1";
