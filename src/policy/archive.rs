//! Where what has ended is kept, and for how long.

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::{Quantity, checked};

/// The section `archive` of an Orchestrator, or, where there is none, of an Auditor.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ArchiveSettings {
    /// How long an analysis is kept after its end, in days. A year: a yearly audit finds every run, and logs, which may
    /// speak of patients, do not stay for ever.
    #[serde(deserialize_with = "days")]
    pub keep_days: u16,
    /// Where to.
    pub database: ArchiveDatabase,
    /// How much the volume of an SQLite archive holds; 10Gi where nothing is said. Of one run not more than 45 MB is kept,
    /// mostly much less.
    #[serde(deserialize_with = "some")]
    pub size: Option<Quantity>,
    /// The storage class of that volume; the cluster's default where none is named.
    #[serde(deserialize_with = "name")]
    pub storage_class: Option<String>,
}

/// Which database an archive is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ArchiveDatabase {
    /// A file on a volume, with one controller beside it.
    #[default]
    Sqlite,
    /// A server, with as many controllers as one likes; its URL stands in a Secret.
    Postgresql,
}

impl Default for ArchiveSettings {
    fn default() -> Self {
        ArchiveSettings { keep_days: 365, database: ArchiveDatabase::Sqlite, size: None, storage_class: None }
    }
}

/// The section as it can be meant: a volume is SQLite's alone.
pub(super) fn meant<'de, D: Deserializer<'de>>(from: D) -> Result<ArchiveSettings, D::Error> {
    let settings = ArchiveSettings::deserialize(from)?;
    let field = match &settings {
        ArchiveSettings { database: ArchiveDatabase::Sqlite, .. } => return Ok(settings),
        ArchiveSettings { size: Some(_), .. } => "size",
        ArchiveSettings { storage_class: Some(_), .. } => "storageClass",
        _ => return Ok(settings),
    };
    Err(D::Error::custom(format!(
        "archive: `{field}` is said of SQLite's volume, which PostgreSQL has not; leave it out, or use sqlite"
    )))
}

fn days<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    match u16::deserialize(from)? {
        days @ 1..=36500 => Ok(days),
        days => Err(D::Error::custom(format!("{days} days are out of reach; write 1 to 36500"))),
    }
}

fn some<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Quantity>, D::Error> {
    let size = Quantity::deserialize(from)?;
    if size.is_zero() { Err(D::Error::custom("a volume of no size holds nothing")) } else { Ok(Some(size)) }
}

fn name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(from)?;
    if name.split('.').all(checked::is_label) {
        return Ok(Some(name));
    }
    Err(D::Error::custom(format!("`{name}` is no name of a storage class; small letters, digits, `-` and `.`")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_archive_is_a_file_for_a_year_unless_something_else_is_said() {
        let usual = ArchiveSettings::default();
        let (size, class) = (Quantity::parse("1Gi"), Some("fast.example".to_owned()));
        for (section, want) in [
            (json!({}), usual.clone()),
            (json!({"keepDays": 7}), ArchiveSettings { keep_days: 7, ..usual.clone() }),
            (
                json!({"database": "postgresql"}),
                ArchiveSettings { database: ArchiveDatabase::Postgresql, ..usual.clone() },
            ),
            (
                json!({"size": "1Gi", "storageClass": "fast.example"}),
                ArchiveSettings { size, storage_class: class, ..usual },
            ),
        ] {
            assert_eq!(meant(section.clone()).unwrap(), want, "{section}");
        }
        for (section, says) in [
            (json!({"keepDays": 0}), "0 days are out of reach; write 1 to 36500"),
            (json!({"keepDays": 36501}), "out of reach"),
            (json!({"database": "mysql"}), "unknown variant `mysql`, expected `sqlite` or `postgresql`"),
            (json!({"size": "0"}), "a volume of no size holds nothing"),
            (json!({"size": "much"}), "`much` is no quantity"),
            (json!({"storageClass": "Fast"}), "`Fast` is no name of a storage class"),
            (
                json!({"database": "postgresql", "size": "1Gi"}),
                "archive: `size` is said of SQLite's volume, which PostgreSQL has not; leave it out, or use sqlite",
            ),
            (
                json!({"database": "postgresql", "storageClass": "fast"}),
                "archive: `storageClass` is said of SQLite's volume, which PostgreSQL has not; leave it out",
            ),
            (json!({"url": "postgres://flame:hush@db/x"}), "unknown field `url`"),
        ] {
            let problem = meant(section.clone()).unwrap_err().to_string();
            assert!(problem.contains(says) && !problem.contains("hush"), "{section}: {problem}");
        }
    }
}
