//! Edge: the bounded queue of a replica's decisions: never in an answer's way, and honest about what it lost.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::model::{Decision, Decisions, Outcome};

/// Decisions until the controller has confirmed them.
pub struct DecisionQueue {
    run: String,
    most: usize,
    state: Mutex<State>,
    news: Notify,
}

#[derive(Default)]
struct State {
    held: VecDeque<Decision>,
    last: u64,
    lost: u64,
}

impl DecisionQueue {
    /// An empty queue for so many decisions; `run` tells this run of the process from every other.
    pub fn new(run: String, most: usize) -> Self {
        DecisionQueue { run, most, state: Mutex::default(), news: Notify::new() }
    }

    /// Takes a decision in and gives it its number. Says whether another was pushed out for it.
    ///
    /// That of the address that has most, and of its decisions refusals before uses of break-glass: nobody can cover
    /// one by being refused often, nor by inventing others at an address that is not the API server's.
    pub fn push(&self, mut decision: Decision) -> Pushed {
        let mut state = self.lock();
        state.last += 1;
        decision.number = state.last;
        state.held.push_back(decision);
        let full = state.held.len() > self.most;
        if full {
            state.push_out();
        }
        drop(state);
        self.news.notify_waiters();
        if full { Pushed::AnotherOut } else { Pushed::In }
    }

    /// Forgets what is confirmed, and gives what follows. A confirmation of another run confirms nothing.
    pub fn take(&self, run: &str, after: u64) -> Decisions {
        let mut state = self.lock();
        if run == self.run {
            state.held.retain(|held| held.number > after);
        }
        let decisions: Vec<Decision> = state.held.iter().take(BATCH).cloned().collect();
        let confirmed = if run == self.run { after.min(state.last) } else { 0 };
        let next = decisions.last().map_or(confirmed, |last| last.number);
        Decisions { run: self.run.clone(), decisions, next, lost: state.lost, ending: false }
    }

    /// The same, but waits for the first decision where there is none; the caller gives up when it likes.
    pub async fn wait(&self, run: &str, after: u64) -> Decisions {
        loop {
            // Listening begins before the look, so that nothing falls between the two.
            let mut news = std::pin::pin!(self.news.notified());
            news.as_mut().enable();
            let taken = self.take(run, after);
            if !taken.decisions.is_empty() {
                return taken;
            }
            news.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push_out(&mut self) {
        let mut counts = BTreeMap::new();
        for held in &self.held {
            *counts.entry(held.from.as_str()).or_insert(0) += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count).map(|(from, _)| from.to_owned());
        let of_most = |held: &Decision| Some(&held.from) == most.as_ref();
        let refusal = self.held.iter().position(|held| of_most(held) && held.outcome == Outcome::Refused);
        let oldest = refusal.or_else(|| self.held.iter().position(of_most)).unwrap_or_default();
        self.held.remove(oldest);
        self.lost += 1;
    }
}

/// What a push did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// There was room.
    In,
    /// Another went for it, unfetched or at least unconfirmed.
    AnotherOut,
}

/// Decisions in one answer: about a quarter of a megabyte.
const BATCH: usize = 512;

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn decision(outcome: Outcome) -> Decision {
        let text = String::new;
        let (operation, resource, namespace, name, user) = (text(), text(), text(), text(), text());
        let (time, rules, about) = (Timestamp::UNIX_EPOCH, Vec::new(), None);
        let (from, checked) = (text(), false);
        Decision { number: 0, time, outcome, operation, resource, namespace, name, user, rules, from, checked, about }
    }

    fn asked_from(from: &str, outcome: Outcome) -> Decision {
        Decision { from: from.to_owned(), ..decision(outcome) }
    }

    /// Numbers, the number to confirm and the losses.
    fn told(decisions: &Decisions) -> (Vec<u64>, u64, u64) {
        (decisions.decisions.iter().map(|decision| decision.number).collect(), decisions.next, decisions.lost)
    }

    #[test]
    fn what_is_not_confirmed_is_given_again_and_the_oldest_refusal_makes_room() {
        let queue = DecisionQueue::new("run".to_owned(), 3);
        assert_eq!(told(&queue.take("", 0)), (vec![], 0, 0));
        for (outcome, pushed) in [
            (Outcome::BreakGlass, Pushed::In),
            (Outcome::Refused, Pushed::In),
            (Outcome::Refused, Pushed::In),
            (Outcome::Refused, Pushed::AnotherOut),
        ] {
            assert_eq!(queue.push(decision(outcome)), pushed);
        }
        for (run, after, want) in [
            ("", 0, (vec![1, 3, 4], 4, 1)),
            ("run", 0, (vec![1, 3, 4], 4, 1)),
            ("another", 4, (vec![1, 3, 4], 4, 1)),
            ("run", 1, (vec![3, 4], 4, 1)),
            ("run", 4, (vec![], 4, 1)),
            ("run", 99, (vec![], 4, 1)),
            ("another", 99, (vec![], 0, 1)),
        ] {
            assert_eq!(told(&queue.take(run, after)), want, "{run} {after}");
        }
    }

    #[test]
    fn nobody_pushes_out_what_others_asked_for() {
        let queue = DecisionQueue::new("run".to_owned(), 4);
        for (from, outcome) in [
            ("api server", Outcome::BreakGlass),
            ("api server", Outcome::Refused),
            ("stranger", Outcome::BreakGlass),
            ("stranger", Outcome::BreakGlass),
            ("stranger", Outcome::BreakGlass),
            ("stranger", Outcome::BreakGlass),
            ("stranger", Outcome::Refused),
            ("api server", Outcome::BreakGlass),
        ] {
            queue.push(asked_from(from, outcome));
        }
        // The stranger's own oldest go first, its refusal before others; the eighth takes a stranger's or its own refusal.
        let left = queue.take("", 0);
        let left: Vec<_> = left.decisions.iter().map(|held| (held.number, held.from.as_str())).collect();
        assert_eq!(left, [(1, "api server"), (5, "stranger"), (6, "stranger"), (8, "api server")]);
    }

    #[test]
    fn an_answer_has_its_bounds() {
        let queue = DecisionQueue::new("run".to_owned(), 4096);
        for _ in 0..5000 {
            queue.push(decision(Outcome::Refused));
        }
        let taken = queue.take("", 0);
        assert_eq!((taken.decisions.len(), taken.next, taken.lost), (512, 904 + 512, 904));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_hears_of_the_next_decision() {
        let queue = DecisionQueue::new("run".to_owned(), 3);
        let told_of = async { told(&queue.wait("", 0).await) };
        let (heard, ()) = tokio::join!(told_of, async {
            tokio::task::yield_now().await;
            queue.push(decision(Outcome::Refused));
        });
        assert_eq!(heard, (vec![1], 1, 0));
    }
}
