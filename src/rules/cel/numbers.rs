//! Conversions between numbers, texts and truth values, as Go's strconv does them.

use super::meter::Meter;
use super::problem::Problem;
use super::value::Value;

pub(super) fn int(args: &[Value], _: &mut Meter) -> Result<Value, Problem> {
    match args {
        [Value::Int(int)] => Some(*int),
        [Value::Double(double)] => truncated(*double),
        [Value::Text(text)] => text.parse().ok(),
        _ => return unknown("int", args),
    }
    .map(Value::Int)
    .ok_or_else(|| failed("int", args))
}

#[expect(clippy::cast_precision_loss, reason = "CEL's double(int) rounds as well")]
pub(super) fn double(args: &[Value], _: &mut Meter) -> Result<Value, Problem> {
    match args {
        [Value::Double(double)] => Some(*double),
        [Value::Int(int)] => Some(*int as f64),
        // Go reads hexadecimal floats too and refuses what overflows; both are errors here.
        [Value::Text(text)] => text.parse().ok().filter(|double: &f64| double.is_finite()),
        _ => return unknown("double", args),
    }
    .map(Value::Double)
    .ok_or_else(|| failed("double", args))
}

pub(super) fn string(args: &[Value], _: &mut Meter) -> Result<Value, Problem> {
    match args {
        [text @ Value::Text(_)] => Ok(text.clone()),
        [Value::Int(int)] => Ok(Value::text(&int.to_string())),
        [Value::Bool(value)] => Ok(Value::text(&value.to_string())),
        [Value::Double(double)] => shown(*double).map(|text| Value::text(&text)).ok_or_else(|| failed("string", args)),
        _ => unknown("string", args),
    }
}

pub(super) fn boolean(args: &[Value], _: &mut Meter) -> Result<Value, Problem> {
    match args {
        [Value::Bool(value)] => Ok(Value::Bool(*value)),
        [Value::Text(text)] => match text.as_ref() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
            _ => Err(failed("bool", args)),
        },
        _ => unknown("bool", args),
    }
}

/// A double as an int, where it is one exactly.
pub(super) fn whole(double: f64) -> Option<i64> {
    truncated(double).filter(|_| double.fract() == 0.0)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "inside the range, and cutting is meant"
)]
fn truncated(double: f64) -> Option<i64> {
    (double > i64::MIN as f64 && double < i64::MAX as f64).then_some(double as i64)
}

/// Go's `%g`: the shortest digits, with an exponent below -4 and from 6 on.
fn shown(double: f64) -> Option<String> {
    let text = format!("{double:e}");
    let (digits, exponent) = text.split_once('e')?;
    let exponent: i32 = exponent.parse().ok()?;
    if (-4..LARGE_EXPONENT).contains(&exponent) {
        return Some(double.to_string());
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    Some(format!("{digits}e{sign}{:02}", exponent.unsigned_abs()))
}

fn unknown(name: &str, args: &[Value]) -> Result<Value, Problem> {
    Err(Problem::overload(name, &args.iter().collect::<Vec<_>>()))
}

fn failed(name: &str, args: &[Value]) -> Problem {
    let kind = args.first().map_or("nothing", Value::kind);
    Problem::Error(format!("type conversion error from {kind} to {name}"))
}

const LARGE_EXPONENT: i32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_shown_as_go_shows_them() {
        for (double, text) in [
            (1.0, "1"),
            (0.5, "0.5"),
            (-2.25, "-2.25"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (100_000.0, "100000"),
            (1e6, "1e+06"),
            (123_456_789.0, "1.23456789e+08"),
            (0.0, "0"),
        ] {
            assert_eq!(shown(double).as_deref(), Some(text), "{double}");
        }
        assert_eq!(shown(f64::INFINITY), None);
    }
}
