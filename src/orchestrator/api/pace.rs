//! How often an analysis may change what is stored of it: each change is a write of the API server.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::model::AnalysisId;

/// When each analysis that has just written may write again.
#[derive(Debug, Default)]
pub(super) struct Pace(BTreeMap<AnalysisId, Instant>);

impl Pace {
    /// When its next write may be; none where too many wait already.
    pub(super) fn turn(&mut self, analysis: AnalysisId, now: Instant) -> Option<Instant> {
        self.0.retain(|_, next| *next > now);
        let turn = self.0.get(&analysis).copied().unwrap_or(now);
        if turn.duration_since(now) > LONGEST {
            return None;
        }
        self.0.insert(analysis, turn + BETWEEN);
        Some(turn)
    }
}

const BETWEEN: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orchestrator::testing::{ID, PROJECT};

    #[test]
    fn an_analysis_waits_for_itself_alone_and_not_for_long() {
        let (mut pace, begun) = (Pace::default(), Instant::now());
        for (id, at, want) in [
            (ID, 0, Some(0)),
            (ID, 0, Some(250)),
            (ID, 100, Some(500)),
            (ID, 100, None),
            (PROJECT, 100, Some(100)),
            (ID, 300, Some(750)),
            (ID, 2000, Some(2000)),
        ] {
            let now = begun + Duration::from_millis(at);
            let turn = pace.turn(id.parse().unwrap(), now);
            assert_eq!(turn.map(|turn| turn.duration_since(begun).as_millis()), want, "{id} at {at} ms");
        }
        assert_eq!(pace.0.len(), 1, "who has not written for a while is forgotten");
    }
}
