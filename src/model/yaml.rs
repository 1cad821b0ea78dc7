//! The documents of a YAML file, cut without reading them, so that one that is broken leaves the others readable.

use std::borrow::Cow;

/// One document of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YamlDocument<'a> {
    /// Its text.
    pub text: Cow<'a, str>,
    /// How many lines of the file stand before it.
    pub lines_before: u64,
}

/// The documents that say something, in their order. `---` in the first column always ends a document.
pub fn cut_yaml(text: &str) -> impl Iterator<Item = YamlDocument<'_>> {
    let mut rest = Some(text);
    let mut lines_before = 0;
    let all = std::iter::from_fn(move || {
        let all = rest?;
        let end = document_end(all);
        let (document, after) = all.split_at(end);
        rest = (end < all.len()).then_some(after);
        let cut = YamlDocument { text: without_dashes(document), lines_before };
        lines_before += document.matches('\n').count() as u64;
        Some(cut)
    });
    let says_something = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    all.filter(move |document| document.text.split(BREAKS).any(says_something))
}

/// Whether a document has a character that some readers of YAML take for the end of a line and others do not: what is
/// a comment to one is a field to the other.
pub fn is_read_in_two_ways(document: &YamlDocument<'_>) -> bool {
    document.text.contains(|letter| letter != '\n' && BREAKS.contains(&letter))
}

/// What ends a line in YAML 1.1; in 1.2 it is the first two.
const BREAKS: &[char] = &['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];

/// The same, each document behind as many empty lines as stand before it, so that a problem's line is the file's.
pub fn yaml_documents(text: &str) -> Vec<String> {
    let behind = |cut: YamlDocument<'_>| "\n".repeat(usize::try_from(cut.lines_before).unwrap_or_default()) + &cut.text;
    cut_yaml(text).map(behind).collect()
}

/// Where the first document of a text ends: at the next line that begins another.
fn document_end(text: &str) -> usize {
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        if end > 0 && begins(line).is_some() {
            return end;
        }
        end += line.len();
    }
    end
}

/// What follows the dashes on a line that begins a document.
fn begins(line: &str) -> Option<&str> {
    line.strip_prefix("---").filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// What follows the dashes on their line belongs to the document that they begin.
fn without_dashes(document: &str) -> Cow<'_, str> {
    let text = begins(document).unwrap_or(document);
    if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n")) } else { Cow::Borrowed(text) }
}

/// The same reason with the line of the file, of a document with so many lines before it.
pub fn yaml_problem_in(document: &YamlDocument<'_>, problem: &serde_saphyr::Error) -> String {
    let (message, line) = (yaml_problem(problem), problem.location().map(|place| place.line()));
    let Some(line) = line else { return message };
    let shifted = line.saturating_add(document.lines_before);
    message.replace(&format!("at line {line},"), &format!("at line {shifted},"))
}

/// Why a text is no YAML of the wanted form, on one line: reason, line and column. The text itself is not in it, which
/// may hold credentials, nor the reader's advice to programmers.
pub fn yaml_problem(problem: &serde_saphyr::Error) -> String {
    let message = problem.without_snippet().to_string();
    let first = message.lines().next().unwrap_or_default().trim_start_matches("error: ");
    first.replace(", set DuplicateKeyPolicy in Options if acceptable", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_keep_their_lines_and_lose_nothing() {
        let text = "# only a comment\n---\na: 1\n--- {b: 2}\n---\n\n---c\n";
        assert_eq!(yaml_documents(text), ["\n\na: 1\n", "\n\n\n {b: 2}\n", "\n\n\n\n\n\n---c\n"]);
        assert_eq!(yaml_documents("a: 1\r\n---\r\nb: 2"), ["a: 1\n", "\n\nb: 2"]);
    }

    #[test]
    fn what_only_some_readers_take_for_the_end_of_a_line_is_seen() {
        for letter in ['\r', '\u{85}', '\u{2028}', '\u{2029}'] {
            let text = format!("# note{letter}kind: Pod");
            let documents: Vec<_> = cut_yaml(&text).collect();
            assert!(matches!(documents.as_slice(), [one] if is_read_in_two_ways(one)), "{text:?}");
        }
        assert!(cut_yaml("# note\r\n# and more\r\n").next().is_none());
        assert!(cut_yaml("a: 1\r\nb: 2\r\n").all(|document| !is_read_in_two_ways(&document)));
    }

    #[test]
    fn a_problem_has_its_place_and_nothing_of_the_text() {
        for (text, want) in [
            ("a: secret\na: b\n", "duplicate mapping key: a at line 2, column 1"),
            ("a: secret\nb: [", "unclosed bracket '[' at line 2, column 4"),
        ] {
            let problem = serde_saphyr::from_str::<serde_json::Value>(text).unwrap_err();
            assert_eq!(yaml_problem(&problem), want);
        }
    }
}
