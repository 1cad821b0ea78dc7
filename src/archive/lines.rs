//! Edge: keeps the log lines that an analysis streams itself, the newest of each run.

use jiff::Timestamp;
use sqlx::AnyConnection;

use super::clean::{LONGEST_LINE, bounded};
use super::runs::unreadable;
use super::{Archive, ArchiveProblem};
use crate::model::Run;

/// One line. Texts are kept as printable ASCII, the time to the microsecond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// What it says.
    pub log: String,
    /// How urgent it is, as FLAME names it, such as `warn`.
    pub log_type: String,
    /// What the analysis says of itself.
    pub status: String,
    /// How far it says it is, in percent.
    pub progress: u8,
    /// When it was written.
    pub written: Timestamp,
}

impl Archive {
    /// Adds lines to those of a run; of more than 10,000 the oldest are given up.
    ///
    /// # Errors
    /// The run was never recorded, or it is not known how many of the lines were written.
    pub async fn append_lines(&self, run: Run, lines: &[LogLine]) -> Result<(), ArchiveProblem> {
        let most = usize::try_from(MOST).unwrap_or(usize::MAX);
        let kept = lines.get(lines.len().saturating_sub(most)..).unwrap_or(lines);
        // A few at a time, so that many keep no call longer than any other.
        for few in kept.chunks(FEW) {
            let rows = few.iter().map(row).collect();
            let doing = format!("write lines of {}", run.app());
            self.write(doing, |connection| Box::pin(append(connection, run, rows))).await?;
        }
        Ok(())
    }

    /// The newest lines of a run, at most so many, in their order.
    ///
    /// # Errors
    /// Anything but an answer.
    pub async fn lines(&self, run: Run, most: u32) -> Result<Vec<LogLine>, ArchiveProblem> {
        self.read(format!("read lines of {}", run.app()), |connection| {
            Box::pin(async move {
                let newest = sqlx::query_as::<_, Row>(NEWEST).bind(run.analysis.to_string());
                let newest = newest.bind(i64::from(run.number));
                let rows = newest.bind(i64::from(most)).fetch_all(connection).await?;
                rows.into_iter().rev().map(read).collect()
            })
        })
        .await
    }
}

impl Archive {
    /// The texts of a run's newest lines, in at most so many bytes, and a note about what went before them; none where
    /// there are no lines. What does not fit is not read.
    ///
    /// # Errors
    /// Anything but an answer.
    pub async fn newest_text(&self, run: Run, most: usize) -> Result<Option<String>, ArchiveProblem> {
        self.read(format!("read lines of {}", run.app()), |connection| Box::pin(newest_text(connection, run, most)))
            .await
    }
}

async fn newest_text(connection: &mut AnyConnection, run: Run, most: usize) -> Result<Option<String>, sqlx::Error> {
    let (analysis, number) = (run.analysis.to_string(), i64::from(run.number));
    let lengths = sqlx::query_scalar(LENGTHS).bind(analysis.clone()).bind(number);
    let lengths: Vec<i64> = lengths.fetch_all(&mut *connection).await?;
    if lengths.is_empty() {
        return Ok(None);
    }
    let (fitting, left_out) = fitting(&lengths, most);
    let newest = sqlx::query_scalar(TEXTS).bind(analysis).bind(number).bind(fitting);
    let lines: Vec<String> = newest.fetch_all(connection).await?;
    let note = (left_out > 0).then(|| format!("[{left_out} bytes left out]\n"));
    let lines = lines.into_iter().rev().flat_map(|line| [line, "\n".to_owned()]);
    Ok(Some(note.into_iter().chain(lines).collect()))
}

/// How many lines of these lengths, the newest first, fit with their ends, and the bytes of the others.
fn fitting(lengths: &[i64], most: usize) -> (i64, i64) {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let (mut bytes, mut fitting, mut left_out) = (0_i64, 0, 0_i64);
    for length in lengths {
        bytes = bytes.saturating_add(length.saturating_add(1));
        if bytes <= most {
            fitting += 1;
        } else {
            left_out = left_out.saturating_add(length.saturating_add(1));
        }
    }
    (fitting, left_out)
}

/// A line as it is stored.
type Row = (String, String, String, i64, i64);

fn row(line: &LogLine) -> Row {
    let (log, log_type, status) = (&line.log, &line.log_type, &line.status);
    let (log, log_type, status) = (bounded(log, LONGEST_LINE), bounded(log_type, WORD), bounded(status, WORD));
    (log, log_type, status, line.progress.min(100).into(), line.written.as_microsecond())
}

fn read((log, log_type, status, progress, written): Row) -> Result<LogLine, sqlx::Error> {
    let progress = progress.try_into().map_err(unreadable)?;
    let written = Timestamp::from_microsecond(written).map_err(unreadable)?;
    Ok(LogLine { log, log_type, status, progress, written })
}

async fn append(connection: &mut AnyConnection, run: Run, rows: Vec<Row>) -> Result<(), sqlx::Error> {
    let (analysis, number) = (run.analysis.to_string(), i64::from(run.number));
    let last = sqlx::query_scalar(LAST).bind(analysis.clone()).bind(number);
    let mut place: i64 = last.fetch_one(&mut *connection).await?;
    for (log, log_type, status, progress, written) in rows {
        place = place.saturating_add(1);
        let insert = sqlx::query(INSERT).bind(analysis.clone()).bind(number).bind(place).bind(log).bind(log_type);
        insert.bind(status).bind(progress).bind(written).execute(&mut *connection).await?;
    }
    let give_up = sqlx::query(GIVE_UP).bind(analysis).bind(number).bind(place.saturating_sub(MOST));
    give_up.execute(connection).await.map(drop)
}

/// Lines of a run.
const MOST: i64 = 10_000;
/// Lines of one transaction.
const FEW: usize = 500;
/// Bytes of what is one word.
const WORD: usize = 64;
const LAST: &str = "SELECT COALESCE(MAX(place), 0) FROM lines WHERE analysis = $1 AND number = $2";
const INSERT: &str = "\
    INSERT INTO lines (analysis, number, place, log, log_type, status, progress, written) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const LENGTHS: &str = "\
    SELECT CAST(LENGTH(log) AS BIGINT) FROM lines WHERE analysis = $1 AND number = $2 ORDER BY place DESC";
const TEXTS: &str = "SELECT log FROM lines WHERE analysis = $1 AND number = $2 ORDER BY place DESC LIMIT $3";
const GIVE_UP: &str = "DELETE FROM lines WHERE analysis = $1 AND number = $2 AND place <= $3";
const NEWEST: &str = "\
    SELECT log, log_type, status, progress, written FROM lines WHERE analysis = $1 AND number = $2 \
    ORDER BY place DESC LIMIT $3";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_that_fit_are_told_and_the_others_are_counted() {
        for (lengths, most, want) in [
            (&[][..], 10, (0, 0)),
            (&[4, 4], 10, (2, 0)),
            (&[4, 4, 0], 10, (2, 1)),
            (&[4, 9, 0], 10, (1, 11)),
            (&[10, 0], 10, (0, 12)),
            (&[9], 0, (0, 10)),
        ] {
            assert_eq!(fitting(lengths, most), want, "{lengths:?}");
        }
    }
}
