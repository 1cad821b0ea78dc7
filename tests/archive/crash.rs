//! A process that is killed while it writes loses nothing that it was told is written.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use flamewarden::archive::{Archive, LogSource};
use flamewarden::model::Run;

use crate::database::{archive, record, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_confirmed_before_a_kill_is_there_and_whole() {
    if let Ok(url) = std::env::var(WRITER) {
        return write(&url).await;
    }
    for confirmations in [1, 10, 60] {
        let (server, archive) = archive().await;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::what_was_confirmed_before_a_kill_is_there_and_whole", "--nocapture"])
            .env(WRITER, server.url())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut numbers = lines.filter_map(|line| line.strip_prefix(CONFIRMED)?.parse::<u32>().ok());
        assert_eq!(numbers.nth(confirmations - 1), u32::try_from(confirmations).ok());
        child.kill().unwrap();
        // What it still said before it died counts too.
        let last = numbers.last().unwrap_or(u32::try_from(confirmations).unwrap());
        child.wait().unwrap();
        for number in 1..=last {
            let run = nth(number);
            assert_eq!(archive.latest_run(run.analysis).await.unwrap(), Some(record(run)));
            assert_eq!(archive.logs(run).await.unwrap()[&LogSource::Analysis], log(number));
        }
        // What was begun and not confirmed is there whole, or not at all.
        for number in last + 1..last + 3 {
            let logs = archive.logs(nth(number)).await.unwrap();
            assert!(logs.get(&LogSource::Analysis).is_none_or(|text| *text == log(number)));
        }
        archive.record(&record(nth(last + 3))).await.unwrap();
    }
}

/// What the process that is going to be killed does.
async fn write(url: &str) {
    let (archive, mut parent) = (Archive::open(url).await.unwrap(), io::stdout());
    for number in 1.. {
        let run = nth(number);
        archive.record(&record(run)).await.unwrap();
        archive.append_log(run, LogSource::Analysis, &log(number)).await.unwrap();
        writeln!(parent, "{CONFIRMED}{number}").unwrap();
    }
}

fn nth(number: u32) -> Run {
    run(char::from_u32(number).unwrap(), 1)
}

/// Longer than a chunk.
fn log(number: u32) -> String {
    format!("{number:040000}\n")
}

const WRITER: &str = "FLAMEWARDEN_TEST_ARCHIVE_WRITER";
const CONFIRMED: &str = "confirmed ";
