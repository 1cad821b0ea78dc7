//! The documents of a YAML file, cut without reading them, so that one that is broken leaves the others readable.

/// The documents that say something, in their order, each behind as many empty lines as stand before it,
/// so that a problem's line is the file's. `---` in the first column always ends a document.
pub fn yaml_documents(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    for (number, line) in text.lines().enumerate() {
        // What follows the dashes on their line belongs to the document that they begin.
        let rest = line.strip_prefix("---").filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
        if rest.is_some() {
            found.push("\n".repeat(number));
        }
        if let Some(document) = found.last_mut() {
            document.push_str(rest.unwrap_or(line).trim_end_matches('\r'));
            document.push('\n');
        }
    }
    let says_something = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    found.retain(|document| document.lines().any(says_something));
    found
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
