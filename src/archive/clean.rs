//! Makes texts from outside harmless: printable ASCII, newlines and tabs, no tokens; of a log, no health checks.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// A log as it is kept and shown. Lines must come whole, since a health check is known by its line.
pub fn clean_log(text: &str) -> String {
    let lines = text.split_inclusive('\n').map(printable);
    let kept: String = lines.filter(|line| !is_health_check(line.strip_suffix('\n').unwrap_or(line))).collect();
    without_tokens(&kept).into_owned()
}

/// A line that an analysis streams, as it is kept and passed on.
pub fn clean_line(text: &str) -> String {
    without_tokens(&printable(text)).into_owned()
}

/// A clean line, no longer than is kept of one with the note about the rest.
pub fn short_line(text: &str) -> String {
    match text.get(..LONGEST_LINE - NOTE) {
        Some(kept) if text.len() > LONGEST_LINE => format!("{kept} [{} bytes left out]", text.len() - kept.len()),
        _ => text.to_owned(),
    }
}

/// A text without anything that looks like a signed token: analyses print their environment.
pub(super) fn without_tokens(text: &str) -> Cow<'_, str> {
    TOKEN.replace_all(text, "[token left out]")
}

/// A text without what a terminal, a page or a database could take for something else.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|letter| matches!(letter, ' '..='~' | '\n' | '\t')).collect()
}

/// The same, and no longer than so many bytes and a note about the rest.
pub(super) fn bounded(text: &str, most: usize) -> String {
    let text = without_tokens(&printable(text)).into_owned();
    match text.split_at_checked(most) {
        Some((kept, rest)) if !rest.is_empty() => format!("{kept} [{} bytes left out]", rest.len()),
        _ => text,
    }
}

/// What the analysis's own web server writes about each probe, as FLAME's orchestrator leaves it out.
fn is_health_check(line: &str) -> bool {
    line.starts_with("INFO:") || HEALTH_CHECKS.iter().any(|end| line.ends_with(end))
}

/// The JSON object that begins the header, in base64, and two more parts.
#[expect(clippy::expect_used, reason = "a literal, which a test reads")]
static TOKEN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*").expect("a pattern"));
/// Bytes of a streamed line's text.
pub(super) const LONGEST_LINE: usize = 4096;
/// Bytes for the note about what is left out.
const NOTE: usize = 40;
const HEALTH_CHECKS: &[&str] = &["\"GET /healthz HTTP/1.0\" 200 OK", "\"POST /webhook HTTP/1.0\" 200 OK"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_printable_ascii_without_health_checks() {
        for (given, want) in [
            ("", ""),
            ("epoch 1\n\tloss 0.5", "epoch 1\n\tloss 0.5"),
            ("a\r\nb\r\n", "a\nb\n"),
            ("\u{1b}[31mred\u{1b}[0m\u{7}", "[31mred[0m"),
            ("nul\0 and del\u{7f} and \u{202e}reversed", "nul and del and reversed"),
            ("gr\u{fc}n \u{1f525}!", "grn !"),
            ("INFO:     10.0.0.1 - \"GET /x HTTP/1.1\" 200 OK\nkept\n", "kept\n"),
            ("an INFO: inside\n", "an INFO: inside\n"),
            ("10.0.0.1 - \"GET /healthz HTTP/1.0\" 200 OK\r\nkept", "kept"),
            ("10.0.0.1 - \"POST /webhook HTTP/1.0\" 200 OK", ""),
            ("10.0.0.1 - \"GET /healthz HTTP/1.0\" 500\n", "10.0.0.1 - \"GET /healthz HTTP/1.0\" 500\n"),
            ("\0INFO: hidden\n", ""),
            ("\n\n", "\n\n"),
            ("T=eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln_-bmF0dXJl ends\nkept", "T=[token left out] ends\nkept"),
            ("xeyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.", "x[token left out]"),
            ("eyJhbGciOiJub25lIn0.no eyJ.x.y", "eyJhbGciOiJub25lIn0.no eyJ.x.y"),
        ] {
            assert_eq!(clean_log(given), want, "{given:?}");
        }
    }

    #[test]
    fn a_streamed_line_is_clean_and_short_and_stays_so() {
        let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.";
        for (given, want) in [("", ""), ("INFO: a\u{1b}b\tc", "INFO: ab\tc"), (token, "[token left out]")] {
            assert_eq!(clean_line(given), want, "{given:?}");
        }
        for length in [0, 4056, 4096] {
            assert_eq!(short_line(&"x".repeat(length)).len(), length);
        }
        for length in [4097, 1 << 16] {
            let short = short_line(&"x".repeat(length));
            assert_eq!(short, format!("{} [{} bytes left out]", "x".repeat(4056), length - 4056));
            assert_eq!(bounded(&short, LONGEST_LINE), short);
        }
    }

    #[test]
    fn what_is_too_long_says_so() {
        let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.";
        for (given, want) in [
            (token, "[to [13 bytes left out]"),
            ("abc", "abc"),
            ("abcd", "abc [1 bytes left out]"),
            ("\0\0abc", "abc"),
            ("", ""),
        ] {
            assert_eq!(bounded(given, 3), want, "{given:?}");
        }
    }
}
