//! Edge: how far the journal was sent to whom.

use crate::archive::{Archive, ArchiveProblem};

/// The last entry that a receiver was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Its number.
    pub number: i64,
    /// Its hash.
    pub hash: String,
}

impl Archive {
    /// How far a receiver was sent the journal; none where it was sent nothing.
    ///
    /// # Errors
    /// Anything but an answer.
    pub async fn sent_to(&self, receiver: &str) -> Result<Option<Sent>, ArchiveProblem> {
        let receiver = receiver.to_owned();
        self.read("find how far the journal was sent".to_owned(), |connection| {
            Box::pin(async move {
                let sent: Option<(i64, String)> =
                    sqlx::query_as(SENT).bind(receiver).fetch_optional(connection).await?;
                Ok(sent.map(|(number, hash)| Sent { number, hash }))
            })
        })
        .await
    }

    /// Writes down how far a receiver was sent the journal.
    ///
    /// # Errors
    /// It is not known whether it was written.
    pub async fn mark_sent(&self, receiver: &str, sent: Sent) -> Result<(), ArchiveProblem> {
        let receiver = receiver.to_owned();
        self.write("write down how far the journal was sent".to_owned(), |connection| {
            Box::pin(async move {
                let mark = sqlx::query(MARK).bind(receiver).bind(sent.number).bind(sent.hash);
                mark.execute(connection).await.map(drop)
            })
        })
        .await
    }
}

const SENT: &str = "SELECT number, hash FROM journal_receivers WHERE receiver = $1";
const MARK: &str = "\
    INSERT INTO journal_receivers (receiver, number, hash) VALUES ($1, $2, $3) \
    ON CONFLICT (receiver) DO UPDATE SET number = excluded.number, hash = excluded.hash";
