//! The trend of the last runs, drawn. Pure.

use crate::archive::RunSummary;
use crate::model::moment;

/// What fails over time, in user units of an SVG that is 600 wide and 120 high.
#[derive(Debug, PartialEq)]
pub(super) struct Chart {
    /// The line of what fails.
    pub(super) failing: String,
    /// The line of the score, of which 100 is at the top.
    pub(super) score: String,
    /// As much as stands at the top of the first.
    pub(super) most: usize,
    /// The same as a table.
    pub(super) rows: Vec<ChartRow>,
}

/// One run.
#[derive(Debug, PartialEq)]
pub(super) struct ChartRow {
    pub(super) made: [String; 2],
    pub(super) failing: usize,
    pub(super) score: u8,
    pub(super) coverage: u8,
}

/// Draws runs in their order; fewer than two are no trend.
pub(super) fn chart(runs: &[RunSummary]) -> Option<Chart> {
    let (first, last) = (runs.first()?, runs.last()?);
    let (from, span) = (first.made.as_second(), last.made.as_second() - first.made.as_second());
    if span <= 0 {
        return None;
    }
    let most = runs.iter().map(|run| run.summary.failing.total()).max().unwrap_or_default();
    let line = |height: &dyn Fn(&RunSummary) -> usize| {
        let points = runs.iter().map(|run| {
            let x = (run.made.as_second() - from).saturating_mul(WIDTH) / span;
            format!("{x},{}", HEIGHT.saturating_sub(height(run)))
        });
        points.collect::<Vec<_>>().join(" ")
    };
    let failing = |run: &RunSummary| run.summary.failing.total().saturating_mul(HEIGHT).checked_div(most).unwrap_or(0);
    let score = |run: &RunSummary| usize::from(run.score) * HEIGHT / 100;
    let rows = runs.iter().rev().map(|run| ChartRow {
        made: moment(&run.made),
        failing: run.summary.failing.total(),
        score: run.score,
        coverage: run.coverage.percent,
    });
    Some(Chart { failing: line(&failing), score: line(&score), most, rows: rows.collect() })
}

const WIDTH: i64 = 600;
const HEIGHT: usize = 120;

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::report::{BySeverity, Coverage, Subject, Summary};

    fn run(second: i64, failing: usize, score: u8) -> RunSummary {
        RunSummary {
            number: 1,
            subject: Subject::Cluster,
            made: Timestamp::from_second(second).unwrap(),
            score,
            coverage: Coverage { seen: 1, missed: 0, percent: 100 },
            summary: Summary { failing: BySeverity { high: failing, ..BySeverity::default() }, ..Summary::default() },
            opened: 0,
            fixed: 0,
        }
    }

    #[test]
    fn lines_go_from_the_first_run_to_the_last() {
        let drawn = chart(&[run(100, 0, 100), run(150, 8, 50), run(200, 2, 0)]).unwrap();
        assert_eq!(drawn.failing, "0,120 300,0 600,90");
        assert_eq!(drawn.score, "0,0 300,60 600,120");
        assert_eq!((drawn.most, drawn.rows.len(), drawn.rows[0].failing), (8, 3, 2));
        let calm = chart(&[run(100, 0, 100), run(200, 0, 100)]).unwrap();
        assert_eq!(calm.failing, "0,120 600,120");
        for none in [vec![], vec![run(1, 1, 1)], vec![run(1, 1, 1), run(1, 2, 2)]] {
            assert_eq!(chart(&none), None);
        }
    }
}
