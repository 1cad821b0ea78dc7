//! Cuts the items out of a list's text while it comes, so that no list is ever held whole.

use super::sieve::{Keep, Sieve};

/// Takes a list's text piece by piece; gives its items' texts one by one, and at the end what was around them.
#[derive(Debug)]
pub struct ItemCutter {
    /// The list without its items.
    around: Vec<u8>,
    sieve: Sieve,
    /// The most bytes that are kept of an item, and of what is around them.
    most: usize,
    depth: usize,
    within: Within,
    in_text: bool,
    escaped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Around,
    Items,
}

impl ItemCutter {
    /// Nothing was taken yet. Of what an item is to keep and is longer than so many bytes only these are kept: it
    /// breaks off.
    pub fn new(keep: Keep, most: usize) -> Self {
        ItemCutter {
            around: Vec::new(),
            sieve: Sieve::of_objects(keep, most),
            most,
            depth: 0,
            within: Within::Around,
            in_text: false,
            escaped: false,
        }
    }

    /// Takes the next piece; calls `each` with every item that ends in it.
    pub fn feed(&mut self, piece: &[u8], mut each: impl FnMut(&[u8])) {
        let mut rest = piece;
        while let Some((byte, behind)) = rest.split_first() {
            let begins = *byte == b'{' && self.within == Within::Items && self.depth == ITEMS;
            if begins || self.sieve.is_within() {
                let Some(used) = self.sieve.feed(rest) else { return };
                each(&self.sieve.taken());
                rest = rest.get(used..).unwrap_or_default();
            } else {
                self.take(*byte);
                rest = behind;
            }
        }
    }

    /// The list with no items: acceptable JSON where the whole list was.
    pub fn around(self) -> Vec<u8> {
        self.around
    }

    fn take(&mut self, byte: u8) {
        if self.in_text {
            self.in_text = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return self.keep(byte);
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => return self.begins(byte),
            b'}' | b']' => return self.ends(byte),
            // What stands between items.
            b',' | b' ' | b'\n' | b'\r' | b'\t' if self.within == Within::Items && self.depth == ITEMS => return,
            _ => {}
        }
        self.keep(byte);
    }

    fn begins(&mut self, byte: u8) {
        let are_items = self.within == Within::Around && byte == b'[' && self.depth == 1 && self.is_behind_items();
        self.depth += 1;
        self.keep(byte);
        if are_items {
            self.within = Within::Items;
        }
    }

    fn ends(&mut self, byte: u8) {
        self.depth = self.depth.saturating_sub(1);
        if self.within == Within::Items && self.depth < ITEMS {
            self.within = Within::Around;
        }
        self.keep(byte);
    }

    fn keep(&mut self, byte: u8) {
        if self.around.len() < self.most {
            self.around.push(byte);
        }
    }

    /// Whether the last that came is the list's key `items` and its colon.
    fn is_behind_items(&self) -> bool {
        let before = self.around.trim_ascii_end().strip_suffix(b":").map(<[u8]>::trim_ascii_end);
        let before = before.and_then(|before| before.strip_suffix(b"\"items\"")).map(<[u8]>::trim_ascii_end);
        before.is_some_and(|before| before.ends_with(b"{") || before.ends_with(b","))
    }
}

/// How deep the items stand in the list.
const ITEMS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(list: &str, most: usize, piece: usize) -> (Vec<String>, String) {
        let mut cutter = ItemCutter::new(&[&[]], most);
        let mut items = Vec::new();
        for piece in list.as_bytes().chunks(piece) {
            cutter.feed(piece, |item| items.push(String::from_utf8(item.to_vec()).unwrap()));
        }
        (items, String::from_utf8(cutter.around()).unwrap())
    }

    #[test]
    fn items_are_cut_out_wherever_pieces_end() {
        let odd = r#"{"a":"]}\\\"{[","items":[{"b":1},{}]}"#;
        for (list, items, around) in [
            (
                format!(r#"{{"kind":"L","metadata":{{"items":[1]}},"items":[{odd}, {{}} , {odd}]}}"#),
                vec![odd, "{}", odd],
                r#"{"kind":"L","metadata":{"items":[1]},"items":[]}"#,
            ),
            (r#"{"items" : [ ],"metadata":{}}"#.to_owned(), vec![], r#"{"items" : [],"metadata":{}}"#),
            (r#"{"items":null}"#.to_owned(), vec![], r#"{"items":null}"#),
            (r#"{"x":"items","y":[{}]}"#.to_owned(), vec![], r#"{"x":"items","y":[{}]}"#),
            // What is no list of objects stays around, whoever reads that sees it.
            (r#"{"items":[1,[{}]]}"#.to_owned(), vec![], r#"{"items":[1[{}]]}"#),
            (r#"{"items":[{},{"a":"#.to_owned(), vec!["{}"], r#"{"items":["#),
        ] {
            for piece in [1, 2, 3, 7, 1000] {
                let want = (items.iter().map(|item| (*item).to_owned()).collect(), around.to_owned());
                assert_eq!(cut(&list, 1000, piece), want, "in pieces of {piece}");
            }
        }
        assert_eq!(cut(r#"{"items":[{"a":12345678901},{"b":1}]}"#, 12, 5).0, [r#"{"a":1234567"#, r#"{"b":1}"#]);
    }

    #[test]
    fn of_items_is_kept_what_is_named() {
        let mut cutter = ItemCutter::new(&[&["b"]], 10);
        let mut items = Vec::new();
        let list = br#"{"items":[{"a":"<<<<<<<<<<<<<<<<<<<<","b":1},{"c":"{"},{"b":2}],"x":1}"#;
        cutter.feed(list, |item| items.push(String::from_utf8(item.to_vec()).unwrap()));
        assert_eq!(items, [r#"{"b":1}"#, "{}", r#"{"b":2}"#]);
    }
}
