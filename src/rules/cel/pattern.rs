//! Patterns for `matches()`: the part of RE2 that means the same in Rust's `regex`, refused beyond it.

use std::iter::Peekable;
use std::str::Chars;

use regex::{Regex, RegexBuilder};

/// Compiles a pattern, or says what in it is outside the subset.
pub(super) fn compile(source: &str) -> Result<Regex, String> {
    let translated = translate(source)?;
    RegexBuilder::new(&translated).size_limit(SIZE).build().map_err(|problem| {
        let text = problem.to_string();
        text.lines().last().unwrap_or("not a pattern").trim().to_owned()
    })
}

/// Writes the classes that RE2 takes as ASCII out in full, since Rust takes them as Unicode.
fn translate(source: &str) -> Result<String, String> {
    let mut chars = source.chars().peekable();
    let mut out = String::with_capacity(source.len());
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let class = escape(&mut chars)?;
                match class {
                    Escape::Literal(text) => out.push_str(&text),
                    Escape::Class(set) => out.push_str(&format!("[{set}]")),
                    Escape::Outside(set) => out.push_str(&format!("[^{set}]")),
                }
            }
            '[' => class(&mut chars, &mut out)?,
            '(' => {
                out.push('(');
                group(&mut chars, &mut out)?;
            }
            '{' => {
                out.push('{');
                repetition(&mut chars, &mut out)?;
            }
            _ => out.push(c),
        }
    }
    Ok(out)
}

/// After `{`: `n}`, `n,}` or `n,m}`; RE2 takes anything else as plain text, Rust does not.
fn repetition(chars: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    if !chars.peek().is_some_and(char::is_ascii_digit) {
        return Err("`{` must be written `\\{` unless it counts".to_owned());
    }
    while let Some(c) = chars.next_if(|c| c.is_ascii_digit() || *c == ',') {
        out.push(c);
    }
    match chars.next() {
        Some('}') => {
            out.push('}');
            Ok(())
        }
        _ => Err("`{` must be written `\\{` unless it counts".to_owned()),
    }
}

enum Escape {
    Literal(String),
    Class(&'static str),
    Outside(&'static str),
}

fn escape(chars: &mut Peekable<Chars<'_>>) -> Result<Escape, String> {
    Ok(match chars.next() {
        Some('d') => Escape::Class(DIGIT),
        Some('w') => Escape::Class(WORD),
        Some('s') => Escape::Class(SPACE),
        Some('D') => Escape::Outside(DIGIT),
        Some('W') => Escape::Outside(WORD),
        Some('S') => Escape::Outside(SPACE),
        Some(c @ ('n' | 'r' | 't' | 'f' | 'v' | 'A' | 'z')) => Escape::Literal(format!("\\{c}")),
        Some(c) if c.is_ascii_punctuation() && !matches!(c, '<' | '>') => Escape::Literal(format!("\\{c}")),
        Some(c) => return Err(format!("`\\{c}` is outside the subset of patterns")),
        None => return Err("pattern ends in `\\`".to_owned()),
    })
}

/// A bracket expression; nested ones and set operations exist only in Rust.
fn class(chars: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    out.push('[');
    if chars.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    if chars.next_if_eq(&']').is_some() {
        out.push_str("\\]");
    }
    while let Some(c) = chars.next() {
        match c {
            ']' => {
                out.push(']');
                return Ok(());
            }
            '[' if chars.peek() == Some(&':') => return Err("`[:` is outside the subset of patterns".to_owned()),
            '[' => out.push_str("\\["),
            '&' | '~' if chars.peek() == Some(&c) => return Err(format!("`{c}{c}` is outside the subset of patterns")),
            '-' if chars.peek() == Some(&'-') => return Err("`--` is outside the subset of patterns".to_owned()),
            '\\' => match escape(chars)? {
                Escape::Literal(text) if !matches!(text.as_str(), "\\A" | "\\z") => out.push_str(&text),
                Escape::Class(set) if chars.peek() != Some(&'-') && !out.ends_with('-') => out.push_str(set),
                _ => return Err("this class in `[…]` is outside the subset of patterns".to_owned()),
            },
            _ => out.push(c),
        }
    }
    Err("`[` is never closed".to_owned())
}

/// After `(`: plain, `?:`, a name, or the flags i, m and s.
fn group(chars: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    if chars.next_if_eq(&'?').is_none() {
        return Ok(());
    }
    out.push('?');
    while let Some(c) = chars.next_if(|c| matches!(c, 'i' | 'm' | 's')) {
        out.push(c);
    }
    match chars.next() {
        Some(c @ (':' | ')')) => {
            out.push(c);
            Ok(())
        }
        _ => Err("this `(?…` is outside the subset of patterns".to_owned()),
    }
}

const DIGIT: &str = "0-9";
const WORD: &str = "0-9A-Za-z_";
const SPACE: &str = "\\t\\n\\f\\r ";
const SIZE: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_ascii_as_in_re2() {
        for (pattern, text, matches) in [
            (r"^\d+$", "12", true),
            (r"^\d+$", "٣", false),
            (r"^\w$", "ä", false),
            (r"^\W$", "ä", true),
            (r"^[\d.]+$", "1.2", true),
            (r"^[]a]$", "]", true),
            (r"^[[a]$", "[", true),
            (r"\s", "\u{b}", false),
            (r"(?i)ABC", "xabcx", true),
            (r"a.c", "a\nc", false),
            (r"a$", "a\n", false),
        ] {
            assert_eq!(compile(pattern).unwrap().is_match(text), matches, "{pattern} on {text:?}");
        }
    }

    #[test]
    fn what_differs_is_refused() {
        for pattern in [
            r"\bx",
            r"\pL",
            r"\Qx",
            "[a&&b]",
            "[a--b]",
            "[[:alpha:]]",
            r"[\d-x]",
            r"[+-\d]",
            "a{,5}",
            r"[\D]",
            "(?x)a",
            "(?<n>a)",
            "a{",
            "x\\",
        ] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
