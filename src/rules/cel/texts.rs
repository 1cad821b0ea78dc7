//! Functions on texts; places count characters, as in cel-go's `ext.Strings`.

use super::meter::Meter;
use super::problem::Problem;
use super::value::Value;

pub(super) fn starts_with(args: &[Value], meter: &mut Meter) -> Result<Value, Problem> {
    tested("startsWith", args, meter, |text, part| text.starts_with(part))
}

pub(super) fn ends_with(args: &[Value], meter: &mut Meter) -> Result<Value, Problem> {
    tested("endsWith", args, meter, |text, part| text.ends_with(part))
}

pub(super) fn contains(args: &[Value], meter: &mut Meter) -> Result<Value, Problem> {
    tested("contains", args, meter, |text, part| text.contains(part))
}

pub(super) fn lower(args: &[Value], meter: &mut Meter) -> Result<Value, Problem> {
    changed("lowerAscii", args, meter, |text| text.to_ascii_lowercase())
}

pub(super) fn upper(args: &[Value], meter: &mut Meter) -> Result<Value, Problem> {
    changed("upperAscii", args, meter, |text| text.to_ascii_uppercase())
}

pub(super) fn trim(args: &[Value], meter: &mut Meter) -> Result<Value, Problem> {
    changed("trim", args, meter, |text| text.trim().to_owned())
}

pub(super) fn char_at(args: &[Value], meter: &mut Meter) -> Result<Value, Problem> {
    let [Value::Text(text), Value::Int(place)] = args else { return none("charAt", args) };
    pay(meter, text.len())?;
    match usize::try_from(*place) {
        Ok(at) if at <= text.chars().count() => {
            Ok(Value::text(&text.chars().nth(at).map(String::from).unwrap_or_default()))
        }
        _ => Err(out_of_range(*place)),
    }
}

pub(super) fn substring(args: &[Value], meter: &mut Meter) -> Result<Value, Problem> {
    let (text, from, to) = match args {
        [Value::Text(text), Value::Int(from)] => (text, *from, None),
        [Value::Text(text), Value::Int(from), Value::Int(to)] => (text, *from, Some(*to)),
        _ => return none("substring", args),
    };
    pay(meter, text.len())?;
    let length = text.chars().count();
    let place = |place: i64| usize::try_from(place).ok().filter(|at| *at <= length).ok_or_else(|| out_of_range(place));
    let start = place(from)?;
    let end = to.map_or(Ok(length), place)?;
    let Some(count) = end.checked_sub(start) else {
        return Err(Problem::Error(format!("invalid substring range: {start} to {end}")));
    };
    Ok(Value::text(&text.chars().skip(start).take(count).collect::<String>()))
}

pub(super) fn index_of(args: &[Value], meter: &mut Meter) -> Result<Value, Problem> {
    let (text, part, from) = match args {
        [Value::Text(text), Value::Text(part)] => (text, part, 0),
        [Value::Text(text), Value::Text(part), Value::Int(from)] => (text, part, *from),
        _ => return none("indexOf", args),
    };
    pay(meter, text.len())?;
    if part.is_empty() {
        return Ok(Value::Int(from));
    }
    let start = usize::try_from(from).map_err(|_| out_of_range(from))?;
    let Some((byte, _)) = text.char_indices().nth(start) else { return Ok(Value::Int(-1)) };
    let found = text.get(byte..).and_then(|rest| rest.find(part.as_ref())).map(|at| byte + at);
    Ok(character(text, found))
}

pub(super) fn last_index_of(args: &[Value], meter: &mut Meter) -> Result<Value, Problem> {
    let [Value::Text(text), Value::Text(part)] = args else { return none("lastIndexOf", args) };
    pay(meter, text.len())?;
    Ok(character(text, text.rfind(part.as_ref())))
}

pub(super) fn replace(args: &[Value], meter: &mut Meter) -> Result<Value, Problem> {
    let (text, old, new, most) = match args {
        [Value::Text(text), Value::Text(old), Value::Text(new)] => (text, old, new, -1),
        [Value::Text(text), Value::Text(old), Value::Text(new), Value::Int(most)] => (text, old, new, *most),
        _ => return none("replace", args),
    };
    pay(meter, text.len())?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let count = text.matches(old.as_ref()).take(most).count();
    // Paid before it is made: a text for every letter of a text can be much longer than both.
    pay(meter, text.len().saturating_add(count.saturating_mul(new.len())))?;
    Ok(Value::text(&text.replacen(old.as_ref(), new, count)))
}

pub(super) fn split(args: &[Value], meter: &mut Meter) -> Result<Value, Problem> {
    let (text, separator, most) = match args {
        [Value::Text(text), Value::Text(separator)] => (text, separator, -1),
        [Value::Text(text), Value::Text(separator), Value::Int(most)] => (text, separator, *most),
        _ => return none("split", args),
    };
    meter.spend(1 + text.len() as u64)?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let parts: Vec<Value> = if most == 0 {
        Vec::new()
    } else if separator.is_empty() {
        letters(text, most)
    } else {
        text.splitn(most, separator.as_ref()).map(Value::text).collect()
    };
    Ok(Value::list(parts))
}

pub(super) fn join(args: &[Value], meter: &mut Meter) -> Result<Value, Problem> {
    let (items, separator) = match args {
        [Value::List(items)] => (items, ""),
        [Value::List(items), Value::Text(separator)] => (items, separator.as_ref()),
        _ => return none("join", args),
    };
    let mut joined = String::new();
    for (place, item) in items.iter().enumerate() {
        let Value::Text(text) = item else { return Err(Problem::Error(format!("join: a {} is no text", item.kind()))) };
        pay(meter, text.len() + separator.len())?;
        if place > 0 {
            joined.push_str(separator);
        }
        joined.push_str(text);
    }
    Ok(Value::text(&joined))
}

/// Go splits at an empty separator into letters, the last part taking the rest.
fn letters(text: &str, most: usize) -> Vec<Value> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if parts.len() + 1 == most {
            parts.push(Value::text(rest));
            break;
        }
        parts.push(Value::text(letter.encode_utf8(&mut [0; 4])));
        rest = rest.get(letter.len_utf8()..).unwrap_or_default();
    }
    parts
}

/// The place of a byte counted in characters; -1 for none.
fn character(text: &str, byte: Option<usize>) -> Value {
    let place = byte.and_then(|byte| text.get(..byte)).map(|before| before.chars().count());
    Value::Int(place.and_then(|place| i64::try_from(place).ok()).unwrap_or(-1))
}

fn tested(name: &str, args: &[Value], meter: &mut Meter, test: fn(&str, &str) -> bool) -> Result<Value, Problem> {
    let [Value::Text(text), Value::Text(part)] = args else { return none(name, args) };
    pay(meter, text.len())?;
    Ok(Value::Bool(test(text, part)))
}

fn changed(name: &str, args: &[Value], meter: &mut Meter, change: fn(&str) -> String) -> Result<Value, Problem> {
    let [Value::Text(text)] = args else { return none(name, args) };
    pay(meter, text.len())?;
    Ok(Value::text(&change(text)))
}

fn pay(meter: &mut Meter, bytes: usize) -> Result<(), Problem> {
    meter.spend(1 + bytes as u64 / 16)
}

fn out_of_range(place: i64) -> Problem {
    Problem::Error(format!("index out of range: {place}"))
}

fn none(name: &str, args: &[Value]) -> Result<Value, Problem> {
    Err(Problem::overload(name, &args.iter().collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_separator_splits_into_letters() {
        for (text, most, want) in
            [("", 9, vec![]), ("aäb", 9, vec!["a", "ä", "b"]), ("aäb", 2, vec!["a", "äb"]), ("abc", 1, vec!["abc"])]
        {
            let got: Vec<_> = letters(text, most)
                .iter()
                .map(|part| match part {
                    Value::Text(text) => text.to_string(),
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(got, want, "{text} {most}");
        }
    }
}
