//! Edge: what the last run of the audit told besides findings.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;

use super::store::word;
use crate::archive::runs::unreadable;
use crate::archive::{Archive, ArchiveProblem};
use crate::report::{Object, Report, Subject};

/// The last run: its report without findings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastReport {
    /// Its counts, coverage, rules, exceptions and problems; of very many problems the first.
    pub report: Report,
    /// How many objects it was about, by namespace.
    pub objects: BTreeMap<String, usize>,
}

impl LastReport {
    pub(super) fn of(report: &Report, judged: Option<&HashSet<Object>>) -> Self {
        let mut objects = BTreeMap::new();
        for object in judged.into_iter().flatten() {
            *objects.entry(object.namespace.clone()).or_default() += 1;
        }
        LastReport { report: report.without_findings(PROBLEMS), objects }
    }
}

impl Archive {
    /// What the last run told besides findings; none before the first.
    ///
    /// # Errors
    /// Anything but an answer.
    pub async fn last_report(&self, subject: Subject) -> Result<Option<LastReport>, ArchiveProblem> {
        self.read("read the last report".to_owned(), |connection| {
            Box::pin(async move {
                let told: Option<String> =
                    sqlx::query_scalar(READ).bind(word(subject)).fetch_optional(connection).await?;
                told.map(|told| serde_json::from_str(&told).map_err(unreadable)).transpose()
            })
        })
        .await
    }
}

/// Puts it in the place of the run before.
pub(super) async fn keep(
    connection: &mut AnyConnection,
    subject: &str,
    run: i64,
    told: &LastReport,
) -> Result<(), sqlx::Error> {
    let told = serde_json::to_string(told).map_err(|cause| sqlx::Error::Encode(Box::new(cause)))?;
    sqlx::query(KEEP).bind(subject.to_owned()).bind(run).bind(told).execute(connection).await.map(drop)
}

const PROBLEMS: usize = 1000;
const READ: &str = "SELECT told FROM audit_told WHERE subject = $1";
const KEEP: &str = "\
    INSERT INTO audit_told (subject, run, told) VALUES ($1, $2, $3) \
    ON CONFLICT (subject) DO UPDATE SET run = excluded.run, told = excluded.told";
