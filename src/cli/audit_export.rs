//! Edge: `flamewarden audit export`: prints the journal as JSON lines, from a number or a moment on.

use std::io::{self, BufWriter, Write as _};

use clap::Args;
use jiff::Timestamp;

use super::archived::Archived;
use crate::archive::Archive;

/// Arguments of the command.
#[derive(Args)]
pub(super) struct Export {
    #[command(flatten)]
    archive: Archived,
    /// The first entry.
    #[arg(long, value_name = "N", conflicts_with = "since", value_parser = clap::value_parser!(i64).range(1..))]
    from: Option<i64>,
    /// The moment from which on entries were written, such as 2027-01-31T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
}

impl Export {
    /// Prints; the text that is left to print is empty.
    pub(super) fn run(self) -> anyhow::Result<(String, u8)> {
        let (from, since) = (self.from, self.since);
        self.archive.read(async |archive| {
            let first = match since {
                Some(moment) => archive.journal_since(moment).await?,
                None => Some(from.unwrap_or(1)),
            };
            match first {
                Some(first) => print(archive, first).await,
                None => Ok(()),
            }
        })?;
        Ok((String::new(), 0))
    }
}

/// A reader that has gone, such as `head`, is no fault.
async fn print(archive: &Archive, first: i64) -> anyhow::Result<()> {
    let mut output = BufWriter::new(io::stdout().lock());
    let mut after = first.saturating_sub(1);
    loop {
        let entries = archive.journal_after(after, AT_ONCE).await?;
        let Some(last) = entries.last() else { break };
        if let Some(next) = entries.first().filter(|next| next.number > after.saturating_add(1)) {
            let missing = format!("flamewarden: entries {} to {} are not there\n", after + 1, next.number - 1);
            super::complain_text(&missing);
        }
        after = last.number;
        for entry in &entries {
            if entry.is_unreadable() {
                let number = entry.number;
                super::complain_text(&format!(
                    "flamewarden: entry {number} is not as it was written; see audit verify\n"
                ));
            }
            match writeln!(output, "{}", entry.line()) {
                Err(problem) if problem.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                written => written?,
            }
        }
    }
    match output.flush() {
        Err(problem) if problem.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        flushed => Ok(flushed?),
    }
}

/// Entries that are read together: some 8 MB at most.
const AT_ONCE: u32 = 1000;
