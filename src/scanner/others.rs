//! What others have said of an image, as it was found; and when it is worth looking for it again.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};

use crate::model::{Backoff, Digest, PolicyHash};
use crate::registry::{Attached, Attachments, InIndex, RegistryProblem};
use crate::scan::{Approval, Trust};
use crate::telemetry::whole;

/// What others have said of an image, as it came. Nobody has verified it yet. It takes memory, so it is held only until
/// somebody has.
#[derive(Debug, Default)]
pub(super) struct Others {
    /// What is attached to it in its registry, and to the indexes that name it.
    pub(super) attached: Attachments,
    /// What the Hub approved; none where nobody asks.
    pub(super) approval: Option<Approval>,
}

/// What is believed of that: it is short, and may be held while a scan is made.
#[derive(Debug)]
pub(super) struct Believed {
    /// Of what is attached, under each limits.
    pub(super) trust: BTreeMap<PolicyHash, Trust>,
    /// Whether the Hub approved the image.
    pub(super) approval: Approval,
    /// Stands for all that was said.
    pub(super) said: Digest,
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

    /// Whether nothing is there that had to be verified.
    pub(super) fn is_empty(&self) -> bool {
        let Attachments { image, indexes, .. } = &self.attached;
        let besides = indexes.iter().filter_map(|index| index.attached.as_ref().ok());
        image.is_empty() && besides.flatten().next().is_none()
    }

    /// Stands for all of it: what says something else has another.
    pub(super) fn digest(&self) -> Digest {
        let mut all = of(&self.attached.image);
        for InIndex { digest, attached } in &self.attached.indexes {
            let untold = |problem: &RegistryProblem| format!("{:?}\n", whole(problem));
            let attached = attached.as_ref().map_or_else(untold, |attached| of(attached));
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
        let digest = |attached| Others { attached, approval: None }.digest();
        let of = |image: Vec<Attached>| {
            let mut all = Attachments::default();
            all.image = image;
            digest(all)
        };
        let in_index = |number: u8, attached: Result<Vec<Attached>, RegistryProblem>| {
            let mut all = Attachments::default();
            all.indexes.push(InIndex { digest: Digest::of(&[number]), attached });
            digest(all)
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
            in_index(1, Err(RegistryProblem::Late { what: "it".to_owned() })),
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
