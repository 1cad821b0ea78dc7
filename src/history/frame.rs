//! An entry of the journal as a message of syslog (RFC 5424), framed by its length (RFC 5425). Pure.

use serde_json::Value;

use crate::archive::{JournalEntry, UNREADABLE};

/// The frame of an entry: the message's length, a space, the message. Its text is the line that `audit export` prints; the
/// entry's number stands in the structured data too.
pub(super) fn frame(entry: &JournalEntry, host: &str) -> String {
    let priority = FACILITY * 8 + severity(entry);
    // The sequence's numbers end there (RFC 5424, 7.3.1) and begin again at 1.
    let sequence = entry.number.saturating_sub(1).rem_euclid(LAST) + 1;
    let message = format!(
        "<{priority}>1 {:.6} {} flamewarden - {} [meta sequenceId=\"{sequence}\"] {}",
        entry.written,
        word(host, 255),
        word(&entry.kind, 32),
        entry.line()
    );
    format!("{} {message}", message.len())
}

/// How urgent an entry is, from 0 to 7.
fn severity(entry: &JournalEntry) -> u8 {
    let body: Value = serde_json::from_str(&entry.body).unwrap_or_default();
    let says = |member: &str| body.get(member).and_then(Value::as_str);
    match (entry.kind.as_str(), says("outcome"), says("severity"), says("reason")) {
        ("gap", _, _, Some("changed")) | (UNREADABLE, ..) => ALERT,
        ("opened", _, Some("critical"), _) => CRITICAL,
        ("opened", _, Some("high"), _) => ERROR,
        ("decision", Some("break_glass"), ..) | ("opened", _, Some("medium"), _) | ("gap", ..) => WARNING,
        ("decision", Some("refused"), ..) | ("opened", ..) => NOTICE,
        _ => INFORMATIONAL,
    }
}

/// A text as a field of the header: printable, without spaces; `-` where nothing is left.
fn word(text: &str, most: usize) -> String {
    let word: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if word.is_empty() { "-".to_owned() } else { word }
}

/// Log audit.
const FACILITY: u8 = 13;
const ALERT: u8 = 1;
const CRITICAL: u8 = 2;
const ERROR: u8 = 3;
const WARNING: u8 = 4;
const NOTICE: u8 = 5;
const INFORMATIONAL: u8 = 6;
const LAST: i64 = 2_147_483_647;

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn entry(number: i64, kind: &str, body: &str) -> JournalEntry {
        let (kind, body) = (kind.to_owned(), body.to_owned());
        JournalEntry { number, written: Timestamp::UNIX_EPOCH, kind, body, hash: "sha256:0".to_owned() }
    }

    #[test]
    fn a_frame_is_its_length_and_a_message_whose_text_is_the_exported_line() {
        let refused = entry(7, "decision", r#"{"checked":true,"outcome":"refused"}"#);
        let message = concat!(
            "<109>1 1970-01-01T00:00:00.000000Z controller-0 flamewarden - decision [meta sequenceId=\"7\"] ",
            r#"{"body":{"checked":true,"outcome":"refused"},"hash":"sha256:0","kind":"decision","number":7,"time":"1970-01-01T00:00:00.000000Z"}"#
        );
        assert_eq!(frame(&refused, "controller-0"), format!("{} {message}", message.len()));
    }

    #[test]
    fn what_somebody_wrote_there_cannot_break_a_header_and_numbers_begin_again() {
        for (number, host, kind, want) in [
            (7, "a b\nc\u{fc}", "x y", "abc flamewarden - xy [meta sequenceId=\"7\"] {"),
            (1, "", "\n", "- flamewarden - - [meta sequenceId=\"1\"] {"),
            (2_147_483_647, "h", "run", "h flamewarden - run [meta sequenceId=\"2147483647\"] {"),
            (2_147_483_648, "h", "run", "h flamewarden - run [meta sequenceId=\"1\"] {"),
        ] {
            let frame = frame(&entry(number, kind, "{}"), host);
            assert!(frame.contains(want) && !frame.contains('\n'), "{frame}");
        }
        let long = frame(&entry(1, "run", "{}"), &"h".repeat(300));
        assert!(long.contains(&format!(" {} flamewarden", "h".repeat(255))), "{long}");
    }

    #[test]
    fn how_urgent_an_entry_is_follows_from_what_it_says() {
        for (kind, body, want) in [
            ("decision", r#"{"outcome":"refused"}"#, NOTICE),
            ("decision", r#"{"outcome":"break_glass"}"#, WARNING),
            ("decision", r#"{"outcome":"warned"}"#, INFORMATIONAL),
            ("decision", r#"{"outcome":"allowed"}"#, INFORMATIONAL),
            ("unreadable", "{}", ALERT),
            ("opened", r#"{"severity":"critical"}"#, CRITICAL),
            ("opened", r#"{"severity":"high"}"#, ERROR),
            ("opened", r#"{"severity":"medium"}"#, WARNING),
            ("opened", r#"{"severity":"low"}"#, NOTICE),
            ("gap", r#"{"reason":"pushed_out"}"#, WARNING),
            ("gap", r#"{"reason":"changed"}"#, ALERT),
            ("fixed", r#"{"severity":"critical"}"#, INFORMATIONAL),
            ("run", "{}", INFORMATIONAL),
            ("pruned", "no JSON", INFORMATIONAL),
        ] {
            assert_eq!(severity(&entry(1, kind, body)), want, "{kind} {body}");
        }
    }
}
