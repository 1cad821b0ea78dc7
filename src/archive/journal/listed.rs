//! Edge: the list of decisions and gaps beside the journal, by which they are found.

use std::collections::BTreeSet;

use sqlx::{AnyConnection, AssertSqlSafe};

use crate::archive::many::{TOGETHER, values};
use crate::model::{Decision, Run};

/// By what an entry is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    outcome: &'static str,
    namespace: String,
    analysis: String,
    run: String,
    asker: String,
    words: String,
    rules: BTreeSet<String>,
}

impl Listed {
    pub(super) fn decision(decision: &Decision) -> Self {
        let Decision { operation, resource, name, user, from, .. } = decision;
        let Wanted { analysis, run } = Wanted::of(&decision.analysis);
        Listed {
            outcome: decision.outcome.word(),
            namespace: key(&decision.namespace),
            analysis,
            run: run.unwrap_or_default(),
            asker: key(user),
            words: [operation, resource, name, user, from].map(|text| words(text)).join(" "),
            rules: decision.rules.iter().map(|rule| key(rule)).collect(),
        }
    }

    pub(super) fn gap() -> Self {
        let text = String::new;
        Listed {
            outcome: GAP,
            namespace: text(),
            analysis: text(),
            run: text(),
            asker: text(),
            words: text(),
            rules: BTreeSet::new(),
        }
    }
}

/// An analysis as it is looked for: a run's name is that run's alone, an id that of all its runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) analysis: String,
    pub(super) run: Option<String>,
}

impl Wanted {
    pub(super) fn of(analysis: &str) -> Self {
        match Run::of_app(analysis) {
            Some(run) => Wanted { analysis: run.analysis.to_string(), run: Some(run.app()) },
            None => Wanted { analysis: key(analysis), run: None },
        }
    }
}

/// A text as it is compared: bounded, so that it fits an index, and without what a database takes for its end.
pub(super) fn key(text: &str) -> String {
    text.chars().take(LONGEST).map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// A text as it is searched, whichever case it has.
pub(super) fn words(text: &str) -> String {
    key(text).to_lowercase()
}

/// Adds entries by their numbers. Of a journal that somebody has cut off the list may still know the end.
pub(super) async fn insert(connection: &mut AnyConnection, list: &[(i64, Listed)]) -> Result<(), sqlx::Error> {
    let Some((first, _)) = list.first() else { return Ok(()) };
    sqlx::query("DELETE FROM decisions WHERE number >= $1").bind(*first).execute(&mut *connection).await?;
    sqlx::query("DELETE FROM decision_rules WHERE number >= $1").bind(*first).execute(&mut *connection).await?;
    for few in list.chunks(TOGETHER) {
        let at_once = if few.len() == TOGETHER { TOGETHER } else { 1 };
        for few in few.chunks(at_once) {
            let text = format!("{INSERT}{}", values(at_once, 7));
            let mut insert = sqlx::query(AssertSqlSafe(text));
            for (number, listed) in few {
                insert = insert.bind(*number).bind(listed.outcome).bind(listed.namespace.clone());
                insert = insert.bind(listed.analysis.clone()).bind(listed.run.clone());
                insert = insert.bind(listed.asker.clone()).bind(listed.words.clone());
            }
            insert.execute(&mut *connection).await?;
        }
    }
    let rules =
        list.iter().flat_map(|(number, listed)| listed.rules.iter().map(|rule| (*number, listed.outcome, rule)));
    let rules: Vec<_> = rules.collect();
    for few in rules.chunks(TOGETHER) {
        let at_once = if few.len() == TOGETHER { TOGETHER } else { 1 };
        for few in few.chunks(at_once) {
            let text = format!("{INSERT_RULES}{}", values(at_once, 3));
            let mut insert = sqlx::query(AssertSqlSafe(text));
            for (number, outcome, rule) in few {
                insert = insert.bind((*rule).clone()).bind(*outcome).bind(*number);
            }
            insert.execute(&mut *connection).await?;
        }
    }
    Ok(())
}

/// Forgets entries up to a number.
pub(super) async fn forget(connection: &mut AnyConnection, through: i64) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM decisions WHERE number <= $1").bind(through).execute(&mut *connection).await?;
    sqlx::query("DELETE FROM decision_rules WHERE number <= $1").bind(through).execute(connection).await.map(drop)
}

/// The outcome of what is no decision.
pub(super) const GAP: &str = "gap";
/// Letters of a text; an index takes 2700 bytes.
const LONGEST: usize = 300;
const INSERT: &str = "INSERT INTO decisions (number, outcome, namespace, analysis, run, asker, words) VALUES ";
const INSERT_RULES: &str = "INSERT INTO decision_rules (rule, outcome, number) VALUES ";
