//! Edge: old entries of the journal go, as far as they are as they were written. The entry that tells so holds the hash of
//! the last of them, from which the rest is verified.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::AnyConnection;

use super::chain::{NOTHING, Walk};
use super::verify::{Anchor, anchor};
use super::{EntryKind, Fresh, JournalHead, Pen, listed, rows};
use crate::archive::problem::is_unreadable;
use crate::archive::{Archive, ArchiveProblem};

/// How much of the journal stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// What is not older than so many days.
    pub days: u16,
    /// And no more entries than that.
    pub entries: u32,
}

/// What the entry of kind `pruned` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// The last entry that went; all before it are gone too.
    pub through: i64,
    /// Its hash.
    pub hash: String,
    /// How many went this time.
    pub count: i64,
}

impl Archive {
    /// Takes away what is too old or too many, a part at a time; tells how many entries went. What is not as it was
    /// written stays, with all behind it: a change must not go unseen with what it was made to.
    ///
    /// # Errors
    /// It is not known whether all went that should have, or something was changed.
    pub async fn prune_journal(&self, keep: Keep, now: Timestamp) -> Result<i64, ArchiveProblem> {
        let age = SignedDuration::from_hours(i64::from(keep.days) * 24);
        let oldest = now.checked_sub(age).map_or(i64::MIN, Timestamp::as_microsecond);
        let mut gone = 0_i64;
        loop {
            let pen = self.pen();
            let prune = self.write("prune the journal".to_owned(), |connection| {
                Box::pin(prune(connection, pen, oldest, i64::from(keep.entries)))
            });
            match prune.await? {
                Part::Nothing => return Ok(gone),
                Part::Gone { count, head, more } => {
                    self.written(head);
                    gone = gone.saturating_add(count);
                    if !more {
                        return Ok(gone);
                    }
                }
                Part::Changed(number) => {
                    let (doing, place) = ("prune the journal".to_owned(), self.place.name().to_owned());
                    return Err(ArchiveProblem::Changed { doing, place, number });
                }
            }
        }
    }
}

/// What came of a part.
enum Part {
    /// There was none.
    Nothing,
    /// So many went, and the transaction may have taken no more of them.
    Gone { count: i64, head: JournalHead, more: bool },
    /// The entry with this number is not as it was written.
    Changed(i64),
}

async fn prune(connection: &mut AnyConnection, pen: Pen, oldest: i64, most: i64) -> Result<Part, sqlx::Error> {
    let ends: Option<(i64, i64)> = sqlx::query_as(ENDS).fetch_optional(&mut *connection).await?;
    let Some((first, last)) = ends.filter(|(first, _)| *first > 0) else { return Ok(Part::Nothing) };
    // The first that stays by its age; the last of all stays in any case.
    let young: i64 = sqlx::query_scalar(YOUNG).bind(oldest).bind(last).fetch_one(&mut *connection).await?;
    let Some(through) = through(first, last, young, most) else { return Ok(Part::Nothing) };
    let Walk { next, previous: hash } = match whole(connection, first, through).await? {
        Ok(walk) => walk,
        Err(number) => return Ok(Part::Changed(number)),
    };
    let more = next <= through || through >= first.saturating_add(AT_ONCE - 1);
    let through = next.saturating_sub(1);
    let gone = sqlx::query("DELETE FROM journal WHERE number BETWEEN $1 AND $2").bind(first).bind(through);
    let count = i64::try_from(gone.execute(&mut *connection).await?.rows_affected()).unwrap_or(i64::MAX);
    listed::forget(connection, through).await?;
    let told = Fresh::new(EntryKind::Pruned, &json!(Pruned { through, hash, count }));
    let head = pen.append(connection, vec![told]).await?;
    Ok(Part::Gone { count, head, more })
}

/// Goes along the entries from the first to one, or to where they are as many bytes as one transaction takes; tells where
/// that is, or the first that is not as it was written.
async fn whole(connection: &mut AnyConnection, first: i64, through: i64) -> Result<Result<Walk, i64>, sqlx::Error> {
    let mut walk = match anchor(connection).await? {
        Anchor::Beginning => Walk::after(0, NOTHING),
        Anchor::After(pruned) => Walk::after(pruned.through, &pruned.hash),
        Anchor::Unreadable(number) => return Ok(Err(number)),
    };
    if walk.next != first {
        return Ok(Err(walk.next));
    }
    let mut bytes = 0_usize;
    while walk.next <= through && bytes < BYTES {
        let left = through.saturating_sub(walk.next).saturating_add(1).min(STEP);
        let few = match rows(connection, walk.next.saturating_sub(1), u32::try_from(left).unwrap_or(1)).await {
            Err(problem) if is_unreadable(&problem) => return Ok(Err(walk.next)),
            few => few?,
        };
        if few.is_empty() {
            return Ok(Err(walk.next));
        }
        for row in few {
            bytes = bytes.saturating_add(row.3.len());
            if walk.step(&row).is_err() {
                return Ok(Err(walk.next));
            }
        }
    }
    Ok(Ok(walk))
}

/// The last that goes in one transaction, of entries from `first` to `last`, where `young` is the first that is not too
/// old. There is always one that stays, and the one that tells of it comes besides.
fn through(first: i64, last: i64, young: i64, most: i64) -> Option<i64> {
    let by_age = young.saturating_sub(1);
    let too_many = last.saturating_sub(first).saturating_add(1) > most;
    let by_number = if too_many { last.saturating_sub(most).saturating_add(1) } else { 0 };
    let through = by_age.max(by_number).min(last.saturating_sub(1)).min(first.saturating_add(AT_ONCE - 1));
    (through >= first).then_some(through)
}

/// Entries of one transaction, and how many bytes they have before it takes no more of them.
const AT_ONCE: i64 = 2000;
const BYTES: usize = 4 * 1024 * 1024;
/// Entries that are read together.
const STEP: i64 = 200;
/// Two seeks; both at once would be a scan. What stands before the first entry is nobody's, and is no reason to keep all.
const ENDS: &str = "\
    SELECT COALESCE((SELECT MIN(number) FROM journal WHERE number > 0), 0), \
    COALESCE((SELECT MAX(number) FROM journal), 0)";
const YOUNG: &str = "SELECT COALESCE(MIN(number), $2) FROM journal WHERE written >= $1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_old_or_too_many_goes_and_one_always_stays() {
        for (first, last, young, most, want) in [
            (1, 10, 1, 100, None),
            (1, 10, 4, 100, Some(3)),
            (4, 10, 4, 100, None),
            // One more goes than there are too many, since one more comes.
            (1, 10, 1, 10, None),
            (1, 11, 1, 10, Some(2)),
            (3, 12, 3, 10, None),
            (1, 11, 7, 10, Some(6)),
            (1, 10, 10, 100, Some(9)),
            (5, 5, 5, 1, None),
            (1, 50_000, 50_000, 100, Some(2000)),
        ] {
            assert_eq!(through(first, last, young, most), want, "{first} {last} {young} {most}");
        }
    }
}
