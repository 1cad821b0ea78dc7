//! Edge: the bounded queue of a replica's decisions: never in an answer's way, and honest about what it lost.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::shelf::Shelf;
use crate::model::{Decision, Decisions};

/// Decisions until the controller has confirmed them.
pub struct DecisionQueue {
    run: String,
    state: Mutex<State>,
    news: Notify,
}

struct State {
    /// Refusals and uses of break-glass.
    grave: Shelf,
    /// The others, of which there are many more; each has places of its own, so that they push out none of the former.
    admitted: Shelf,
    last: u64,
}

impl DecisionQueue {
    /// An empty queue for so many decisions, a quarter of them such as are no more than a yes; `run` tells this run of the
    /// process from every other.
    pub fn new(run: String, most: usize) -> Self {
        let (grave, admitted) = (Shelf::new(most - most / 4), Shelf::new(most / 4));
        DecisionQueue { run, state: Mutex::new(State { grave, admitted, last: 0 }), news: Notify::new() }
    }

    /// Takes a decision in and gives it its number. Says whether another of its kind was pushed out for it.
    pub fn push(&self, mut decision: Decision) -> Pushed {
        let mut state = self.lock();
        state.last += 1;
        decision.number = state.last;
        let admitted = decision.outcome.is_admitted();
        let shelf = if admitted { &mut state.admitted } else { &mut state.grave };
        let pushed = if shelf.put(decision) { Pushed::AnotherOut } else { Pushed::In };
        // Nobody is woken for each of many.
        let tell = !admitted || shelf.len() == 1 || shelf.is_half_full();
        drop(state);
        if tell {
            self.news.notify_waiters();
        }
        pushed
    }

    /// Forgets what is confirmed, and gives what follows. A confirmation of another run confirms nothing.
    pub fn take(&self, run: &str, after: u64) -> Decisions {
        self.confirm(run, after);
        let state = self.lock();
        let confirmed = if run == self.run { after.min(state.last) } else { 0 };
        let decisions = in_order(&state);
        let next = decisions.last().map_or(confirmed, |last| last.number);
        let lost_admitted = state.admitted.lost();
        let lost = state.grave.lost() + lost_admitted;
        Decisions { run: self.run.clone(), decisions, next, lost, lost_admitted, ending: false }
    }

    /// The same, but waits for the first decision where there is none, and a moment longer where there are only such as
    /// are no more than a yes, so that many go together; the caller gives up when it likes.
    pub async fn wait(&self, run: &str, after: u64) -> Decisions {
        self.confirm(run, after);
        let mut until: Option<Instant> = None;
        loop {
            // Listening begins before the look, so that nothing falls between the two.
            let mut news = std::pin::pin!(self.news.notified());
            news.as_mut().enable();
            match (self.waiting(), until) {
                (Waiting::Nothing, _) => news.await,
                (Waiting::Few, None) => until = Some(Instant::now() + LINGER),
                (Waiting::Few, Some(moment)) => match timeout_at(moment, news).await {
                    Ok(()) => {}
                    Err(_) => return self.take(run, after),
                },
                (Waiting::Enough, _) => return self.take(run, after),
            }
        }
    }

    fn confirm(&self, run: &str, after: u64) {
        if run == self.run {
            let mut state = self.lock();
            state.grave.forget(after);
            state.admitted.forget(after);
        }
    }

    fn waiting(&self) -> Waiting {
        let state = self.lock();
        match (state.grave.len(), state.admitted.len()) {
            (0, 0) => Waiting::Nothing,
            (0, _) if !state.admitted.is_half_full() => Waiting::Few,
            _ => Waiting::Enough,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first of all by their numbers: a hole in them is a loss to whoever fetches them.
fn in_order(state: &State) -> Vec<Decision> {
    let (mut grave, mut admitted) = (state.grave.iter().peekable(), state.admitted.iter().peekable());
    let next = std::iter::from_fn(|| match (grave.peek(), admitted.peek()) {
        (Some(one), Some(other)) if one.number > other.number => admitted.next(),
        (Some(_), _) => grave.next(),
        (None, _) => admitted.next(),
    });
    next.take(BATCH).cloned().collect()
}

/// What there is to be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Nothing,
    /// A few for which nobody hurries.
    Few,
    Enough,
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
/// How long more of those are waited for that are no more than a yes.
const LINGER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::Outcome;

    fn decision(outcome: Outcome) -> Decision {
        let text = String::new;
        let (operation, resource, namespace, name, user) = (text(), text(), text(), text(), text());
        let (time, analysis, rules, about) = (Timestamp::UNIX_EPOCH, text(), Vec::new(), None);
        let (from, checked) = (text(), false);
        Decision {
            number: 0,
            time,
            outcome,
            operation,
            resource,
            namespace,
            name,
            user,
            analysis,
            rules,
            from,
            checked,
            about,
        }
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
        let queue = DecisionQueue::new("run".to_owned(), 4);
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
        let queue = DecisionQueue::new("run".to_owned(), 5);
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
        assert_eq!((taken.decisions.len(), taken.next, taken.lost), (512, 1928 + 512, 1928));
    }

    #[test]
    fn what_is_admitted_pushes_out_nothing_else_and_is_given_in_its_order() {
        let queue = DecisionQueue::new("run".to_owned(), 8);
        queue.push(decision(Outcome::BreakGlass));
        queue.push(decision(Outcome::Refused));
        for (outcome, pushed) in [
            (Outcome::Allowed, Pushed::In),
            (Outcome::Patched, Pushed::In),
            (Outcome::Warned, Pushed::AnotherOut),
            (Outcome::Allowed, Pushed::AnotherOut),
        ] {
            assert_eq!(queue.push(decision(outcome)), pushed);
        }
        queue.push(decision(Outcome::Refused));
        let taken = queue.take("", 0);
        assert_eq!((told(&taken), taken.lost_admitted), ((vec![1, 2, 5, 6, 7], 7, 2), 2));
        assert_eq!(told(&queue.take("run", 5)), (vec![6, 7], 7, 2));
        for _ in 0..5 {
            queue.push(decision(Outcome::Refused));
        }
        let taken = queue.take("", 0);
        assert_eq!((told(&taken), taken.lost_admitted), ((vec![6, 7, 8, 9, 10, 11, 12], 12, 2), 2));
        queue.push(decision(Outcome::Refused));
        let taken = queue.take("", 0);
        assert_eq!((told(&taken), taken.lost_admitted), ((vec![6, 8, 9, 10, 11, 12, 13], 13, 3), 2));
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

    #[tokio::test(start_paused = true)]
    async fn a_yes_is_told_a_moment_later_together_with_others_and_a_refusal_at_once() {
        for (later, wait, numbers) in [
            (vec![Outcome::Allowed], LINGER, vec![1, 2]),
            (vec![Outcome::Allowed, Outcome::Refused], Duration::ZERO, vec![1, 2, 3]),
            (vec![Outcome::Allowed; 4], Duration::ZERO, vec![1, 2, 3, 4, 5]),
        ] {
            let queue = DecisionQueue::new("run".to_owned(), 32);
            let begun = Instant::now();
            let (heard, ()) = tokio::join!(queue.wait("", 0), async {
                queue.push(decision(Outcome::Allowed));
                for outcome in &later {
                    tokio::task::yield_now().await;
                    queue.push(decision(*outcome));
                }
            });
            let heard: Vec<u64> = heard.decisions.iter().map(|decision| decision.number).collect();
            assert_eq!((heard, begun.elapsed()), (numbers, wait), "{later:?}");
        }
    }
}
