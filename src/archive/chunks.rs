//! Keeps the beginning and the end of a long log: which chunks an addition makes, and the text that chunks make.
//!
//! A log's bytes are counted from its beginning, and a chunk holds those between two multiples of its length. So what
//! is kept follows from the log's length alone. Texts here are ASCII.

use std::ops::Range;

/// What an addition to a log does.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Addition<'t> {
    /// By chunk, what is written behind what it has.
    pub(super) pieces: Vec<(i64, &'t str)>,
    /// The chunks that go.
    pub(super) given_up: Range<i64>,
    /// Bytes of the whole log from then on, those included that are not kept.
    pub(super) total: i64,
}

/// Adds a text to a log of so many bytes.
pub(super) fn addition(before: i64, text: &str) -> Addition<'_> {
    let total = before.saturating_add(i64::try_from(text.len()).unwrap_or(i64::MAX));
    let last = total.saturating_sub(1) / CHUNK;
    let given_up = HEAD / CHUNK..last - TAIL / CHUNK;
    let (mut pieces, mut rest, mut offset) = (Vec::new(), text, before);
    while !rest.is_empty() {
        let room = usize::try_from(CHUNK - offset % CHUNK).unwrap_or(usize::MAX);
        let (piece, later) = rest.split_at_checked(room).unwrap_or((rest, ""));
        if !given_up.contains(&(offset / CHUNK)) {
            pieces.push((offset / CHUNK, piece));
        }
        offset = offset.saturating_add(i64::try_from(piece.len()).unwrap_or(i64::MAX));
        rest = later;
    }
    Addition { pieces, given_up, total }
}

/// The text of a log of so many bytes from its chunks in their order; where something was left out, a line says how much.
pub(super) fn text(total: i64, chunks: Vec<(i64, String)>) -> String {
    let (head, tail): (Vec<_>, Vec<_>) = chunks.into_iter().partition(|(place, _)| *place < HEAD / CHUNK);
    let whole = |part: Vec<(i64, String)>| part.into_iter().map(|(_, text)| text).collect::<String>();
    let (mut text, tail) = (whole(head), whole(tail));
    let left_out = total - HEAD - TAIL;
    if left_out <= 0 {
        return text + &tail;
    }
    let wanted = usize::try_from(TAIL).unwrap_or(usize::MAX);
    let tail = tail.get(tail.len().saturating_sub(wanted)..).unwrap_or(&tail);
    let ended = if text.ends_with('\n') { "" } else { "\n" };
    text.extend([ended, &format!("[{left_out} bytes left out]\n"), tail]);
    text
}

/// How many bytes of a log's beginning are kept.
const HEAD: i64 = 1024 * 1024;
/// How many bytes of its end.
const TAIL: i64 = 1024 * 1024;
const CHUNK: i64 = 16 * 1024;
const _: () = assert!(HEAD % CHUNK == 0 && TAIL % CHUNK == 0, "the beginning and the end are whole chunks");

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_short_addition_fills_the_last_chunk_first() {
        let most = usize::try_from(CHUNK).unwrap();
        let long = "x".repeat(most + 5);
        for (before, text, pieces, total) in [
            (0, "abc", vec![(0, "abc")], 3),
            (3, "def", vec![(0, "def")], 6),
            (CHUNK - 1, "ab", vec![(0, "a"), (1, "b")], CHUNK + 1),
            (CHUNK, "ab", vec![(1, "ab")], CHUNK + 2),
            (0, long.as_str(), vec![(0, &long[..most]), (1, "xxxxx")], CHUNK + 5),
            (7, "", vec![], 7),
        ] {
            let given_up = HEAD / CHUNK..(total - 1) / CHUNK - TAIL / CHUNK;
            assert_eq!(addition(before, text), Addition { pieces, given_up, total }, "{before} {}", text.len());
        }
    }

    /// What a log would be without chunks.
    fn bounded(whole: &str) -> String {
        let (head, tail) = (usize::try_from(HEAD).unwrap(), usize::try_from(TAIL).unwrap());
        let Some(left_out @ 1..) = whole.len().checked_sub(head + tail) else { return whole.to_owned() };
        let between = if whole[..head].ends_with('\n') { "" } else { "\n" };
        format!("{}{between}[{left_out} bytes left out]\n{}", &whole[..head], &whole[whole.len() - tail..])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn however_a_log_comes_its_beginning_and_end_are_kept(
            lengths in prop::collection::vec(prop_oneof![0..40_usize, 0..900_000_usize], 1..12)
        ) {
            let (mut whole, mut total, mut stored) = (String::new(), 0, BTreeMap::<i64, String>::new());
            for (number, length) in lengths.into_iter().enumerate() {
                let text: String = format!("{number}:another line\n").chars().cycle().take(length).collect();
                whole.push_str(&text);
                let addition = addition(total, &text);
                for (place, piece) in addition.pieces {
                    stored.entry(place).or_default().push_str(piece);
                }
                stored.retain(|place, _| !addition.given_up.contains(place));
                total = addition.total;
                prop_assert!(stored.values().map(String::len).sum::<usize>() <= usize::try_from(HEAD + TAIL + CHUNK).unwrap());
            }
            prop_assert!(text(total, stored.into_iter().collect()) == bounded(&whole));
        }
    }
}
