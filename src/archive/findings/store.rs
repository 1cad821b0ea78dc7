//! Edge: findings as they are stored.

use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe};

use super::Turn;
use super::compare::{Known, Named, Put, Standing};
use crate::archive::clean::without_tokens;
use crate::archive::many::{TOGETHER, places, values};
use crate::archive::runs::unreadable;
use crate::model::{Severity, one_line};
use crate::report::{Entry, Outcome, Subject};

/// A finding that is to be written: its texts as they are kept.
pub(super) struct Changed {
    pub(super) standing: Standing,
    fingerprint: String,
    severity: Severity,
    outcome: Outcome,
    texts: [String; 9],
    told: i64,
    first_seen: i64,
    since: i64,
    opened_run: i64,
    fixed_run: i64,
}

impl Changed {
    /// Of an entry of a report that was made at a moment.
    pub(super) fn new(put: &Put, entry: &Entry, made: i64) -> Self {
        let Put { print, told, standing, known, run, .. } = put;
        let object = &entry.object;
        let remedy = entry.remedy_line();
        let texts = [
            &*entry.rule,
            &object.api_version,
            &object.kind,
            &object.namespace,
            &object.name,
            &entry.path,
            &entry.value,
            &entry.message,
            &remedy,
        ];
        let (since, opened_run) = match (standing, known) {
            (Standing::Opened, _) => (made, *run),
            (Standing::Same, Some(known)) => (known.since, known.opened_run),
            (_, known) => (made, known.map_or(0, |known| known.opened_run)),
        };
        Changed {
            standing: *standing,
            fingerprint: digits(*print),
            severity: entry.severity,
            outcome: entry.outcome,
            texts: texts.map(kept),
            told: *told,
            first_seen: made,
            since,
            opened_run,
            fixed_run: if *standing == Standing::Eased { *run } else { 0 },
        }
    }

    /// What the journal says of it, and sends to others: not what stands in the field, which may be a secret.
    pub(super) fn told(&self, run: i64) -> Value {
        let [rule, _, kind, namespace, name, path, _, message, _] = &self.texts;
        json!({
            "run": run, "fingerprint": self.fingerprint, "rule": rule, "severity": self.severity,
            "outcome": self.outcome, "kind": kind, "namespace": namespace, "name": name, "path": path,
            "message": message,
        })
    }
}

/// A finding that stands, as far as its end needs it.
#[derive(Debug, Clone)]
pub(super) struct Past {
    fingerprint: String,
    pub(super) failing: bool,
    rule: String,
    api_version: String,
    kind: String,
    namespace: String,
    name: String,
    path: String,
    since: i64,
}

impl Past {
    /// What its object is known by.
    pub(super) fn named(&self) -> Named<'_> {
        let group = self.api_version.split_once('/').map_or("", |(group, _)| group);
        (group, &self.kind, &self.namespace, &self.name)
    }

    /// What the journal says of its end.
    pub(super) fn told(&self, run: i64) -> Value {
        let Past { fingerprint, rule, kind, namespace, name, path, .. } = self;
        json!({
            "run": run, "fingerprint": fingerprint, "rule": rule, "kind": kind, "namespace": namespace, "name": name,
            "path": path, "since": jiff::Timestamp::from_microsecond(self.since).unwrap_or_default(),
        })
    }
}

/// Some of what stands, after a fingerprint, in the order of these.
pub(super) async fn known(
    connection: &mut AnyConnection,
    subject: &str,
    after: String,
) -> Result<Vec<(String, Known)>, sqlx::Error> {
    let rows = sqlx::query_as::<_, (String, i64, i64, i64, i64, i64)>(KNOWN).bind(subject.to_owned()).bind(after);
    let rows = rows.fetch_all(connection).await?.into_iter();
    let known = rows.map(|(print, told, failing, since, opened_run, hidden)| {
        (print, Known { told, failing: failing != 0, since, opened_run, hidden: hidden != 0 })
    });
    Ok(known.collect())
}

/// What stands with these fingerprints.
pub(super) async fn by_fingerprints(
    connection: &mut AnyConnection,
    subject: &str,
    prints: Vec<String>,
) -> Result<Vec<Past>, sqlx::Error> {
    let text = format!("{PAST} AND fingerprint IN ({}) {IN_ORDER}", places(2, prints.len()));
    let mut query = sqlx::query_as::<_, PastRow>(AssertSqlSafe(text)).persistent(false).bind(subject.to_owned());
    for print in prints {
        query = query.bind(print);
    }
    let rows = query.fetch_all(connection).await?.into_iter();
    let past = rows.map(|(fingerprint, failing, rule, api_version, kind, namespace, name, path, since)| Past {
        fingerprint,
        failing: failing != 0,
        rule,
        api_version,
        kind,
        namespace,
        name,
        path,
        since,
    });
    Ok(past.collect())
}

/// Writes findings in the place of what was known of them.
pub(super) async fn put(connection: &mut AnyConnection, turn: Turn, rows: &[Changed]) -> Result<(), sqlx::Error> {
    for few in rows.chunks(TOGETHER) {
        let at_once = if few.len() == TOGETHER { TOGETHER } else { 1 };
        for few in few.chunks(at_once) {
            let text = format!("{PUT}{}{INSTEAD}", values(at_once, COLUMNS));
            let mut query = sqlx::query(AssertSqlSafe(text));
            for row in few {
                query = query.bind(turn.subject).bind(row.fingerprint.clone()).bind(place(row.severity));
                query = query.bind(i64::from(row.outcome.fails())).bind(row.outcome.words());
                for text in &row.texts {
                    query = query.bind(text.clone());
                }
                query = query.bind(row.told).bind(row.first_seen).bind(row.since);
                query = query.bind(row.opened_run).bind(row.fixed_run);
            }
            query.execute(&mut *connection).await?;
        }
    }
    Ok(())
}

/// These are fixed in a run that was made at a moment.
pub(super) async fn end(
    connection: &mut AnyConnection,
    turn: Turn,
    made: i64,
    past: &[Past],
) -> Result<(), sqlx::Error> {
    if past.is_empty() {
        return Ok(());
    }
    let text = format!("{END} AND fingerprint IN ({})", places(5, past.len()));
    let mut query = sqlx::query(AssertSqlSafe(text)).persistent(false);
    query = query.bind(turn.subject).bind(turn.before).bind(made).bind(turn.number);
    for past in past {
        query = query.bind(past.fingerprint.clone());
    }
    query.execute(connection).await.map(drop)
}

/// Of these nobody knows how they stand.
pub(super) async fn hide(connection: &mut AnyConnection, turn: Turn, past: &[Past]) -> Result<(), sqlx::Error> {
    if past.is_empty() {
        return Ok(());
    }
    let text = format!("{HIDE} AND fingerprint IN ({})", places(3, past.len()));
    let mut query = sqlx::query(AssertSqlSafe(text)).persistent(false).bind(turn.subject).bind(turn.before);
    for past in past {
        query = query.bind(past.fingerprint.clone());
    }
    query.execute(connection).await.map(drop)
}

/// A text as it is kept: one line, bounded, without tokens, which nothing invisible hides.
fn kept(text: &str) -> String {
    one_line(&without_tokens(&one_line(text, usize::MAX)), LONGEST)
}

/// A fingerprint as a number; none where it is no fingerprint.
pub(super) fn number(print: &str) -> Option<u128> {
    u128::from_str_radix(print, 16).ok()
}

/// The other way round.
pub(super) fn digits(print: u128) -> String {
    format!("{print:032x}")
}

/// A subject as it is stored.
pub(super) fn word(subject: Subject) -> &'static str {
    match subject {
        Subject::Files => "files",
        Subject::Cluster => "cluster",
    }
}

/// A severity as it is stored.
pub(super) fn place(severity: Severity) -> i64 {
    match severity {
        Severity::Low => 0,
        Severity::Medium => 1,
        Severity::High => 2,
        Severity::Critical => 3,
    }
}

/// The other way round.
pub(super) fn severity(place: i64) -> Severity {
    match place {
        0 => Severity::Low,
        1 => Severity::Medium,
        2 => Severity::High,
        // What somebody else has written there is not taken for harmless.
        _ => Severity::Critical,
    }
}

/// An outcome from the word that is stored.
pub(super) fn outcome(word: &str) -> Result<Outcome, sqlx::Error> {
    Outcome::deserialize(word.into_deserializer()).map_err(unreadable::<serde::de::value::Error>)
}

type PastRow = (String, i64, String, String, String, String, String, String, i64);

/// Letters of any text of a finding.
const LONGEST: usize = 1000;
const KNOWN: &str = "\
    SELECT fingerprint, told, failing, since, opened_run, \
    CAST(CASE WHEN last_seen IS NULL THEN 0 ELSE 1 END AS BIGINT) FROM findings \
    WHERE subject = $1 AND fixed IS NULL AND fingerprint > $2 ORDER BY fingerprint LIMIT 10000";
const PAST: &str = "\
    SELECT fingerprint, failing, rule, api_version, kind, namespace, name, path, since FROM findings WHERE subject = $1";
const IN_ORDER: &str = "ORDER BY namespace, kind, name, rule, fingerprint";
const COLUMNS: usize = 19;
const PUT: &str = "\
    INSERT INTO findings (subject, fingerprint, severity, failing, outcome, rule, api_version, kind, namespace, name, \
    path, value, message, remedy, told, first_seen, since, opened_run, fixed_run) VALUES ";
/// When it was first seen stays.
const INSTEAD: &str = " \
    ON CONFLICT (subject, fingerprint) DO UPDATE SET severity = excluded.severity, failing = excluded.failing, \
    outcome = excluded.outcome, api_version = excluded.api_version, message = excluded.message, \
    remedy = excluded.remedy, told = excluded.told, since = excluded.since, opened_run = excluded.opened_run, \
    fixed_run = excluded.fixed_run, last_seen = NULL, fixed = NULL";
/// It was seen last in the run before, or where there was none, when it came up.
const END: &str = "\
    UPDATE findings SET last_seen = COALESCE(last_seen, CASE WHEN since > $2 THEN since ELSE $2 END), fixed = $3, \
    fixed_run = CASE WHEN failing = 1 THEN $4 ELSE 0 END WHERE subject = $1 AND fixed IS NULL";
const HIDE: &str = "\
    UPDATE findings SET last_seen = CASE WHEN since > $2 THEN since ELSE $2 END \
    WHERE subject = $1 AND last_seen IS NULL";
