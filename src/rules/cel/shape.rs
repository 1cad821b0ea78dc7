//! Bounds the nesting of an expression's text before it is parsed, since the parser recurses as deep as the text nests.

/// Whether brackets and chains of operators stay within what the parser's stack holds.
pub(super) fn is_flat(source: &str) -> bool {
    let mut rest = source;
    // The lengths of the chains around the place that is looked at, outermost first.
    let mut chains: Vec<usize> = vec![0];
    while let Some(c) = rest.chars().next() {
        let token = length(rest, c);
        let text = rest.get(..token).unwrap_or(rest);
        match text {
            "(" | "[" | "{" => {
                lengthen(&mut chains);
                chains.push(0);
            }
            ")" | "]" | "}" if chains.len() > 1 => {
                chains.pop();
            }
            "&&" | "||" | "," => {
                if let Some(chain) = chains.last_mut() {
                    *chain = 0;
                }
            }
            "in" => lengthen(&mut chains),
            _ if c.is_ascii_punctuation() && !matches!(c, '\'' | '"' | '_') => lengthen(&mut chains),
            _ => {}
        }
        if chains.len() > DEPTH || chains.iter().sum::<usize>() > CHAINS {
            return false;
        }
        rest = rest.get(token..).unwrap_or_default();
    }
    true
}

fn lengthen(chains: &mut [usize]) {
    if let Some(chain) = chains.last_mut() {
        *chain += 1;
    }
}

/// The bytes of the token that a text begins with; a string or comment is one token.
fn length(text: &str, first: char) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("&&") || text.starts_with("||") {
        return 2;
    }
    if first.is_ascii_alphanumeric() || first == '_' {
        let word = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        let (prefix, after) = text.split_at(word);
        let raw = matches!(prefix, "r" | "R" | "b" | "B" | "br" | "bR" | "Br" | "BR") && after.starts_with(['\'', '"']);
        return if raw { word + string(after, prefix.contains(['r', 'R'])) } else { word };
    }
    if matches!(first, '\'' | '"') { string(text, false) } else { first.len_utf8() }
}

/// The bytes of a string with its quotes; one that never ends takes the rest, and the parser refuses it.
fn string(text: &str, raw: bool) -> usize {
    let triple = text.starts_with("'''") || text.starts_with("\"\"\"");
    let Some(quote) = text.get(..if triple { 3 } else { 1 }) else { return text.len() };
    let mut at = quote.len();
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(quote) {
            return at + quote.len();
        }
        // A lone quote does not go over the end of its line.
        if !triple && rest.starts_with(['\n', '\r']) {
            return at;
        }
        let skipped = if rest.starts_with('\\') && !raw { 2 } else { 1 };
        at += rest.chars().take(skipped).map(char::len_utf8).sum::<usize>();
    }
    text.len()
}

const DEPTH: usize = 32;
/// All chains around one place together: each may stand in the innermost place of the next.
const CHAINS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_nests_and_not_what_is_text() {
        let long = "x.".repeat(70);
        for (source, flat) in [
            (format!("'{long}'"), true),
            (format!("r'\\' + \"{long}\""), true),
            (format!("'''a'{long}''' // {long}\n+ 1"), true),
            (format!("b\"\\\"{long}\""), true),
            (format!("'a\\'' + {long}"), false),
            (format!("r'a\\' + {long}"), false),
            (format!("'a\n{long}"), false),
            (vec!["a.b.c == 1"; 60].join(" && "), true),
            (vec!["1"; 70].join(" in "), false),
            (vec!["1"; 70].join("+"), false),
            (format!("{}{}", "1+(1".repeat(20), "+1+1)".repeat(20)), true),
            (format!("{}{}", "1+1+1+(1".repeat(20), ")".repeat(20)), false),
            ("(".repeat(40), false),
            ("(1)".repeat(70), false),
            (String::new(), true),
        ] {
            assert_eq!(is_flat(&source), flat, "{source}");
        }
    }
}
