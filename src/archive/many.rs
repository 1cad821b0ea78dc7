//! Statements that write many rows at once.

/// The places of so many rows of so many values each: `($1, $2), ($3, $4)`.
pub(super) fn values(rows: usize, columns: usize) -> String {
    let row = |row: usize| {
        let places = (1..=columns).map(|column| format!("${}", row * columns + column)).collect::<Vec<_>>();
        format!("({})", places.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// So many places from one on: `$3, $4`.
pub(super) fn places(first: usize, count: usize) -> String {
    (first..first.saturating_add(count)).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ")
}

/// Items in their order, in parts of at most so many and so many bytes; what is longer by itself is a part of its own.
pub(super) fn parts<T>(items: Vec<T>, (most, bytes): (usize, usize), size: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let (mut parts, mut part, mut used) = (Vec::new(), Vec::new(), 0_usize);
    for item in items {
        let size = size(&item);
        if !part.is_empty() && (part.len() >= most || used.saturating_add(size) > bytes) {
            parts.push(std::mem::take(&mut part));
            used = 0;
        }
        used = used.saturating_add(size);
        part.push(item);
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// A pattern that only what holds this text fits, whatever is in it; `!` escapes.
pub(super) fn pattern(text: &str) -> String {
    let letters = text.chars().fold(String::new(), |mut escaped, letter| {
        if matches!(letter, '%' | '_' | '!') {
            escaped.push('!');
        }
        escaped.push(letter);
        escaped
    });
    format!("%{letters}%")
}

/// Rows of one statement. Those that are left over go one by one, so that a connection knows few statements.
pub(super) const TOGETHER: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_so_many_items_and_so_many_bytes_and_all_are_there_in_their_order() {
        for (items, want) in [
            (vec![], vec![]),
            (vec![1, 1, 1, 1], vec![vec![1, 1, 1], vec![1]]),
            (vec![4, 6, 1, 9], vec![vec![4, 6], vec![1, 9]]),
            (vec![5, 6, 5], vec![vec![5], vec![6], vec![5]]),
            (vec![50, 1, 1, 1, 1, 50], vec![vec![50], vec![1, 1, 1], vec![1], vec![50]]),
        ] {
            assert_eq!(parts(items, (3, 10), |size| *size), want);
        }
    }

    #[test]
    fn a_text_that_is_looked_for_is_no_pattern() {
        for (text, want) in [("", "%%"), ("host", "%host%"), ("100%_!", "%100!%!_!!%")] {
            assert_eq!(pattern(text), want);
        }
    }

    #[test]
    fn every_value_has_a_place_of_its_own() {
        assert_eq!(values(1, 1), "($1)");
        assert_eq!(values(2, 3), "($1, $2, $3), ($4, $5, $6)");
        assert_eq!((places(3, 2), places(3, 0)), ("$3, $4".to_owned(), String::new()));
    }
}
