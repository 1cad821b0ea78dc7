//! Edge: evaluates users' rules on threads of their own, with a deadline that holds whatever a rule does.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::rule::{UserAnswer, UserFinding, UserRule};
use super::rules::TOO_LARGE;
use super::scope::UserInput;
use crate::model::Request;

/// How much may be evaluated at once and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Threads that evaluate.
    pub workers: usize,
    /// Evaluations that may wait for a thread; one more is refused at once.
    pub queue: usize,
    /// Threads that may hang and be replaced; when more hang, those that are left do the work.
    pub stuck: usize,
    /// The longest time that one rule may take, waiting included.
    pub deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { workers: 2, queue: 256, stuck: 4, deadline: Duration::from_millis(100) }
    }
}

/// The threads; they end when this is dropped.
pub struct Workers {
    limits: Limits,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Threads that wait for work or do it in time.
    live: usize,
    /// Threads that were given up and have not come back.
    stuck: usize,
    closed: bool,
}

/// Answers, and ends early when the flag is set.
type Evaluation = Box<dyn FnOnce(&Arc<AtomicBool>) -> UserAnswer + Send>;

struct Job {
    run: Evaluation,
    ticket: Arc<Ticket>,
    reply: oneshot::Sender<UserAnswer>,
}

/// What the caller and the thread know of one evaluation.
struct Ticket {
    interrupt: Arc<AtomicBool>,
    phase: AtomicU8,
}

/// Stops the evaluation when its caller stops waiting, for whatever reason.
struct Waiting(Arc<Ticket>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.interrupt.store(true, Ordering::Relaxed);
    }
}

impl Workers {
    /// Starts the threads.
    pub fn start(limits: Limits) -> Self {
        let shared = Arc::new(Shared { state: Mutex::default(), work: Condvar::new() });
        let workers = Workers { limits, shared };
        for _ in 0..limits.workers {
            workers.spawn(&mut workers.shared.lock());
        }
        workers
    }

    /// What the rules say of a request; a rule that is late, or finds no free thread, is a finding.
    pub async fn evaluate(&self, rules: Vec<Arc<UserRule>>, request: &Request<'_>) -> Vec<UserFinding> {
        if rules.is_empty() {
            return Vec::new();
        }
        let Some(input) = UserInput::new(request).map(Arc::new) else {
            return rules.iter().flat_map(|rule| rule.report(rule.unanswered(TOO_LARGE), request)).collect();
        };
        let answers = rules.iter().map(|rule| {
            let (evaluated, input) = (Arc::clone(rule), Arc::clone(&input));
            self.answer(rule, Box::new(move |interrupt| evaluated.answer(&input, interrupt)))
        });
        let answers = futures::future::join_all(answers).await;
        rules.iter().zip(answers).flat_map(|(rule, answer)| rule.report(answer, request)).collect()
    }

    /// How many threads hang at the moment.
    pub fn stuck(&self) -> usize {
        self.shared.lock().stuck
    }

    async fn answer(&self, rule: &UserRule, run: Evaluation) -> UserAnswer {
        let ticket = Arc::new(Ticket { interrupt: Arc::default(), phase: AtomicU8::new(WAITING) });
        let _waiting = Waiting(Arc::clone(&ticket));
        let (reply, answer) = oneshot::channel();
        if let Err(reason) = self.submit(Job { run, ticket: Arc::clone(&ticket), reply }) {
            return rule.unanswered(reason);
        }
        match tokio::time::timeout(self.limits.deadline, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => rule.unanswered("could not be evaluated: its thread ended"),
            Err(_) => {
                self.give_up(&ticket);
                rule.unanswered("exceeded its deadline")
            }
        }
    }

    fn submit(&self, job: Job) -> Result<(), &'static str> {
        let mut state = self.shared.lock();
        if state.live == 0 {
            return Err("could not be evaluated: all threads for rules hang");
        }
        if state.jobs.len() >= self.limits.queue {
            return Err("could not be evaluated: too many evaluations are waiting");
        }
        state.jobs.push_back(job);
        self.shared.work.notify_one();
        Ok(())
    }

    /// Takes a thread that is late out of the count, and puts another in its place while that is allowed.
    fn give_up(&self, ticket: &Ticket) {
        if ticket.phase.swap(GIVEN_UP, Ordering::AcqRel) == RUNNING {
            let mut state = self.shared.lock();
            state.live = state.live.saturating_sub(1);
            state.stuck += 1;
            if state.stuck <= self.limits.stuck {
                self.spawn(&mut state);
            }
        }
    }

    fn spawn(&self, state: &mut State) {
        let (shared, most) = (Arc::clone(&self.shared), self.limits.workers);
        let spawned = std::thread::Builder::new().name("user-rules".to_owned()).stack_size(STACK).spawn(move || {
            while let Some(job) = shared.next() {
                if !shared.serve(job, most) {
                    return;
                }
            }
        });
        // Without a thread the evaluations time out, which refuses.
        state.live += usize::from(spawned.is_ok());
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
    }
}

impl Shared {
    /// The state; a panic of another thread cannot leave it half changed, so its poison is ignored.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Does one evaluation; whether the thread should go on afterwards.
    fn serve(&self, job: Job, most: usize) -> bool {
        let Job { run, ticket, reply } = job;
        if ticket.phase.compare_exchange(WAITING, RUNNING, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return true;
        }
        let interrupt = Arc::clone(&ticket.interrupt);
        let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&interrupt)));
        if let Ok(answer) = answer {
            // Nobody receives it when the caller has gone.
            let _ = reply.send(answer);
        }
        if ticket.phase.compare_exchange(RUNNING, DONE, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            return true;
        }
        let mut state = self.lock();
        state.stuck = state.stuck.saturating_sub(1);
        let needed = state.live < most;
        state.live += usize::from(needed);
        needed
    }
}

const WAITING: u8 = 0;
const RUNNING: u8 = 1;
const GIVEN_UP: u8 = 2;
const DONE: u8 = 3;
/// Deep enough for the deepest expression over the deepest object.
const STACK: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn rule() -> UserRule {
        let text = "validations: [{expression: 'true'}]";
        let spec = crate::policy::RuleSpec { name: "hangs".to_owned(), ..serde_saphyr::from_str(text).unwrap() };
        UserRule::compile(&spec).unwrap()
    }

    fn passes() -> UserAnswer {
        UserAnswer { messages: Vec::new(), already: false }
    }

    #[tokio::test]
    async fn a_thread_that_hangs_is_replaced_until_too_many_hang() {
        let limits = Limits { workers: 1, queue: 8, stuck: 1, deadline: Duration::from_millis(20) };
        let (workers, rule) = (Workers::start(limits), rule());
        let mut ends = Vec::new();
        for (stuck, then) in [(1, passes()), (2, rule.unanswered("could not be evaluated: all threads for rules hang"))]
        {
            let (end, wait) = mpsc::channel::<()>();
            // Hangs without ever looking at its interrupt.
            let hanging =
                workers.answer(&rule, Box::new(move |_| wait.recv().map_or_else(|_| passes(), |()| passes())));
            assert_eq!(hanging.await, rule.unanswered("exceeded its deadline"));
            assert_eq!(workers.stuck(), stuck);
            let patient = Workers {
                limits: Limits { deadline: Duration::from_secs(60), ..limits },
                shared: Arc::clone(&workers.shared),
            };
            assert_eq!(patient.answer(&rule, Box::new(|_| passes())).await, then);
            std::mem::forget(patient);
            ends.push(end);
        }
        drop(ends);
        while workers.stuck() > 0 {
            tokio::task::yield_now().await;
        }
        let state = workers.shared.lock();
        assert_eq!((state.live, state.stuck), (1, 0), "those that come back take over again");
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_a_panic_is_no_yes() {
        let limits = Limits { workers: 1, queue: 0, stuck: 0, deadline: Duration::from_secs(60) };
        let rule = rule();
        let full = Workers::start(limits).answer(&rule, Box::new(|_| passes())).await;
        assert_eq!(full, rule.unanswered("could not be evaluated: too many evaluations are waiting"));
        let workers = Workers::start(Limits { queue: 1, ..limits });
        let fallen = workers.answer(&rule, Box::new(|_| panic!("on purpose"))).await;
        assert_eq!(fallen, rule.unanswered("could not be evaluated: its thread ended"));
        assert_eq!(workers.answer(&rule, Box::new(|_| passes())).await, passes(), "the thread lives on");
    }
}
