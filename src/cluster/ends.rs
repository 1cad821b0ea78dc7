//! Keeps the beginning and the end of a text that comes in pieces, however long it is.

/// Both ends, and how much lies between.
#[derive(Debug)]
pub(super) struct Ends {
    bounds: LogBounds,
    head: Vec<u8>,
    tail: Vec<u8>,
    left_out: usize,
}

/// How much of a text is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogBounds {
    /// Bytes of its beginning.
    pub head: usize,
    /// Bytes of its end.
    pub tail: usize,
}

impl Ends {
    /// Nothing yet.
    pub(super) fn new(bounds: LogBounds) -> Self {
        Ends { bounds, head: Vec::new(), tail: Vec::new(), left_out: 0 }
    }

    /// Takes the next piece in.
    pub(super) fn push(&mut self, piece: &[u8]) {
        let room = self.bounds.head.saturating_sub(self.head.len());
        let (head, rest) = piece.split_at_checked(room).unwrap_or((piece, &[]));
        self.head.extend_from_slice(head);
        self.tail.extend_from_slice(rest);
        // Not with each piece, so that no byte is moved more than once on the average.
        if self.tail.len() > self.bounds.tail.saturating_mul(2).max(SLACK) {
            self.shorten();
        }
    }

    fn shorten(&mut self) {
        let surplus = self.tail.len().saturating_sub(self.bounds.tail);
        self.left_out = self.left_out.saturating_add(surplus);
        self.tail.drain(..surplus);
    }

    /// The text; where something was left out, a line says how much.
    pub(super) fn text(mut self) -> String {
        self.shorten();
        let mut text = String::from_utf8_lossy(&self.head).into_owned();
        if self.left_out > 0 {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&format!("[{} bytes left out]\n", self.left_out));
        }
        text + &String::from_utf8_lossy(&self.tail)
    }
}

const SLACK: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_ends_however_it_comes() {
        for (head, tail, text, want) in [
            (4, 4, "", ""),
            (4, 4, "12345678", "12345678"),
            (4, 4, "123456789", "1234\n[1 bytes left out]\n6789"),
            (4, 4, "123\nxxx\n567\n", "123\n[4 bytes left out]\n567\n"),
            (0, 4, "123456", "[2 bytes left out]\n3456"),
            (4, 0, "123456", "1234\n[2 bytes left out]\n"),
        ] {
            for size in [1, 2, 5, 100] {
                let mut ends = Ends::new(LogBounds { head, tail });
                text.as_bytes().chunks(size).for_each(|piece| ends.push(piece));
                assert_eq!(ends.text(), want, "{text:?} by {size}");
            }
        }
    }

    #[test]
    fn no_more_is_held_than_both_ends_and_a_little() {
        let mut ends = Ends::new(LogBounds { head: 10, tail: 10 });
        for _ in 0..10_000 {
            ends.push(&[b'x'; 100]);
            assert!(ends.head.len() + ends.tail.len() < 2 * SLACK);
        }
        assert_eq!(ends.text(), format!("{}\n[999980 bytes left out]\n{}", "x".repeat(10), "x".repeat(10)));
    }
}
