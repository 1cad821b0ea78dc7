//! Edge: one log line for each refusal and each use of break-glass, few enough that nobody can flood the log.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Record, Side};
use crate::model::Outcome;
use crate::telemetry::{Metrics, ReasonLabels, printable};

/// Writes the lines. Where nobody checks who asks, anybody can ask for as many as he likes, so each address gets so
/// many; what is left out is counted, and the counts are told.
pub(super) struct Lines {
    metrics: Arc<Metrics>,
    checked: bool,
    callers: Mutex<Callers>,
}

/// What a line is about; none takes the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Refused,
    BreakGlass,
    TurnedAway,
}

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Written,
    LeftOut,
    /// The first since this address's counts were told; they are to be told again.
    FirstLeftOut,
}

impl Lines {
    /// `checked` says whether it is known that only the API server asks.
    pub(super) fn new(metrics: Arc<Metrics>, checked: bool) -> Arc<Self> {
        Arc::new(Lines { metrics, checked, callers: Mutex::default() })
    }

    /// Tells of an answer, if there is something to be told.
    pub(super) fn answered(self: &Arc<Self>, side: Side, record: &Record, from: IpAddr) {
        let Some(notice) = record.notice.as_ref().filter(|_| !record.decision.is_admitted()) else { return };
        let about = if record.decision == Outcome::BreakGlass { About::BreakGlass } else { About::Refused };
        if !self.may(about, from) {
            return;
        }
        let rules: Vec<&str> = notice.rules.iter().map(String::as_str).collect();
        let paths: Vec<_> = notice.paths.iter().map(|path| printable(path)).collect();
        tracing::warn!(
            decision = record.decision.word(),
            side = side.word(),
            operation = record.operation,
            resource = record.resource,
            namespace = %printable(&notice.namespace),
            name = %printable(&notice.name),
            user = %printable(&notice.user),
            uid = %printable(&notice.uid),
            %from,
            checked = self.checked,
            dry_run = notice.dry_run,
            rules = %rules.join(","),
            paths = %paths.join(","),
            "review answered"
        );
    }

    /// Tells of a review that was not read.
    pub(super) fn turned_away(self: &Arc<Self>, reason: &'static str, from: IpAddr) {
        if self.may(About::TurnedAway, from) {
            tracing::warn!(reason, %from, "review turned away");
        }
    }

    fn may(self: &Arc<Self>, about: About, from: IpAddr) -> bool {
        if self.checked {
            return true;
        }
        let fate = self.lock().admit(about, from, Instant::now());
        if fate == Fate::Written {
            return true;
        }
        self.metrics.lines_left_out.get_or_create(&ReasonLabels { reason: about.word() }).inc();
        if fate == Fate::FirstLeftOut {
            let lines = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(TELL).await;
                let [refused, break_glass, turned_away] = lines.lock().take_left_out(from);
                tracing::warn!(%from, refused, break_glass, turned_away, "log lines left out");
            });
        }
        false
    }

    fn lock(&self) -> MutexGuard<'_, Callers> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was written and left out for each address.
#[derive(Default)]
struct Callers(HashMap<IpAddr, Caller>);

#[derive(Default)]
struct Caller {
    refused: Pace,
    break_glass: Pace,
    turned_away: Pace,
}

/// Lines of one address about one thing.
#[derive(Default)]
struct Pace {
    /// When all lines written until now would have been written at the steady pace.
    due: Option<Instant>,
    left_out: u64,
}

impl Callers {
    fn admit(&mut self, about: About, from: IpAddr, now: Instant) -> Fate {
        if self.0.len() >= ADDRESSES && !self.0.contains_key(&from) {
            self.0.retain(|_, caller| !caller.rests(now));
            if self.0.len() >= ADDRESSES {
                // No cluster has so many API servers. The metric counts these lines too.
                return Fate::LeftOut;
            }
        }
        let caller = self.0.entry(from).or_default();
        let told = caller.paces().iter().all(|pace| pace.left_out == 0);
        let pace = caller.pace(about);
        let due = pace.due.map_or(now, |due| due.max(now)) + EACH;
        if due.duration_since(now) <= EACH * BURST {
            pace.due = Some(due);
            return Fate::Written;
        }
        pace.left_out += 1;
        if told { Fate::FirstLeftOut } else { Fate::LeftOut }
    }

    /// How many lines were left out since this was asked last: refusals, uses of break-glass, reviews turned away.
    fn take_left_out(&mut self, from: IpAddr) -> [u64; 3] {
        let Some(caller) = self.0.get_mut(&from) else { return [0; 3] };
        let Caller { refused, break_glass, turned_away } = caller;
        [refused, break_glass, turned_away].map(|pace| std::mem::take(&mut pace.left_out))
    }
}

impl Caller {
    fn pace(&mut self, about: About) -> &mut Pace {
        match about {
            About::Refused => &mut self.refused,
            About::BreakGlass => &mut self.break_glass,
            About::TurnedAway => &mut self.turned_away,
        }
    }

    fn paces(&self) -> [&Pace; 3] {
        [&self.refused, &self.break_glass, &self.turned_away]
    }

    /// Whether nothing would be different if it were forgotten.
    fn rests(&self, now: Instant) -> bool {
        self.paces().iter().all(|pace| pace.left_out == 0 && pace.due.is_none_or(|due| due <= now))
    }
}

impl About {
    fn word(self) -> &'static str {
        match self {
            About::Refused => "refused",
            About::BreakGlass => "break_glass",
            About::TurnedAway => "turned_away",
        }
    }
}

/// Lines of one address about one thing: so many at once, and then one in so much time.
const BURST: u32 = 300;
const EACH: Duration = Duration::from_millis(200);
/// How long after the first line that is left out the counts are told.
const TELL: Duration = Duration::from_secs(5);
/// Addresses that are remembered at one time.
const ADDRESSES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: u32) -> IpAddr {
        IpAddr::from(address.to_be_bytes())
    }

    #[test]
    fn an_address_gets_so_many_lines_at_once_and_then_a_steady_few() {
        let mut callers = Callers::default();
        let start = Instant::now();
        for (about, address, after, want) in [
            (About::Refused, 1, 0, 300),
            (About::Refused, 1, 199, 0),
            (About::Refused, 1, 400, 2),
            (About::BreakGlass, 1, 400, 300),
            (About::TurnedAway, 1, 400, 300),
            (About::Refused, 2, 400, 300),
            (About::Refused, 1, 1_000, 3),
            (About::Refused, 1, 100_000, 300),
        ] {
            let now = start + Duration::from_millis(after);
            let written = (0..1000).filter(|_| callers.admit(about, from(address), now) == Fate::Written).count();
            assert_eq!(written, want, "{about:?} of {address} after {after} ms");
        }
        assert_eq!(callers.take_left_out(from(1)), [700 + 1000 + 998 + 997 + 700, 700, 700]);
        assert_eq!(callers.take_left_out(from(1)), [0; 3]);
        assert_eq!(callers.take_left_out(from(2)), [700, 0, 0]);
    }

    #[test]
    fn counts_are_told_once_for_all_that_was_left_out_since() {
        let mut callers = Callers::default();
        let now = Instant::now();
        for about in [About::Refused, About::BreakGlass] {
            assert!((0..BURST).all(|_| callers.admit(about, from(1), now) == Fate::Written));
        }
        let fates = |callers: &mut Callers| {
            [About::Refused, About::BreakGlass, About::Refused].map(|about| callers.admit(about, from(1), now))
        };
        for _ in 0..2 {
            assert_eq!(fates(&mut callers), [Fate::FirstLeftOut, Fate::LeftOut, Fate::LeftOut]);
            assert_eq!(callers.take_left_out(from(1)), [2, 1, 0]);
        }
    }

    #[test]
    fn no_more_addresses_are_remembered_than_so_many() {
        let mut callers = Callers::default();
        let now = Instant::now();
        let written = |callers: &mut Callers, addresses: std::ops::Range<u32>, now| {
            addresses.filter(|address| callers.admit(About::Refused, from(*address), now) == Fate::Written).count()
        };
        assert_eq!(written(&mut callers, 0..2000, now), ADDRESSES);
        assert_eq!(written(&mut callers, 2000..3000, now + EACH), 1000);
        assert_eq!(callers.0.len(), 1000);
    }
}
