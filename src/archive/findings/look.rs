//! Edge: findings by what somebody wants to see of them, a page at a time.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::store::{outcome, place, severity, word};
use crate::archive::many::{pattern, places};
use crate::archive::runs::unreadable;
use crate::archive::{Archive, ArchiveProblem};
use crate::model::Severity;
use crate::report::{Object, Outcome, Subject};

/// A finding as it is known over many runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownFinding {
    /// By which it is known in every report.
    pub fingerprint: String,
    /// The object.
    pub object: Object,
    /// The rule.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// Where it stands in the object.
    pub path: String,
    /// What stands there.
    pub value: String,
    /// What is wrong and what to do.
    pub message: String,
    /// What becomes of it.
    pub outcome: Outcome,
    /// What mends it; empty where nothing does so safely.
    pub remedy: String,
    /// When it was found for the first time.
    pub first_seen: Timestamp,
    /// Since when it stands as it does.
    pub since: Timestamp,
    /// When it was found for the last time.
    pub last_seen: Timestamp,
    /// When it was not found any more.
    pub fixed: Option<Timestamp>,
}

/// What somebody wants to see. Where nothing is said, everything is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FindingFilter {
    /// Of which findings.
    pub which: Which,
    /// At least so bad.
    pub least: Option<Severity>,
    /// By this rule.
    pub rule: Option<String>,
    /// In this namespace; those of objects of the whole cluster are in the empty one.
    pub namespace: Option<String>,
    /// Of objects of this kind.
    pub kind: Option<String>,
    /// With this text in name, field, value or message, in whichever case.
    pub text: Option<String>,
    /// In one of these namespaces alone, whatever else is wanted: those that somebody may see.
    pub within: Option<BTreeSet<String>>,
}

/// How many findings fail by one rule in one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingCount {
    /// How bad they are.
    pub severity: Severity,
    /// The rule.
    pub rule: String,
    /// The namespace; empty of objects of the whole cluster.
    pub namespace: String,
    /// How many.
    pub count: u64,
}

/// Of which findings something is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Which {
    /// Those that fail now.
    #[default]
    Failing,
    /// Those that stand now, whether they fail or not.
    Standing,
    /// Those that fail since this run.
    NewIn(i64),
    /// Those that fail no more since this run.
    FixedIn(i64),
}

/// A part of the findings that are wanted, the worst first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPage {
    /// How many there are in all.
    pub total: u64,
    /// Those of this page.
    pub findings: Vec<KnownFinding>,
}

impl Archive {
    /// How many findings fail now, in these namespaces or in all, by rule and namespace.
    ///
    /// # Errors
    /// Anything but an answer.
    pub async fn finding_counts(
        &self,
        subject: Subject,
        within: Option<BTreeSet<String>>,
    ) -> Result<Vec<FindingCount>, ArchiveProblem> {
        self.read("count findings".to_owned(), |connection| Box::pin(counts(connection, word(subject), within))).await
    }

    /// How many findings fail now on each object of a kind, in these namespaces or in all: namespace, name, count.
    ///
    /// # Errors
    /// Anything but an answer.
    pub async fn failing_objects(
        &self,
        subject: Subject,
        kind: &str,
        within: Option<BTreeSet<String>>,
    ) -> Result<Vec<(String, String, i64)>, ArchiveProblem> {
        let kind = kind.to_owned();
        self.read("count findings by object".to_owned(), |connection| {
            Box::pin(async move {
                let text = format!("{BY_OBJECT}{} GROUP BY namespace, name", scope(within.as_ref(), 3));
                let mut query = sqlx::query_as(AssertSqlSafe(text)).persistent(false).bind(word(subject)).bind(kind);
                for namespace in within.into_iter().flatten() {
                    query = query.bind(namespace);
                }
                query.fetch_all(connection).await
            })
        })
        .await
    }

    /// Findings that a filter lets through, from one place on, at most so many.
    ///
    /// # Errors
    /// Anything but an answer.
    pub async fn findings(
        &self,
        subject: Subject,
        filter: FindingFilter,
        from: u32,
        most: u32,
    ) -> Result<FoundPage, ArchiveProblem> {
        self.read("read findings".to_owned(), |connection| {
            Box::pin(async move {
                let subject = word(subject);
                let last = sqlx::query_scalar(LAST_RUN).bind(subject).fetch_one(&mut *connection).await?;
                let total = count(connection, subject, &filter).await?;
                let findings = page(connection, subject, (filter, last), (from, most)).await?;
                Ok(FoundPage { total: u64::try_from(total).unwrap_or(0), findings })
            })
        })
        .await
    }
}

async fn count(connection: &mut AnyConnection, subject: &str, filter: &FindingFilter) -> Result<i64, sqlx::Error> {
    let Wanted { numbers, texts } = wanted(filter);
    let text = format!("{COUNT}{}", scope(filter.within.as_ref(), 10));
    let mut query = sqlx::query_scalar(AssertSqlSafe(text)).persistent(false).bind(subject.to_owned());
    for number in numbers {
        query = query.bind(number);
    }
    for text in texts {
        query = query.bind(text);
    }
    for namespace in filter.within.iter().flatten() {
        query = query.bind(namespace.clone());
    }
    query.fetch_one(connection).await
}

async fn page(
    connection: &mut AnyConnection,
    subject: &str,
    (filter, last): (FindingFilter, i64),
    (from, most): (u32, u32),
) -> Result<Vec<KnownFinding>, sqlx::Error> {
    let Wanted { numbers, texts } = wanted(&filter);
    let text = format!("{PAGE}{}{PART}", scope(filter.within.as_ref(), 12));
    let mut query = sqlx::query_as::<_, Row>(AssertSqlSafe(text)).persistent(false).bind(subject.to_owned());
    for number in numbers {
        query = query.bind(number);
    }
    for text in texts {
        query = query.bind(text);
    }
    query = query.bind(i64::from(most)).bind(i64::from(from));
    for namespace in filter.within.into_iter().flatten() {
        query = query.bind(namespace);
    }
    let rows = query.fetch_all(connection).await?;
    rows.into_iter().map(|row| read(row, last)).collect()
}

async fn counts(
    connection: &mut AnyConnection,
    subject: &str,
    within: Option<BTreeSet<String>>,
) -> Result<Vec<FindingCount>, sqlx::Error> {
    let text = format!("{COUNTS}{}{GROUPS}", scope(within.as_ref(), 2));
    let text = AssertSqlSafe(text);
    let mut query = sqlx::query_as::<_, (i64, String, String, i64)>(text).persistent(false).bind(subject.to_owned());
    for namespace in within.into_iter().flatten() {
        query = query.bind(namespace);
    }
    let rows = query.fetch_all(connection).await?.into_iter();
    let counts = rows.map(|(bad, rule, namespace, count)| FindingCount {
        severity: severity(bad),
        rule,
        namespace,
        count: u64::try_from(count).unwrap_or(0),
    });
    Ok(counts.collect())
}

/// The end of a statement that keeps to some namespaces, whose places begin there.
fn scope(within: Option<&BTreeSet<String>>, first: usize) -> String {
    match within {
        None => String::new(),
        Some(none) if none.is_empty() => " AND 1 = 0".to_owned(),
        Some(some) => format!(" AND namespace IN ({})", places(first, some.len())),
    }
}

/// A filter as the statements take it: whether only what fails, severity, runs; then rule, namespace, kind, text.
struct Wanted {
    numbers: [i64; 4],
    texts: [String; 4],
}

fn wanted(filter: &FindingFilter) -> Wanted {
    let (failing, new, fixed) = match filter.which {
        Which::Failing => (1, 0, 0),
        Which::Standing => (0, 0, 0),
        Which::NewIn(run) => (1, run, 0),
        Which::FixedIn(run) => (0, 0, run),
    };
    let any = |text: &Option<String>| text.clone().unwrap_or_else(|| ANY.to_owned());
    Wanted {
        numbers: [failing, filter.least.map_or(0, place), new, fixed],
        texts: [
            any(&filter.rule),
            any(&filter.namespace),
            any(&filter.kind),
            pattern(&filter.text.as_deref().unwrap_or_default().to_lowercase()),
        ],
    }
}

/// Rule and version are one text: the driver reads no more columns at once.
type Row = (String, i64, String, String, String, String, String, String, String, String, String, i64, i64, i64, i64);

fn read(row: Row, last: i64) -> Result<KnownFinding, sqlx::Error> {
    let (fingerprint, bad, word, texts, kind, namespace, name, path, value, message, remedy, first, since, seen, fixed) =
        row;
    let (rule, api_version) = texts.split_once('\n').unwrap_or((&texts, ""));
    let time = |time: i64| Timestamp::from_microsecond(time).map_err(unreadable);
    let uid = String::new();
    Ok(KnownFinding {
        fingerprint,
        object: Object { api_version: api_version.to_owned(), kind, namespace, name, uid },
        rule: rule.to_owned(),
        severity: severity(bad),
        path,
        value,
        message,
        outcome: outcome(&word)?,
        remedy,
        first_seen: time(first)?,
        since: time(since)?,
        // Where nothing is said, the last run has it too.
        last_seen: time(if seen == 0 { last.max(since) } else { seen })?,
        fixed: (fixed != 0).then(|| time(fixed)).transpose()?,
    })
}

/// What no rule, namespace or kind is called.
const ANY: &str = "*";
const LAST_RUN: &str = "SELECT COALESCE(MAX(made), 0) FROM audit_runs WHERE subject = $1";
macro_rules! statement {
    ($what:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM findings WHERE subject = $1 AND failing >= $2 AND severity >= $3 ",
            "AND ($4 = 0 OR opened_run = $4) AND ((fixed IS NULL AND $5 = 0) OR (fixed_run = $5 AND $5 > 0)) ",
            "AND ($6 = '*' OR rule = $6) AND ($7 = '*' OR namespace = $7) AND ($8 = '*' OR kind = $8) ",
            "AND LOWER(name || ' ' || path || ' ' || value || ' ' || message) LIKE $9 ESCAPE '!'",
        )
    };
}
const COUNT: &str = statement!("COUNT(*)");
const PAGE: &str = statement!(
    "fingerprint, severity, outcome, rule || '\n' || api_version, kind, namespace, name, path, value, message, remedy, \
     first_seen, since, COALESCE(last_seen, 0), COALESCE(fixed, 0)"
);
const PART: &str = " ORDER BY severity DESC, namespace, kind, name, rule, fingerprint LIMIT $10 OFFSET $11";
const COUNTS: &str = "\
    SELECT severity, rule, namespace, COUNT(*) FROM findings WHERE subject = $1 AND failing = 1 AND fixed IS NULL";
const BY_OBJECT: &str = "\
    SELECT namespace, name, COUNT(*) FROM findings WHERE subject = $1 AND failing = 1 AND fixed IS NULL AND kind = $2";
const GROUPS: &str = " GROUP BY severity, rule, namespace ORDER BY severity DESC, rule, namespace";
