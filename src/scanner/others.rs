//! What others have said of an image, as it was found; and when it is worth looking for it again.

use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};

use crate::model::{Backoff, Digest};
use crate::registry::Attached;
use crate::scan::Approval;

/// What others have said of an image. Nobody has verified it yet.
#[derive(Debug, Default)]
pub(super) struct Others {
    /// What is attached to it in its registry.
    pub(super) attached: Vec<Attached>,
    /// And to the indexes that name it.
    pub(super) indexes: Vec<InIndex>,
    /// What the Hub approved; none where nobody asks.
    pub(super) approval: Option<Approval>,
}

/// An index that names an image, by its bytes.
#[derive(Debug)]
pub(super) struct InIndex {
    pub(super) digest: Digest,
    /// What is attached to it, or why that is not known.
    pub(super) attached: Result<Vec<Attached>, String>,
}

/// What a judgement heard of that, and whether more could change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    /// Stands for all that was heard.
    pub(super) others: Digest,
    /// The indexes that were looked at.
    pub(super) indexes: Vec<Digest>,
    /// Whether something that others may say yet could let the image run.
    pub(super) awaits: bool,
}

/// When others are asked again of an image that does not run as long as they say nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Awaited {
    /// What was heard last.
    pub(super) heard: Heard,
    looks: u32,
    next: Timestamp,
}

impl Others {
    /// Whether the Hub approved it.
    pub(super) fn approval(&self) -> Approval {
        self.approval
            .clone()
            .unwrap_or_else(|| Approval::Unknown("the Hub was not asked for its content hash".to_owned()))
    }

    /// Stands for all of it: what says something else has another.
    pub(super) fn digest(&self) -> Digest {
        let mut all = of(&self.attached);
        for InIndex { digest, attached } in &self.indexes {
            let attached = attached.as_ref().map_or_else(|problem| format!("{problem:?}\n"), |attached| of(attached));
            let _ = write!(all, "in {digest}\n{attached}");
        }
        let _ = write!(all, "{:?}", self.approval);
        Digest::of(all.as_bytes())
    }
}

/// A line for each. Text that is quoted cannot pass for what stands beside it.
fn of(attached: &[Attached]) -> String {
    let line = |one: &Attached| format!("{:?} {:?} {}\n", one.media_type, one.annotations, Digest::of(&one.content));
    attached.iter().map(line).collect()
}

impl Awaited {
    /// After another look, whatever came of it: whoever attaches something else all the time is not looked at more often.
    pub(super) fn after(before: Option<&Awaited>, heard: Heard, now: Timestamp) -> Self {
        let looks = before.map_or(0, |before| before.looks).saturating_add(1);
        let pause = SignedDuration::try_from(LOOKS.after(looks)).unwrap_or(SignedDuration::MAX);
        Awaited { heard, looks, next: now.checked_add(pause).unwrap_or(Timestamp::MAX) }
    }

    /// Whether it is time for another look, given the indexes that it is known to be in.
    pub(super) fn is_due(&self, indexes: &[Digest], now: Timestamp) -> bool {
        self.heard.awaits && (self.next <= now || self.heard.indexes != indexes)
    }
}

/// Images are signed a moment after they were pushed, or when somebody has heard that they do not run.
const LOOKS: Backoff = Backoff::new(std::time::Duration::from_secs(5), std::time::Duration::from_secs(5 * 60));

#[cfg(test)]
mod tests {
    use super::*;

    fn attached(media_type: &str, annotation: &str, content: &str) -> Attached {
        let annotations = [("a".to_owned(), annotation.to_owned())].into();
        Attached { media_type: media_type.to_owned(), annotations, content: content.as_bytes().to_vec() }
    }

    #[test]
    fn what_says_something_else_has_another_digest() {
        let of = |attached: Vec<Attached>| Others { attached, ..Others::default() }.digest();
        let in_index = |number: u8, attached: Result<Vec<Attached>, String>| {
            let indexes = vec![InIndex { digest: Digest::of(&[number]), attached }];
            Others { indexes, ..Others::default() }.digest()
        };
        let approved = |approval| Others { approval: Some(approval), ..Others::default() }.digest();
        let one = attached("t", "1", "x");
        let all = [
            of(vec![]),
            of(vec![one.clone()]),
            of(vec![one.clone(), one.clone()]),
            of(vec![attached("u", "1", "x")]),
            of(vec![attached("t", "2", "x")]),
            of(vec![attached("t", "1", "y")]),
            in_index(1, Ok(vec![])),
            in_index(1, Ok(vec![one.clone()])),
            in_index(1, Err("late".to_owned())),
            in_index(2, Ok(vec![])),
            approved(Approval::Given),
            approved(Approval::Refuted("other".to_owned())),
            approved(Approval::Unknown("other".to_owned())),
        ];
        let different: std::collections::BTreeSet<_> = all.iter().map(Digest::to_string).collect();
        assert_eq!(different.len(), all.len());
        assert_eq!(of(vec![one.clone()]), of(vec![one]));
    }

    #[test]
    fn what_may_come_yet_is_looked_for_ever_later_and_what_changes_nothing_is_not() {
        let now = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let heard = |awaits| Heard { others: Digest::of(b""), indexes: vec![], awaits };
        let mut awaited = Awaited::after(None, heard(true), now(0));
        for (seconds, pause) in [(5, 10), (15, 20), (35, 40), (75, 80), (155, 160), (315, 300), (615, 300), (915, 300)]
        {
            assert!(!awaited.is_due(&[], now(seconds - 1)) && awaited.is_due(&[], now(seconds)), "{seconds}");
            awaited = Awaited::after(Some(&awaited), heard(true), now(seconds));
            assert!(!awaited.is_due(&[], now(seconds + pause - 1)), "{seconds}");
            assert!(awaited.is_due(&[Digest::of(b"new")], now(seconds)), "an index that was not there");
        }
        assert!(!Awaited::after(None, heard(false), now(0)).is_due(&[Digest::of(b"new")], now(1_000_000)));
    }
}
