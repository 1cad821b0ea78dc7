//! The one list of functions and operators that rules may use; each does what cel-go's does.

use std::cmp::Ordering;

use super::kind::Kind;
use super::meter::Meter;
use super::problem::Problem;
use super::quantity::{Amount, NoAmount};
use super::value::Value;
use super::{arithmetic, numbers, texts};

/// A function or operator: how it is called, what it takes, what it gives.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) style: Style,
    /// Kinds of the arguments (the receiver first) and of the result; any of these.
    pub(super) overloads: &'static [(&'static [Kind], Kind)],
    pub(super) call: Call,
}

pub(super) type Call = fn(&[Value], &mut Meter) -> Result<Value, Problem>;

/// How a function is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `size(x)`, and operators
    Global,
    /// `x.startsWith(y)`
    Receiver,
}

/// The functions of that name and style; they differ in their number of arguments.
pub(super) fn named(name: &str, style: Style) -> impl Iterator<Item = &'static Function> {
    FUNCTIONS.iter().filter(move |function| function.name == name && function.style == style)
}

/// The name of every function that is no operator.
#[cfg(test)]
pub(super) fn names() -> Vec<&'static str> {
    FUNCTIONS
        .iter()
        .map(|function| function.name)
        .filter(|name| name.bytes().all(|b| b.is_ascii_alphabetic()))
        .collect()
}

use Kind::{Bool, Double, Dyn, Int, List, Map, Quantity, Text};

const fn global(name: &'static str, overloads: &'static [(&'static [Kind], Kind)], call: Call) -> Function {
    Function { name, style: Style::Global, overloads, call }
}

const fn receiver(name: &'static str, overloads: &'static [(&'static [Kind], Kind)], call: Call) -> Function {
    Function { name, style: Style::Receiver, overloads, call }
}

const ORDERED: &[(&[Kind], Kind)] = &[
    (&[Int, Int], Bool),
    (&[Int, Double], Bool),
    (&[Double, Int], Bool),
    (&[Double, Double], Bool),
    (&[Text, Text], Bool),
    (&[Bool, Bool], Bool),
];
const SIZED: &[(&[Kind], Kind)] = &[(&[Text], Int), (&[List], Int), (&[Map], Int)];
const NUMERIC: &[(&[Kind], Kind)] = &[(&[Int, Int], Int), (&[Double, Double], Double)];
const TWO_TEXTS: &[(&[Kind], Kind)] = &[(&[Text, Text], Bool)];
const TWO_AMOUNTS: &[(&[Kind], Kind)] = &[(&[Quantity, Quantity], Bool)];

const FUNCTIONS: &[Function] = &[
    global("_==_", &[(&[Dyn, Dyn], Bool)], |args, meter| equal(args, meter).map(Value::Bool)),
    global("_!=_", &[(&[Dyn, Dyn], Bool)], |args, meter| equal(args, meter).map(|equal| Value::Bool(!equal))),
    global("_<_", ORDERED, |args, _| ordered("_<_", args, Ordering::is_lt)),
    global("_<=_", ORDERED, |args, _| ordered("_<=_", args, Ordering::is_le)),
    global("_>_", ORDERED, |args, _| ordered("_>_", args, Ordering::is_gt)),
    global("_>=_", ORDERED, |args, _| ordered("_>=_", args, Ordering::is_ge)),
    global(
        "_+_",
        &[(&[Int, Int], Int), (&[Double, Double], Double), (&[Text, Text], Text), (&[List, List], List)],
        arithmetic::add,
    ),
    global("_-_", NUMERIC, arithmetic::subtract),
    global("_*_", NUMERIC, arithmetic::multiply),
    global("_/_", NUMERIC, arithmetic::divide),
    global("_%_", &[(&[Int, Int], Int)], arithmetic::remainder),
    global("-_", &[(&[Int], Int), (&[Double], Double)], arithmetic::negate),
    global("@in", &[(&[Dyn, List], Bool), (&[Dyn, Map], Bool)], contains),
    global("_[_]", &[(&[List, Int], Dyn), (&[Map, Text], Dyn)], index),
    global("size", SIZED, size),
    receiver("size", SIZED, size),
    global("dyn", &[(&[Dyn], Dyn)], |args, _| args.first().cloned().ok_or_else(|| Problem::overload("dyn", &[]))),
    global("int", &[(&[Int], Int), (&[Double], Int), (&[Text], Int)], numbers::int),
    global("double", &[(&[Double], Double), (&[Int], Double), (&[Text], Double)], numbers::double),
    global("string", &[(&[Text], Text), (&[Int], Text), (&[Double], Text), (&[Bool], Text)], numbers::string),
    global("bool", &[(&[Bool], Bool), (&[Text], Bool)], numbers::boolean),
    global("quantity", &[(&[Text], Quantity)], quantity),
    global("isQuantity", &[(&[Text], Bool)], is_quantity),
    receiver("compareTo", &[(&[Quantity, Quantity], Int)], |args, _| {
        compared("compareTo", args).map(|order| Value::Int(order as i64))
    }),
    receiver("isGreaterThan", TWO_AMOUNTS, |args, _| {
        compared("isGreaterThan", args).map(|order| Value::Bool(order.is_gt()))
    }),
    receiver("isLessThan", TWO_AMOUNTS, |args, _| compared("isLessThan", args).map(|order| Value::Bool(order.is_lt()))),
    receiver("startsWith", TWO_TEXTS, texts::starts_with),
    receiver("endsWith", TWO_TEXTS, texts::ends_with),
    receiver("contains", TWO_TEXTS, texts::contains),
    receiver("lowerAscii", &[(&[Text], Text)], texts::lower),
    receiver("upperAscii", &[(&[Text], Text)], texts::upper),
    receiver("trim", &[(&[Text], Text)], texts::trim),
    receiver("charAt", &[(&[Text, Int], Text)], texts::char_at),
    receiver("substring", &[(&[Text, Int], Text)], texts::substring),
    receiver("substring", &[(&[Text, Int, Int], Text)], texts::substring),
    receiver("indexOf", &[(&[Text, Text], Int)], texts::index_of),
    receiver("indexOf", &[(&[Text, Text, Int], Int)], texts::index_of),
    receiver("lastIndexOf", &[(&[Text, Text], Int)], texts::last_index_of),
    receiver("replace", &[(&[Text, Text, Text], Text)], texts::replace),
    receiver("replace", &[(&[Text, Text, Text, Int], Text)], texts::replace),
    receiver("split", &[(&[Text, Text], List)], texts::split),
    receiver("split", &[(&[Text, Text, Int], List)], texts::split),
    receiver("join", &[(&[List], Text)], texts::join),
    receiver("join", &[(&[List, Text], Text)], texts::join),
];

fn equal(args: &[Value], meter: &mut Meter) -> Result<bool, Problem> {
    let [a, b] = args else { return Err(Problem::overload("_==_", &[])) };
    meter.read(a)?;
    a.equals(b)
}

fn ordered(name: &str, args: &[Value], wanted: fn(Ordering) -> bool) -> Result<Value, Problem> {
    match args {
        [a, b] => match a.order(b) {
            Some(order) => Ok(Value::Bool(wanted(order))),
            None => Err(Problem::overload(name, &[a, b])),
        },
        _ => Err(Problem::overload(name, &[])),
    }
}

fn contains(args: &[Value], meter: &mut Meter) -> Result<Value, Problem> {
    match args {
        [item, Value::List(items)] => {
            for candidate in items.iter() {
                meter.read(candidate)?;
                if candidate.equals(item)? {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        }
        [Value::Text(key), Value::Map(entries)] => Ok(Value::Bool(entries.contains_key(key))),
        [_, Value::Map(_)] => Ok(Value::Bool(false)),
        _ => Err(Problem::overload("@in", &args.iter().collect::<Vec<_>>())),
    }
}

fn index(args: &[Value], _: &mut Meter) -> Result<Value, Problem> {
    match args {
        [Value::Map(entries), Value::Text(key)] => {
            entries.get(key).cloned().ok_or_else(|| Problem::Error(format!("no such key: {key}")))
        }
        [Value::List(items), place @ (Value::Int(_) | Value::Double(_))] => {
            let place = match place {
                Value::Double(double) => numbers::whole(*double),
                Value::Int(int) => Some(*int),
                _ => None,
            };
            place
                .and_then(|place| usize::try_from(place).ok())
                .and_then(|place| items.get(place).cloned())
                .ok_or_else(|| Problem::Error("index out of bounds".to_owned()))
        }
        [_, key] => Err(Problem::Error(format!("no such key: of kind {}", key.kind()))),
        _ => Err(Problem::overload("_[_]", &[])),
    }
}

fn size(args: &[Value], meter: &mut Meter) -> Result<Value, Problem> {
    let count = match args {
        [Value::Text(text)] => {
            meter.spend(1 + text.len() as u64 / 16)?;
            text.chars().count()
        }
        [Value::List(items)] => items.len(),
        [Value::Map(entries)] => entries.len(),
        _ => return Err(Problem::overload("size", &args.iter().collect::<Vec<_>>())),
    };
    i64::try_from(count).map(Value::Int).map_err(|_| Problem::Error("integer overflow".to_owned()))
}

fn quantity(args: &[Value], _: &mut Meter) -> Result<Value, Problem> {
    let [Value::Text(text)] = args else {
        return Err(Problem::overload("quantity", &args.iter().collect::<Vec<_>>()));
    };
    match Amount::parse(text) {
        Ok(amount) => Ok(Value::Quantity(amount)),
        Err(NoAmount::Malformed) => Err(Problem::Error(format!("{text:?} is no quantity"))),
        Err(NoAmount::Extreme) => Err(Problem::Error(format!("quantity {text:?} is too large or too fine"))),
    }
}

fn is_quantity(args: &[Value], _: &mut Meter) -> Result<Value, Problem> {
    let [Value::Text(text)] = args else {
        return Err(Problem::overload("isQuantity", &args.iter().collect::<Vec<_>>()));
    };
    match Amount::parse(text) {
        Ok(_) => Ok(Value::Bool(true)),
        Err(NoAmount::Malformed) => Ok(Value::Bool(false)),
        Err(NoAmount::Extreme) => Err(Problem::Error(format!("quantity {text:?} is too large or too fine"))),
    }
}

fn compared(name: &str, args: &[Value]) -> Result<Ordering, Problem> {
    match args {
        [Value::Quantity(a), Value::Quantity(b)] => Ok(a.cmp(b)),
        _ => Err(Problem::overload(name, &args.iter().collect::<Vec<_>>())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_page_lists_exactly_these_functions() {
        let page = include_str!("../../../policies/own-rules.md");
        let listed = page.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|line| line.split('`').next());
        let mut listed: Vec<_> = listed.filter_map(|call| call.rsplit('.').next()?.split('(').next()).collect();
        listed.sort_unstable();
        listed.dedup();
        let mut known = names();
        known.push("matches");
        known.sort_unstable();
        known.dedup();
        assert_eq!(listed, known);
    }
}
