//! What running analyses have answered, and since when one is silent.

use std::net::IpAddr;

use jiff::Timestamp;

use crate::model::{Phase, Run};

/// Where a run is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// Which run.
    pub(super) run: Run,
    /// The address of its gateway's Service.
    pub(super) address: IpAddr,
    /// The version of the Secret with its token, where Flamewarden renews it.
    pub(super) token: Option<String>,
}

/// What a run has answered last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    /// Which run of the analysis.
    pub(super) run: u32,
    /// What it answered.
    pub(super) answer: Answer,
    /// Since when its gateway gets no answer from it.
    pub(super) silent_since: Option<Timestamp>,
}

/// One answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// How it says it is.
    Says(Phase),
    /// Its gateway has no answer from it, or none that can be read.
    Silent,
    /// Its gateway does not answer, so that nobody knows.
    Unreachable,
}

impl Answer {
    /// Its name in numbers.
    pub(super) fn name(self) -> &'static str {
        match self {
            Answer::Says(phase) => phase.name(),
            Answer::Silent => "silent",
            Answer::Unreachable => "unreachable",
        }
    }
}

impl Heard {
    /// What is known after another answer. Only a word of its own ends a silence: a gateway that cannot be reached says
    /// nothing of its analysis, neither that it answers nor that it does not.
    pub(super) fn after(before: Option<Heard>, run: u32, answer: Answer, now: Timestamp) -> Self {
        let before = before.filter(|heard| heard.run == run).and_then(|heard| heard.silent_since);
        let silent_since = match answer {
            Answer::Says(_) => None,
            Answer::Silent => before.or(Some(now)),
            Answer::Unreachable => before,
        };
        Heard { run, answer, silent_since }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_begins_with_the_first_silent_answer_and_ends_with_a_word() {
        use Answer::{Says, Silent, Unreachable};
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let says = Says(Phase::Executing);
        for (answers, want) in [
            (&[(1, says)][..], None),
            (&[(1, Silent)], Some(1)),
            (&[(1, Silent), (1, Silent)], Some(1)),
            (&[(1, Silent), (1, Unreachable)], Some(1)),
            (&[(1, Silent), (1, Unreachable), (1, Silent)], Some(1)),
            (&[(1, Unreachable), (1, Unreachable)], None),
            (&[(1, Unreachable), (1, Silent)], Some(2)),
            (&[(1, Silent), (1, says), (1, Silent)], Some(3)),
            (&[(1, Silent), (2, Silent)], Some(2)),
        ] {
            let mut heard = None;
            for ((run, answer), second) in answers.iter().zip(1..) {
                heard = Some(Heard::after(heard, *run, *answer, at(second)));
            }
            assert_eq!(heard.unwrap().silent_since, want.map(at), "{answers:?}");
        }
    }
}
