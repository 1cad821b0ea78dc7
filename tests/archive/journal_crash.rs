//! A process that is killed while it writes into the journal leaves a whole chain with all that was confirmed.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use flamewarden::archive::{Archive, Verdict};

use crate::database::archive;
use crate::journal::{fetched, told};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_confirmed_before_a_kill_is_in_a_chain_that_verifies() {
    if let Ok(url) = std::env::var(WRITER) {
        return write(&url).await;
    }
    for confirmations in [1, 7, 40] {
        let (server, archive) = archive().await;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "journal_crash::what_was_confirmed_before_a_kill_is_in_a_chain_that_verifies",
                "--nocapture",
            ])
            .env(WRITER, server.url())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut numbers = lines.filter_map(|line| line.strip_prefix(CONFIRMED)?.parse::<u64>().ok());
        assert_eq!(numbers.nth(confirmations - 1), u64::try_from(confirmations).ok());
        child.kill().unwrap();
        let last = numbers.last().unwrap_or(u64::try_from(confirmations).unwrap());
        child.wait().unwrap();
        assert_eq!(archive.verify_journal(None).await.unwrap().verdict, Verdict::Whole);
        let written = told(&archive).await;
        let want = |number: usize| format!("decision r {number}");
        assert_eq!(written, (1..=written.len()).map(want).collect::<Vec<_>>(), "each once, in their order");
        let kept = u64::try_from(written.len()).unwrap();
        assert!(kept >= last * FEW && kept % FEW == 0, "{kept} of {last} times {FEW}");
        // Whoever comes next is given again what was not confirmed.
        archive.keep_decisions(fetched("r", &numbers_of(last + 1), 0)).await.unwrap();
        archive.keep_decisions(fetched("r", &numbers_of(last + 2), 0)).await.unwrap();
        let written = told(&archive).await;
        assert_eq!(written, (1..=written.len()).map(want).collect::<Vec<_>>(), "no gap and none twice");
    }
}

/// What the process that is going to be killed does.
async fn write(url: &str) {
    let (archive, mut parent) = (Archive::open(url).await.unwrap(), io::stdout());
    for batch in 1.. {
        archive.keep_decisions(fetched("r", &numbers_of(batch), 0)).await.unwrap();
        writeln!(parent, "{CONFIRMED}{batch}").unwrap();
    }
}

fn numbers_of(batch: u64) -> Vec<u64> {
    ((batch - 1) * FEW + 1..=batch * FEW).collect()
}

const FEW: u64 = 150;
const WRITER: &str = "FLAMEWARDEN_TEST_JOURNAL_WRITER";
const CONFIRMED: &str = "confirmed ";
