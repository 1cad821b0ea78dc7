//! Edge: which archive a command reads, and how it is reached.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::Broken;
use crate::app::{ArchivePlace, existing_archive};
use crate::archive::Archive;

/// Where the archive is, as `serve` is told.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct Archived {
    /// Folder of an archive in SQLite (archive.db).
    #[arg(long, value_name = "DIR")]
    archive: Option<PathBuf>,
    /// File with the URL of an archive in PostgreSQL, postgres://USER:PASSWORD@HOST/DATABASE.
    #[arg(long, value_name = "FILE")]
    archive_url_file: Option<PathBuf>,
}

impl Archived {
    /// Works with the archive, which is read and never changed. Whatever goes wrong with it is no fault of the arguments.
    pub(super) fn read<T>(self, work: impl AsyncFnOnce(&Archive) -> anyhow::Result<T>) -> anyhow::Result<T> {
        // A second call finds the provider in place, which is all that is wanted.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let place = match (self.archive, self.archive_url_file) {
            (Some(folder), _) => ArchivePlace::Folder(folder),
            (None, Some(file)) => ArchivePlace::UrlIn(file),
            (None, None) => ArchivePlace::Nowhere,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context(Broken)?;
        runtime.block_on(async {
            let archive = existing_archive(&place).await.context(Broken)?;
            work(&archive).await.context(Broken)
        })
    }
}
