//! How the journal's entries hang together: each one's hash covers the hash before it. Pure.
//!
//! Anybody can make the same hash: SHA-256 of the previous hash, number, time (microseconds since 1970), kind and body,
//! with a newline between each two. Only the last of them may have newlines itself, so no two entries are one text.

use crate::model::Digest;

/// An entry as it is stored, whoever wrote it: number, time, kind, body, hash.
pub(super) type Row = (i64, i64, String, String, String);

/// The hash of an entry after one with that hash.
pub(super) fn hash(previous: &str, number: i64, written: i64, kind: &str, body: &str) -> String {
    Digest::of(format!("{previous}\n{number}\n{written}\n{kind}\n{body}").as_bytes()).to_string()
}

/// Why an entry does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misfit {
    /// There is none with this number, and there are later ones.
    Missing {
        /// The next that there is.
        next: i64,
    },
    /// Its hash is not that of what stands there and of the hash before it.
    Changed,
    /// It cannot be read as an entry: its parts have other forms.
    Unreadable,
    /// The entry that is known has another hash, or is not there any more.
    Unknown,
}

/// Goes along the chain, one entry after the other.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    /// The number that comes next.
    pub(super) next: i64,
    /// The hash before it.
    pub(super) previous: String,
}

impl Walk {
    /// From the entry after this one on.
    pub(super) fn after(number: i64, hash: &str) -> Self {
        Walk { next: number.saturating_add(1), previous: hash.to_owned() }
    }

    /// One entry further.
    ///
    /// # Errors
    /// The entry does not fit.
    pub(super) fn step(&mut self, (number, written, kind, body, found): &Row) -> Result<(), Misfit> {
        if *number != self.next {
            return Err(Misfit::Missing { next: *number });
        }
        if kind.is_empty() || !kind.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return Err(Misfit::Unreadable);
        }
        if hash(&self.previous, *number, *written, kind, body) != *found {
            return Err(Misfit::Changed);
        }
        *self = Walk::after(*number, found);
        Ok(())
    }
}

/// What stands before the first entry.
pub(super) const NOTHING: &str = "";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chain(length: i64) -> Vec<Row> {
        let mut previous = NOTHING.to_owned();
        (1..=length)
            .map(|number| {
                let (written, kind, body) =
                    (1_000 + number, "decision".to_owned(), format!("{{\"n\":{}}}", number % 3));
                previous = hash(&previous, number, written, &kind, &body);
                (number, written, kind, body, previous.clone())
            })
            .collect()
    }

    /// The number of the first that does not fit.
    fn first_misfit(rows: &[Row]) -> Option<(i64, Misfit)> {
        let mut walk = Walk::after(0, NOTHING);
        rows.iter().find_map(|row| {
            let next = walk.next;
            walk.step(row).err().map(|misfit| (next, misfit))
        })
    }

    #[test]
    fn the_hash_is_what_everybody_can_make() {
        // printf '\n1\n2\ngap\n{}' | sha256sum
        let first = hash(NOTHING, 1, 2, "gap", "{}");
        assert_eq!(first, Digest::of(b"\n1\n2\ngap\n{}").to_string());
        // printf '%s\n2\n3\nrun\n{}' sha256:… | sha256sum
        let second = hash(&first, 2, 3, "run", "{}");
        assert_eq!(second, Digest::of(format!("{first}\n2\n3\nrun\n{{}}").as_bytes()).to_string());
    }

    #[test]
    fn what_stands_in_one_part_is_never_taken_for_another() {
        let row = |kind: &str, body: &str| {
            let hash = hash(NOTHING, 1, 2, kind, body);
            (1, 2, kind.to_owned(), body.to_owned(), hash)
        };
        let (one, mut other) = (row("a", "b\nc"), row("a\nb", "c"));
        assert_eq!(one.4, other.4, "the hash alone does not tell them apart");
        assert_eq!(first_misfit(&[one]), None);
        assert_eq!(first_misfit(&[other.clone()]), Some((1, Misfit::Unreadable)));
        other.2 = String::new();
        assert_eq!(first_misfit(&[other]), Some((1, Misfit::Unreadable)));
    }

    /// One thing that somebody does to a chain of twelve.
    #[derive(Debug, Clone)]
    enum Act {
        Number(usize, i64),
        Written(usize, i64),
        Kind(usize, &'static str),
        Body(usize, String),
        Hash(usize, usize),
        Remove(usize),
        Insert(usize),
        Swap(usize, usize),
    }

    fn act() -> impl Strategy<Value = Act> {
        let place = 0..11_usize;
        prop_oneof![
            (place.clone(), -20..20_i64).prop_map(|(place, by)| Act::Number(place, by)),
            (place.clone(), -20..20_i64).prop_map(|(place, by)| Act::Written(place, by)),
            (place.clone(), prop::sample::select(vec!["gap", "run", "decisions", "Decision", ""]))
                .prop_map(|(place, kind)| Act::Kind(place, kind)),
            (place.clone(), "[ -~\n]{0,12}").prop_map(|(place, body)| Act::Body(place, body)),
            (place.clone(), 0..71_usize).prop_map(|(place, letter)| Act::Hash(place, letter)),
            place.clone().prop_map(Act::Remove),
            place.clone().prop_map(Act::Insert),
            (place.clone(), place).prop_map(|(one, other)| Act::Swap(one, other)),
        ]
    }

    fn done(act: &Act, rows: &mut Vec<Row>) {
        match act {
            Act::Number(place, by) => rows[*place].0 += by,
            Act::Written(place, by) => rows[*place].1 += by,
            Act::Kind(place, kind) => rows[*place].2 = (*kind).to_owned(),
            Act::Body(place, body) => rows[*place].3.clone_from(body),
            Act::Hash(place, letter) => {
                let mut hash = rows[*place].4.clone().into_bytes();
                hash[*letter] = if hash[*letter] == b'0' { b'1' } else { b'0' };
                rows[*place].4 = String::from_utf8(hash).unwrap();
            }
            Act::Remove(place) => drop(rows.remove(*place)),
            Act::Insert(place) => {
                let mut new = rows[*place].clone();
                new.3 = "{\"new\":1}".to_owned();
                rows.insert(*place, new);
                for (number, row) in (1..).zip(rows) {
                    row.0 = number;
                }
            }
            Act::Swap(one, other) => {
                let numbers = (rows[*one].0, rows[*other].0);
                rows.swap(*one, *other);
                (rows[*one].0, rows[*other].0) = numbers;
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_one_thing_is_done_to_a_chain_shows_at_the_first_entry_that_it_was_done_to(act in act()) {
            let whole = chain(12);
            prop_assert_eq!(first_misfit(&whole), None);
            let mut changed = whole.clone();
            done(&act, &mut changed);
            // Whoever reads them has them in the order of their numbers.
            changed.sort_by_key(|row| row.0);
            let first = (0..).zip(&whole).find(|(place, row)| changed.get(*place) != Some(*row)).map(|(_, row)| row.0);
            prop_assert_eq!(first_misfit(&changed).map(|(number, _)| number), first, "{:?}", changed);
        }
    }
}
