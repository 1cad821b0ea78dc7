//! Edge: decisions as they are kept, by what somebody wants to see of them, a page at a time, the newest first.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::chain::Row;
use super::listed::{GAP, Wanted, key, words};
use super::{EntryKind, entries};
use crate::archive::many::{pattern, places};
use crate::archive::problem::is_unreadable;
use crate::archive::{Archive, ArchiveProblem};
use crate::model::{Decision, Outcome};

/// What somebody wants to see. Where nothing is said, everything is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DecisionFilter {
    /// In these namespaces; in none where none is named. A decision of which nobody knows the namespace, and one about
    /// what is in none, is seen only by who sees all.
    pub namespaces: Option<Vec<String>>,
    /// Of this analysis, by the name of a run, which means that run, or by its id, which means all of them.
    pub analysis: Option<String>,
    /// With one of these outcomes.
    pub outcomes: Vec<Outcome>,
    /// By this rule.
    pub rule: Option<String>,
    /// Asked for by this user.
    pub user: Option<String>,
    /// With this text in operation, resource, name, user or address, in whichever case.
    pub text: Option<String>,
    /// Older than the entry with this number: the last of the page before.
    pub before: Option<i64>,
}

/// An entry of the journal about decisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptDecision {
    /// The entry's number.
    pub number: i64,
    /// When it was written; nothing where that cannot be read.
    pub written: Option<Timestamp>,
    /// What it says.
    pub told: Told,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Told {
    /// A decision, and the run of the webhook's replica that numbers it.
    Decision {
        /// The run.
        run: String,
        /// The decision.
        decision: Box<Decision>,
    },
    /// Something is lost; this is told where nothing but the place is asked for.
    Gap {
        /// Why.
        reason: String,
        /// How many; of a journal that was changed nobody knows.
        count: Option<u64>,
    },
    /// The entry is not what was written, or is gone.
    Unreadable,
}

impl DecisionFilter {
    fn narrows(&self) -> bool {
        *self != DecisionFilter { before: self.before, ..DecisionFilter::default() }
    }
}

impl Archive {
    /// Decisions that a filter lets through, the newest first, at most so many; of more than a thousand the first
    /// thousand.
    ///
    /// # Errors
    /// Anything but an answer.
    pub async fn decisions(&self, filter: DecisionFilter, most: u32) -> Result<Vec<KeptDecision>, ArchiveProblem> {
        let most = most.min(PAGE);
        self.read("read decisions".to_owned(), |connection| {
            Box::pin(async move {
                let numbers = numbers(connection, &filter, most).await?;
                let mut rows = rows(connection, &numbers).await?;
                let kept = numbers.into_iter().map(|number| kept(number, rows.remove(&number)));
                Ok(kept.filter(|kept| is_seen(kept, &filter)).collect())
            })
        })
        .await
    }
}

/// The numbers of the entries, the newest first. Each question goes along one index from its end, and takes no more than
/// a page, however many there are.
async fn numbers(connection: &mut AnyConnection, filter: &DecisionFilter, most: u32) -> Result<Vec<i64>, sqlx::Error> {
    let mut outcomes: Vec<&str> = match filter.outcomes.as_slice() {
        [] => Outcome::ALL.iter().map(|outcome| outcome.word()).collect(),
        some => some.iter().map(|outcome| outcome.word()).collect(),
    };
    if !filter.narrows() {
        outcomes.push(GAP);
    }
    outcomes.sort_unstable();
    outcomes.dedup();
    let mut found = Vec::new();
    for question in questions(filter) {
        for outcome in &outcomes {
            let mut query = sqlx::query_scalar::<_, i64>(AssertSqlSafe(question.statement()));
            query = query.bind((*outcome).to_owned()).bind(filter.before.unwrap_or(i64::MAX)).bind(i64::from(most));
            for text in &question.texts {
                query = query.bind(text.clone());
            }
            found.extend(query.fetch_all(&mut *connection).await?);
        }
    }
    found.sort_unstable_by(|one, other| other.cmp(one));
    found.dedup();
    found.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    Ok(found)
}

/// What is asked for beside the outcome.
#[derive(Debug, PartialEq, Eq)]
struct Question {
    /// The list that is gone along.
    list: &'static str,
    conditions: Vec<String>,
    texts: Vec<String>,
}

impl Question {
    fn statement(&self) -> String {
        let Question { list, conditions, .. } = self;
        format!("{list}{} ORDER BY 1 DESC LIMIT $3", conditions.concat())
    }

    fn and(&mut self, before: &str, text: String, behind: &str) {
        self.texts.push(text);
        self.conditions.push(format!(" AND {before} ${}{behind}", self.texts.len() + 3));
    }

    /// The first that is asked for has the index; the others must not lead the database to one that holds more.
    fn and_same(&mut self, column: &str, text: String) {
        let leads = self.list == BY_OUTCOME && self.texts.is_empty();
        let column = if leads { format!("d.{column} =") } else { format!("d.{column} || '' =") };
        self.and(&column, text, "");
    }
}

/// One question for all, or one for each namespace where nothing that is rarer leads.
fn questions(filter: &DecisionFilter) -> Vec<Question> {
    let mut question = Question { list: BY_OUTCOME, conditions: Vec::new(), texts: Vec::new() };
    if let Some(rule) = &filter.rule {
        question.list = BY_RULE;
        question.and("l.rule =", key(rule), "");
    }
    if let Some(analysis) = &filter.analysis {
        let Wanted { analysis, run } = Wanted::of(analysis);
        question.and_same("analysis", analysis);
        if let Some(run) = run {
            question.and_same("run", run);
        }
    }
    if let Some(user) = &filter.user {
        question.and_same("asker", key(user));
    }
    let Some(namespaces) = &filter.namespaces else { return vec![searched(question, filter)] };
    let named = namespaces.iter().filter(|namespace| !namespace.is_empty());
    let each = named.map(|namespace| {
        let mut each =
            Question { list: question.list, conditions: question.conditions.clone(), texts: question.texts.clone() };
        each.and_same("namespace", key(namespace));
        searched(each, filter)
    });
    each.collect()
}

fn searched(mut question: Question, filter: &DecisionFilter) -> Question {
    if let Some(text) = &filter.text {
        question.and("d.words LIKE", pattern(&words(text)), " ESCAPE '!'");
    }
    question
}

/// Entries by their numbers, those that can be read.
async fn rows(connection: &mut AnyConnection, numbers: &[i64]) -> Result<HashMap<i64, Row>, sqlx::Error> {
    let mut found = HashMap::new();
    for few in numbers.chunks(TOGETHER) {
        let rows = match some(connection, few).await {
            Err(problem) if is_unreadable(&problem) => one_by_one(connection, few).await?,
            rows => rows?,
        };
        found.extend(rows.into_iter().map(|row| (row.0, row)));
    }
    Ok(found)
}

async fn one_by_one(connection: &mut AnyConnection, numbers: &[i64]) -> Result<Vec<Row>, sqlx::Error> {
    let mut rows = Vec::new();
    for number in numbers {
        match some(connection, &[*number]).await {
            Err(problem) if is_unreadable(&problem) => {}
            row => rows.extend(row?),
        }
    }
    Ok(rows)
}

async fn some(connection: &mut AnyConnection, numbers: &[i64]) -> Result<Vec<Row>, sqlx::Error> {
    let text = format!("{BY_NUMBER}({})", places(1, numbers.len()));
    let mut query = sqlx::query_as::<_, Row>(AssertSqlSafe(text));
    for number in numbers {
        query = query.bind(*number);
    }
    query.fetch_all(connection).await
}

fn kept(number: i64, row: Option<Row>) -> KeptDecision {
    let Some((_, written, kind, body, _)) = row else {
        return KeptDecision { number, written: None, told: Told::Unreadable };
    };
    let told = told(&kind, &body).unwrap_or(Told::Unreadable);
    KeptDecision { number, written: Timestamp::from_microsecond(written).ok(), told }
}

fn told(kind: &str, body: &str) -> Option<Told> {
    let value: Value = serde_json::from_str(body).ok()?;
    let text = |member: &str| value.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    if kind == EntryKind::Gap.word() {
        return Some(Told::Gap { reason: text("reason"), count: value.get("count").and_then(Value::as_u64) });
    }
    let run = text("run");
    let decision = serde_json::from_value(value).ok().filter(|_| kind == EntryKind::Decision.word())?;
    Some(Told::Decision { run, decision: Box::new(decision) })
}

/// The list only finds; where a decision was made its entry says.
fn is_seen(kept: &KeptDecision, filter: &DecisionFilter) -> bool {
    match (&filter.namespaces, &kept.told) {
        (None, _) => true,
        (Some(namespaces), Told::Decision { decision, .. }) => {
            !decision.namespace.is_empty() && namespaces.contains(&decision.namespace)
        }
        (Some(_), Told::Gap { .. }) => false,
        (Some(_), Told::Unreadable) => true,
    }
}

/// Entries of one page.
const PAGE: u32 = 1000;
/// Entries that are read together.
const TOGETHER: usize = 50;
const BY_OUTCOME: &str = "SELECT d.number FROM decisions d WHERE d.outcome = $1 AND d.number < $2";
/// SQLite takes the tables of a cross join in this order.
const BY_RULE: &str = "\
    SELECT l.number FROM decision_rules l CROSS JOIN decisions d WHERE d.number = l.number AND l.outcome = $1 \
    AND l.number < $2";
const BY_NUMBER: &str = entries!("WHERE number IN ");
