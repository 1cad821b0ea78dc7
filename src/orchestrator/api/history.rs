//! Edge: what analyses that have ended have written, from the archive.

use std::pin::pin;

use futures::stream::{self, Stream, StreamExt};
use tracing::warn;

use crate::archive::{Archive, ArchiveProblem, LogSource};
use crate::model::{AnalysisId, AnalysisObject, Run};

use super::view;
use crate::telemetry::whole;

/// The logs of the last runs of those that have ended, analysis and gateway. Where the analysis's own log was lost, the
/// lines that it streamed stand for it. One that cannot be read is left out, so that it keeps nobody from the others.
///
/// # Errors
/// Nothing can be read, or so many in a row cannot that the archive seems to be away.
pub(super) async fn history(archive: &Archive, analyses: &[AnalysisObject]) -> Result<Vec<Told>, ArchiveProblem> {
    let ended: Vec<Run> = analyses.iter().filter(|one| has_ended(one)).map(view::last_run).collect();
    let most = (LONGEST_ANSWER / ended.len().max(1) / 2).min(LONGEST_LOG);
    let each = ended.into_iter().map(async |run| (run, of_run(archive, run, most).await));
    // As many as there are connections that read.
    readable(stream::iter(each).buffered(4)).await
}

type Told = (AnalysisId, [Vec<String>; 2]);

async fn readable(each: impl Stream<Item = (Run, Result<Told, ArchiveProblem>)>) -> Result<Vec<Told>, ArchiveProblem> {
    let (mut each, mut told, mut failed) = (pin!(each), Vec::new(), Vec::new());
    while let Some((run, done)) = each.next().await {
        match done {
            Ok(texts) => {
                told.push(texts);
                failed.clear();
            }
            Err(problem) => {
                warn!(run = run.app(), problem = %whole(&problem), "what it wrote cannot be read and is left out");
                failed.push(problem);
            }
        }
        if failed.len() >= AWAY {
            break;
        }
    }
    match failed.pop() {
        Some(problem) if told.is_empty() || failed.len() + 1 >= AWAY => Err(problem),
        _ => Ok(told),
    }
}

async fn of_run(archive: &Archive, run: Run, most: usize) -> Result<Told, ArchiveProblem> {
    let mut logs = archive.logs(run).await?;
    let own = match logs.remove(&LogSource::Analysis) {
        Some(log) => Some(log),
        None => archive.newest_text(run, most).await?,
    };
    let shown = |log: Option<String>| log.map(|log| view::newest(log, most)).into_iter().collect();
    Ok((run.analysis, [shown(own), shown(logs.remove(&LogSource::Nginx))]))
}

fn has_ended(analysis: &AnalysisObject) -> bool {
    view::present(analysis).is_over()
}

/// Of one log: more than the archive keeps.
const LONGEST_LOG: usize = 4 << 20;
/// Of all logs in one answer.
const LONGEST_ANSWER: usize = 16 << 20;
/// Runs that cannot be read, one after the other, each of which may take as long as the archive is waited for.
const AWAY: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orchestrator::testing::ID;

    #[tokio::test]
    async fn what_cannot_be_read_is_left_out_unless_nothing_can_be() {
        let run = |number| Run { analysis: ID.parse().unwrap(), number };
        let texts = |number: u32| (run(1).analysis, [vec![number.to_string()], Vec::new()]);
        let problem = || ArchiveProblem::NoSuchRun { doing: "read".to_owned(), place: "x".to_owned() };
        let (few, many) = ("-".repeat(AWAY - 1), "-".repeat(AWAY));
        for (good, want) in [
            (String::new(), Some(vec![])),
            ("+".to_owned(), Some(vec![0])),
            ("-".to_owned(), None),
            ("+-+".to_owned(), Some(vec![0, 2])),
            ("-+".to_owned(), Some(vec![1])),
            (format!("+{few}+"), Some(vec![0, 8])),
            (format!("+{few}+{few}"), Some(vec![0, 8])),
            (format!("+{many}+"), None),
        ] {
            let each = good.chars().zip(0..).map(|(good, number)| match good {
                '+' => (run(number), Ok(texts(number))),
                _ => (run(number), Err(problem())),
            });
            let told = readable(stream::iter(each)).await.ok();
            assert_eq!(told, want.map(|want: Vec<u32>| want.into_iter().map(texts).collect()), "{good}");
        }
    }
}
