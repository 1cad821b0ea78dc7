//! One line that can be shown to people, whatever it was: what stands in images, reports and registries is anybody's.

/// The text without what a terminal, a log or a database obeys instead of showing: control characters, those that turn
/// the direction of writing, and what Unicode keeps from being text at all. What has no meaning for everybody is shown as
/// a replacement. Of more than `most` characters the beginning is left.
pub fn one_line(text: &str, most: usize) -> String {
    let shown = |c: char| match c {
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => Some(' '),
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}' => None,
        '\u{feff}' | '\u{fdd0}'..='\u{fdef}' => None,
        '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{ffffd}' | '\u{100000}'..='\u{10fffd}' => Some('\u{fffd}'),
        // The last two of each plane are no characters.
        c => (!c.is_control() && u32::from(c) & 0xfffe != 0xfffe).then_some(c),
    };
    let mut shown = text.trim().chars().filter_map(shown);
    let mut line: String = shown.by_ref().take(most).collect();
    if shown.next().is_some() {
        line.pop();
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_what_it_says_and_does_nothing() {
        for (text, want) in [
            ("as it is: é €", "as it is: é €"),
            (" \ntwo\nlines\t", "two lines"),
            ("\u{1b}[31mred\u{0}\u{7f}\u{9b}", "[31mred"),
            ("ab\u{202e}cd\u{2066}e\u{2028}f", "abcde f"),
            ("a\u{feff}b\u{fffe}c\u{10ffff}d\u{fdd0}e\u{e000}f\u{f0000}", "abcde\u{fffd}f\u{fffd}"),
            ("12345678", "12345678"),
            ("123456789", "1234567…"),
            ("12345678\u{1b}", "12345678"),
            ("", ""),
        ] {
            assert_eq!(one_line(text, if text.starts_with('1') { 8 } else { 100 }), want, "{text:?}");
        }
    }
}
