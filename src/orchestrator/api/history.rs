//! Edge: what analyses that have ended have written, from the archive.

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::archive::{Archive, ArchiveProblem, LogSource};
use crate::model::{AnalysisId, AnalysisObject, Phase, Run};

use super::view;

/// The logs of the last runs of those that have ended, analysis and gateway. Where the analysis's own log was lost, the
/// lines that it streamed stand for it.
pub(super) async fn history(
    archive: &Archive,
    analyses: &[AnalysisObject],
) -> Result<Vec<(AnalysisId, [Vec<String>; 2])>, ArchiveProblem> {
    let ended: Vec<Run> = analyses.iter().filter(|one| has_ended(one)).map(view::last_run).collect();
    let most = (LONGEST_ANSWER / ended.len().max(1) / 2).min(LONGEST_LOG);
    let each = ended.into_iter().map(|run| of_run(archive, run, most));
    // As many as there are connections that read.
    stream::iter(each).buffered(4).try_collect().await
}

async fn of_run(archive: &Archive, run: Run, most: usize) -> Result<(AnalysisId, [Vec<String>; 2]), ArchiveProblem> {
    let mut logs = archive.logs(run).await?;
    let own = match logs.remove(&LogSource::Analysis) {
        Some(log) => Some(log),
        None => {
            let lines = archive.lines(run, LINES).await?;
            let text = lines.into_iter().map(|line| line.log + "\n").collect::<String>();
            Some(text).filter(|text| !text.is_empty())
        }
    };
    let shown = |log: Option<String>| log.map(|log| view::newest(log, most)).into_iter().collect();
    Ok((run.analysis, [shown(own), shown(logs.remove(&LogSource::Nginx))]))
}

fn has_ended(analysis: &AnalysisObject) -> bool {
    matches!(view::present(analysis), Phase::Stopped | Phase::Executed | Phase::Failed)
}

/// Of one log: more than the archive keeps.
const LONGEST_LOG: usize = 4 << 20;
/// Of all logs in one answer.
const LONGEST_ANSWER: usize = 16 << 20;
const LINES: u32 = 10_000;
