//! The values that expressions work on, with CEL's equality and order.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::problem::Problem;
use super::quantity::Amount;
use crate::model::Json;

/// A value; copying one never copies text, list or map.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Arc<str>),
    List(Arc<Vec<Value>>),
    Map(Arc<BTreeMap<Arc<str>, Value>>),
    Quantity(Amount),
    /// `managedFields`: there, but not kept; whoever looks into it gets a problem.
    Hidden,
}

impl Value {
    pub(super) fn text(text: &str) -> Value {
        Value::Text(Arc::from(text))
    }

    pub(super) fn list(items: Vec<Value>) -> Value {
        Value::List(Arc::new(items))
    }

    pub(super) fn map<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
        Value::Map(Arc::new(entries.into_iter().map(|(key, value)| (Arc::from(key), value)).collect()))
    }

    /// As the API server reads JSON for CEL: whole numbers are int where they fit, others double.
    pub(super) fn of(json: &Json<'_>) -> Value {
        match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Value::Int(whole),
                (None, Some(double)) => Value::Double(double),
                (None, None) => Value::Hidden,
            },
            Json::String(text) => Value::text(text),
            Json::Array(items) => Value::list(items.iter().map(Value::of).collect()),
            Json::Object(entries) => Value::map(entries.iter().map(|(key, value)| (key.as_ref(), Value::of(value)))),
            Json::Skipped => Value::Hidden,
        }
    }

    /// The name of its type in CEL's words.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Double(_) => "double",
            Value::Text(_) => "string",
            Value::List(_) => "list",
            Value::Map(_) => "map",
            Value::Quantity(_) => "quantity",
            Value::Hidden => "managedFields",
        }
    }

    /// Whether two values are equal; different kinds are unequal, numbers compare across kinds.
    pub(super) fn equals(&self, other: &Value) -> Result<bool, Problem> {
        Ok(match (self, other) {
            (Value::Hidden, _) | (_, Value::Hidden) => return Err(Problem::hidden()),
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Int(_) | Value::Double(_), Value::Int(_) | Value::Double(_)) => {
                numbers(self, other) == Some(Ordering::Equal)
            }
            (Value::List(a), Value::List(b)) => {
                a.len() == b.len() && all_equal(a.iter().zip(b.iter()).map(|(a, b)| (a, Some(b))))?
            }
            (Value::Map(a), Value::Map(b)) => {
                a.len() == b.len() && all_equal(a.iter().map(|(key, value)| (value, b.get(key))))?
            }
            (Value::Quantity(a), Value::Quantity(b)) => a == b,
            (Value::Quantity(_), _) => return Err(Problem::overload("_==_", &[self, other])),
            _ => false,
        })
    }

    /// The order of two values, where CEL knows one.
    pub(super) fn order(&self, other: &Value) -> Option<Ordering> {
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
            (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
            (Value::Int(_) | Value::Double(_), Value::Int(_) | Value::Double(_)) => numbers(self, other),
            _ => None,
        }
    }

    /// How many values and bytes of text it is made of, counted up to `most`.
    pub(super) fn weight(&self, most: u64) -> u64 {
        let sum = |parts: &mut dyn Iterator<Item = &Value>| {
            let mut total: u64 = 1;
            for part in parts {
                if total >= most {
                    break;
                }
                total = total.saturating_add(part.weight(most - total));
            }
            total
        };
        match self {
            Value::Text(text) => 1 + text.len() as u64 / 16,
            Value::List(items) => sum(&mut items.iter()),
            Value::Map(entries) => sum(&mut entries.values()),
            _ => 1,
        }
    }
}

impl Problem {
    /// No function of that name takes values of these kinds.
    pub(super) fn overload(name: &str, values: &[&Value]) -> Self {
        let kinds: Vec<_> = values.iter().map(|value| value.kind()).collect();
        Problem::Error(format!("no such overload: {name}({})", kinds.join(", ")))
    }
}

fn all_equal<'a>(mut pairs: impl Iterator<Item = (&'a Value, Option<&'a Value>)>) -> Result<bool, Problem> {
    pairs.try_fold(true, |equal, (a, b)| match b {
        Some(b) if equal => a.equals(b),
        _ => Ok(false),
    })
}

/// Compares numbers exactly, also an int with a double that no double could hold.
fn numbers(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        (Value::Int(a), Value::Double(b)) => int_and_double(*a, *b),
        (Value::Double(a), Value::Int(b)) => int_and_double(*b, *a).map(Ordering::reverse),
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "the API server compares in doubles as well")]
fn int_and_double(int: i64, double: f64) -> Option<Ordering> {
    // cel-go: outside the range of int the double decides, inside both are compared as doubles.
    if double < i64::MIN as f64 {
        Some(Ordering::Greater)
    } else if double > i64::MAX as f64 {
        Some(Ordering::Less)
    } else {
        (int as f64).partial_cmp(&double)
    }
}
