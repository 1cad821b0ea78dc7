//! An object that the API server refuses, or stores in another way than it was written, as where another webhook of the
//! cluster changes it. To write it again at once would be to do so for ever.

use std::time::Duration;

use jiff::Timestamp;

use crate::cluster::Kind;
use crate::model::{Backoff, FieldPath};

/// What came of writing an object of an analysis last, where that is not what it was to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unwritten {
    /// Which object.
    pub(super) object: (Kind, String),
    /// What came of it.
    pub(super) how: How,
    /// When it is written again.
    pub(super) until: Timestamp,
    times: u32,
}

/// How it was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum How {
    /// It is stored, and another in these fields.
    Altered(Vec<FieldPath>),
    /// The API server refuses it, and says so.
    Refused(String),
}

impl Unwritten {
    /// After one more such answer; ever longer.
    pub(super) fn after(before: Option<&Unwritten>, object: (Kind, String), how: How, now: Timestamp) -> Self {
        let before = before.filter(|before| before.object == object);
        let times = before.map_or(0, |before| before.times).saturating_add(1);
        let until = now.saturating_add(BACKOFF.after(times)).unwrap_or(now);
        Unwritten { object, how, until, times }
    }

    /// For a condition: a word and a sentence.
    pub(super) fn told(&self) -> (&'static str, String) {
        let (kind, name) = &self.object;
        let kind = kind.type_names().1;
        match &self.how {
            How::Refused(message) => {
                let mut message = message.clone();
                message.truncate(message.floor_char_boundary(LONGEST));
                ("WriteRefused", format!("{kind} {name} is refused: {message}"))
            }
            How::Altered(fields) => {
                let named: Vec<String> = fields.iter().take(NAMED).map(ToString::to_string).collect();
                let more = if fields.len() > NAMED { " and more" } else { "" };
                let message = format!(
                    "{kind} {name} is stored with another {}{more} than is written; look for a mutating webhook or policy \
                     that changes it, and exempt it",
                    named.join(", ")
                );
                ("NotStoredAsWritten", message)
            }
        }
    }
}

const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1));
/// Fields that a message names.
const NAMED: usize = 5;
/// Bytes of a message that are told.
const LONGEST: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_ever_later_and_another_object_starts_from_the_beginning() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let mut unwritten = None;
        let mut waits = Vec::new();
        for name in ["a", "a", "a", "b", "a", "a", "a", "a", "a", "a", "a", "a"] {
            let object = (Kind::Deployment, name.to_owned());
            let next = Unwritten::after(unwritten.as_ref(), object, How::Refused(String::new()), now);
            waits.push(next.until.duration_since(now).as_secs());
            unwritten = Some(next);
        }
        assert_eq!(waits, [1, 2, 4, 1, 1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn what_is_told_of_it_is_short() {
        let told = |how| {
            let object = (Kind::Service, "a".to_owned());
            Unwritten { object, how, until: Timestamp::UNIX_EPOCH, times: 1 }.told().1
        };
        let fields: Vec<FieldPath> = (0..7).map(|index| FieldPath::of(&["spec"]).index(index)).collect();
        let one = told(How::Altered(fields[..1].to_vec()));
        assert!(one.starts_with("Service a is stored with another spec[0] than is written; "), "{one}");
        let all =
            "Service a is stored with another spec[0], spec[1], spec[2], spec[3], spec[4] and more than is written";
        assert!(told(How::Altered(fields)).starts_with(all));
        let refused = "Service a is refused: ";
        assert_eq!(told(How::Refused("é".repeat(600))), format!("{refused}{}", "é".repeat(512)));
        assert_eq!(told(How::Refused("x".repeat(10))), format!("{refused}xxxxxxxxxx"));
    }
}
