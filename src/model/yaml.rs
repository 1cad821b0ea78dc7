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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_keep_their_lines_and_lose_nothing() {
        let text = "# only a comment\n---\na: 1\n--- {b: 2}\n---\n\n---c\n";
        assert_eq!(yaml_documents(text), ["\n\na: 1\n", "\n\n\n {b: 2}\n", "\n\n\n\n\n\n---c\n"]);
    }
}
