//! Evaluates a checked expression with cel-go's meaning: errors are values that `||` and `&&` may absorb.

use super::meter::Meter;
use super::node::{Fold, Node, What};
use super::problem::Problem;
use super::value::Value;

/// What an expression can see.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) object: Value,
    pub(super) old: Value,
    pub(super) request: Value,
}

/// One evaluation of one rule: its variables are evaluated at most once, when they are first used.
pub(super) struct Run<'a> {
    scope: &'a Scope,
    variables: &'a [Node],
    known: Vec<Option<Outcome>>,
    locals: Vec<Value>,
    pub(super) meter: Meter,
}

type Outcome = Result<Value, Problem>;

impl<'a> Run<'a> {
    pub(super) fn new(scope: &'a Scope, variables: &'a [Node], meter: Meter) -> Self {
        Run { scope, variables, known: vec![None; variables.len()], locals: Vec::new(), meter }
    }

    /// The value of an expression that must be true or false.
    pub(super) fn truth(&mut self, node: &Node) -> Result<bool, Problem> {
        match self.value(node)? {
            Value::Bool(truth) => Ok(truth),
            other => Err(Problem::overload("bool", &[&other])),
        }
    }

    pub(super) fn value(&mut self, node: &Node) -> Outcome {
        self.meter.spend(1)?;
        match node {
            Node::Literal(value) => Ok(value.clone()),
            Node::Object => Ok(self.scope.object.clone()),
            Node::OldObject => Ok(self.scope.old.clone()),
            Node::Request => Ok(self.scope.request.clone()),
            Node::Variable(place) => self.variable(*place),
            Node::Local(place) => self.locals.get(*place).cloned().ok_or_else(|| missing("variable")),
            Node::Select(of, field) => {
                let value = self.value(of)?;
                select(&value, field)
            }
            Node::Has(of, field) => {
                let value = self.value(of)?;
                has(&value, field).map(Value::Bool)
            }
            Node::List(items) => items.iter().map(|item| self.value(item)).collect::<Result<_, _>>().map(Value::list),
            Node::Map(entries) => {
                let entries = entries.iter().map(|(key, node)| Ok((key.as_ref(), self.value(node)?)));
                Ok(Value::map(entries.collect::<Result<Vec<_>, Problem>>()?))
            }
            Node::And(sides) => self.either(sides, false).map(Value::Bool),
            Node::Or(sides) => self.either(sides, true).map(Value::Bool),
            Node::Not(of) => self.truth(of).map(|truth| Value::Bool(!truth)),
            Node::Choose(parts) => {
                let [condition, then, otherwise] = parts.as_ref();
                if self.truth(condition)? { self.value(then) } else { self.value(otherwise) }
            }
            Node::Call(function, args) => {
                let args = args.iter().map(|arg| self.value(arg)).collect::<Result<Vec<_>, _>>()?;
                (function.call)(&args, &mut self.meter)
            }
            Node::Matches(of, pattern) => match self.value(of)? {
                Value::Text(text) => {
                    self.meter.spend(1 + text.len() as u64)?;
                    Ok(Value::Bool(pattern.is_match(&text)))
                }
                other => Err(Problem::overload("matches", &[&other])),
            },
            Node::Fold(fold) => self.fold(fold),
        }
    }

    /// `||` where `decides` is true, `&&` where it is false: the deciding side wins over the other's error.
    fn either(&mut self, sides: &[Node; 2], decides: bool) -> Result<bool, Problem> {
        let mut problem = None;
        for side in sides {
            match self.truth(side) {
                Ok(truth) if truth == decides => return Ok(decides),
                Ok(_) => {}
                Err(found) if found.is_final() => return Err(found),
                Err(found) => problem = problem.or(Some(found)),
            }
        }
        problem.map_or(Ok(!decides), Err)
    }

    fn variable(&mut self, place: usize) -> Outcome {
        if let Some(Some(outcome)) = self.known.get(place) {
            return outcome.clone();
        }
        let Some(node) = self.variables.get(place) else { return Err(missing("variable")) };
        // A variable is outside of every comprehension that uses it.
        let locals = std::mem::take(&mut self.locals);
        let outcome = self.value(node);
        self.locals = locals;
        if let Some(known) = self.known.get_mut(place) {
            *known = Some(outcome.clone());
        }
        outcome
    }

    fn fold(&mut self, fold: &Fold) -> Outcome {
        let items: Vec<Value> = match self.value(&fold.range)? {
            Value::List(items) => items.iter().cloned().collect(),
            Value::Map(entries) => entries.keys().map(|key| Value::Text(key.clone())).collect(),
            other => return Err(Problem::overload("comprehension", &[&other])),
        };
        self.meter.spend(items.len() as u64)?;
        match fold.what {
            What::All => self.quantified(fold, items, false).map(Value::Bool),
            What::Exists => self.quantified(fold, items, true).map(Value::Bool),
            What::ExistsOne => {
                let mut count = 0;
                for item in items {
                    count += usize::from(self.tested(fold, item)?.is_some());
                }
                Ok(Value::Bool(count == 1))
            }
            What::Collect => {
                let mut made = Vec::new();
                for item in items {
                    made.extend(self.tested(fold, item)?);
                }
                Ok(Value::list(made))
            }
        }
    }

    /// `exists` where `decides` is true, `all` where it is false.
    fn quantified(&mut self, fold: &Fold, items: Vec<Value>, decides: bool) -> Result<bool, Problem> {
        let Some(test) = &fold.test else { return Err(missing("condition")) };
        let mut problem = None;
        for item in items {
            self.locals.push(item);
            let truth = self.truth(test);
            self.locals.pop();
            match truth {
                Ok(truth) if truth == decides => return Ok(decides),
                Ok(_) => {}
                Err(found) if found.is_final() => return Err(found),
                Err(found) => problem = problem.or(Some(found)),
            }
        }
        problem.map_or(Ok(!decides), Err)
    }

    /// What becomes of one item; none where its test is false.
    fn tested(&mut self, fold: &Fold, item: Value) -> Result<Option<Value>, Problem> {
        self.locals.push(item.clone());
        let passes = fold.test.as_ref().map_or(Ok(true), |test| self.truth(test));
        let made = match (&fold.make, passes) {
            (_, Ok(false)) => Ok(None),
            (_, Err(problem)) => Err(problem),
            (Some(make), Ok(true)) => self.value(make).map(Some),
            (None, Ok(true)) => Ok(Some(item)),
        };
        self.locals.pop();
        made
    }
}

fn select(value: &Value, field: &str) -> Outcome {
    match value {
        Value::Map(entries) => entries.get(field).cloned().ok_or_else(|| missing(field)),
        Value::Hidden => Err(Problem::hidden()),
        _ => Err(missing(field)),
    }
}

/// cel-go asks a list for a text index, which is an error; of other values without fields the answer is no.
fn has(value: &Value, field: &str) -> Result<bool, Problem> {
    match value {
        Value::Map(entries) => Ok(entries.contains_key(field)),
        Value::List(_) => Err(Problem::Error("unsupported index type 'string' in list".to_owned())),
        Value::Hidden => Err(Problem::hidden()),
        _ => Ok(false),
    }
}

fn missing(key: &str) -> Problem {
    Problem::Error(format!("no such key: {key}"))
}
