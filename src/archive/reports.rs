//! Edge: keeps reports of scans that are too large for an object of the cluster, the newest of each image.

use std::collections::BTreeSet;

use sqlx::AnyConnection;

use super::{Archive, ArchiveProblem};
use crate::model::Digest;

impl Archive {
    /// Puts the report of an image in the place of the one before. Of more than a GiB of reports in all, those go that
    /// were stored longest ago.
    ///
    /// # Errors
    /// It is not known whether it was stored.
    pub async fn store_report(&self, image: Digest, text: String) -> Result<(), ArchiveProblem> {
        self.write(format!("store the report of {image}"), |connection| Box::pin(store(connection, image, text))).await
    }

    /// The report of an image as it stands there, which anybody may have changed who can write into the database. None
    /// where there is none, or one that is longer than any that was stored.
    ///
    /// # Errors
    /// Anything but an answer.
    pub async fn report(&self, image: Digest) -> Result<Option<String>, ArchiveProblem> {
        self.read(format!("read the report of {image}"), |connection| {
            Box::pin(async move {
                let report = sqlx::query_scalar(REPORT).bind(image.to_string()).bind(bytes(LONGEST_REPORT));
                report.fetch_optional(connection).await
            })
        })
        .await
    }

    /// The images that there are reports of. What was written there by others and is no image's is left out.
    ///
    /// # Errors
    /// Anything but an answer.
    pub async fn reported(&self) -> Result<BTreeSet<Digest>, ArchiveProblem> {
        self.read("find the images that there are reports of".to_owned(), |connection| {
            Box::pin(async move {
                let images: Vec<String> = sqlx::query_scalar("SELECT image FROM reports").fetch_all(connection).await?;
                Ok(images.iter().filter_map(|image| Digest::parse(image)).collect())
            })
        })
        .await
    }

    /// Forgets the report of an image, if there is one.
    ///
    /// # Errors
    /// It is not known whether it was forgotten.
    pub async fn forget_report(&self, image: Digest) -> Result<(), ArchiveProblem> {
        self.write(format!("forget the report of {image}"), |connection| {
            Box::pin(async move {
                let delete = sqlx::query("DELETE FROM reports WHERE image = $1").bind(image.to_string());
                delete.execute(connection).await.map(drop)
            })
        })
        .await
    }
}

async fn store(connection: &mut AnyConnection, image: Digest, text: String) -> Result<(), sqlx::Error> {
    let last = sqlx::query_scalar("SELECT COALESCE(MAX(place), 0) FROM reports");
    let last: i64 = last.fetch_one(&mut *connection).await?;
    let insert = sqlx::query(STORE).bind(image.to_string()).bind(last.saturating_add(1)).bind(bytes(text.len()));
    insert.bind(text).execute(&mut *connection).await?;
    sqlx::query(GIVE_UP).bind(bytes(ALL)).execute(connection).await.map(drop)
}

fn bytes(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// How many bytes of a report are stored at most: a call that takes more of them takes too long.
pub const LONGEST_REPORT: usize = 16 << 20;
/// Of all reports: a tenth of the volume that an SQLite archive is given as a rule.
const ALL: usize = 1 << 30;
const REPORT: &str = "SELECT text FROM reports WHERE image = $1 AND OCTET_LENGTH(text) <= $2";
const STORE: &str = "\
    INSERT INTO reports (image, place, length, text) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (image) DO UPDATE SET place = excluded.place, length = excluded.length, text = excluded.text";
const GIVE_UP: &str = "\
    DELETE FROM reports WHERE image IN (SELECT image FROM \
    (SELECT image, SUM(length) OVER (ORDER BY place DESC) AS total FROM reports) AS newest WHERE total > $1)";
