//! Edge: what was fixed long ago, and old runs, are forgotten.

use jiff::{SignedDuration, Timestamp};

use crate::archive::{Archive, ArchiveProblem, Keep};

impl Archive {
    /// Forgets what was fixed, and runs, longer ago than is kept, and of what was fixed the oldest where it is more than
    /// is kept. What stands and the last run stay.
    ///
    /// # Errors
    /// Some of it may be forgotten.
    pub async fn tidy_findings(&self, keep: Keep, now: Timestamp) -> Result<(), ArchiveProblem> {
        let age = SignedDuration::from_hours(i64::from(keep.days) * 24);
        let oldest = now.checked_sub(age).map_or(i64::MIN, Timestamp::as_microsecond);
        self.forget_few(FIXED, oldest).await?;
        self.forget_few(RUNS, oldest).await?;
        self.forget_few(TOO_MANY, keep.entries.into()).await
    }

    /// A little at a time, so that no call takes longer than any other.
    async fn forget_few(&self, statement: &'static str, by: i64) -> Result<(), ArchiveProblem> {
        loop {
            let few = self.write("forget old findings".to_owned(), |connection| {
                Box::pin(async move {
                    let done = sqlx::query(statement).bind(by).execute(connection).await?;
                    Ok(done.rows_affected())
                })
            });
            if few.await? == 0 {
                return Ok(());
            }
        }
    }
}

const FIXED: &str = "\
    DELETE FROM findings WHERE (subject, fingerprint) IN \
    (SELECT subject, fingerprint FROM findings WHERE fixed < $1 LIMIT 2000)";
/// Runs are counted on from the last.
const RUNS: &str = "\
    DELETE FROM audit_runs WHERE number IN (SELECT number FROM audit_runs WHERE made < $1 \
    AND number < (SELECT MAX(number) FROM audit_runs) ORDER BY number LIMIT 2000)";
const TOO_MANY: &str = "\
    DELETE FROM findings WHERE (subject, fingerprint) IN (SELECT subject, fingerprint FROM findings \
    WHERE fixed IS NOT NULL ORDER BY fixed DESC, fingerprint LIMIT 2000 OFFSET $1)";
