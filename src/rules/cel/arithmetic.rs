//! `+ - * / %`: whole numbers never overflow silently, text and lists are joined.

use super::meter::Meter;
use super::problem::Problem;
use super::value::Value;

pub(super) fn add(args: &[Value], meter: &mut Meter) -> Result<Value, Problem> {
    match args {
        [Value::Int(a), Value::Int(b)] => whole(a.checked_add(*b)),
        [Value::Double(a), Value::Double(b)] => Ok(Value::Double(a + b)),
        [Value::Text(a), Value::Text(b)] => {
            meter.spend(1 + (a.len() + b.len()) as u64 / 16)?;
            Ok(Value::text(&format!("{a}{b}")))
        }
        [Value::List(a), Value::List(b)] => {
            meter.spend((a.len() + b.len()) as u64)?;
            Ok(Value::list(a.iter().chain(b.iter()).cloned().collect()))
        }
        _ => none("_+_", args),
    }
}

pub(super) fn subtract(args: &[Value], _: &mut Meter) -> Result<Value, Problem> {
    match args {
        [Value::Int(a), Value::Int(b)] => whole(a.checked_sub(*b)),
        [Value::Double(a), Value::Double(b)] => Ok(Value::Double(a - b)),
        _ => none("_-_", args),
    }
}

pub(super) fn multiply(args: &[Value], _: &mut Meter) -> Result<Value, Problem> {
    match args {
        [Value::Int(a), Value::Int(b)] => whole(a.checked_mul(*b)),
        [Value::Double(a), Value::Double(b)] => Ok(Value::Double(a * b)),
        _ => none("_*_", args),
    }
}

pub(super) fn divide(args: &[Value], _: &mut Meter) -> Result<Value, Problem> {
    match args {
        [Value::Int(_), Value::Int(0)] => Err(Problem::Error("division by zero".to_owned())),
        [Value::Int(a), Value::Int(b)] => whole(a.checked_div(*b)),
        [Value::Double(a), Value::Double(b)] => Ok(Value::Double(a / b)),
        _ => none("_/_", args),
    }
}

pub(super) fn remainder(args: &[Value], _: &mut Meter) -> Result<Value, Problem> {
    match args {
        [Value::Int(_), Value::Int(0)] => Err(Problem::Error("modulus by zero".to_owned())),
        [Value::Int(a), Value::Int(b)] => whole(a.checked_rem(*b)),
        _ => none("_%_", args),
    }
}

pub(super) fn negate(args: &[Value], _: &mut Meter) -> Result<Value, Problem> {
    match args {
        [Value::Int(a)] => whole(a.checked_neg()),
        [Value::Double(a)] => Ok(Value::Double(-a)),
        _ => none("-_", args),
    }
}

fn whole(result: Option<i64>) -> Result<Value, Problem> {
    result.map(Value::Int).ok_or_else(|| Problem::Error("integer overflow".to_owned()))
}

fn none(name: &str, args: &[Value]) -> Result<Value, Problem> {
    Err(Problem::overload(name, &args.iter().collect::<Vec<_>>()))
}
