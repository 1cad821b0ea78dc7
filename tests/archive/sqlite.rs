//! Files in folders of their own.

use std::path::PathBuf;

use sqlx::{AnyConnection, Executor as _};
use tempfile::TempDir;

use crate::database::connection;

/// One file, perhaps not there yet.
pub(crate) struct Server {
    folder: TempDir,
    /// Holds up everybody else who writes.
    holder: Option<AnyConnection>,
}

impl Server {
    /// An empty database.
    pub(crate) async fn shared() -> Server {
        Server { folder: tempfile::tempdir().unwrap(), holder: None }
    }

    /// One that can be stopped.
    pub(crate) async fn alone() -> Server {
        Server::shared().await
    }

    /// What `Archive::open` takes.
    pub(crate) fn url(&self) -> String {
        format!("sqlite:{}", self.file().display())
    }

    /// The file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("archive.db")
    }

    /// Nobody else can write from now on.
    pub(crate) async fn stop(&mut self) {
        // There may be no file yet.
        let mut holder = connection(&format!("{}?mode=rwc", self.url())).await;
        holder.execute("BEGIN IMMEDIATE").await.unwrap();
        self.holder = Some(holder);
    }

    /// Everybody can again.
    pub(crate) async fn start(&mut self) {
        self.holder.take().unwrap().execute("ROLLBACK").await.unwrap();
    }

    /// Lists every table with its columns.
    pub(crate) const COLUMNS: &'static str = "\
        SELECT t.name || '.' || c.name FROM sqlite_master AS t, pragma_table_info(t.name) AS c \
        WHERE t.type = 'table' ORDER BY t.name || '.' || c.name";
}
