//! Edge: who is logged in to the pages. Any replica of the controller may be asked next, so that none keeps it for itself.

use jiff::Timestamp;

use super::runs::unreadable;
use super::{Archive, ArchiveProblem};

/// Somebody who is logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// By what it is found: a hash of what the browser holds, which is kept nowhere.
    pub key: String,
    /// Who it is, in JSON.
    pub who: String,
    /// The first moment at which it is over.
    pub ends: Timestamp,
}

impl Archive {
    /// Keeps a session. Those that are over go; of too many those that end first.
    ///
    /// # Errors
    /// It is not kept.
    pub async fn begin_session(&self, session: Session, now: Timestamp) -> Result<(), ArchiveProblem> {
        self.write("keep a session".to_owned(), |connection| {
            Box::pin(async move {
                sqlx::query(TIDY).bind(now.as_microsecond()).bind(MOST).execute(&mut *connection).await?;
                let Session { key, who, ends } = session;
                sqlx::query(BEGIN).bind(key).bind(who).bind(ends.as_microsecond()).execute(connection).await.map(drop)
            })
        })
        .await
    }

    /// The session of that key, unless it is over.
    ///
    /// # Errors
    /// Anything but an answer.
    pub async fn session(&self, key: &str, now: Timestamp) -> Result<Option<Session>, ArchiveProblem> {
        let key = key.to_owned();
        self.read("find a session".to_owned(), |connection| {
            Box::pin(async move {
                let found = sqlx::query_as::<_, (String, i64)>(FIND).bind(key.clone()).bind(now.as_microsecond());
                let found = found.fetch_optional(connection).await?;
                let session = found.map(|(who, ends)| {
                    let ends = Timestamp::from_microsecond(ends).map_err(unreadable)?;
                    Ok(Session { key, who, ends })
                });
                session.transpose()
            })
        })
        .await
    }

    /// Ends a session.
    ///
    /// # Errors
    /// It may still be there.
    pub async fn end_session(&self, key: &str) -> Result<(), ArchiveProblem> {
        let key = key.to_owned();
        self.write("end a session".to_owned(), |connection| {
            Box::pin(async move { sqlx::query(END).bind(key).execute(connection).await.map(drop) })
        })
        .await
    }
}

/// Sessions at a time.
const MOST: i64 = 1000;
const TIDY: &str = "\
    DELETE FROM sessions WHERE ends <= $1 OR session NOT IN \
    (SELECT session FROM sessions ORDER BY ends DESC, session LIMIT $2)";
const BEGIN: &str = "INSERT INTO sessions (session, who, ends) VALUES ($1, $2, $3)";
const FIND: &str = "SELECT who, ends FROM sessions WHERE session = $1 AND ends > $2";
const END: &str = "DELETE FROM sessions WHERE session = $1";
